/**
 * A circuit breaker. Closed: calls pass. After `failures` failures in a row it opens: no call passes
 * for `resetMs`. Then it is half-open: one call passes, and what becomes of it closes or opens it.
 *
 *   closed --failures in a row--> open --resetMs--> half-open --success--> closed
 *                                  ^----------------failure----'
 */
import type { Clock } from '../../platform/clock.ts';

export interface Breaker {
  /** False: do not call. True in half-open state hands out the one trial: report its outcome. */
  tryPass(): boolean;
  /** True when `tryPass` would refuse now. Hands out nothing. */
  readonly refusing: boolean;
  /** Not closed: for stats. */
  readonly open: boolean;
  succeeded(): void;
  failed(): void;
}

export function createBreaker(
  { failures, resetMs }: { failures: number; resetMs: number },
  clock: Clock,
  onChange: (open: boolean) => void,
): Breaker {
  let inARow = 0;
  /** Monotonic milliseconds; null: closed. */
  let openUntilMs: number | null = null;
  let trialUnderWay = false;

  const refuses = (): boolean =>
    openUntilMs !== null && (trialUnderWay || clock.monotonicMs() < openUntilMs);

  return {
    tryPass() {
      if (refuses()) return false;
      if (openUntilMs !== null) trialUnderWay = true;
      return true;
    },
    get refusing() {
      return refuses();
    },
    get open() {
      return openUntilMs !== null;
    },
    succeeded() {
      inARow = 0;
      trialUnderWay = false;
      if (openUntilMs === null) return;
      openUntilMs = null;
      onChange(false);
    },
    failed() {
      inARow += 1;
      const wasOpen = openUntilMs !== null;
      // Calls that began before it opened may still fail while a trial runs; they prolong nothing.
      if (wasOpen && !trialUnderWay) return;
      if (!wasOpen && inARow < failures) return;
      trialUnderWay = false;
      openUntilMs = clock.monotonicMs() + resetMs;
      if (!wasOpen) onChange(true);
    },
  };
}
