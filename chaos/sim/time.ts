/**
 * Clock and Timers that stand still until they are moved. Deterministic: timers fire in order of their
 * moment, those of one moment in the order they were armed, and `turnEnd` callbacks after each of them.
 */
import type { Clock, TimerHandle, Timers } from '../../src/platform/clock.ts';

interface Armed {
  atMs: number;
  readonly order: number;
  readonly periodMs: number | null;
  readonly callback: () => void;
}

export class VirtualTime implements Clock, Timers {
  #nowMs: number;
  readonly #wallOffsetMs: number;
  #suspendedMs = 0;
  #order = 0;
  readonly #armed = new Set<Armed>();
  #turnEnds: (() => void)[] = [];
  #turnFlushes: (() => void)[] = [];

  /** `startMs`: first monotonic reading; `wallMs`: the wall clock's at that moment. */
  constructor(startMs = 1000, wallMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
    this.#wallOffsetMs = wallMs - startMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }
  wallMs(): number {
    return this.#nowMs + this.#suspendedMs + this.#wallOffsetMs;
  }
  uptimeMs(): number {
    return this.#nowMs + this.#suspendedMs;
  }

  after(delayMs: number, callback: () => void): TimerHandle {
    return this.#arm(delayMs, null, callback);
  }
  every(periodMs: number, callback: () => void): TimerHandle {
    return this.#arm(periodMs, periodMs, callback);
  }
  turnEnd(callback: () => void): void {
    this.#turnEnds.push(callback);
  }
  turnFlush(callback: () => void): void {
    this.#turnFlushes.push(callback);
  }

  /** Number of timers that are armed. */
  get armed(): number {
    return this.#armed.size;
  }

  /** Runs `turnEnd` callbacks, and those that they ask for, then `turnFlush`, until none is left. */
  endTurn(): void {
    while (this.#turnEnds.length + this.#turnFlushes.length > 0) {
      const late = this.#turnEnds.length === 0;
      const callbacks = late ? this.#turnFlushes : this.#turnEnds;
      if (late) this.#turnFlushes = [];
      else this.#turnEnds = [];
      for (const callback of callbacks) callback();
    }
  }

  /** Moves time on, firing what becomes due on the way. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    this.endTurn();
    for (let due = this.#nextDue(untilMs); due !== undefined; due = this.#nextDue(untilMs)) {
      this.#nowMs = due.atMs;
      if (due.periodMs === null) this.#armed.delete(due);
      else due.atMs += due.periodMs;
      due.callback();
      this.endTurn();
    }
    this.#nowMs = untilMs;
  }

  /** The machine sleeps: only the wall clock and the uptime move. */
  suspend(byMs: number): void {
    this.#suspendedMs += byMs;
  }

  #arm(delayMs: number, periodMs: number | null, callback: () => void): TimerHandle {
    const armed = {
      atMs: this.#nowMs + Math.max(0, delayMs),
      order: this.#order++,
      periodMs,
      callback,
    };
    this.#armed.add(armed);
    return { cancel: () => this.#armed.delete(armed) };
  }

  #nextDue(untilMs: number): Armed | undefined {
    let next: Armed | undefined;
    for (const armed of this.#armed) {
      if (armed.atMs > untilMs) continue;
      const earlier =
        next === undefined ||
        armed.atMs < next.atMs ||
        (armed.atMs === next.atMs && armed.order < next.order);
      if (earlier) next = armed;
    }
    return next;
  }
}
