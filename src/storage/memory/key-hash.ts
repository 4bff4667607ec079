/**
 * The hash by which a slot's keys are found and put in order. It is HalfSipHash-1-3 (Aumasson and Bernstein,
 * "SipHash: a fast short-input PRF", 2012; the halved form is the one of the Linux kernel): with a simpler one, who
 * may choose keys could choose thousands of the same hash, and every look-up among them would walk them all. Its round
 * is written out, once for strings and once for bytes: it changes four variables, which no function can without making
 * an object for each round. The final rounds are the same with a word of zero.
 */

/** Fixed: positions of SCAN are hashes, and all nodes and versions of a cluster must agree on them. */
const KEY_0 = 0x52696e67;
const KEY_1 = 0x66656e63;

const FINAL_ROUNDS = 3;

/** Hash of a binary string, 32 bits, unsigned: its place in the order of SCAN. */
export function scanHash(key: string): number {
  return keyHash(key) >>> 0;
}

/** The same bits as a signed integer, which V8 keeps in a register; an unsigned one may become an object. */
export function keyHash(key: string): number {
  let v0 = KEY_0;
  let v1 = KEY_1;
  let v2 = 0x6c796765 ^ KEY_0;
  let v3 = 0x74656462 ^ KEY_1;
  const whole = key.length & ~3;
  const last = whole + FINAL_ROUNDS * 4;
  for (let i = 0; i <= last; i += 4) {
    let word = 0;
    if (i < whole) word = wordAt(key, i);
    else if (i === whole) word = lastWord(key, i);
    else if (i === whole + 4) v2 ^= 0xff;
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return v1 ^ v3;
}

/** The same of a key given as the bytes from `start` to before `end`. */
export function keyHashOfBytes(bytes: Uint8Array, start: number, end: number): number {
  let v0 = KEY_0;
  let v1 = KEY_1;
  let v2 = 0x6c796765 ^ KEY_0;
  let v3 = 0x74656462 ^ KEY_1;
  const whole = start + ((end - start) & ~3);
  const last = whole + FINAL_ROUNDS * 4;
  for (let i = start; i <= last; i += 4) {
    let word = 0;
    if (i < whole) word = wordOfBytes(bytes, i);
    else if (i === whole) word = lastWordOfBytes(bytes, i, end, end - start);
    else if (i === whole + 4) v2 ^= 0xff;
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return v1 ^ v3;
}

function wordAt(key: string, i: number): number {
  return (
    key.charCodeAt(i) |
    (key.charCodeAt(i + 1) << 8) |
    (key.charCodeAt(i + 2) << 16) |
    (key.charCodeAt(i + 3) << 24)
  );
}

/** What is left behind the last whole word, with the length in the highest byte. */
function lastWord(key: string, i: number): number {
  const { length } = key;
  let word = length << 24;
  if (length - i > 2) word |= key.charCodeAt(i + 2) << 16;
  if (length - i > 1) word |= key.charCodeAt(i + 1) << 8;
  if (length - i > 0) word |= key.charCodeAt(i);
  return word;
}

function wordOfBytes(bytes: Uint8Array, i: number): number {
  return bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
}

function lastWordOfBytes(bytes: Uint8Array, i: number, end: number, length: number): number {
  let word = length << 24;
  if (end - i > 2) word |= bytes[i + 2]! << 16;
  if (end - i > 1) word |= bytes[i + 1]! << 8;
  if (end - i > 0) word |= bytes[i]!;
  return word;
}
