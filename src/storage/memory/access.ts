/**
 * When and how often an entry was used, in one small integer of its record, as Redis does it.
 *
 * LRU: seconds since this clock was made. LFU: minutes (16 bits, wrapping) and a counter (8 bits) that
 * grows logarithmically and decays with time:
 *
 *     LFU   | 16 bits: minute of the last decay | 8 bits: counter |
 *
 * After a change of the mode at run time old numbers are read in the new way and mean little until
 * the entry is used again. That is what Redis does too: converting would mean a walk over all keys.
 */
import type { Random } from '../../platform/clock.ts';

export type AccessMode = 'lru' | 'lfu';

/** Counter of a new entry, so that it is not the first to go. */
const LFU_INITIAL = 5;
const LFU_MAX = 255;
const MINUTE_MASK = 0xffff;

export class AccessClock {
  mode: AccessMode = 'lru';
  /** The higher, the more uses it takes to reach 255 (`lfu-log-factor`). */
  lfuLogFactor = 10;
  /** Minutes without use that take one off the counter; 0: never (`lfu-decay-time`). */
  lfuDecayMinutes = 1;

  readonly #random: Random;
  readonly #startMs: number;

  /** `nowMs`: cluster time, milliseconds since 1970. */
  constructor(random: Random, nowMs: number) {
    this.#random = random;
    this.#startMs = nowMs;
  }

  /** The `access` of an entry that is created now. */
  initial(nowMs: number): number {
    if (this.mode === 'lru') return this.#seconds(nowMs);
    return (this.#minutes(nowMs) << 8) | LFU_INITIAL;
  }

  /** What a use makes of the `access` of an entry. */
  used(access: number, nowMs: number): number {
    if (this.mode === 'lru') return this.#seconds(nowMs);
    return (this.#minutes(nowMs) << 8) | this.#grown(this.frequency(access, nowMs));
  }

  /** Seconds since the last use; meaningful in mode `lru`. */
  idleSeconds(access: number, nowMs: number): number {
    return Math.max(0, this.#seconds(nowMs) - access);
  }

  /** The counter (0-255) less what has decayed since; meaningful in mode `lfu`. */
  frequency(access: number, nowMs: number): number {
    const counter = access & 0xff;
    if (this.lfuDecayMinutes === 0) return counter;
    const elapsed = (this.#minutes(nowMs) - (access >>> 8)) & MINUTE_MASK;
    return Math.max(0, counter - Math.floor(elapsed / this.lfuDecayMinutes));
  }

  #grown(counter: number): number {
    if (counter >= LFU_MAX) return LFU_MAX;
    const above = counter - LFU_INITIAL;
    if (above <= 0) return counter + 1;
    return this.#random.float() * (above * this.lfuLogFactor + 1) < 1 ? counter + 1 : counter;
  }

  /** Never negative, and at most 31 bits (68 years), so that it is stored in place. */
  #seconds(nowMs: number): number {
    return nowMs > this.#startMs ? ((nowMs - this.#startMs) / 1000) | 0 : 0;
  }

  #minutes(nowMs: number): number {
    return Math.floor(nowMs / 60_000) & MINUTE_MASK;
  }
}
