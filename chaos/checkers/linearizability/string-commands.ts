/**
 * What Redis strings do, as the reference for the checkers: written from the commands' descriptions and on
 * purpose not with the code of `src/commands`, which is what is being judged. Expiry is left out.
 *
 * A family that joins (lists, sets) gets a file like this one and is merged into `COMMANDS` of
 * `keyspace-model.ts`; the state of a key is a string for every type, so that states can be compared.
 */
import type { ReplyValue } from '../../history.ts';

/** The keys that a command sees, with their values; null: not there. */
export interface Keyspace {
  get(key: string): string | null;
  set(key: string, value: string | null): void;
}

export interface CommandSpec {
  /** Runs it; undefined: it gets an error and changes nothing. `args` has no name. */
  readonly run: (keys: Keyspace, args: readonly string[]) => ReplyValue | undefined;
  /** The arguments that are keys; missing: the first one. */
  readonly keysOf?: (args: readonly string[]) => readonly string[];
  /**
   * Whether a reply says that nothing was changed, whatever the state was; an undefined reply is not known.
   * Missing: no reply does.
   */
  readonly changesNothing?: (reply: ReplyValue | undefined, args: readonly string[]) => boolean;
}

const always = (): boolean => true;
const whenZero = (reply: ReplyValue | undefined): boolean => reply === 0;
const allKeys = (args: readonly string[]): readonly string[] => args;
const evenArguments = (args: readonly string[]): readonly string[] =>
  args.filter((_, i) => i % 2 === 0);
const firstTwo = (args: readonly string[]): readonly string[] => args.slice(0, 2);

export const STRING_COMMANDS: Readonly<Record<string, CommandSpec>> = {
  GET: { run: (keys, [key]) => keys.get(key!), changesNothing: always },
  STRLEN: { run: (keys, [key]) => keys.get(key!)?.length ?? 0, changesNothing: always },
  EXISTS: { run: (keys, [key]) => (keys.get(key!) === null ? 0 : 1), changesNothing: always },
  SET: { run: runSet, changesNothing: setChangedNothing },
  SETNX: {
    run: (keys, [key, value]) => setIfAbsent(keys, key!, value!),
    changesNothing: whenZero,
  },
  GETSET: {
    run: (keys, [key, value]) => {
      const old = keys.get(key!);
      keys.set(key!, value!);
      return old;
    },
  },
  GETDEL: {
    run: (keys, [key]) => {
      const old = keys.get(key!);
      keys.set(key!, null);
      return old;
    },
    changesNothing: (reply) => reply === null,
  },
  APPEND: {
    run: (keys, [key, value]) => {
      const longer = (keys.get(key!) ?? '') + value!;
      keys.set(key!, longer);
      return longer.length;
    },
  },
  INCR: { run: (keys, [key]) => add(keys, key!, 1) },
  DECR: { run: (keys, [key]) => add(keys, key!, -1) },
  INCRBY: { run: (keys, [key, by]) => add(keys, key!, Number(by)) },
  DECRBY: { run: (keys, [key, by]) => add(keys, key!, -Number(by)) },
  DEL: {
    run: (keys, args) => args.reduce((count, key) => count + remove(keys, key), 0),
    keysOf: allKeys,
    changesNothing: whenZero,
  },
  MGET: {
    run: (keys, args) => args.map((key) => keys.get(key)),
    keysOf: allKeys,
    changesNothing: always,
  },
  MSET: {
    run: (keys, args) => {
      setPairs(keys, args);
      return 'OK';
    },
    keysOf: evenArguments,
  },
  MSETNX: {
    run: (keys, args) => {
      if (evenArguments(args).some((key) => keys.get(key) !== null)) return 0;
      setPairs(keys, args);
      return 1;
    },
    keysOf: evenArguments,
    changesNothing: whenZero,
  },
  RENAME: {
    run: (keys, [from, to]) => {
      const value = keys.get(from!);
      if (value === null) return undefined;
      keys.set(from!, null);
      keys.set(to!, value);
      return 'OK';
    },
    keysOf: firstTwo,
  },
  RENAMENX: {
    run: (keys, [from, to]) => {
      const value = keys.get(from!);
      if (value === null) return undefined;
      if (keys.get(to!) !== null) return 0;
      keys.set(from!, null);
      keys.set(to!, value);
      return 1;
    },
    keysOf: firstTwo,
    changesNothing: whenZero,
  },
  COPY: {
    run: (keys, [from, to, replace]) => {
      const value = keys.get(from!);
      if (value === null || (keys.get(to!) !== null && replace !== 'REPLACE')) return 0;
      keys.set(to!, value);
      return 1;
    },
    keysOf: firstTwo,
    changesNothing: whenZero,
  },
};

/** SET key value [NX | XX] [GET], in any order. */
function runSet(keys: Keyspace, [key, value, ...options]: readonly string[]): ReplyValue {
  const old = keys.get(key!);
  const allowed =
    !(options.includes('NX') && old !== null) && !(options.includes('XX') && old === null);
  if (allowed) keys.set(key!, value!);
  if (options.includes('GET')) return old;
  return allowed ? 'OK' : null;
}

/** With GET the reply is the old value: with NX one that is there, with XX none, says that SET did not run. */
function setChangedNothing(reply: ReplyValue | undefined, args: readonly string[]): boolean {
  if (!args.includes('GET', 2) || args.includes('XX', 2)) return reply === null;
  return args.includes('NX', 2) && typeof reply === 'string';
}

function setIfAbsent(keys: Keyspace, key: string, value: string): number {
  if (keys.get(key) !== null) return 0;
  keys.set(key, value);
  return 1;
}

function add(keys: Keyspace, key: string, by: number): number | undefined {
  const old = keys.get(key) ?? '0';
  if (!/^(0|-?[1-9]\d*)$/.test(old)) return undefined;
  const sum = Number(old) + by;
  keys.set(key, String(sum));
  return sum;
}

function remove(keys: Keyspace, key: string): number {
  if (keys.get(key) === null) return 0;
  keys.set(key, null);
  return 1;
}

function setPairs(keys: Keyspace, args: readonly string[]): void {
  for (let i = 0; i + 1 < args.length; i += 2) keys.set(args[i]!, args[i + 1]!);
}
