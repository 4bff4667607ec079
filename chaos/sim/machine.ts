/**
 * The machine under a simulated process: its clocks and timers, and the ways in which it can stop.
 *
 * - paused (SIGSTOP): nothing of it runs, but its clocks go on; timers that came due meanwhile fire when
 *   it wakes, and so does everything that arrived;
 * - asleep (a suspended virtual machine): the same, and its monotonic clock stands still, so timers have
 *   as much left as before;
 * - dead: nothing of it ever runs again.
 */
import type { Clock, TimerHandle, Timers } from '../../src/platform/clock.ts';
import type { VirtualTime } from './time.ts';

export interface ClockFaults {
  /** How fast its clocks run; 1.01 gains one percent. */
  readonly rate: number;
  /** How far its wall clock is from the right time, milliseconds. */
  readonly wallOffsetMs: number;
}

/** Rounding must not make a timer that is due look as if it had a moment left, milliseconds. */
const EPSILON_MS = 1e-6;

export class Host {
  readonly name: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly #time: VirtualTime;
  readonly #rate: number;
  readonly #bornMs: number;
  #wallOffsetMs: number;
  #paused = false;
  /** Moment at which it fell asleep; null: awake. */
  #asleepSinceMs: number | null = null;
  #sleptMs = 0;
  #waiting: (() => void)[] = [];
  dead = false;

  constructor(name: string, time: VirtualTime, clocks: Partial<ClockFaults> = {}) {
    this.name = name;
    this.#time = time;
    this.#rate = clocks.rate ?? 1;
    this.#wallOffsetMs = clocks.wallOffsetMs ?? 0;
    this.#bornMs = time.monotonicMs();
    this.clock = {
      monotonicMs: () => this.#monotonicMs(),
      wallMs: () => this.#time.wallMs() + this.#drifted() + this.#wallOffsetMs,
      uptimeMs: () => this.#time.uptimeMs() + this.#drifted(),
    };
    this.timers = {
      after: (delayMs, callback) => this.#after(delayMs, callback),
      every: (periodMs, callback) => this.#every(periodMs, callback),
      turnEnd: (callback) => time.turnEnd(() => this.run(callback)),
      turnFlush: (callback) => time.turnFlush(() => this.run(callback)),
    };
  }

  get paused(): boolean {
    return this.#paused;
  }

  get stopped(): boolean {
    return this.#paused || this.#asleepSinceMs !== null;
  }

  get asleep(): boolean {
    return this.#asleepSinceMs !== null;
  }

  get hasSlept(): boolean {
    return this.asleep || this.#sleptMs > 0;
  }

  /** Runs it now, or when the machine wakes; never, when it is dead. */
  run(callback: () => void): void {
    if (this.dead) return;
    if (this.stopped) this.#waiting.push(callback);
    else callback();
  }

  /** SIGSTOP. */
  pause(): void {
    this.#paused = true;
  }

  /** SIGCONT. */
  wake(): void {
    this.#paused = false;
    this.#goOn();
  }

  /** The whole machine sleeps. */
  suspend(): void {
    this.#asleepSinceMs ??= this.#time.monotonicMs();
  }

  resume(): void {
    if (this.#asleepSinceMs === null) return;
    this.#sleptMs += this.#time.monotonicMs() - this.#asleepSinceMs;
    this.#asleepSinceMs = null;
    this.#goOn();
  }

  /** Somebody sets the wall clock. */
  stepWallClock(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  #goOn(): void {
    if (this.stopped) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const callback of waiting) this.#time.after(0, () => this.run(callback));
  }

  /** What its clocks have gained on the right time, milliseconds. */
  #drifted(): number {
    return (this.#time.monotonicMs() - this.#bornMs) * (this.#rate - 1);
  }

  #monotonicMs(): number {
    const now = this.#time.monotonicMs();
    const asleepMs = this.#asleepSinceMs === null ? 0 : now - this.#asleepSinceMs;
    return now + this.#drifted() - this.#sleptMs - asleepMs;
  }

  #after(delayMs: number, callback: () => void): TimerHandle {
    const dueMs = this.#monotonicMs() + Math.max(0, delayMs);
    let cancelled = false;
    let handle: TimerHandle;
    const fire = (): void => {
      if (cancelled) return;
      // It slept while this was armed: the rest of the wait begins now.
      if (this.#monotonicMs() + EPSILON_MS < dueMs) arm();
      else callback();
    };
    const arm = (): void => {
      const leftMs = (dueMs - this.#monotonicMs()) / this.#rate;
      handle = this.#time.after(leftMs, () => this.run(fire));
    };
    arm();
    return {
      cancel() {
        cancelled = true;
        handle.cancel();
      },
    };
  }

  #every(periodMs: number, callback: () => void): TimerHandle {
    let handle: TimerHandle;
    const again = (): void => {
      handle = this.#after(periodMs, () => {
        again();
        callback();
      });
    };
    again();
    return { cancel: () => handle.cancel() };
  }
}
