/** Clock and Timers of the machine itself. */
import { performance } from 'node:perf_hooks';
import { uptime } from 'node:os';
import type { Clock, TimerHandle, Timers } from './clock.ts';

/** Node fires a longer timeout at once, so longer waits are made of several. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

export const nodeClock: Clock = {
  // CLOCK_MONOTONIC, which stands still while the machine sleeps.
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  // On Linux this is /proc/uptime, counted by CLOCK_BOOTTIME: it includes sleep, in steps of 10 ms,
  // and costs a read of a file. Elsewhere libuv takes the boot time, which includes sleep as well.
  uptimeMs: () => uptime() * 1000,
};

/** Rounds of `turnEnd` callbacks asking for more in one turn; further ones wait, so that input gets its turn too. */
const ROUNDS_MAX = 8;

/**
 * `turnFlush` callbacks are put off while turns of the event loop still bring work, but no longer than this,
 * milliseconds. What is sent to a process that sleeps has to wake it up, which costs more than the
 * sending; input that is there already answers more in the same message (docs/benchmarks.md).
 */
const FLUSH_WITHIN_MS = 1;

/**
 * Timers on Node's own. All `turnEnd` callbacks of one turn share one `setImmediate`. `turnFlush` callbacks
 * wait for one more look at what has come, and on while that brings work.
 */
export function createNodeTimers(monotonicMs: () => number = () => performance.now()): Timers {
  let due: (() => void)[] = [];
  let flushes: (() => void)[] = [];
  let scheduled = false;
  /** When the oldest of `flushes` was put off; null: none was. */
  let putOffAtMs: number | null = null;

  function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    setImmediate(runDue);
  }

  function runDue(): void {
    scheduled = false;
    const worked = due.length > 0;
    try {
      for (let round = 0; round < ROUNDS_MAX && due.length > 0; round++) {
        const callbacks = due;
        due = [];
        runAll(callbacks, (left) => (due = [...left, ...due]));
      }
      if (flushes.length > 0 && !putsOff(worked)) {
        const callbacks = flushes;
        flushes = [];
        runAll(callbacks, (left) => (flushes = [...left, ...flushes]));
      }
    } finally {
      if (due.length > 0 || flushes.length > 0) schedule();
    }
  }

  function putsOff(worked: boolean): boolean {
    const nowMs = monotonicMs();
    if (putOffAtMs === null) {
      putOffAtMs = nowMs;
      return true;
    }
    if (worked && nowMs - putOffAtMs < FLUSH_WITHIN_MS) return true;
    putOffAtMs = null;
    return false;
  }

  return {
    after,
    every(periodMs, callback) {
      const timer = setInterval(callback, periodMs);
      return { cancel: () => clearInterval(timer) };
    },
    turnEnd(callback) {
      due.push(callback);
      schedule();
    },
    turnFlush(callback) {
      flushes.push(callback);
      schedule();
    },
  };
}

/** Runs them in order. Only after a throw is something left, which must not be lost with it. */
function runAll(callbacks: readonly (() => void)[], keep: (left: (() => void)[]) => void): void {
  let done = 0;
  try {
    for (; done < callbacks.length; done++) callbacks[done]!();
  } finally {
    if (done < callbacks.length) keep(callbacks.slice(done + 1));
  }
}

function after(delayMs: number, callback: () => void): TimerHandle {
  let timer: NodeJS.Timeout;
  const arm = (leftMs: number): void => {
    const stepMs = Math.min(leftMs, TIMEOUT_MS_MAX);
    timer = setTimeout(() => {
      if (leftMs > stepMs) arm(leftMs - stepMs);
      else callback();
    }, stepMs);
  };
  arm(Math.max(0, delayMs));
  return { cancel: () => clearTimeout(timer) };
}
