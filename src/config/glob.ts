/** Redis's glob patterns: `*`, `?`, `[a-z]`, `[^x]`, and `\` before a character that stands for itself. */

/**
 * True when all of `text` matches. Works without recursion: only the last `*` is ever retried, so the
 * cost is at most the product of the two lengths.
 */
export function globMatches(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let starAt = -1;
  let retryAt = 0;
  while (t < text.length) {
    if (pattern[p] === '*') {
      starAt = p;
      retryAt = t;
      p += 1;
      continue;
    }
    const next = p < pattern.length ? matchOne(pattern, p, text.charCodeAt(t)) : -1;
    if (next >= 0) {
      p = next;
      t += 1;
    } else if (starAt >= 0) {
      retryAt += 1;
      t = retryAt;
      p = starAt + 1;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p += 1;
  return p === pattern.length;
}

/** The position after the element at `p` when it matches the character, else -1. */
function matchOne(pattern: string, p: number, code: number): number {
  const element = pattern[p];
  if (element === '?') return p + 1;
  if (element === '[') return matchClass(pattern, p + 1, code);
  const literal = element === '\\' && p + 1 < pattern.length ? p + 1 : p;
  return pattern.charCodeAt(literal) === code ? literal + 1 : -1;
}

/** As Redis does it: a class that is not closed ends with the pattern. */
function matchClass(pattern: string, start: number, code: number): number {
  let p = start;
  const negated = pattern[p] === '^';
  if (negated) p += 1;
  let found = false;
  while (p < pattern.length && pattern[p] !== ']') {
    if (pattern[p] === '\\' && p + 1 < pattern.length) p += 1;
    const low = pattern.charCodeAt(p);
    let high = low;
    if (pattern[p + 1] === '-' && p + 2 < pattern.length) {
      high = pattern.charCodeAt(p + 2);
      p += 2;
    }
    if (code >= Math.min(low, high) && code <= Math.max(low, high)) found = true;
    p += 1;
  }
  if (found === negated) return -1;
  return Math.min(p + 1, pattern.length);
}
