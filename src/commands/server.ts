/**
 * Commands about the server: INFO, DBSIZE, FLUSHALL and other small ones. CONFIG and COMMAND have
 * files of their own.
 */
import { ReplyError, syntaxError } from '../errors.ts';
import type { Reply } from '../resp/reply.ts';
import { OK, VerbatimReply } from '../resp/reply.ts';
import { argument, integer } from './arguments.ts';
import { config } from './config.ts';
import type { Args, ServerContext } from './command.ts';
import { type Command, serverCommand } from './command.ts';
import { parseInt64 } from './numbers.ts';
import type { InfoSection } from './ports.ts';

export const info = serverCommand({
  name: 'INFO',
  group: 'server',
  arity: -1,
  flags: ['loading', 'stale'],
  since: '1.0.0',
  summary: 'Tell state and counters of this node, section by section',
  complexity: 'O(1)',
  categories: ['dangerous'],
  parse: (args) => new Set(args.slice(1).map((name) => name.toLowerCase())),
  run(ctx, wanted) {
    const sections = ctx.server.stats.info().filter((section) => isWanted(section, wanted));
    return new VerbatimReply(sections.map(sectionText).join('\r\n'));
  },
});

/** No name at all and `default` mean the default sections; `all` and `everything` mean every one. */
function isWanted(section: InfoSection, wanted: ReadonlySet<string>): boolean {
  if (wanted.has('all') || wanted.has('everything') || wanted.has(section.name)) return true;
  return section.byDefault && (wanted.size === 0 || wanted.has('default'));
}

function sectionText(section: InfoSection): string {
  let text = `# ${titleOf(section.name)}\r\n`;
  for (const [field, value] of section.lines()) text += `${field}:${value}\r\n`;
  return text;
}

/** Tools find sections by these titles. */
function titleOf(name: string): string {
  return name === 'cpu' ? 'CPU' : name.slice(0, 1).toUpperCase() + name.slice(1);
}

export const dbsize = serverCommand({
  name: 'DBSIZE',
  group: 'server',
  arity: 1,
  flags: ['readonly', 'fast'],
  since: '1.0.0',
  summary: 'Count the keys of the database',
  complexity: 'O(1)',
  categories: ['keyspace'],
  parse: () => undefined,
  run: (ctx) => ctx.server.cluster.dbsize(ctx.session.db),
});

export const flushdb = serverCommand({
  name: 'FLUSHDB',
  group: 'server',
  arity: -1,
  flags: ['write'],
  since: '1.0.0',
  summary: 'Remove every key of the database',
  complexity: 'O(N) where N is the number of keys in the selected database',
  categories: ['keyspace', 'dangerous'],
  parse: parseFlush,
  run: (ctx) => flush(ctx, ctx.session.db),
});

export const flushall = serverCommand({
  name: 'FLUSHALL',
  group: 'server',
  arity: -1,
  flags: ['write'],
  since: '1.0.0',
  summary: 'Remove every key of every database',
  complexity: 'O(N) where N is the total number of keys in all databases',
  categories: ['keyspace', 'dangerous'],
  parse: parseFlush,
  run: (ctx) => flush(ctx, null),
});

/** ASYNC and SYNC are both taken; either way the reply comes when the keys are gone everywhere. */
function parseFlush(args: Args): undefined {
  if (args.length === 1) return undefined;
  const mode = argument(args, 1).toUpperCase();
  if (args.length > 2 || (mode !== 'ASYNC' && mode !== 'SYNC')) throw syntaxError();
  return undefined;
}

async function flush(ctx: ServerContext, db: number | null): Promise<Reply> {
  await ctx.server.cluster.flush(db);
  return OK;
}

export const time = serverCommand({
  name: 'TIME',
  group: 'server',
  arity: 1,
  flags: ['loading', 'stale', 'fast'],
  since: '2.6.0',
  summary: 'Tell the time that expiries go by: seconds since 1970, and microseconds',
  complexity: 'O(1)',
  parse: () => undefined,
  run(ctx) {
    const nowUs = Math.floor(ctx.server.nowMs() * 1000);
    return [`${Math.floor(nowUs / 1_000_000)}`, `${nowUs % 1_000_000}`];
  },
});

export const lastsave = serverCommand({
  name: 'LASTSAVE',
  group: 'server',
  arity: 1,
  flags: ['loading', 'stale', 'fast'],
  since: '1.0.0',
  summary: 'Tell when this node last committed a batch, in seconds since 1970',
  complexity: 'O(1)',
  categories: ['admin', 'dangerous'],
  parse: () => undefined,
  run(ctx) {
    // The same number as in INFO, for tools that look at both. Where INFO has none: everything
    // acknowledged is in the database at any moment, so the last save is now.
    for (const section of ctx.server.stats.info()) {
      if (section.name !== 'persistence') continue;
      const line = section.lines().find(([field]) => field === 'rdb_last_save_time');
      if (line !== undefined) return Number(line[1]);
    }
    return Math.floor(ctx.server.nowMs() / 1000);
  },
});

export const wait = serverCommand({
  name: 'WAIT',
  group: 'generic',
  arity: 3,
  flags: ['noscript'],
  since: '3.0.0',
  summary: 'Tell how many replicas have all writes of this connection so far',
  complexity: 'O(1)',
  categories: ['connection'],
  parse(args) {
    integer(argument(args, 1));
    const timeout = parseInt64(argument(args, 2));
    if (timeout === undefined) {
      throw new ReplyError('ERR', 'timeout is not an integer or out of range');
    }
    if (timeout < 0) throw new ReplyError('ERR', 'timeout is negative');
  },
  // A write is acknowledged only once every live owner has it, so there is never anything to wait for.
  run: (ctx) => ctx.server.cluster.waitForReplicas(),
});

export const SERVER_COMMANDS: readonly Command[] = [
  config,
  dbsize,
  flushall,
  flushdb,
  info,
  lastsave,
  time,
  wait,
];
