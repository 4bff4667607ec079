/** Taking an encoded reply apart without decoding it: merging replies of several nodes into one. */

/** What `splitArray` throws for bytes that are not one whole array reply. */
export class SplitError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SplitError';
  }
}

/**
 * The encoded elements of one encoded array reply, in order. Elements may be of any type, nested ones
 * included. Throws a SplitError when `encoded` is anything but exactly one array.
 */
export function splitArray(encoded: string): string[] {
  if (encoded[0] !== '*') throw new SplitError('not an array');
  const { count, next } = header(encoded, 0);
  const elements: string[] = [];
  let at = next;
  for (let i = 0; i < count; i++) {
    const end = endOf(encoded, at);
    elements.push(encoded.slice(at, end));
    at = end;
  }
  if (at !== encoded.length) throw new SplitError('bytes after the array');
  return elements;
}

/** The position after the element that begins at `start`. A loop, not a recursion: depth costs nothing. */
function endOf(encoded: string, start: number): number {
  let at = start;
  for (let left = 1; left > 0; left--) {
    const type = encoded[at];
    const { count, next } = header(encoded, at);
    at = next;
    if (type === '$' || type === '=' || type === '!') {
      if (count >= 0) at += count + 2;
      if (at > encoded.length) throw new SplitError('element cut off');
    } else if (type === '*' || type === '~' || type === '>') {
      left += Math.max(0, count);
    } else if (type === '%') {
      left += 2 * count;
    }
  }
  return at;
}

/** The line at `at`: the length in it (0 for types without one), and where it ends. */
function header(encoded: string, at: number): { count: number; next: number } {
  const end = encoded.indexOf('\r\n', at);
  if (end < 0) throw new SplitError('line without an end');
  const count = LENGTH_TYPES.includes(encoded[at] ?? '') ? Number(encoded.slice(at + 1, end)) : 0;
  if (!Number.isSafeInteger(count)) throw new SplitError('length is not a number');
  return { count, next: end + 2 };
}

/** Types whose first line carries a length or a number of elements. */
const LENGTH_TYPES = '*$=!~>%';
