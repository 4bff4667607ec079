/**
 * The hash by which a slot's keys are found and put in order. It is HalfSipHash-1-3 (Aumasson and Bernstein,
 * "SipHash: a fast short-input PRF", 2012; the halved form is the one of the Linux kernel): with a simpler one, who
 * may choose keys could choose thousands of the same hash, and every look-up among them would walk them all. Its round
 * is written out twice: it changes four variables, which no function can without making an object for each round.
 */

/** Fixed: positions of SCAN are hashes, and all nodes and versions of a cluster must agree on them. */
const KEY_0 = 0x52696e67;
const KEY_1 = 0x66656e63;

/** Hash of a binary string, 32 bits, unsigned: its place in the order of SCAN. */
export function scanHash(key: string): number {
  return keyHash(key) >>> 0;
}

/** The same bits as a signed integer, which V8 keeps in a register; an unsigned one may become an object. */
export function keyHash(key: string): number {
  const length = key.length;
  let v0 = KEY_0;
  let v1 = KEY_1;
  let v2 = 0x6c796765 ^ KEY_0;
  let v3 = 0x74656462 ^ KEY_1;
  const whole = length & ~3;
  for (let i = 0; i <= whole; i += 4) {
    const word = i < whole ? wordAt(key, i) : lastWord(key, i);
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
  v2 ^= 0xff;
  for (let round = 0; round < 3; round++) {
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
