/** Watches the clocks by which nodes judge times to live: of all lives that could answer, at every moment. */
import type { History } from '../history.ts';
import type { Sim } from './cluster.ts';

const PERIOD_MS = 4;
/** Readings of so long a time are one entry of the history, milliseconds. */
const SPAN_MS = 48;

export class ClockWatch {
  readonly #sim: Sim;
  readonly #history: History;
  #startedAtMs: number;
  #lowestMs = Infinity;
  #highestMs = -Infinity;

  constructor(sim: Sim, history: History) {
    this.#sim = sim;
    this.#history = history;
    this.#startedAtMs = sim.time.monotonicMs();
    sim.time.every(PERIOD_MS, () => this.#look());
  }

  /** What the slowest of all clocks says; infinite when nobody could answer lately. */
  get lowestMs(): number {
    return this.#sim.time.monotonicMs() + this.#lowestMs;
  }

  #look(): void {
    const nowMs = this.#sim.time.monotonicMs();
    if (nowMs - this.#startedAtMs >= SPAN_MS) this.#end(nowMs);
    for (const { host, cluster } of this.#sim.processes()) {
      const { life } = cluster;
      if (host.asleep || life === null || !life.lease.valid) continue;
      const aheadMs = life.time.nowMs() - nowMs;
      this.#lowestMs = Math.min(this.#lowestMs, aheadMs);
      this.#highestMs = Math.max(this.#highestMs, aheadMs);
    }
  }

  #end(endedAtMs: number): void {
    const [startedAtMs, lowestMs, highestMs] = [this.#startedAtMs, this.#lowestMs, this.#highestMs];
    this.#startedAtMs = endedAtMs;
    [this.#lowestMs, this.#highestMs] = [Infinity, -Infinity];
    if (lowestMs <= highestMs)
      this.#history.addClocks({ startedAtMs, endedAtMs, lowestMs, highestMs });
  }
}
