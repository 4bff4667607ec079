/**
 * SCAN's order: by a fixed hash of the key. A cursor is then only (slot, hash), holds no state on any
 * node, and survives a change of primary: a key that is there throughout is seen exactly once, however many
 * others come and go, because its place in the order never moves.
 *
 * A usual slot has tens of keys: hashing and sorting all of them costs less than a client's round
 * trip. For slots with thousands of keys in them (one hash tag for everything) that would make a whole SCAN quadratic, so
 * these get an index: keys in buckets by the first bits of their hash. It is built by the first scan,
 * kept up to date by additions (removals are noticed when a bucket is read), and few are kept.
 */
import type { Entry } from './entry.ts';

/** The maps of the keyspace: one a slot and database. */
export type Keys = Map<string, Entry>;

export interface ScanItem {
  readonly hash: number;
  readonly entry: Entry;
}

/** One step through a slot, in order of hash. */
export interface ScanPage {
  readonly items: readonly ScanItem[];
  /** Where to go on: the hash of the last item, or what was asked for when there is none. */
  readonly lastHash: number;
  /** Nothing comes after this page. */
  readonly done: boolean;
}

const INDEX_FROM_KEYS = 2048;
const KEYS_PER_BUCKET = 64;
const INDEXES_MAX = 4;

/**
 * Fixed 32-bit hash of a binary string, unsigned. FNV-1a with a final mix, since FNV's high bits
 * are poor for short keys. Part of the SCAN cursor: two versions of the program in one cluster must agree on it.
 */
export function scanHash(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Keys of one large slot in buckets by hash. May hold keys that are gone, or a key twice. */
class BucketIndex {
  readonly shift: number;
  readonly buckets: string[][];
  #held = 0;
  readonly #heldMax: number;

  constructor(keys: Keys) {
    let bits = 1;
    while (keys.size >>> bits > KEYS_PER_BUCKET) bits++;
    this.shift = 32 - bits;
    this.buckets = Array.from({ length: 2 ** bits }, () => []);
    this.#heldMax = keys.size * 2;
    for (const key of keys.keys()) this.add(key);
  }

  /** Additions between two builds are bounded, else keys that come and go would pile up here. */
  get worn(): boolean {
    return this.#held > this.#heldMax;
  }

  add(key: string): void {
    this.buckets[scanHash(key) >>> this.shift]!.push(key);
    this.#held++;
  }

  /** The live entries of a bucket, each once; forgets the keys that are gone. */
  read(bucket: number, keys: Keys): Entry[] {
    const held = new Set(this.buckets[bucket]!.filter((key) => keys.has(key)));
    this.#held += held.size - this.buckets[bucket]!.length;
    this.buckets[bucket] = [...held];
    return this.buckets[bucket].map((key) => keys.get(key)!);
  }
}

export class Scanner {
  readonly #indexes = new Map<number, BucketIndex>();

  /** To be called with every key that is new in its slot. */
  added(place: number, key: string): void {
    if (this.#indexes.size === 0) return;
    const index = this.#indexes.get(place);
    if (index === undefined) return;
    index.add(key);
    if (index.worn) this.#indexes.delete(place);
  }

  /** To be called when a slot was emptied at a stroke. */
  dropped(place: number): void {
    this.#indexes.delete(place);
  }

  /**
   * The keys with a hash above `afterHash` (-1: from the start), at least `limit` of them if there are as many;
   * keys of equal hash are never parted. Remembered absences are left out, expired keys are not.
   */
  page(place: number, keys: Keys, afterHash: number, limit: number): ScanPage {
    if (keys.size < INDEX_FROM_KEYS)
      return cut(itemsAfter(keys.values(), afterHash), afterHash, limit, true);
    const index = this.#indexOf(place, keys);
    const items: ScanItem[] = [];
    let bucket = afterHash < 0 ? 0 : afterHash >>> index.shift;
    for (; bucket < index.buckets.length && items.length < limit; bucket++) {
      items.push(...itemsAfter(index.read(bucket, keys), afterHash));
    }
    return cut(items, afterHash, limit, bucket === index.buckets.length);
  }

  /** A live entry, evenly drawn, or undefined when the draws found none (nearly all are absences). */
  draw(place: number, keys: Keys, below: (bound: number) => number): Entry | undefined {
    if (keys.size < INDEX_FROM_KEYS) {
      const live = [...keys.values()].filter((entry) => entry.value !== null);
      return live.length === 0 ? undefined : live[below(live.length)];
    }
    const index = this.#indexOf(place, keys);
    const first = below(index.buckets.length);
    for (let i = 0; i < index.buckets.length; i++) {
      const bucket = (first + i) % index.buckets.length;
      const live = index.read(bucket, keys).filter((entry) => entry.value !== null);
      if (live.length > 0) return live[below(live.length)];
    }
    return undefined;
  }

  #indexOf(place: number, keys: Keys): BucketIndex {
    const index = this.#indexes.get(place) ?? new BucketIndex(keys);
    this.#indexes.delete(place);
    this.#indexes.set(place, index);
    if (this.#indexes.size > INDEXES_MAX) {
      for (const oldest of this.#indexes.keys()) {
        this.#indexes.delete(oldest);
        break;
      }
    }
    return index;
  }
}

function itemsAfter(entries: Iterable<Entry>, afterHash: number): ScanItem[] {
  const items: ScanItem[] = [];
  for (const entry of entries) {
    if (entry.value === null) continue;
    const hash = scanHash(entry.key);
    if (hash > afterHash) items.push({ hash, entry });
  }
  return items.sort((a, b) => a.hash - b.hash);
}

function cut(items: ScanItem[], afterHash: number, limit: number, complete: boolean): ScanPage {
  let end = Math.min(limit, items.length);
  while (end > 0 && end < items.length && items[end]!.hash === items[end - 1]!.hash) end++;
  const page = end === items.length ? items : items.slice(0, end);
  const lastHash = page.at(-1)?.hash ?? afterHash;
  return { items: page, lastHash, done: complete && end === items.length };
}
