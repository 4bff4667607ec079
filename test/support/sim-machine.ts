/** What a simulated node stands on: seeded randomness, a log in memory, and a machine that can stop. */
import type { Random, TimerHandle, Timers } from '../../src/platform/clock.ts';
import type { Logger } from '../../src/platform/logger.ts';
import type { FakeTime } from './fake-time.ts';

/** mulberry32: small, fast, good enough to vary schedules. */
export class SeededRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  float(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  }

  below(bound: number): number {
    return Math.floor(this.float() * bound);
  }

  id(): string {
    let id = '';
    while (id.length < 32) id += this.below(16).toString(16);
    return id;
  }
}

/** Drops everything; errors are kept, so that a test can look at them. */
export class QuietLog implements Logger {
  readonly lines: { level: string; fields: object; message: string }[];

  constructor(lines: QuietLog['lines'] = []) {
    this.lines = lines;
  }

  debug(fields: object, message: string): void {
    this.#add('debug', fields, message);
  }
  info(fields: object, message: string): void {
    this.#add('info', fields, message);
  }
  warn(fields: object, message: string): void {
    this.#add('warn', fields, message);
  }
  error(fields: object, message: string): void {
    this.#add('error', fields, message);
  }
  child(): Logger {
    return this;
  }
  #add(level: string, fields: object, message: string): void {
    this.lines.push({ level, fields, message });
  }
}

/** A machine. What happens to it while it is paused happens when it wakes; when it is dead, never. */
export class Host {
  readonly name: string;
  readonly #time: FakeTime;
  #paused = false;
  #waiting: (() => void)[] = [];
  dead = false;

  constructor(name: string, time: FakeTime) {
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
