/**
 * Keys between the program (binary strings: one character, one byte) and the `key` column (text).
 *
 * The column is for people, so bytes that are valid UTF-8 stay as they are. What PostgreSQL's text
 * cannot hold (NUL, bytes that are not UTF-8) becomes `\xhh`, and a backslash becomes `\\`, which makes
 * the mapping reversible. It keeps no order between escaped and plain keys: cursors compare in the
 * column's order, and are made from the same encoding.
 */

// Without these characters nothing needs escaping: ASCII, no NUL, no backslash.
const PLAIN = /^[\x01-\x5b\x5d-\x7f]*$/;
const PLAIN_OR_BACKSLASH = /^[\x01-\x7f]*$/;

/** The bytes of the `key` column, as a binary string of valid UTF-8. */
export function encodeKey(key: string): string {
  return PLAIN.test(key) ? key : encodeSlowly(key);
}

/** The key from the `key` column as the driver hands it over: a decoded string, not UTF-8 bytes. */
export function decodeKeyText(text: string): string {
  if (PLAIN.test(text)) return text;
  const bytes = PLAIN_OR_BACKSLASH.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
  return decodeKey(bytes);
}

/** The inverse of `encodeKey`. */
export function decodeKey(encoded: string): string {
  if (!encoded.includes('\\')) return encoded;
  return encoded.replace(/\\(?:\\|x([0-9a-f]{2}))/g, (_match, hex: string | undefined) =>
    hex === undefined ? '\\' : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function encodeSlowly(key: string): string {
  let out = '';
  let at = 0;
  while (at < key.length) {
    const byte = key.charCodeAt(at);
    const length = sequenceLength(key, at);
    if (byte === 0x5c) out += '\\\\';
    else if (byte === 0 || length === 0) out += `\\x${byte.toString(16).padStart(2, '0')}`;
    else out += key.slice(at, at + length);
    at += Math.max(length, 1);
  }
  return out;
}

/** Length of the legal UTF-8 sequence at `at`, by PostgreSQL's rules; 0 when there is none. */
function sequenceLength(key: string, at: number): number {
  const first = key.charCodeAt(at);
  if (first < 0x80) return 1;
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > key.length) return 0;
  const second = key.charCodeAt(at + 1);
  const [low, high] = secondByteRange(first);
  if (second < low || second > high) return 0;
  for (let i = 2; i < length; i++) {
    if ((key.charCodeAt(at + i) & 0xc0) !== 0x80) return 0;
  }
  return length;
}

/** Shuts out overlong forms, surrogates and everything above U+10FFFF. */
function secondByteRange(first: number): [number, number] {
  if (first === 0xe0) return [0xa0, 0xbf];
  if (first === 0xed) return [0x80, 0x9f];
  if (first === 0xf0) return [0x90, 0xbf];
  if (first === 0xf4) return [0x80, 0x8f];
  return [0x80, 0xbf];
}
