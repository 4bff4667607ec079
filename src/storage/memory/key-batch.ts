/**
 * Keys that are looked up together, given as bytes. Looking up one key is waiting for memory, three times one after the
 * other; with many keys at a time, the processor waits for many at once (`KeyTable.findAll`).
 */

const NO_BYTES = new Uint8Array(0);

/** To be used again and again. */
export class KeyBatch {
  /** What the positions are in. */
  bytes: Uint8Array = NO_BYTES;
  count = 0;
  /** A key is the bytes from `starts[i]` to before `ends[i]`. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly slots: Int32Array;
  /** Written by the look-up: what stands for the key until the keyspace changes, 0 for none. */
  readonly found: Uint32Array;
  /** `keyHash` of the keys. */
  readonly hashes: Int32Array;
  /** Whatever was read only to have it at hand. */
  readonly fetched: Int32Array;

  /** `size`: most keys. */
  constructor(size: number) {
    this.starts = new Int32Array(size);
    this.ends = new Int32Array(size);
    this.slots = new Int32Array(size);
    this.found = new Uint32Array(size);
    this.hashes = new Int32Array(size);
    this.fetched = new Int32Array(size);
  }
}
