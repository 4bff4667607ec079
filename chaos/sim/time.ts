/**
 * Virtual time: stands still until it is moved. Timers fire in order of their moment, those of one moment
 * in the order in which they were armed, and `turnEnd` callbacks after each of them, so the same timers
 * armed in the same order give the same run.
 *
 * `advance` moves it in one go, for parts without promises. `run` gives every promise its turn: between
 * two callbacks all microtasks run, however long their chains are, as they do on Node's event loop.
 */
import type { Clock, TimerHandle, Timers } from '../../src/platform/clock.ts';

class Armed {
  atMs: number;
  /** Of timers of one moment, the one with the lower number is first. */
  order: number;
  readonly periodMs: number | null;
  readonly callback: () => void;
  state: 'armed' | 'cancelled' | 'fired' = 'armed';

  constructor(atMs: number, order: number, periodMs: number | null, callback: () => void) {
    this.atMs = atMs;
    this.order = order;
    this.periodMs = periodMs;
    this.callback = callback;
  }
}

/** After this many steps the event loop of the real process gets a turn (signals, messages of workers). */
const STEPS_BETWEEN_TURNS = 5_000;

export class VirtualTime implements Clock, Timers {
  #nowMs: number;
  readonly #wallOffsetMs: number;
  #suspendedMs = 0;
  #order = 0;
  /** A binary heap: the next one to fire is first. */
  readonly #heap: Armed[] = [];
  #cancelled = 0;
  #turnEnds: (() => void)[] = [];
  #turnFlushes: (() => void)[] = [];
  /** Callbacks that ran. */
  fired = 0;
  /**
   * Asked before a callback that is due at the very moment of the one before: does it belong to the same
   * turn of the event loop, so that `turnEnd` callbacks wait for it?
   */
  sharesTurn: () => boolean = () => false;

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
    return this.#heap.length - this.#cancelled;
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

  /** Moves time on, firing what becomes due on the way; no promise settles meanwhile. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    this.endTurn();
    while (this.#isDue(untilMs)) {
      this.#fire();
      this.endTurn();
    }
    this.#nowMs = untilMs;
  }

  /**
   * Moves time on; everything that happens on the way, promises included, has happened when this
   * resolves. Rejects with what a callback threw, and stops there.
   */
  run(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    let steps = 0;
    let atMs = Number.NaN;
    return new Promise((resolve, reject) => {
      // Ticks run before microtasks while there are any; one that a microtask asks for runs when no
      // microtask is left.
      const soon = (): void => process.nextTick(step);
      const next = (): void => {
        if (++steps % STEPS_BETWEEN_TURNS === 0) setImmediate(step);
        else queueMicrotask(soon);
      };
      const step = (): void => {
        try {
          const due = this.#isDue(untilMs);
          const sameMoment = due && this.#heap[0]!.atMs === atMs;
          if (this.#isTurnOpen() && !(sameMoment && this.sharesTurn())) {
            this.endTurn();
            return next();
          }
          if (due) {
            atMs = this.#fire();
            return next();
          }
        } catch (error) {
          return reject(error instanceof Error ? error : new Error(String(error)));
        }
        this.#nowMs = untilMs;
        resolve();
      };
      queueMicrotask(soon);
    });
  }

  /** The machine sleeps: only the wall clock and the uptime move. */
  suspend(byMs: number): void {
    this.#suspendedMs += byMs;
  }

  #isTurnOpen(): boolean {
    return this.#turnEnds.length + this.#turnFlushes.length > 0;
  }

  /** Fires the next timer, and returns its moment. */
  #fire(): number {
    const due = this.#pop();
    const { atMs, periodMs } = due;
    this.#nowMs = Math.max(this.#nowMs, atMs);
    if (periodMs === null) {
      due.state = 'fired';
    } else {
      due.atMs += periodMs;
      due.order = this.#order++;
      this.#push(due);
    }
    this.fired++;
    due.callback();
    return atMs;
  }

  #isDue(untilMs: number): boolean {
    while (this.#heap[0]?.state === 'cancelled') {
      this.#cancelled--;
      this.#pop();
    }
    const first = this.#heap[0];
    return first !== undefined && first.atMs <= untilMs;
  }

  #arm(delayMs: number, periodMs: number | null, callback: () => void): TimerHandle {
    const atMs = this.#nowMs + Math.max(0, delayMs);
    const armed = new Armed(atMs, this.#order++, periodMs, callback);
    this.#push(armed);
    return {
      cancel: () => {
        if (armed.state !== 'armed') return;
        armed.state = 'cancelled';
        this.#cancelled++;
      },
    };
  }

  #push(armed: Armed): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(armed);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(armed, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = armed;
  }

  #pop(): Armed {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Armed, b: Armed): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
