/** The machine under a simulated node: it can stop, and be killed. */
import type { Clock, TimerHandle, Timers } from '../../src/platform/clock.ts';
import type { VirtualTime } from './time.ts';

/** A machine. What happens to it while it is paused happens when it wakes; when it is dead, never. */
export class Host {
  readonly name: string;
  readonly #time: VirtualTime;
  #paused = false;
  #waiting: (() => void)[] = [];
  /** How long it has been suspended in all, which its monotonic clock does not see; null: it is awake. */
  #suspendedMs = 0;
  #suspendedAtMs: number | null = null;
  dead = false;

  constructor(name: string, time: VirtualTime) {
    this.name = name;
    this.#time = time;
  }

  get paused(): boolean {
    return this.#paused;
  }

  run(callback: () => void): void {
    if (this.dead) return;
    if (this.#paused) this.#waiting.push(callback);
    else callback();
  }

  pause(): void {
    this.#paused = true;
  }

  wake(): void {
    this.#paused = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const callback of waiting) this.#time.after(0, () => this.run(callback));
  }

  /** The whole machine sleeps: unlike in a pause, its monotonic clock stands still. */
  suspend(): void {
    this.#suspendedAtMs = this.#time.monotonicMs();
    this.pause();
  }

  resume(): void {
    if (this.#suspendedAtMs !== null)
      this.#suspendedMs += this.#time.monotonicMs() - this.#suspendedAtMs;
    this.#suspendedAtMs = null;
    this.wake();
  }

  get clock(): Clock {
    const time = this.#time;
    return {
      monotonicMs: () => time.monotonicMs() - this.#suspendedMs,
      wallMs: () => time.wallMs(),
      uptimeMs: () => time.uptimeMs(),
    };
  }

  get timers(): Timers {
    const time = this.#time;
    const armed = (
      arm: (callback: () => void) => TimerHandle,
      callback: () => void,
    ): TimerHandle => {
      let cancelled = false;
      const handle = arm(() =>
        this.run(() => {
          if (!cancelled) callback();
        }),
      );
      return {
        cancel() {
          cancelled = true;
          handle.cancel();
        },
      };
    };
    return {
      after: (delayMs, callback) => armed((fire) => time.after(delayMs, fire), callback),
      every: (periodMs, callback) => armed((fire) => time.every(periodMs, fire), callback),
      turnEnd: (callback) => time.turnEnd(() => this.run(callback)),
      turnFlush: (callback) => time.turnFlush(() => this.run(callback)),
    };
  }
}
