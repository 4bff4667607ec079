/** Expiries as options of commands, and as moments. */
import { ReplyError } from '../errors.ts';
import { integer } from './arguments.ts';
import type { DataContext } from './command.ts';
import { addInt64, clampToSafe, type Int64, multiplyInt64 } from './numbers.ts';

/** `command` in lower case. */
export function invalidExpireTime(command: string): ReplyError {
  return new ReplyError('ERR', `invalid expire time in '${command}' command`);
}

/** How an expiry is written: a time to live (EX, PX) or a moment (EXAT, PXAT), in seconds or milliseconds. */
export type ExpiryUnit = 'ex' | 'px' | 'exat' | 'pxat';

/** An expiry as the client wrote it: which number is an error is only known when the command runs. */
export interface ExpiryOption {
  readonly unit: ExpiryUnit;
  readonly text: string;
}

export function isExpiryUnit(name: string): name is ExpiryUnit {
  return name === 'ex' || name === 'px' || name === 'exat' || name === 'pxat';
}

/** True when the moment does not depend on when the command runs; it may lie in the past then. */
export function isAbsolute(unit: ExpiryUnit): boolean {
  return unit === 'exat' || unit === 'pxat';
}

/**
 * The moment of expiry, milliseconds since 1970, of an option of SET, GETEX, SETEX and PSETEX.
 * @param command in lower case, for the error text
 * @throws `value is not an integer or out of range`, or `invalid expire time` for what is not positive
 */
export function expiryMomentMs(option: ExpiryOption, nowMs: number, command: string): number {
  const given = integer(option.text);
  const moment = given > 0 ? momentMs(given, option.unit, nowMs) : undefined;
  if (moment === undefined) throw invalidExpireTime(command);
  return storableMoment(moment);
}

/** The moment in milliseconds since 1970 that `given` means, or undefined when 64 bits do not hold it. */
export function momentMs(given: Int64, unit: ExpiryUnit, nowMs: number): Int64 | undefined {
  const seconds = unit === 'ex' || unit === 'exat';
  const milliseconds = seconds ? multiplyInt64(given, 1000) : given;
  if (milliseconds === undefined || isAbsolute(unit)) return milliseconds;
  return addInt64(milliseconds, nowMs);
}

/**
 * Moments are kept as numbers: those behind 2^53 milliseconds (the year 287396) become that one, which
 * nobody will see. Redis keeps up to 2^63.
 */
export function storableMoment(moment: Int64): number {
  return clampToSafe(moment);
}

/** The expiry a changed value goes on with: the key's own, or the policy's for a new key. */
export function keptExpiry(ctx: DataContext, key: string): number | 'default' {
  return ctx.keys.expiresAtMs(ctx.db, key) ?? 'default';
}
