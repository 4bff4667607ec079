/**
 * Latencies in buckets of 1 % width: any number of them in 15 kB, quantiles exact to half a percent.
 * Slowest and count are exact.
 */
const GROWTH = 1.01;
const LOG_GROWTH = Math.log(GROWTH);
/** Everything below counts as this, milliseconds. */
const LEAST_MS = 0.001;
/** Up to 100 seconds; everything above is in the last bucket. */
const BUCKETS = Math.ceil(Math.log(100_000 / LEAST_MS) / LOG_GROWTH) + 1;

export class LatencyRecorder {
  readonly #buckets = new Float64Array(BUCKETS);
  count = 0;
  maxMs = 0;

  record(ms: number): void {
    const at = ms <= LEAST_MS ? 0 : Math.floor(Math.log(ms / LEAST_MS) / LOG_GROWTH);
    this.#buckets[Math.min(at, BUCKETS - 1)]! += 1;
    this.count++;
    if (ms > this.maxMs) this.maxMs = ms;
  }

  /** The latency that `fraction` (0 to 1) of all did not exceed (nearest rank). Throws when there is none. */
  quantile(fraction: number): number {
    if (this.count === 0) throw new RangeError('a quantile of nothing');
    const rank = Math.max(1, Math.ceil(fraction * this.count));
    let seen = 0;
    for (let at = 0; at < BUCKETS; at++) {
      seen += this.#buckets[at]!;
      // The middle of the bucket, in its own (logarithmic) measure.
      if (seen >= rank) return Math.min(LEAST_MS * GROWTH ** (at + 0.5), this.maxMs);
    }
    return this.maxMs;
  }
}
