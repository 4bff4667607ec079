/**
 * What V8 allocates for an entry, in bytes. A model, because asking the heap costs a collection;
 * it is a function of the present contents alone, so what a put adds its removal takes away again.
 *
 * Measured with Node 20.20 on x64 (`test/unit/storage/memory/heap-growth.ts`, a million keys over all slots, bytes a key):
 *
 *     key, value                         heap    model
 *     16, 64                            238.6    238.5
 *     16, 64, with expiry               283.9    290.5
 *     40, 1000                         1213.6   1216.5
 *     10, 1                             158.6    158.5
 *     16, 8, with expiry, one slot      226.7    233.4
 *
 * Not in it: what does not depend on the number of keys (0.3 MB a database), the index of a
 * large slot that SCAN is going through, and the rest of the process.
 */
import type { Value } from './entry.ts';

const OBJECT_HEADER = 24;
const ENTRY_FIELDS = 9;
const POINTER = 8;
const ENTRY_BYTES = OBJECT_HEADER + ENTRY_FIELDS * POINTER;

/** Header of a one-byte string: map, hash and length. */
const STRING_HEADER = 16;
/** A moment since 1970 does not fit a small integer, so it is a boxed number. */
const BOXED_NUMBER = 16;
/** 18 bytes in typed arrays and a pointer; 27 to 52 with the slack of arrays that grow by doubling. */
const TIMER_BYTES = 36;
/** JSMap object, header and counters of its table. */
const MAP_BYTES = 72;
/** Key, value and chain of an entry, and half a bucket. */
const MAP_BYTES_PER_CAPACITY = 28;
const MAP_CAPACITY_MIN = 4;

/** Bytes of a binary string on the heap. V8 keeps the empty string and those of one character once for all. */
export function stringBytes(text: string): number {
  return text.length < 2 ? 0 : (STRING_HEADER + text.length + 7) & ~7;
}

/** Bytes of the value alone, in an entry that is otherwise the same. */
export function valueBytes(value: Value | null): number {
  return value === null ? 0 : stringBytes(value);
}

/** Bytes that an expiry adds to an entry. */
export const EXPIRY_BYTES = BOXED_NUMBER + TIMER_BYTES;

/** Bytes of an entry with all it holds, without its share of the map. */
export function entryBytes(key: string, value: Value | null, expiresAtMs: number): number {
  const expiry = expiresAtMs === 0 ? 0 : EXPIRY_BYTES;
  return ENTRY_BYTES + stringBytes(key) + valueBytes(value) + expiry;
}

/** Bytes of a map with so many keys: V8 doubles a map's table when it is full. */
export function mapBytes(size: number): number {
  if (size === 0) return 0;
  let capacity = MAP_CAPACITY_MIN;
  while (capacity < size) capacity *= 2;
  return MAP_BYTES + capacity * MAP_BYTES_PER_CAPACITY;
}

/** True when a map of `size` keys (at least 1) is of another size class than one with a key less. */
export function mapGrows(size: number): boolean {
  return size === 1 || (size > MAP_CAPACITY_MIN && ((size - 1) & (size - 2)) === 0);
}
