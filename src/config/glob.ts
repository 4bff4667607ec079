/**
 * Redis's glob patterns, as KEYS, SCAN MATCH and CONFIG GET take them:
 *
 *     ?  one byte        *  any bytes, also none        \x  x itself
 *     [abc]  one of      [^abc]  none of                [a-z]  a range
 *
 * The pattern is read in place and not compiled, so that a long one costs no memory beyond itself.
 * Only the last `*` is ever tried again, which is enough and keeps the time below
 * pattern length × text length; recursion for every `*` would be exponential.
 */
const STAR = 0x2a;
const QUESTION = 0x3f;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const BACKSLASH = 0x5c;
const CARET = 0x5e;
const DASH = 0x2d;
const NO_MATCH = -1;

/** True when `text` as a whole matches `pattern`. Both are binary strings; case counts. */
export function matchesGlob(pattern: string, text: string): boolean {
  // Redis's quirk: nothing but the empty pattern, and the `*` it does not even look at, matches no bytes.
  if (text.length === 0) return pattern === '' || pattern === '*';
  let at = 0;
  let textAt = 0;
  let afterStar = NO_MATCH;
  let starTextAt = 0;
  while (textAt < text.length) {
    if (at < pattern.length && pattern.charCodeAt(at) === STAR) {
      afterStar = ++at;
      starTextAt = textAt;
      if (at === pattern.length) return true;
      continue;
    }
    const next = at < pattern.length ? matchOne(pattern, at, text.charCodeAt(textAt)) : NO_MATCH;
    if (next !== NO_MATCH) {
      at = next;
      textAt++;
    } else {
      if (afterStar === NO_MATCH) return false;
      at = afterStar;
      textAt = ++starTextAt;
    }
  }
  while (at < pattern.length && pattern.charCodeAt(at) === STAR) at++;
  return at === pattern.length;
}

/** Where the pattern goes on when its element at `at` matches `byte`, else NO_MATCH. */
function matchOne(pattern: string, at: number, byte: number): number {
  const char = pattern.charCodeAt(at);
  if (char === QUESTION) return at + 1;
  if (char === OPEN) return matchClass(pattern, at + 1, byte);
  const literalAt = char === BACKSLASH && at + 1 < pattern.length ? at + 1 : at;
  return pattern.charCodeAt(literalAt) === byte ? literalAt + 1 : NO_MATCH;
}

/** Like `matchOne`, for a class whose content begins at `start`. One that is never closed ends with the pattern. */
function matchClass(pattern: string, start: number, byte: number): number {
  const end = pattern.length;
  const negated = start < end && pattern.charCodeAt(start) === CARET;
  let at = negated ? start + 1 : start;
  let found = false;
  for (; at < end && pattern.charCodeAt(at) !== CLOSE; at++) {
    if (pattern.charCodeAt(at) === BACKSLASH && at + 1 < end) {
      at++;
      found ||= pattern.charCodeAt(at) === byte;
    } else if (at + 2 < end && pattern.charCodeAt(at + 1) === DASH) {
      found ||= inRange(pattern.charCodeAt(at), pattern.charCodeAt(at + 2), byte);
      at += 2;
    } else {
      found ||= pattern.charCodeAt(at) === byte;
    }
  }
  return found === negated ? NO_MATCH : Math.min(at + 1, end);
}

/** Bytes are compared as signed, as Redis does on x86-64: 0x80..0xff come before 0x00..0x7f. */
function inRange(from: number, to: number, byte: number): boolean {
  const a = signed(from);
  const b = signed(to);
  const c = signed(byte);
  return a <= b ? c >= a && c <= b : c >= b && c <= a;
}

function signed(byte: number): number {
  return (byte << 24) >> 24;
}
