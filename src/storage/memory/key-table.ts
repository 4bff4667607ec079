/**
 * The keys of one numbered database: a hash table a slot, because slots are what is filled, handed over,
 * dropped and counted. Sixteen thousand small tables also grow in small steps: one large table would stop the node
 * for as long as it takes to move millions of keys.
 *
 * A table is a block of the arena with the first record of each bucket; the bucket is the *first* bits of the
 * key's hash. So a walk from bucket to bucket is a walk in order of hash, in a table of any size: a position is
 * just a hash, it costs nothing to keep, and growth and shrinking do not move it. SCAN, hand-over and eviction all
 * walk like that.
 */
import { segmentOf, wordOf } from './arena.ts';
import type { KeyBatch } from './key-batch.ts';
import { keyHashOfBytes } from './key-hash.ts';
import { SLOT_COUNT } from './place.ts';
import { NONE, type Records } from './records.ts';

const BITS_MIN = 2;
/** A table of a slot that a hash tag has made huge: a quarter of a million buckets in 1 MB. */
const BITS_MAX = 18;

export class KeyTable {
  readonly #records: Records;
  readonly #tables = new Uint32Array(SLOT_COUNT);
  readonly #bits = new Uint8Array(SLOT_COUNT);
  readonly #sizes = new Int32Array(SLOT_COUNT);

  constructor(records: Records) {
    this.#records = records;
  }

  /** Records of a slot, absences included. */
  size(slot: number): number {
    return this.#sizes[slot]!;
  }

  /** The key's record, or NONE. */
  find(slot: number, hash: number, key: string): number {
    if (this.#tables[slot] === NONE) return NONE;
    const records = this.#records;
    let at = this.#head(slot, this.#bucketOf(slot, hash));
    while (at !== NONE && !records.isOf(at, hash, key)) at = records.next(at);
    return at;
  }

  /**
   * Finds the records of all keys of a batch. Each loop does one step for every key, as short as can be: while the
   * processor waits for the memory of one, it goes on to the next ones, and so fetches that of several at a time.
   */
  findAll(keys: KeyBatch): void {
    const { bytes, count, starts, ends, slots, found, hashes, fetched } = keys;
    const records = this.#records;
    for (let i = 0; i < count; i++) hashes[i] = keyHashOfBytes(bytes, starts[i]!, ends[i]!);
    for (let i = 0; i < count; i++) {
      const slot = slots[i]!;
      const isEmpty = this.#tables[slot] === NONE;
      found[i] = isEmpty ? NONE : this.#head(slot, this.#bucketOf(slot, hashes[i]!));
    }
    for (let i = 0; i < count; i++) {
      const at = found[i]!;
      if (at !== NONE) fetched[i] = records.hash(at);
    }
    for (let i = 0; i < count; i++) {
      let at = found[i]!;
      while (at !== NONE && !records.isOfBytes(at, hashes[i]!, bytes, starts[i]!, ends[i]!))
        at = records.next(at);
      found[i] = at;
    }
  }

  /** Adds a record whose key the slot does not have. */
  insert(slot: number, at: number): void {
    const size = ++this.#sizes[slot]!;
    if (this.#tables[slot] === NONE) this.#open(slot, BITS_MIN);
    else if (size > 1 << this.#bits[slot]! && this.#bits[slot]! < BITS_MAX)
      this.#resize(slot, this.#bits[slot]! + 1);
    this.#push(slot, at);
  }

  /** Takes a record out. */
  remove(slot: number, at: number): void {
    this.#relink(slot, at, this.#records.next(at));
    const size = --this.#sizes[slot]!;
    const bits = this.#bits[slot]!;
    if (size === 0) this.#close(slot);
    else if (bits > BITS_MIN && size < 1 << (bits - 2)) this.#resize(slot, bits - 1);
  }

  /** Puts a record in the place of another one of the same key. */
  replace(slot: number, from: number, to: number): void {
    this.#records.setNext(to, this.#records.next(from));
    this.#relink(slot, from, to);
  }

  /** Takes all records of a slot out, calling `each` with every one; `each` may free it. */
  clear(slot: number, each: (at: number) => void): void {
    if (this.#tables[slot] === NONE) return;
    const buckets = 1 << this.#bits[slot]!;
    for (let bucket = 0; bucket < buckets; bucket++) {
      for (let at = this.#head(slot, bucket); at !== NONE; ) {
        const next = this.#records.next(at);
        each(at);
        at = next;
      }
    }
    this.#sizes[slot] = 0;
    this.#close(slot);
  }

  /**
   * Records of a slot in order of hash, those above `afterHash` (-1: from the start): whole buckets, at least `limit`
   * records while there are as many. `done`: there are no more.
   */
  after(slot: number, afterHash: number, limit: number): { found: number[]; done: boolean } {
    const found: number[] = [];
    if (this.#tables[slot] === NONE || afterHash >= 0xffffffff) return { found, done: true };
    const buckets = 1 << this.#bits[slot]!;
    let bucket = this.#bucketOf(slot, afterHash + 1);
    for (; bucket < buckets && found.length < limit; bucket++) {
      const first = found.length;
      for (let at = this.#head(slot, bucket); at !== NONE; at = this.#records.next(at)) {
        if (this.#records.order(at) > afterHash) found.push(at);
      }
      if (found.length - first > 1) this.#sortFrom(found, first);
    }
    while (bucket < buckets && this.#head(slot, bucket) === NONE) bucket++;
    return { found, done: bucket === buckets };
  }

  /** Insertion sort: a bucket has one record or two. */
  #sortFrom(found: number[], first: number): void {
    for (let i = first + 1; i < found.length; i++) {
      const at = found[i]!;
      const hash = this.#records.order(at);
      let place = i;
      for (; place > first && this.#records.order(found[place - 1]!) > hash; place--)
        found[place] = found[place - 1]!;
      found[place] = at;
    }
  }

  #bucketOf(slot: number, hash: number): number {
    return hash >>> (32 - this.#bits[slot]!);
  }

  #head(slot: number, bucket: number): number {
    const table = this.#tables[slot]!;
    return this.#records.arena.words[segmentOf(table)]![wordOf(table) + 1 + bucket]!;
  }

  #setHead(slot: number, bucket: number, at: number): void {
    const table = this.#tables[slot]!;
    this.#records.arena.words[segmentOf(table)]![wordOf(table) + 1 + bucket] = at;
  }

  #push(slot: number, at: number): void {
    const bucket = this.#bucketOf(slot, this.#records.hash(at));
    this.#records.setNext(at, this.#head(slot, bucket));
    this.#setHead(slot, bucket, at);
  }

  /** Lets whatever points to `from` point to `to`. */
  #relink(slot: number, from: number, to: number): void {
    const records = this.#records;
    const bucket = this.#bucketOf(slot, records.hash(from));
    let at = this.#head(slot, bucket);
    if (at === from) return this.#setHead(slot, bucket, to);
    for (let next = records.next(at); next !== from; next = records.next(at)) at = next;
    records.setNext(at, to);
  }

  #open(slot: number, bits: number): void {
    const { arena } = this.#records;
    const buckets = 1 << bits;
    const table = arena.take(4 * (1 + buckets));
    const first = wordOf(table) + 1;
    arena.words[segmentOf(table)]!.fill(NONE, first, first + buckets);
    this.#tables[slot] = table;
    this.#bits[slot] = bits;
  }

  #close(slot: number): void {
    this.#records.arena.give(this.#tables[slot]!);
    this.#tables[slot] = NONE;
  }

  #resize(slot: number, bits: number): void {
    const { arena } = this.#records;
    const old = this.#tables[slot]!;
    const words = arena.words[segmentOf(old)]!;
    const first = wordOf(old) + 1;
    const end = first + (1 << this.#bits[slot]!);
    this.#open(slot, bits);
    for (let head = first; head < end; head++) {
      for (let at = words[head]!; at !== NONE; ) {
        const next = this.#records.next(at);
        this.#push(slot, at);
        at = next;
      }
    }
    arena.give(old);
  }
}
