/** What the clocks of the nodes, which decide about TTLs, said at the moments of a history. */
import type { ClockSpan } from '../history.ts';

export class Clocks {
  readonly #spans: readonly ClockSpan[];

  /** `spans`: one after the other, by time. */
  constructor(spans: readonly ClockSpan[]) {
    // A node may have begun to serve a moment before it was looked at: neighbours count too.
    this.#spans = spans.map((span, i) => {
      const near = [spans[i - 1] ?? span, span, spans[i + 1] ?? span];
      const lowestMs = Math.min(...near.map((one) => one.lowestMs));
      return { ...span, lowestMs, highestMs: Math.max(...near.map((one) => one.highestMs)) };
    });
  }

  /** The lowest reading of any clock then. */
  lowest(atMs: number): number {
    return atMs + (this.#at(atMs)?.lowestMs ?? -Infinity);
  }

  /** The highest reading of any clock then. */
  highest(atMs: number): number {
    return atMs + (this.#at(atMs)?.highestMs ?? Infinity);
  }

  /** The first moment from `sinceMs` on at which some clock said `clockMs` or more; Infinity: none did. */
  firstAt(clockMs: number, sinceMs: number): number {
    for (const { startedAtMs, endedAtMs, highestMs } of this.#spans) {
      const atMs = Math.max(startedAtMs, sinceMs, clockMs - highestMs);
      if (atMs <= endedAtMs) return atMs;
    }
    return Infinity;
  }

  #at(atMs: number): ClockSpan | undefined {
    const last = this.#spans.at(-1);
    if (last !== undefined && atMs > last.endedAtMs) return last;
    return this.#spans.find(({ endedAtMs }) => atMs <= endedAtMs);
  }
}
