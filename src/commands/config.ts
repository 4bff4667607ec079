/** CONFIG and its subcommands, on the option table behind ConfigPort. */
import { ReplyError, syntaxError } from '../errors.ts';
import { MapReply, OK } from '../resp/reply.ts';
import { argument } from './arguments.ts';
import type { Args, CommandFlag } from './command.ts';
import { container, help, noOptions, subcommand } from './container.ts';

const ADMIN: readonly CommandFlag[] = ['admin', 'noscript', 'loading', 'stale'];
const PER_PARAMETER = 'O(N) when N is the number of configuration parameters provided';

const get = subcommand({
  name: 'CONFIG|GET',
  arity: -3,
  flags: ADMIN,
  since: '2.0.0',
  summary: 'Tell the values of options, by name or pattern',
  complexity: PER_PARAMETER,
  parse: (args) => args.slice(2).map((pattern) => pattern.toLowerCase()),
  run(ctx, patterns) {
    const values = new Map<string, string>();
    for (const pattern of patterns) {
      for (const [name, value] of ctx.server.config.get(pattern)) values.set(name, value);
    }
    return new MapReply([...values].flat());
  },
});

const set = subcommand({
  name: 'CONFIG|SET',
  arity: -4,
  flags: ADMIN,
  since: '2.0.0',
  summary: 'Change options while the node runs, all of them or none',
  complexity: PER_PARAMETER,
  parse: parseSet,
  run(ctx, pairs) {
    ctx.server.config.set(pairs);
    return OK;
  },
});

function parseSet(args: Args): [name: string, value: string][] {
  if (args.length % 2 !== 0) throw syntaxError();
  const pairs = new Map<string, string>();
  for (let i = 2; i < args.length; i += 2) {
    const name = argument(args, i).toLowerCase();
    if (pairs.has(name)) {
      const where = `possibly related to argument '${argument(args, i)}'`;
      throw new ReplyError('ERR', `CONFIG SET failed (${where}) - duplicate parameter`);
    }
    pairs.set(name, argument(args, i + 1));
  }
  return [...pairs];
}

const rewrite = subcommand({
  name: 'CONFIG|REWRITE',
  arity: 2,
  flags: ADMIN,
  since: '2.8.0',
  summary: 'Write changed options to the configuration file',
  complexity: 'O(1)',
  parse: noOptions,
  async run(ctx) {
    await ctx.server.config.rewrite();
    return OK;
  },
});

const resetstat = subcommand({
  name: 'CONFIG|RESETSTAT',
  arity: 2,
  flags: ADMIN,
  since: '2.0.0',
  summary: 'Set the counters of INFO to 0',
  complexity: 'O(1)',
  parse: noOptions,
  run(ctx) {
    ctx.server.stats.resetStat();
    return OK;
  },
});

const HELP_LINES = [
  'GET <pattern>',
  '    Return parameters matching the glob-like <pattern> and their values.',
  'SET <directive> <value>',
  '    Set the configuration <directive> to <value>.',
  'RESETSTAT',
  '    Reset statistics reported by the INFO command.',
  'REWRITE',
  '    Rewrite the configuration file.',
];

export const config = container({
  name: 'CONFIG',
  group: 'server',
  since: '2.0.0',
  summary: 'Commands about the configuration of this node',
  subcommands: [
    get,
    set,
    rewrite,
    resetstat,
    help({ container: 'CONFIG', since: '5.0.0', lines: HELP_LINES }),
  ],
});
