/** OBJECT: how a value is represented, and how it has been used. */
import { ReplyError } from '../errors.ts';
import { type Reply, Status } from '../resp/reply.ts';
import type { Inspection } from '../storage/memory/working-set.ts';
import { type Args, type Command, dataCommand, type SubcommandInfo } from './command.ts';
import { parseInt64 } from './numbers.ts';

const OTHER_POLICY =
  'Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.';

/** Redis allocates strings up to this length together with their object. */
const EMBEDDED_LENGTH_MAX = 44;
/** Redis shares one object between all values that are one of these small integers, and says so. */
const SHARED_INTEGERS = 10_000;
const SHARED_REFCOUNT = 2_147_483_647;

/** Answers one subcommand about a key that exists. */
const ANSWERS: ReadonlyMap<string, (inspected: Inspection) => Reply> = new Map([
  ['ENCODING', ({ value }: Inspection): Reply => encoding(value)],
  ['FREQ', frequency],
  ['IDLETIME', idleTime],
  ['REFCOUNT', ({ value }: Inspection): Reply => refcount(value)],
]);

const HELP: Reply = [
  'OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:',
  'ENCODING <key>',
  '    Name the representation that the value of <key> would have in Redis.',
  'FREQ <key>',
  '    Return how often <key> has been used lately, on a logarithmic scale',
  '    from 0 to 255. Needs an LFU eviction policy.',
  'IDLETIME <key>',
  '    Return the seconds since <key> was last used on the node that answers.',
  'REFCOUNT <key>',
  '    Return the number of references to the value of <key>.',
  'HELP',
  '    Prints this help.',
].map((line) => new Status(line));

function aboutKey(name: string, since: string, summary: string): SubcommandInfo {
  return {
    name: `OBJECT|${name}`,
    arity: 3,
    flags: ['readonly'],
    since,
    summary,
    complexity: 'O(1)',
    keys: { first: 2, last: 2, step: 1 },
    categories: ['keyspace'],
  };
}

interface ObjectOptions {
  /** In capitals. */
  readonly subcommand: string;
  /** Null for HELP. */
  readonly key: string | null;
}

export const object = dataCommand<ObjectOptions>({
  name: 'OBJECT',
  group: 'generic',
  arity: -2,
  flags: [],
  // OBJECT HELP has no argument there, and so no key.
  keys: { first: 2, last: 2, step: 1 },
  since: '2.2.3',
  summary: 'Commands about how values are kept',
  complexity: 'Depends on subcommand.',
  subcommands: [
    aboutKey('ENCODING', '2.2.3', 'Name the representation that Redis would choose for the value'),
    aboutKey('FREQ', '4.0.0', 'Tell how often the key has been used lately, from 0 to 255'),
    aboutKey('IDLETIME', '2.2.3', 'Tell how many seconds ago the key was last used'),
    aboutKey('REFCOUNT', '2.2.3', 'Tell how many references there are to the value'),
    {
      name: 'OBJECT|HELP',
      arity: 2,
      flags: ['loading', 'stale'],
      since: '6.2.0',
      summary: 'List the subcommands with a few words each',
      complexity: 'O(1)',
    },
  ],
  parse: parseObject,
  run(ctx, { subcommand, key }) {
    const answer = ANSWERS.get(subcommand);
    if (answer === undefined || key === null) return HELP;
    const inspected = ctx.keys.inspect(ctx.db, key);
    return inspected === undefined ? null : answer(inspected);
  },
});

/** The dispatcher has checked that the subcommand exists and has its number of arguments. */
function parseObject(args: Args): ObjectOptions {
  return { subcommand: args[1]?.toUpperCase() ?? 'HELP', key: args[2] ?? null };
}

/** What Redis would say of a value that was just set; it says `raw` of any that was changed in part. */
function encoding(value: string): string {
  if (parseInt64(value) !== undefined) return 'int';
  return value.length <= EMBEDDED_LENGTH_MAX ? 'embstr' : 'raw';
}

function refcount(value: string): number {
  const integer = parseInt64(value);
  const shared = typeof integer === 'number' && integer >= 0 && integer < SHARED_INTEGERS;
  return shared ? SHARED_REFCOUNT : 1;
}

function idleTime({ accessMode, idleSeconds }: Inspection): Reply {
  if (accessMode === 'lru') return idleSeconds;
  const text = `An LFU maxmemory policy is selected, idle time not tracked. ${OTHER_POLICY}`;
  throw new ReplyError('ERR', text);
}

function frequency({ accessMode, frequency: count }: Inspection): Reply {
  if (accessMode === 'lfu') return count;
  const text = `An LFU maxmemory policy is not selected, access frequency not tracked. ${OTHER_POLICY}`;
  throw new ReplyError('ERR', text);
}

export const OBJECT_COMMANDS: readonly Command[] = [object];
