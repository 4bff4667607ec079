/**
 * Whether this node's clients or its database suffer at the moment, for work that can wait: hand-over and
 * warm-up go slowly then.
 *
 * How long a write takes is not measured one by one, which would cost every write something, but by
 * Little's law: operations under way divided by operations settled per millisecond, over a short window.
 * It is asked for only while there is such work, and then a few hundred times a second at most.
 */
import type { Clock } from '../platform/clock.ts';
import type { Lane } from './lane.ts';
import type { Operations } from './operations.ts';

/** Why background work goes slowly. Texts for people, and stable for tools. */
export type Cause =
  /** The lane is down. */
  | 'database-away'
  /** Writes take long, and most of them wait for the database. */
  | 'database-slow'
  /** Writes take long, and most of them wait for other owners to confirm. */
  | 'owners-slow'
  /** More writes are under way than a quarter of what is allowed. */
  | 'many-writes';

export interface PressureEnv {
  readonly clock: Clock;
  readonly operations: Pick<Operations, 'begunCount' | 'pendingCount'>;
  readonly lane: Pick<Lane, 'down' | 'length' | 'underWay'>;
  pendingMax(): number;
}

/** One look takes this long, milliseconds. */
const WINDOW_MS = 50;
/** A write that takes longer than this suffers, milliseconds. */
const SUFFERS_MS = 50;

export class Pressure {
  readonly #env: PressureEnv;
  #cause: Cause | null = null;
  #sinceMs = Number.NEGATIVE_INFINITY;
  #begun = 0;
  #pending = 0;

  constructor(env: PressureEnv) {
    this.#env = env;
  }

  /** The reason to go slowly, or null. */
  cause(): Cause | null {
    const { clock, operations } = this.#env;
    const now = clock.monotonicMs();
    const tookMs = now - this.#sinceMs;
    if (tookMs < WINDOW_MS) return this.#cause;
    const begun = operations.begunCount;
    const pending = operations.pendingCount;
    const settled = begun - this.#begun - (pending - this.#pending);
    // Of a window that began long ago nothing is known about its course: the next one tells.
    const known = tookMs < 10 * WINDOW_MS;
    const meanPending = (pending + this.#pending) / 2;
    const waitMs = meanPending === 0 ? 0 : (meanPending * tookMs) / Math.max(1, settled);
    [this.#sinceMs, this.#begun, this.#pending] = [now, begun, pending];
    this.#cause = this.#judge(pending, known ? waitMs : 0);
    return this.#cause;
  }

  #judge(pending: number, waitMs: number): Cause | null {
    const { lane } = this.#env;
    if (lane.down) return 'database-away';
    if (waitMs > SUFFERS_MS) {
      return (lane.length + lane.underWay) * 2 >= pending ? 'database-slow' : 'owners-slow';
    }
    return pending * 4 > this.#env.pendingMax() ? 'many-writes' : null;
  }
}
