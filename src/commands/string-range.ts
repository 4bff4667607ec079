/** Parts of strings: APPEND, STRLEN, GETRANGE and its old name SUBSTR, SETRANGE. */
import { ReplyError } from '../errors.ts';
import { argument, clampedInteger, integer, ONE_KEY } from './arguments.ts';
import { type Args, type Command, type DataContext, dataCommand } from './command.ts';
import { keptExpiry } from './expiry.ts';
import { clampToSafe } from './numbers.ts';

/** The longest string V8 makes is 2^29 - 24; this leaves room for the framing of a reply. */
const STRING_LENGTH_MAX = 2 ** 29 - 1024;

/** @throws when a string of `length` bytes would be longer than the configuration, or V8, allows */
function checkLength(ctx: DataContext, length: number): void {
  if (length > Math.min(ctx.protoMaxBulkLen, STRING_LENGTH_MAX)) {
    throw new ReplyError('ERR', 'string exceeds maximum allowed size (proto-max-bulk-len)');
  }
}

export const append = dataCommand<{ key: string; suffix: string }>({
  name: 'APPEND',
  group: 'string',
  arity: 3,
  flags: ['write', 'denyoom', 'fast'],
  keys: ONE_KEY,
  since: '2.0.0',
  summary: 'Put bytes at the end of the string',
  complexity: 'O(1) while the value is short; the whole new value is replicated and stored.',
  parse: (args) => ({ key: argument(args, 1), suffix: argument(args, 2) }),
  run(ctx, { key, suffix }) {
    const old = ctx.keys.get(ctx.db, key) ?? '';
    checkLength(ctx, old.length + suffix.length);
    ctx.keys.put(ctx.db, key, old + suffix, keptExpiry(ctx, key));
    return old.length + suffix.length;
  },
});

export const strlen = dataCommand<string>({
  name: 'STRLEN',
  group: 'string',
  arity: 2,
  flags: ['readonly', 'fast'],
  keys: ONE_KEY,
  since: '2.2.0',
  summary: 'Tell the length of the string, in bytes',
  complexity: 'O(1)',
  parse: (args) => argument(args, 1),
  run: (ctx, key) => ctx.keys.get(ctx.db, key)?.length ?? 0,
});

interface RangeOptions {
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

function parseRange(args: Args): RangeOptions {
  const key = argument(args, 1);
  const start = integer(argument(args, 2));
  const end = integer(argument(args, 3));
  // Both may be before the beginning, and would then both become position 0: one byte, not none.
  if (start < 0 && end < 0 && start > end) return { key, start: 1, end: 0 };
  return { key, start: clampToSafe(start), end: clampToSafe(end) };
}

/** The bytes from `start` to `end`, both inclusive; negative ones count from the end. */
function runRange(ctx: DataContext, { key, start, end }: RangeOptions): string {
  const value = ctx.keys.get(ctx.db, key) ?? '';
  const from = start < 0 ? Math.max(0, value.length + start) : start;
  const to = end < 0 ? Math.max(0, value.length + end) : end;
  return value.slice(from, to + 1);
}

export const getrange = dataCommand<RangeOptions>({
  name: 'GETRANGE',
  group: 'string',
  arity: 4,
  flags: ['readonly'],
  keys: ONE_KEY,
  since: '2.4.0',
  summary: 'Return part of the string',
  complexity: 'O(N) where N is the length of the returned string.',
  parse: parseRange,
  run: runRange,
});

export const substr = dataCommand<RangeOptions>({
  name: 'SUBSTR',
  group: 'string',
  arity: 4,
  flags: ['readonly'],
  keys: ONE_KEY,
  since: '1.0.0',
  summary: 'Return part of the string',
  complexity: 'O(N) where N is the length of the returned string.',
  parse: parseRange,
  run: runRange,
});

interface SetrangeOptions {
  readonly key: string;
  readonly offset: number;
  readonly part: string;
}

export const setrange = dataCommand<SetrangeOptions>({
  name: 'SETRANGE',
  group: 'string',
  arity: 4,
  flags: ['write', 'denyoom'],
  keys: ONE_KEY,
  since: '2.2.0',
  summary: 'Write over part of the string, from an offset on',
  complexity: 'O(N) where N is the length of the new string.',
  parse(args) {
    const offset = clampedInteger(argument(args, 2));
    if (offset < 0) throw new ReplyError('ERR', 'offset is out of range');
    return { key: argument(args, 1), offset, part: argument(args, 3) };
  },
  run(ctx, { key, offset, part }) {
    const old = ctx.keys.get(ctx.db, key) ?? '';
    // Nothing to write: the string neither grows to the offset nor comes into being.
    if (part === '') return old.length;
    checkLength(ctx, offset + part.length);
    const head = old.slice(0, offset).padEnd(offset, '\0');
    const value = head + part + old.slice(offset + part.length);
    ctx.keys.put(ctx.db, key, value, keptExpiry(ctx, key));
    return value.length;
  },
});

export const STRING_RANGE_COMMANDS: readonly Command[] = [
  append,
  strlen,
  getrange,
  substr,
  setrange,
];
