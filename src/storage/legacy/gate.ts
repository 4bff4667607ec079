/** At most so many at once, at most so many waiting, and nobody waits for ever. */
import type { TimerHandle, Timers } from '../../platform/clock.ts';

export type Entry = 'entered' | 'full' | 'timed-out';

interface Waiting {
  enter(entry: Entry): void;
  readonly timer: TimerHandle;
}

export interface Gate {
  /** Who gets `entered` must call `leave` once. First come, first served. */
  enter(waitMsMax: number): Promise<Entry>;
  leave(): void;
}

export function createGate(
  { placesMax, waitingMax }: { placesMax: number; waitingMax: number },
  timers: Timers,
): Gate {
  // A set keeps its order and forgets from the middle (timeouts) at once.
  const queue = new Set<Waiting>();
  let places = placesMax;

  return {
    enter(waitMsMax) {
      if (places > 0) {
        places -= 1;
        return Promise.resolve('entered');
      }
      if (queue.size >= waitingMax) return Promise.resolve('full');
      return new Promise((resolve) => {
        const timer = timers.after(waitMsMax, () => {
          queue.delete(waiting);
          resolve('timed-out');
        });
        const waiting: Waiting = { enter: resolve, timer };
        queue.add(waiting);
      });
    },
    leave() {
      const [next] = queue;
      if (next === undefined) {
        places += 1;
        return;
      }
      // The place passes on directly, so that nobody can slip in between.
      queue.delete(next);
      next.timer.cancel();
      next.enter('entered');
    },
  };
}
