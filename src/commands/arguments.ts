/** What the parsers of several commands share: numbers and databases among the arguments. */
import { notAnInteger, ReplyError } from '../errors.ts';
import { DB_COUNT } from '../storage/memory/keyspace.ts';
import type { Args, KeyPositions } from './command.ts';
import { clampToSafe, type Int64, parseInt64 } from './numbers.ts';

/** Commands whose only key is their first argument. */
export const ONE_KEY: KeyPositions = { first: 1, last: 1, step: 1 };

/** The argument at `index`. The arity has been checked, so a missing one is a bug here. */
export function argument(args: Args, index: number): string {
  const value = args[index];
  if (value === undefined) throw new RangeError(`there is no argument ${index}`);
  return value;
}

/** An option's name in lower case, or undefined behind the last argument. */
export function optionName(args: Args, index: number): string | undefined {
  return args[index]?.toLowerCase();
}

/** A 64-bit integer, exactly. Throws `value is not an integer or out of range`. */
export function integer(text: string): Int64 {
  const value = parseInt64(text);
  if (value === undefined) throw notAnInteger();
  return value;
}

/** A 64-bit integer brought into the safe range: for positions and counts. Throws like `integer`. */
export function clampedInteger(text: string): number {
  return clampToSafe(integer(text));
}

const INT32_MIN = -2_147_483_648;
const INT32_MAX = 2_147_483_647;

/** An integer of C's `int`. Throws one text for what is no integer, and one for what is out of range. */
export function parseInt32(text: string): number {
  const value = clampedInteger(text);
  if (value >= INT32_MIN && value <= INT32_MAX) return value;
  const range = `${INT32_MIN} and ${INT32_MAX}`;
  throw new ReplyError('ERR', `value is out of range, value must between ${range}`);
}

/** The number of a database that exists; throws Redis's text for one that does not. */
export function database(text: string): number {
  const db = parseInt32(text);
  if (db < 0 || db >= DB_COUNT) throw new ReplyError('ERR', 'DB index is out of range');
  return db;
}

/** `label`: the command in lower case, with `|sub` where there is one. */
export function wrongArity(label: string): ReplyError {
  return new ReplyError('ERR', `wrong number of arguments for '${label}' command`);
}
