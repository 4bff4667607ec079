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

/**
 * Timers on Node's own. All `turnEnd` callbacks of one turn share one `setImmediate`; one that is
 * asked for by such a callback runs in the next turn, so that input gets its turn too.
 */
export function createNodeTimers(): Timers {
  let due: (() => void)[] = [];

  function runDue(): void {
    const callbacks = due;
    due = [];
    let done = 0;
    try {
      for (; done < callbacks.length; done++) callbacks[done]!();
    } finally {
      // Only after a throw is something left: the others must not be lost with it.
      const left = callbacks.slice(done + 1);
      if (left.length > 0) {
        if (due.length === 0) setImmediate(runDue);
        due = [...left, ...due];
      }
    }
  }

  return {
    after,
    every(periodMs, callback) {
      const timer = setInterval(callback, periodMs);
      return { cancel: () => clearInterval(timer) };
    },
    turnEnd(callback) {
      if (due.push(callback) === 1) setImmediate(runDue);
    },
  };
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
