/**
 * When commands of an open loop are due: command i at `start + i / rate`, whether the ones before it were
 * answered or not. Latency counts from that moment, also when the generator itself was late, so that a
 * stall of the server is seen by every command that would have come meanwhile (no coordinated omission).
 */
export class Pacer {
  readonly #perMs: number;
  readonly #startMs: number;
  readonly #total: number;
  #begun = 0;

  constructor(pace: { ratePerSecond: number; startMs: number; total: number }) {
    if (!(pace.ratePerSecond > 0)) throw new RangeError('a rate must be above 0');
    this.#perMs = pace.ratePerSecond / 1000;
    this.#startMs = pace.startMs;
    this.#total = pace.total;
  }

  get done(): boolean {
    return this.#begun === this.#total;
  }

  /** The moment at which the next command should begin, if that has come; it counts as begun then. */
  next(nowMs: number): number | undefined {
    if (this.done) return undefined;
    const dueMs = this.#startMs + this.#begun / this.#perMs;
    if (dueMs > nowMs) return undefined;
    this.#begun++;
    return dueMs;
  }
}
