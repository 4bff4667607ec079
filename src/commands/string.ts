/**
 * Strings as a whole: the SET and GET families. Parts of strings are in `string-range.ts`, numbers in
 * `counter.ts`, LCS in `lcs.ts`.
 */
import { syntaxError } from '../errors.ts';
import { OK, type Reply } from '../resp/reply.ts';
import { argument, ONE_KEY, optionName, wrongArity } from './arguments.ts';
import { type Args, type Command, type DataContext, dataCommand } from './command.ts';
import {
  type ExpiryOption,
  expiryMomentMs,
  isAbsolute,
  isExpiryUnit,
  keptExpiry,
} from './expiry.ts';

interface KeyOptions {
  readonly key: string;
}

const parseKey = (args: Args): KeyOptions => ({ key: argument(args, 1) });

interface SetOptions {
  readonly key: string;
  readonly value: string;
  readonly condition: 'always' | 'nx' | 'xx';
  readonly returnOld: boolean;
  readonly keepTtl: boolean;
  readonly expiry: ExpiryOption | null;
}

export const set = dataCommand<SetOptions>({
  name: 'SET',
  group: 'string',
  arity: -3,
  flags: ['write', 'denyoom'],
  keys: ONE_KEY,
  since: '1.0.0',
  summary: 'Store a string at key',
  complexity: 'O(1)',
  parse: parseSet,
  // A moment may be past already, and then SET is a delete, which must know whether there is a key.
  blind: ({ condition, returnOld, keepTtl, expiry }) =>
    condition === 'always' &&
    !returnOld &&
    !keepTtl &&
    (expiry === null || !isAbsolute(expiry.unit)),
  run: runSet,
});

function parseSet(args: Args): SetOptions {
  const key = argument(args, 1);
  const value = argument(args, 2);
  let condition: SetOptions['condition'] = 'always';
  let returnOld = false;
  let keepTtl = false;
  let expiry: ExpiryOption | null = null;
  for (let index = 3; index < args.length; index++) {
    const option = args[index]?.toLowerCase() ?? '';
    if ((option === 'nx' || option === 'xx') && (condition === 'always' || condition === option)) {
      condition = option;
    } else if (option === 'get') {
      returnOld = true;
    } else if (option === 'keepttl' && expiry === null) {
      keepTtl = true;
    } else if (isExpiryUnit(option) && !keepTtl) {
      expiry = parseExpiry(args, index, expiry);
      index++;
    } else {
      throw syntaxError();
    }
  }
  return { key, value, condition, returnOld, keepTtl, expiry };
}

/** The expiry at `index`. The same unit may come twice, and the last one counts; two units may not. */
function parseExpiry(args: Args, index: number, previous: ExpiryOption | null): ExpiryOption {
  const unit = optionName(args, index) ?? '';
  const text = args[index + 1];
  if (!isExpiryUnit(unit) || text === undefined) throw syntaxError();
  if (previous !== null && previous.unit !== unit) throw syntaxError();
  return { unit, text };
}

function runSet(ctx: DataContext, options: SetOptions): Reply {
  const { key, value, condition, returnOld, keepTtl, expiry } = options;
  let expiresAtMs: number | 'default' = 'default';
  if (expiry !== null) expiresAtMs = expiryMomentMs(expiry, ctx.nowMs, 'set');
  let reply: Reply = OK;
  if (returnOld || condition !== 'always') {
    const old = ctx.keys.get(ctx.db, key);
    if (returnOld) reply = old ?? null;
    if (condition === (old === undefined ? 'xx' : 'nx')) return returnOld ? reply : null;
  }
  if (keepTtl) expiresAtMs = keptExpiry(ctx, key);
  ctx.keys.put(ctx.db, key, value, expiresAtMs);
  return reply;
}

export const get = dataCommand<KeyOptions>({
  name: 'GET',
  group: 'string',
  arity: 2,
  flags: ['readonly', 'fast'],
  keys: ONE_KEY,
  since: '1.0.0',
  summary: 'Return the string at key',
  complexity: 'O(1)',
  direct: 'value',
  parse: parseKey,
  run: (ctx, { key }) => ctx.keys.get(ctx.db, key) ?? null,
});

interface KeyValueOptions {
  readonly key: string;
  readonly value: string;
}

const parseKeyValue = (args: Args): KeyValueOptions => ({
  key: argument(args, 1),
  value: argument(args, 2),
});

export const getset = dataCommand<KeyValueOptions>({
  name: 'GETSET',
  group: 'string',
  arity: 3,
  flags: ['write', 'denyoom', 'fast'],
  keys: ONE_KEY,
  since: '1.0.0',
  summary: 'Store a string at key and return the one before it',
  complexity: 'O(1)',
  parse: parseKeyValue,
  run(ctx, { key, value }) {
    const old = ctx.keys.get(ctx.db, key) ?? null;
    ctx.keys.put(ctx.db, key, value, 'default');
    return old;
  },
});

export const getdel = dataCommand<KeyOptions>({
  name: 'GETDEL',
  group: 'string',
  arity: 2,
  flags: ['write', 'fast'],
  keys: ONE_KEY,
  since: '6.2.0',
  summary: 'Return the string at key and remove the key',
  complexity: 'O(1)',
  parse: parseKey,
  run(ctx, { key }) {
    const old = ctx.keys.get(ctx.db, key) ?? null;
    if (old !== null) ctx.keys.remove(ctx.db, key);
    return old;
  },
});

interface GetexOptions {
  readonly key: string;
  readonly persist: boolean;
  readonly expiry: ExpiryOption | null;
}

export const getex = dataCommand<GetexOptions>({
  name: 'GETEX',
  group: 'string',
  arity: -2,
  flags: ['write', 'fast'],
  keys: ONE_KEY,
  since: '6.2.0',
  summary: 'Return the string at key and change when it expires',
  complexity: 'O(1)',
  parse: parseGetex,
  run(ctx, { key, persist, expiry }) {
    const value = ctx.keys.get(ctx.db, key);
    // As in Redis, a missing key is answered before a bad expiry is complained of.
    if (value === undefined) return null;
    if (expiry !== null) {
      ctx.keys.setExpiry(ctx.db, key, expiryMomentMs(expiry, ctx.nowMs, 'getex'));
    } else if (persist && ctx.keys.expiresAtMs(ctx.db, key) !== 0) {
      ctx.keys.setExpiry(ctx.db, key, 0);
    }
    return value;
  },
});

function parseGetex(args: Args): GetexOptions {
  let persist = false;
  let expiry: ExpiryOption | null = null;
  for (let index = 2; index < args.length; index++) {
    const option = args[index]?.toLowerCase() ?? '';
    if (option === 'persist' && expiry === null) {
      persist = true;
    } else if (isExpiryUnit(option) && !persist) {
      expiry = parseExpiry(args, index, expiry);
      index++;
    } else {
      throw syntaxError();
    }
  }
  return { key: argument(args, 1), persist, expiry };
}

export const setnx = dataCommand<KeyValueOptions>({
  name: 'SETNX',
  group: 'string',
  arity: 3,
  flags: ['write', 'denyoom', 'fast'],
  keys: ONE_KEY,
  since: '1.0.0',
  summary: 'Store a string at key, unless the key exists',
  complexity: 'O(1)',
  parse: parseKeyValue,
  run(ctx, { key, value }) {
    if (ctx.keys.has(ctx.db, key)) return 0;
    ctx.keys.put(ctx.db, key, value, 'default');
    return 1;
  },
});

interface SetexOptions {
  readonly key: string;
  readonly value: string;
  readonly expiry: ExpiryOption;
}

const parseSetex =
  (unit: 'ex' | 'px') =>
  (args: Args): SetexOptions => ({
    key: argument(args, 1),
    value: argument(args, 3),
    expiry: { unit, text: argument(args, 2) },
  });

function runSetex(ctx: DataContext, { key, value, expiry }: SetexOptions, name: string): Reply {
  ctx.keys.put(ctx.db, key, value, expiryMomentMs(expiry, ctx.nowMs, name));
  return OK;
}

export const setex = dataCommand<SetexOptions>({
  name: 'SETEX',
  group: 'string',
  arity: 4,
  flags: ['write', 'denyoom'],
  keys: ONE_KEY,
  since: '2.0.0',
  summary: 'Store a string that expires after so many seconds',
  complexity: 'O(1)',
  parse: parseSetex('ex'),
  blind: () => true,
  run: (ctx, options) => runSetex(ctx, options, 'setex'),
});

export const psetex = dataCommand<SetexOptions>({
  name: 'PSETEX',
  group: 'string',
  arity: 4,
  flags: ['write', 'denyoom'],
  keys: ONE_KEY,
  since: '2.6.0',
  summary: 'Store a string that expires after so many milliseconds',
  complexity: 'O(1)',
  parse: parseSetex('px'),
  blind: () => true,
  run: (ctx, options) => runSetex(ctx, options, 'psetex'),
});

export const mget = dataCommand<readonly string[]>({
  name: 'MGET',
  group: 'string',
  arity: -2,
  flags: ['readonly', 'fast'],
  keys: { first: 1, last: -1, step: 1 },
  since: '1.0.0',
  summary: 'Return the strings at several keys, as they were at one moment',
  complexity: 'O(N) where N is the number of keys to retrieve.',
  spread: 'collect',
  direct: 'array',
  parse: (args) => args.slice(1),
  run: (ctx, keys) => keys.map((key) => ctx.keys.get(ctx.db, key) ?? null),
});

/** Keys and values in turns. */
type Pairs = readonly string[];

function parsePairs(args: Args, name: string): Pairs {
  if (args.length % 2 === 0) throw wrongArity(name);
  return args.slice(1);
}

function putPairs(ctx: DataContext, pairs: Pairs): void {
  for (let index = 0; index < pairs.length; index += 2) {
    ctx.keys.put(ctx.db, argument(pairs, index), argument(pairs, index + 1), 'default');
  }
}

export const mset = dataCommand<Pairs>({
  name: 'MSET',
  group: 'string',
  arity: -3,
  flags: ['write', 'denyoom'],
  keys: { first: 1, last: -1, step: 2 },
  since: '1.0.1',
  summary: 'Store strings at several keys, all at once',
  complexity: 'O(N) where N is the number of keys to set.',
  parse: (args) => parsePairs(args, 'mset'),
  blind: () => true,
  run(ctx, pairs) {
    putPairs(ctx, pairs);
    return OK;
  },
});

export const msetnx = dataCommand<Pairs>({
  name: 'MSETNX',
  group: 'string',
  arity: -3,
  flags: ['write', 'denyoom'],
  keys: { first: 1, last: -1, step: 2 },
  since: '1.0.1',
  summary: 'Store strings at several keys, unless one of them exists',
  complexity: 'O(N) where N is the number of keys to set.',
  parse: (args) => parsePairs(args, 'msetnx'),
  run(ctx, pairs) {
    for (let index = 0; index < pairs.length; index += 2) {
      if (ctx.keys.has(ctx.db, argument(pairs, index))) return 0;
    }
    putPairs(ctx, pairs);
    return 1;
  },
});

export const STRING_COMMANDS: readonly Command[] = [
  set,
  get,
  getset,
  getdel,
  getex,
  setnx,
  setex,
  psetex,
  mget,
  mset,
  msetnx,
];
