/**
 * 64-bit signed integers as clients write them. Nearly all fit a JavaScript number exactly, so a
 * number is the fast path and a BigInt stands in only outside of ±2^53.
 */

/** A number while it is a safe integer, a bigint beyond: never the same value in two forms. */
export type Int64 = number | bigint;

export const INT64_MAX = 9_223_372_036_854_775_807n;
export const INT64_MIN = -9_223_372_036_854_775_808n;

const MINUS = 0x2d;
const ZERO = 0x30;
/** 10^15 is below 2^53: so many digits never lose precision. */
const SAFE_DIGITS = 15;
/** `-9223372036854775808` */
const LONGEST = 20;

/**
 * Reads decimal text as strictly as Redis does: no `+`, no blanks, no leading zeros, no `-0`.
 * Returns undefined for anything else and for what 64 bits do not hold.
 */
export function parseInt64(text: string): Int64 | undefined {
  const length = text.length;
  if (length === 0 || length > LONGEST) return undefined;
  const negative = text.charCodeAt(0) === MINUS;
  const start = negative ? 1 : 0;
  if (length === start) return undefined;
  if (text.charCodeAt(start) === ZERO) return length === 1 ? 0 : undefined;
  let magnitude = 0;
  for (let index = start; index < length; index++) {
    const digit = text.charCodeAt(index) - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    magnitude = magnitude * 10 + digit;
  }
  if (length - start <= SAFE_DIGITS) return negative ? -magnitude : magnitude;
  return toInt64(BigInt(text));
}

/** The sum, or undefined when 64 bits do not hold it. */
export function addInt64(a: Int64, b: Int64): Int64 | undefined {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return toInt64(BigInt(a) + BigInt(b));
}

/** `-value`, or undefined for the one value without a counterpart, -2^63. */
export function negateInt64(value: Int64): Int64 | undefined {
  // `0 - value`, because `-value` would make a -0 of 0.
  return typeof value === 'number' ? 0 - value : toInt64(-value);
}

/** The product, or undefined when 64 bits do not hold it. */
export function multiplyInt64(value: Int64, factor: number): Int64 | undefined {
  if (typeof value === 'number') {
    const product = value * factor;
    if (Number.isSafeInteger(product)) return product;
  }
  return toInt64(BigInt(value) * BigInt(factor));
}

/** The nearest safe integer: for positions and counts, where anything so large means "beyond the end". */
export function clampToSafe(value: Int64): number {
  if (typeof value === 'number') return value;
  return value < 0n ? Number.MIN_SAFE_INTEGER : Number.MAX_SAFE_INTEGER;
}

function toInt64(value: bigint): Int64 | undefined {
  if (value > INT64_MAX || value < INT64_MIN) return undefined;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
