/** Strings that are numbers: the INCR family. */
import { notAFloat, notAnInteger, ReplyError } from '../errors.ts';
import type { Reply } from '../resp/reply.ts';
import { argument, integer, ONE_KEY } from './arguments.ts';
import { type Command, type DataContext, dataCommand } from './command.ts';
import { addLongDoubles, formatLongDouble, parseLongDouble } from './long-double.ts';
import { addInt64, type Int64, negateInt64, parseInt64 } from './numbers.ts';
import { keptExpiry } from './expiry.ts';

interface IncrementOptions {
  readonly key: string;
  readonly by: Int64;
}

function runIncrement(ctx: DataContext, { key, by }: IncrementOptions): Reply {
  const text = ctx.keys.get(ctx.db, key);
  const old = text === undefined ? 0 : parseInt64(text);
  if (old === undefined) throw notAnInteger();
  const sum = addInt64(old, by);
  if (sum === undefined) throw new ReplyError('ERR', 'increment or decrement would overflow');
  ctx.keys.put(ctx.db, key, String(sum), text === undefined ? 'default' : keptExpiry(ctx, key));
  return sum;
}

export const incr = dataCommand<IncrementOptions>({
  name: 'INCR',
  group: 'string',
  arity: 2,
  flags: ['write', 'denyoom', 'fast'],
  keys: ONE_KEY,
  since: '1.0.0',
  summary: 'Add one to the integer at key',
  complexity: 'O(1)',
  parse: (args) => ({ key: argument(args, 1), by: 1 }),
  run: runIncrement,
});

export const decr = dataCommand<IncrementOptions>({
  name: 'DECR',
  group: 'string',
  arity: 2,
  flags: ['write', 'denyoom', 'fast'],
  keys: ONE_KEY,
  since: '1.0.0',
  summary: 'Take one from the integer at key',
  complexity: 'O(1)',
  parse: (args) => ({ key: argument(args, 1), by: -1 }),
  run: runIncrement,
});

export const incrby = dataCommand<IncrementOptions>({
  name: 'INCRBY',
  group: 'string',
  arity: 3,
  flags: ['write', 'denyoom', 'fast'],
  keys: ONE_KEY,
  since: '1.0.0',
  summary: 'Add a number to the integer at key',
  complexity: 'O(1)',
  parse: (args) => ({ key: argument(args, 1), by: integer(argument(args, 2)) }),
  run: runIncrement,
});

export const decrby = dataCommand<IncrementOptions>({
  name: 'DECRBY',
  group: 'string',
  arity: 3,
  flags: ['write', 'denyoom', 'fast'],
  keys: ONE_KEY,
  since: '1.0.0',
  summary: 'Take a number from the integer at key',
  complexity: 'O(1)',
  parse(args) {
    const by = negateInt64(integer(argument(args, 2)));
    if (by === undefined) throw new ReplyError('ERR', 'decrement would overflow');
    return { key: argument(args, 1), by };
  },
  run: runIncrement,
});

export const incrbyfloat = dataCommand<{ key: string; by: string }>({
  name: 'INCRBYFLOAT',
  group: 'string',
  arity: 3,
  flags: ['write', 'denyoom', 'fast'],
  keys: ONE_KEY,
  since: '2.6.0',
  summary: 'Add a decimal number to the number at key',
  complexity: 'O(1)',
  parse: (args) => ({ key: argument(args, 1), by: argument(args, 2) }),
  run(ctx, { key, by }) {
    const old = parseLongDouble(ctx.keys.get(ctx.db, key) ?? '0');
    const increment = parseLongDouble(by);
    if (old === undefined || increment === undefined) throw notAFloat();
    const finite = old !== 'infinite' && increment !== 'infinite';
    const sum = finite ? addLongDoubles(old, increment) : undefined;
    if (sum === undefined) throw new ReplyError('ERR', 'increment would produce NaN or Infinity');
    const text = formatLongDouble(sum);
    ctx.keys.put(ctx.db, key, text, keptExpiry(ctx, key));
    return text;
  },
});

export const COUNTER_COMMANDS: readonly Command[] = [incr, decr, incrby, decrby, incrbyfloat];
