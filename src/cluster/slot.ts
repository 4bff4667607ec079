/**
 * Key to slot: CRC16 (XMODEM: polynomial 0x1021, start 0) of the hash tag or the whole key, modulo
 * 16384. The same function as Redis Cluster's, so that cluster-aware clients compute what we compute.
 * Source: the Redis Cluster specification, "Key distribution model" and "Hash tags".
 */
export const SLOT_COUNT = 16384;

const CRC16_TABLE = buildTable();

function buildTable(): Uint16Array {
  const table = new Uint16Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
    table[byte] = crc & 0xffff;
  }
  return table;
}

/** The slot (0..16383) of a key given as a binary string. */
export function slotOf(key: string): number {
  let from = 0;
  let to = key.length;
  const open = key.indexOf('{');
  if (open >= 0) {
    const close = key.indexOf('}', open + 1);
    // Only a non-empty tag counts: `{}x` is hashed as a whole.
    if (close > open + 1) {
      from = open + 1;
      to = close;
    }
  }
  let crc = 0;
  for (let i = from; i < to; i++) {
    crc = ((crc << 8) & 0xffff) ^ CRC16_TABLE[(crc >> 8) ^ key.charCodeAt(i)]!;
  }
  return crc & 0x3fff;
}

const OPEN = 0x7b;
const CLOSE = 0x7d;

/** The slot of a key given as the bytes from `from` to before `to`. */
export function slotOfBytes(bytes: Uint8Array, from: number, to: number): number {
  let crc = 0;
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!;
    if (byte === OPEN) return slotOfTagged(bytes, from, to, i + 1);
    crc = ((crc << 8) & 0xffff) ^ CRC16_TABLE[(crc >> 8) ^ byte]!;
  }
  return crc & 0x3fff;
}

/** The slot of a key whose first brace is before `tag`. */
function slotOfTagged(bytes: Uint8Array, from: number, to: number, tag: number): number {
  let close = tag;
  while (close < to && bytes[close] !== CLOSE) close++;
  const isTag = close < to && close > tag;
  const end = isTag ? close : to;
  let crc = 0;
  for (let i = isTag ? tag : from; i < end; i++) {
    crc = ((crc << 8) & 0xffff) ^ CRC16_TABLE[(crc >> 8) ^ bytes[i]!]!;
  }
  return crc & 0x3fff;
}
