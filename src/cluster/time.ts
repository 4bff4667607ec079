/**
 * Cluster time: the clock that TTLs mean. It follows the database's clock, so that all nodes agree on
 * moments within a bound, and it never jumps: it runs on the machine's monotonic clock plus an offset,
 * and a changed offset is approached slowly. So a clock that is set, on this machine or the
 * database's host, makes no key of anybody live visibly longer or shorter.
 *
 * A machine that slept is another matter: its monotonic clock stood still while time passed for everybody, so what
 * it slept is made up for at once. Its lease ended with that (`lease.ts`), and the answer that brings the next one
 * is a sample too, so nobody is answered by the clock that is behind.
 */
import type { Clock } from '../platform/clock.ts';

/** Milliseconds of correction per millisecond that passes: one percent. */
const SLEW_RATE = 0.01;
/** The two clocks are read one after the other, and one of them is coarse; less than this is no sleep. */
const SLEEP_MS_MIN = 50;

export class ClusterTime {
  readonly #clock: Clock;
  #offsetMs: number;
  #targetMs: number;
  #atMs: number;
  #synced = false;
  /** How far the uptime was ahead of the monotonic clock at the last sample. */
  #aheadMs: number;
  /** Smallest round trip seen lately; samples much slower than it say little. */
  #bestRoundTripMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#atMs = clock.monotonicMs();
    this.#aheadMs = clock.uptimeMs() - this.#atMs;
    this.#offsetMs = this.#targetMs = clock.wallMs() - this.#atMs;
  }

  /** Milliseconds since 1970, whole; never goes back. */
  nowMs(): number {
    const now = this.#clock.monotonicMs();
    const passed = now - this.#atMs;
    this.#atMs = now;
    const wrong = this.#targetMs - this.#offsetMs;
    if (wrong !== 0) {
      const step = passed * SLEW_RATE;
      this.#offsetMs += Math.abs(wrong) <= step ? wrong : Math.sign(wrong) * step;
    }
    return Math.floor(now + this.#offsetMs);
  }

  /** The database's clock said `databaseMs` between the monotonic moments `sentMs` and `receivedMs`. */
  sample(databaseMs: number, sentMs: number, receivedMs: number): void {
    this.#makeUpForSleep();
    const roundTrip = receivedMs - sentMs;
    this.#bestRoundTripMs = Math.min(this.#bestRoundTripMs * 1.05 + 0.1, roundTrip);
    if (roundTrip > this.#bestRoundTripMs * 3 + 2 && this.#synced) return;
    this.nowMs();
    this.#targetMs = databaseMs - (sentMs + receivedMs) / 2;
    if (this.#synced) return;
    // Before the first sample nobody has seen this clock.
    this.#offsetMs = this.#targetMs;
    this.#synced = true;
  }

  #makeUpForSleep(): void {
    const aheadMs = this.#clock.uptimeMs() - this.#clock.monotonicMs();
    const sleptMs = aheadMs - this.#aheadMs;
    this.#aheadMs = aheadMs;
    if (sleptMs < SLEEP_MS_MIN) return;
    this.#offsetMs += sleptMs;
    this.#targetMs += sleptMs;
  }
}
