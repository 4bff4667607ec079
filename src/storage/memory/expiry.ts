/**
 * Which entries are due to expire, without looking at all of them: a hierarchical timing wheel.
 *
 * Time is cut into ticks of 128 ms. Four levels of 256 buckets cover 2^31 ticks (8.7 years; what is
 * beyond waits at the end): level 0 has one bucket a tick for the block of 256 ticks that the cursor is in,
 * level 1 one bucket a block, and so on. An item sits in the lowest level whose current block holds
 * its tick; when the cursor enters a block, the items of its bucket move down. An item moves at most
 * three times, so the work is linear in what expires, and it is done item by item: a call can stop
 * anywhere.
 *
 *     level 3   | 24.8 days | 24.8 days | ...
 *     level 2   | 2.3 hours | ...
 *     level 1   | 33 s | 33 s | ...
 *     level 0   | 128 ms | 128 ms | ...       <- cursor
 *
 * A record has at most one item and knows its number, and the item is removed or moved with the
 * record at once: a key that is set and deleted, or given a new expiry, a million times leaves nothing
 * behind (lists of stale items would). Items are numbered without gaps, in typed arrays as doubly linked
 * lists, which makes them small (22 bytes) and lets the eviction of volatile keys draw
 * one evenly. A heap would cost a logarithm per change; Redis's sampling never finds the last ones.
 */
import { strict as assert } from 'node:assert';

const TICK_MS = 128;
const BUCKETS = 1024;
const NONE = -1;
const LAST_TICK = 0x7fffffff;
const CAPACITY_MIN = 1024;

/** What was handed out and is still there is handed out again after this time. */
export const EXPIRY_RETRY_MS = 2048;
const RETRY_TICKS = EXPIRY_RETRY_MS / TICK_MS;

/** Items and empty buckets a call may visit for each entry it may hand out. */
const WORK_PER_ENTRY = 32;

/** All items are put in anew when the clock is so far ahead of the start, or so far behind the cursor. */
const AHEAD_TICKS_MAX = 2 ** 30;
const BEHIND_TICKS_MAX = 512;

/** A place (`place.ts`) and the record, for the caller to delete. */
export type OnExpired = (place: number, at: number) => boolean;

/** What the index has to know of a record, and tells it: `records.ts`. */
export interface Expiring {
  expiresAtMs(at: number): number;
  setTimer(at: number, item: number): void;
}

export class ExpiryIndex {
  #startMs: number;
  /** All ticks before this one are done. */
  #cursor = 0;
  #size = 0;
  readonly #heads = new Int32Array(BUCKETS).fill(NONE);
  /** Items per level, to skip over empty time. */
  readonly #levelSizes = new Int32Array(4);
  // One position in each of these is an item.
  #records = new Uint32Array(CAPACITY_MIN);
  #places = new Int32Array(CAPACITY_MIN);
  #ticks = new Int32Array(CAPACITY_MIN);
  #next = new Int32Array(CAPACITY_MIN);
  #previous = new Int32Array(CAPACITY_MIN);
  #buckets = new Uint16Array(CAPACITY_MIN);

  readonly #expiring: Expiring;

  /** `nowMs`: cluster time, milliseconds since 1970. Expiries before it count as due at once. */
  constructor(nowMs: number, expiring: Expiring) {
    this.#startMs = nowMs;
    this.#expiring = expiring;
  }

  /** Number of entries with an expiry, remembered absences included. */
  get size(): number {
    return this.#size;
  }

  /** The `index`-th item, 0 <= index < size, in no particular order: for even sampling. */
  recordAt(index: number): number {
    assert(index < this.#size, 'expiry index: no such item');
    return this.#records[index]!;
  }

  placeAt(index: number): number {
    return this.#places[index]!;
  }

  /** A record got an expiry (milliseconds since 1970). It is told its number by `setTimer`. */
  add(at: number, place: number, expiresAtMs: number): void {
    if (this.#size === this.#places.length) this.#resize(this.#size * 2);
    const item = this.#size++;
    this.#records[item] = at;
    this.#places[item] = place;
    this.#expiring.setTimer(at, item);
    this.#link(item, this.#tickOf(expiresAtMs));
  }

  /** The expiry of an item is now this, and its record `at`. */
  update(item: number, at: number, expiresAtMs: number): void {
    this.#records[item] = at;
    this.#expiring.setTimer(at, item);
    const tick = this.#tickOf(expiresAtMs);
    if (this.#ticks[item] !== tick) this.#relink(item, tick);
  }

  /** Forgets an item. */
  remove(item: number): void {
    this.#unlink(item);
    this.#size--;
    if (item !== this.#size) this.#moveItem(this.#size, item);
    const capacity = this.#places.length;
    if (capacity > CAPACITY_MIN && this.#size < capacity >> 2) this.#resize(capacity >> 1);
  }

  /**
   * Goes through entries whose expiry is before `nowMs` (up to one tick late), calling `take` with each;
   * stops after `limit` for which it answered true. An entry stays in the index, and comes up again
   * after EXPIRY_RETRY_MS unless its expiry has changed or it was removed. `take` must not change
   * the index. The work of a call is bounded by a multiple of `limit`; what is left comes next time.
   */
  take(nowMs: number, limit: number, take: OnExpired): void {
    const nowTick = this.#nowTick(nowMs);
    let taken = 0;
    let work = limit * WORK_PER_ENTRY;
    while (this.#cursor < nowTick && taken < limit && work-- > 0) {
      const upper = this.#upperItem();
      if (upper !== NONE) {
        this.#relink(upper, this.#ticks[upper]!);
        continue;
      }
      const item = this.#heads[this.#cursor & 255]!;
      if (item === NONE) {
        this.#advance(nowTick);
      } else if (this.#expiresAtMs(item) > nowMs) {
        // Only for expiries beyond the last tick, or when time went back.
        this.#relink(item, Math.max(this.#tickOf(this.#expiresAtMs(item)), nowTick));
      } else {
        this.#relink(item, Math.min(nowTick + RETRY_TICKS, LAST_TICK));
        if (take(this.#places[item]!, this.#records[item]!)) taken++;
      }
    }
  }

  /**
   * Ticks before this one are over. A clock that was years off, or an hour ahead, when the node started
   * would otherwise end the wheel, or stop it for that hour; the walk over all items is rare.
   */
  #nowTick(nowMs: number): number {
    const tick = Math.floor((nowMs - this.#startMs) / TICK_MS);
    if (tick < AHEAD_TICKS_MAX && tick >= this.#cursor - BEHIND_TICKS_MAX) return tick;
    this.#startMs = nowMs - TICK_MS;
    this.#cursor = 0;
    this.#heads.fill(NONE);
    this.#levelSizes.fill(0);
    for (let item = 0; item < this.#size; item++)
      this.#link(item, this.#tickOf(this.#expiresAtMs(item)));
    return 1;
  }

  #expiresAtMs(item: number): number {
    return this.#expiring.expiresAtMs(this.#records[item]!);
  }

  /** An item in an upper bucket that covers the cursor's tick and has yet to move down. */
  #upperItem(): number {
    const cursor = this.#cursor;
    const item3 = this.#heads[768 | (cursor >>> 24)]!;
    if (item3 !== NONE) return item3;
    const item2 = this.#heads[512 | ((cursor >>> 16) & 255)]!;
    if (item2 !== NONE) return item2;
    return this.#heads[256 | ((cursor >>> 8) & 255)]!;
  }

  /** Leaves an empty tick; with empty levels below, the rest of the block is empty too. */
  #advance(nowTick: number): void {
    let mask = 0;
    for (let level = 0; level < 3 && this.#levelSizes[level] === 0; level++)
      mask = (mask << 8) | 255;
    this.#cursor = Math.min((this.#cursor | mask) + 1, nowTick);
  }

  #tickOf(atMs: number): number {
    const tick = Math.floor((atMs - this.#startMs) / TICK_MS);
    return Math.max(0, Math.min(tick, LAST_TICK));
  }

  #bucketOf(tick: number): number {
    const due = Math.max(tick, this.#cursor);
    const differing = due ^ this.#cursor;
    if (differing < 1 << 8) return due & 255;
    if (differing < 1 << 16) return 256 | ((due >>> 8) & 255);
    if (differing < 1 << 24) return 512 | ((due >>> 16) & 255);
    return 768 | (due >>> 24);
  }

  #link(item: number, tick: number): void {
    const bucket = this.#bucketOf(tick);
    const head = this.#heads[bucket]!;
    this.#ticks[item] = tick;
    this.#buckets[item] = bucket;
    this.#previous[item] = NONE;
    this.#next[item] = head;
    if (head !== NONE) this.#previous[head] = item;
    this.#heads[bucket] = item;
    this.#levelSizes[bucket >> 8]!++;
  }

  #unlink(item: number): void {
    const next = this.#next[item]!;
    const previous = this.#previous[item]!;
    const bucket = this.#buckets[item]!;
    if (next !== NONE) this.#previous[next] = previous;
    if (previous === NONE) this.#heads[bucket] = next;
    else this.#next[previous] = next;
    this.#levelSizes[bucket >> 8]!--;
  }

  #relink(item: number, tick: number): void {
    this.#unlink(item);
    this.#link(item, tick);
  }

  /** Keeps the numbers without gaps: the last item takes the place of a removed one. */
  #moveItem(from: number, to: number): void {
    const next = this.#next[from]!;
    const previous = this.#previous[from]!;
    this.#records[to] = this.#records[from]!;
    this.#places[to] = this.#places[from]!;
    this.#ticks[to] = this.#ticks[from]!;
    this.#buckets[to] = this.#buckets[from]!;
    this.#next[to] = next;
    this.#previous[to] = previous;
    if (next !== NONE) this.#previous[next] = to;
    if (previous === NONE) this.#heads[this.#buckets[to]] = to;
    else this.#next[previous] = to;
    this.#expiring.setTimer(this.#records[to], to);
  }

  #resize(capacity: number): void {
    const copy = (from: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> => {
      const to = new Int32Array(capacity);
      to.set(from.subarray(0, this.#size));
      return to;
    };
    this.#places = copy(this.#places);
    this.#ticks = copy(this.#ticks);
    this.#next = copy(this.#next);
    this.#previous = copy(this.#previous);
    const records = new Uint32Array(capacity);
    records.set(this.#records.subarray(0, this.#size));
    this.#records = records;
    const buckets = new Uint16Array(capacity);
    buckets.set(this.#buckets.subarray(0, this.#size));
    this.#buckets = buckets;
  }
}
