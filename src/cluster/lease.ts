/**
 * The lease: this node's right to answer. It holds from the moment a renewal was *sent* (the database
 * counted it later, so others see it end later than this node does), on this machine's monotonic
 * clock, less a drift margin; and it ends when the machine slept, which that clock does not see.
 *
 * A renewal that names a newer epoch prolongs nothing until that view is adopted: the caller passes
 * it here only then (schedule renewal-prolongs-old-view).
 */
import type { Clock } from '../platform/clock.ts';

/** How far wall and monotonic clock may drift apart between renewals before uptime is consulted. */
const SUSPICION_MS = 100;

/** Moments of the node's monotonic clock, milliseconds. */
export interface LeaseReport {
  readonly nowMs: number;
  /** It has held without a gap since then. */
  readonly sinceMs: number;
  /** It ends then if it is not renewed. */
  readonly untilMs: number;
}

export class Lease {
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #marginMs: number;
  #sinceMs = Number.NEGATIVE_INFINITY;
  #untilMs = Number.NEGATIVE_INFINITY;
  /** uptime - monotonic, and wall - monotonic, when the running lease was granted. */
  #sleepOffsetMs = 0;
  #wallOffsetMs = 0;

  constructor(clock: Clock, times: { leaseMs: number; marginMs: number }) {
    this.#clock = clock;
    this.#leaseMs = times.leaseMs;
    this.#marginMs = times.marginMs;
  }

  /** Reads of uptime and wall clock to be taken just before a renewal is sent. */
  stamp(): { sentMs: number; sleepOffsetMs: number; wallOffsetMs: number } {
    const sentMs = this.#clock.monotonicMs();
    return {
      sentMs,
      sleepOffsetMs: this.#clock.uptimeMs() - sentMs,
      wallOffsetMs: this.#clock.wallMs() - sentMs,
    };
  }

  grant(stamp: { sentMs: number; sleepOffsetMs: number; wallOffsetMs: number }): void {
    if (!this.valid) this.#sinceMs = this.#clock.monotonicMs();
    this.#untilMs = stamp.sentMs + this.#leaseMs - this.#marginMs;
    this.#sleepOffsetMs = stamp.sleepOffsetMs;
    this.#wallOffsetMs = stamp.wallOffsetMs;
  }

  end(): void {
    this.#untilMs = Number.NEGATIVE_INFINITY;
  }

  /** True while this node may answer linearizable reads. */
  get valid(): boolean {
    const now = this.#clock.monotonicMs();
    if (now >= this.#untilMs) return false;
    // The wall clock runs through a sleep and is cheap to read; it may also be set by somebody, so a
    // jump is only a reason to ask the clock that is slower to read.
    if (Math.abs(this.#clock.wallMs() - now - this.#wallOffsetMs) < SUSPICION_MS) return true;
    if (this.#clock.uptimeMs() - now - this.#sleepOffsetMs < SUSPICION_MS) {
      this.#wallOffsetMs = this.#clock.wallMs() - now;
      return true;
    }
    this.end();
    return false;
  }

  /** For whoever watches from outside; null: this node has no lease now. */
  report(): LeaseReport | null {
    if (!this.valid) return null;
    return { nowMs: this.#clock.monotonicMs(), sinceMs: this.#sinceMs, untilMs: this.#untilMs };
  }

  /** Monotonic moment at which it ends if not renewed. */
  get untilMs(): number {
    return this.#untilMs;
  }
}
