/**
 * What walks over all keys of a database: KEYS, SCAN, RANDOMKEY. The keys are on all primaries, so
 * the cluster does the walk; here is how clients ask for it.
 */
import { ReplyError, syntaxError } from '../errors.ts';
import { argument, clampedInteger, optionName } from './arguments.ts';
import { type Args, type Command, serverCommand } from './command.ts';

export const keys = serverCommand<string>({
  name: 'KEYS',
  group: 'generic',
  arity: 2,
  flags: ['readonly'],
  since: '1.0.0',
  summary: 'List all keys that match a pattern',
  complexity: 'O(N) with N being the number of keys in the database.',
  categories: ['dangerous'],
  parse: (args) => argument(args, 1),
  run: (ctx, pattern) => ctx.server.cluster.keys(ctx.session.db, pattern),
});

interface ScanOptions {
  /** A decimal number below 2^64, without sign or leading zeros. */
  readonly cursor: string;
  readonly count: number;
  readonly match: string | null;
  readonly type: string | null;
}

const DEFAULT_COUNT = 10;

export const scan = serverCommand<ScanOptions>({
  name: 'SCAN',
  group: 'generic',
  arity: -2,
  flags: ['readonly'],
  since: '2.8.0',
  summary: 'Go through the keys step by step',
  complexity: 'O(1) for every call. O(N) for a complete iteration, N being the number of keys.',
  parse: parseScan,
  async run(ctx, options) {
    const page = await ctx.server.cluster.scan({ db: ctx.session.db, ...options });
    return [page.cursor, page.keys];
  },
});

function parseScan(args: Args): ScanOptions {
  const cursor = parseCursor(argument(args, 1));
  let count = DEFAULT_COUNT;
  let match: string | null = null;
  let type: string | null = null;
  for (let index = 2; index < args.length; index += 2) {
    const option = optionName(args, index);
    const value = args[index + 1];
    if (value === undefined) throw syntaxError();
    if (option === 'count') {
      count = clampedInteger(value);
      if (count < 1) throw syntaxError();
    } else if (option === 'match') {
      match = value === '*' ? null : value;
    } else if (option === 'type') {
      type = value.toLowerCase();
    } else {
      throw syntaxError();
    }
  }
  return { cursor, count, match, type };
}

/** Up to 20 digits matter, and any number of zeros may stand before them. */
const CURSOR = /^([+-]?)0*(\d{0,20})$/;
const CURSOR_MAX = 2n ** 64n - 1n;

/** As C's `strtoul` reads it: a sign is allowed (a negative number wraps around), and nothing is 0. */
function parseCursor(text: string): string {
  if (text === '') return '0';
  const [, sign, digits = ''] = CURSOR.exec(text) ?? [];
  const magnitude = BigInt(digits);
  if (sign === undefined || !/\d$/.test(text) || magnitude > CURSOR_MAX) {
    throw new ReplyError('ERR', 'invalid cursor');
  }
  return BigInt.asUintN(64, sign === '-' ? -magnitude : magnitude).toString();
}

export const randomkey = serverCommand<undefined>({
  name: 'RANDOMKEY',
  group: 'generic',
  arity: 1,
  flags: ['readonly'],
  since: '1.0.0',
  summary: 'Pick some key at random',
  complexity: 'O(1)',
  parse: () => undefined,
  run: (ctx) => ctx.server.cluster.randomKey(ctx.session.db),
});

export const ITERATION_COMMANDS: readonly Command[] = [keys, scan, randomkey];
