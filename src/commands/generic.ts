/**
 * Keys of any type: deleting, asking, renaming, copying, moving. Expiry is in `expire.ts`, OBJECT in
 * `object.ts`, and what walks over all keys in `iteration.ts`.
 */
import { ReplyError, syntaxError } from '../errors.ts';
import { OK, type Reply, Status } from '../resp/reply.ts';
import { typeName } from '../storage/memory/entry.ts';
import { argument, database, ONE_KEY, optionName } from './arguments.ts';
import {
  type Args,
  type Command,
  type DataContext,
  dataCommand,
  type KeyPositions,
  type KeyRef,
} from './command.ts';

const ALL_KEYS: KeyPositions = { first: 1, last: -1, step: 1 };
const TWO_KEYS: KeyPositions = { first: 1, last: 2, step: 1 };
const NO_SUCH_KEY = 'no such key';
const SAME_OBJECT = 'source and destination objects are the same';

const parseKeys = (args: Args): readonly string[] => args.slice(1);

function removeAll(ctx: DataContext, keys: readonly string[]): number {
  let removed = 0;
  for (const key of keys) if (ctx.keys.remove(ctx.db, key)) removed++;
  return removed;
}

export const del = dataCommand({
  name: 'DEL',
  group: 'generic',
  arity: -2,
  flags: ['write'],
  keys: ALL_KEYS,
  since: '1.0.0',
  summary: 'Remove keys; returns how many there were',
  complexity: 'O(N) where N is the number of keys that will be removed.',
  parse: parseKeys,
  run: removeAll,
});

export const unlink = dataCommand({
  name: 'UNLINK',
  group: 'generic',
  arity: -2,
  flags: ['write', 'fast'],
  keys: ALL_KEYS,
  since: '4.0.0',
  summary: 'Remove keys, as DEL does',
  complexity: 'O(1) for each key removed regardless of its size.',
  parse: parseKeys,
  run: removeAll,
});

export const exists = dataCommand({
  name: 'EXISTS',
  group: 'generic',
  arity: -2,
  flags: ['readonly', 'fast'],
  keys: ALL_KEYS,
  since: '1.0.0',
  summary: 'Count how many of the keys exist',
  complexity: 'O(N) where N is the number of keys to check.',
  spread: 'each',
  parse: parseKeys,
  run(ctx, keys) {
    let count = 0;
    // A key that is named twice counts twice.
    for (const key of keys) if (ctx.keys.expiresAtMs(ctx.db, key) !== undefined) count++;
    return count;
  },
});

export const touch = dataCommand({
  name: 'TOUCH',
  group: 'generic',
  arity: -2,
  flags: ['readonly', 'fast'],
  keys: ALL_KEYS,
  since: '3.2.1',
  summary: 'Mark keys as used now; returns how many of them exist',
  complexity: 'O(N) where N is the number of keys that will be touched.',
  spread: 'each',
  parse: parseKeys,
  run(ctx, keys) {
    let count = 0;
    // Reading the value is what counts as a use.
    for (const key of keys) if (ctx.keys.get(ctx.db, key) !== undefined) count++;
    return count;
  },
});

export const type = dataCommand({
  name: 'TYPE',
  group: 'generic',
  arity: 2,
  flags: ['readonly', 'fast'],
  keys: ONE_KEY,
  since: '1.0.0',
  summary: 'Tell the type of the value at key',
  complexity: 'O(1)',
  parse: (args) => argument(args, 1),
  run(ctx, key) {
    const inspected = ctx.keys.inspect(ctx.db, key);
    return new Status(inspected === undefined ? 'none' : typeName(inspected.value));
  },
});

interface FromTo {
  readonly from: string;
  readonly to: string;
}

const parseFromTo = (args: Args): FromTo => ({ from: argument(args, 1), to: argument(args, 2) });

/** Returns false when `to` exists and must not be replaced. Throws when there is no `from`. */
function renameKey(ctx: DataContext, { from, to }: FromTo, replace: boolean): boolean {
  const value = ctx.keys.get(ctx.db, from);
  const expiresAtMs = ctx.keys.expiresAtMs(ctx.db, from);
  if (value === undefined || expiresAtMs === undefined) throw new ReplyError('ERR', NO_SUCH_KEY);
  if (from === to) return replace;
  if (!replace && ctx.keys.has(ctx.db, to)) return false;
  ctx.keys.remove(ctx.db, from);
  ctx.keys.put(ctx.db, to, value, expiresAtMs);
  return true;
}

export const rename = dataCommand<FromTo>({
  name: 'RENAME',
  group: 'generic',
  arity: 3,
  flags: ['write'],
  keys: TWO_KEYS,
  since: '1.0.0',
  summary: 'Give the value another key, in place of what is there',
  complexity: 'O(1)',
  parse: parseFromTo,
  run(ctx, options) {
    renameKey(ctx, options, true);
    return OK;
  },
});

export const renamenx = dataCommand<FromTo>({
  name: 'RENAMENX',
  group: 'generic',
  arity: 3,
  flags: ['write', 'fast'],
  keys: TWO_KEYS,
  since: '1.0.0',
  summary: 'Give the value another key, unless there is something already',
  complexity: 'O(1)',
  parse: parseFromTo,
  run: (ctx, options) => (renameKey(ctx, options, false) ? 1 : 0),
});

interface CopyOptions extends FromTo {
  /** Null: the session's. */
  readonly toDb: number | null;
  readonly replace: boolean;
}

export const copy = dataCommand<CopyOptions>({
  name: 'COPY',
  group: 'generic',
  arity: -3,
  flags: ['write', 'denyoom'],
  keys: TWO_KEYS,
  since: '6.2.0',
  summary: 'Copy the value to another key, also of another database',
  complexity: 'O(1) for string values.',
  refs: ({ from, to, toDb }, db) => refsOutside({ db, key: from }, { db: toDb ?? db, key: to }),
  parse: parseCopy,
  run(ctx, { from, to, toDb, replace }) {
    const source = { db: ctx.db, key: from };
    return transfer(ctx, source, { db: toDb ?? ctx.db, key: to }, replace) ? 1 : 0;
  },
});

function parseCopy(args: Args): CopyOptions {
  let toDb: number | null = null;
  let replace = false;
  for (let index = 3; index < args.length; index++) {
    const option = optionName(args, index);
    if (option === 'replace') {
      replace = true;
    } else if (option === 'db' && index + 1 < args.length) {
      toDb = database(argument(args, ++index));
    } else {
      throw syntaxError();
    }
  }
  return { ...parseFromTo(args), toDb, replace };
}

interface MoveOptions {
  readonly key: string;
  readonly toDb: number;
}

export const move = dataCommand<MoveOptions>({
  name: 'MOVE',
  group: 'generic',
  arity: 3,
  flags: ['write', 'fast'],
  keys: ONE_KEY,
  since: '1.0.0',
  summary: 'Take the key to another database',
  complexity: 'O(1)',
  refs: ({ key, toDb }, db) => refsOutside({ db, key }, { db: toDb, key }),
  parse: (args) => ({ key: argument(args, 1), toDb: database(argument(args, 2)) }),
  run(ctx, { key, toDb }): Reply {
    if (!transfer(ctx, { db: ctx.db, key }, { db: toDb, key }, false)) return 0;
    ctx.keys.remove(ctx.db, key);
    return 1;
  },
});

function refsOutside(from: KeyRef, to: KeyRef): readonly KeyRef[] | undefined {
  return from.db === to.db ? undefined : [from, to];
}

/**
 * Copies value and expiry. Returns false when there is no source, or a target that must not be
 * replaced; throws when both are the same key.
 */
function transfer(ctx: DataContext, from: KeyRef, to: KeyRef, replace: boolean): boolean {
  if (from.db === to.db && from.key === to.key) throw new ReplyError('ERR', SAME_OBJECT);
  const value = ctx.keys.get(from.db, from.key);
  const expiresAtMs = ctx.keys.expiresAtMs(from.db, from.key);
  if (value === undefined || expiresAtMs === undefined) return false;
  if (!replace && ctx.keys.has(to.db, to.key)) return false;
  ctx.keys.put(to.db, to.key, value, expiresAtMs);
  return true;
}

export const GENERIC_COMMANDS: readonly Command[] = [
  del,
  unlink,
  exists,
  touch,
  type,
  rename,
  renamenx,
  copy,
  move,
];
