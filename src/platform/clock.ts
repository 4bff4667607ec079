/**
 * Time and timers as arguments. Production uses the Node versions in `node-platform.ts`; the
 * simulator plugs in virtual ones. Nothing else in `src` may read a clock or arm a timer.
 */

/** Reads of time. All values are milliseconds and may have a fraction. */
export interface Clock {
  /** Never goes back, never jumps with the wall clock; stands still while the machine sleeps. */
  monotonicMs(): number;
  /** The machine's wall clock; may jump either way. */
  wallMs(): number;
  /** Time since boot *including* sleep; ahead of `monotonicMs` growth after a suspend. Costs more. */
  uptimeMs(): number;
}

/** A pending timer; opaque to callers. */
export interface TimerHandle {
  cancel(): void;
}

/** Deferred work. Callbacks run on the event loop, never synchronously. */
export interface Timers {
  /** Runs `callback` once after `delayMs` milliseconds. */
  after(delayMs: number, callback: () => void): TimerHandle;
  /** Runs `callback` every `periodMs` milliseconds until cancelled. */
  every(periodMs: number, callback: () => void): TimerHandle;
  /** Runs `callback` at the end of the current turn of the event loop, after all ready input. */
  turnEnd(callback: () => void): void;
  /**
   * Runs `callback` after the `turnEnd` callbacks of the turn, those they ask for included, or of one of the
   * next turns, while these bring work: what they wrote leaves together.
   */
  turnFlush(callback: () => void): void;
}

/** Randomness; seeded in the simulator. */
export interface Random {
  /** Uniform in [0, 1). */
  float(): number;
  /** Uniform integer in [0, bound). `bound` must be in 1..2^32. */
  below(bound: number): number;
  /** 128 random bits as 32 lower-case hexadecimal digits: incarnations, view ids, sessions. */
  id(): string;
}

/** Resolves after `delayMs` milliseconds. */
export function sleep(timers: Timers, delayMs: number): Promise<void> {
  return new Promise((resolve) => timers.after(delayMs, resolve));
}
