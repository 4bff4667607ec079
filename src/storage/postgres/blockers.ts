/**
 * A stopped or half-cut client can hold a row lock for ever, and no timeout of the server ends that.
 * So whoever waits too long for a lane's row, or for another view proposal, terminates the backend at
 * the root of the wait.
 */
import type { TimerHandle } from '../../platform/clock.ts';
import { openSession, type StoreContext } from './context.ts';
import type { Session } from './session.ts';
import { messageOf } from './sql-errors.ts';

/**
 * The ends of the chains that `$1` waits for. A backend that waits itself is not at fault. The start of
 * its transaction tells a backend that has been busy all along from one that began something new.
 */
const ROOTS = `
  WITH RECURSIVE chain (pid) AS (
    SELECT unnest(pg_blocking_pids($1::int))
    UNION SELECT unnest(pg_blocking_pids(c.pid)) FROM chain c)
  SELECT c.pid, coalesce(a.xact_start::text, ''), coalesce(a.application_name, '')
  FROM chain c LEFT JOIN pg_stat_activity a ON a.pid = c.pid
  WHERE cardinality(pg_blocking_pids(c.pid)) = 0`;

/**
 * Runs `wait`, a statement of `session` that waits for locks. Looks twice every `batchWaitMs`; a root
 * seen twice in the same transaction is terminated.
 */
export async function endingBlockers<T>(
  context: StoreContext,
  session: Session,
  wait: Promise<T>,
): Promise<T> {
  const guard = new BlockerGuard(context, session.backendPid);
  try {
    return await wait;
  } finally {
    guard.stop();
  }
}

class BlockerGuard {
  readonly #context: StoreContext;
  readonly #pid: number;
  #seen = new Set<string>();
  #timer: TimerHandle;
  #stopped = false;

  constructor(context: StoreContext, pid: number) {
    this.#context = context;
    this.#pid = pid;
    this.#timer = this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer.cancel();
  }

  #arm(): TimerHandle {
    const { timers, batchWaitMs } = this.#context.options;
    return timers.after(batchWaitMs / 2, () => void this.#round());
  }

  async #round(): Promise<void> {
    try {
      await this.#look();
    } catch (error) {
      this.#context.options.logger.warn(
        { error: messageOf(error) },
        'could not look for the holder of a lock',
      );
    }
    if (!this.#stopped) this.#timer = this.#arm();
  }

  async #look(): Promise<void> {
    const session = await openSession(this.#context, 'guard');
    try {
      const roots = await session.read({ text: ROOTS, values: [this.#pid] });
      const seenBefore = this.#seen;
      this.#seen = new Set(roots.map((root) => `${root[0]} ${root[1]}`));
      for (const [pid, began, application] of roots) {
        if (this.#stopped || !seenBefore.has(`${pid} ${began}`)) continue;
        this.#context.options.logger.warn(
          { pid, application },
          'terminating a database session that holds a lock for too long',
        );
        await session.read({ text: 'SELECT pg_terminate_backend($1::int)', values: [pid ?? null] });
      }
    } finally {
      await session.close();
    }
  }
}
