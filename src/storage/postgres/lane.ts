/** A node's batches. See `LaneSession` in store.ts for the contract. */
import { endingBlockers } from './blockers.ts';
import { BY_INDEX, openSession, type StoreContext } from './context.ts';
import { encodeBatch } from './encode.ts';
import { asRead, type Answer, type Parameter, type Session } from './session.ts';
import { StoreError, type Batch, type LaneSession, type NodeRef } from './store.ts';

const COMMIT_PARAMETERS = 24;
const COMMIT_TEXT = `SELECT ringfence.commit_batch(${Array.from(
  { length: COMMIT_PARAMETERS },
  (_, i) => `$${i + 1}`,
).join(',')})`;

/** Waiting for the old backend may take two looks of the guard and one more for a queue behind it. */
const RAISE_WAITS = 6;

/**
 * Opens the lane: connects, raises the generation (a transaction of its own, which waits for the batch
 * that an older connection may have under way, and ends that backend if it takes too long), and only
 * then, in a new statement, reads the last number. Rejects with 'fenced' when the incarnation has no
 * lane, 'unavailable' when the database cannot be reached.
 */
export async function openLane(context: StoreContext, self: NodeRef): Promise<LaneSession> {
  const { statementTimeoutMs, batchWaitMs } = context.options;
  const session = await openSession(context, 'lane', { pipeline: true, set: BY_INDEX });
  try {
    await session.read({ text: 'SET statement_timeout = 0' });
    const generation = await raiseGeneration(context, session, self, RAISE_WAITS * batchWaitMs);
    const [row] = await session.read({
      text: `SELECT coalesce(max(b.number), 0) FROM ringfence.batch b
        WHERE b.node = $1 AND b.incarnation = $2`,
      values: [self.node, self.incarnation],
    });
    await session.read({ text: `SET statement_timeout = ${statementTimeoutMs}` });
    return new Lane(context, session, self, generation, Number(row?.[0]));
  } catch (error) {
    session.destroy();
    throw error;
  }
}

async function raiseGeneration(
  context: StoreContext,
  session: Session,
  self: NodeRef,
  waitMs: number,
): Promise<string> {
  const raise = session.run(
    {
      text: `UPDATE ringfence.lane SET generation = generation + 1
        WHERE node = $1 AND incarnation = $2 RETURNING generation`,
      values: [self.node, self.incarnation],
    },
    waitMs,
  );
  let answer: Answer;
  try {
    answer = await endingBlockers(context, session, raise);
  } catch (error) {
    // Whether it was raised or not: nobody will use that generation.
    throw asRead(error);
  }
  if (answer.warning !== null) {
    throw new StoreError('unavailable', `the generation is not certain: ${answer.warning}`);
  }
  const generation = answer.rows[0]?.[0];
  if (generation === undefined || generation === null) {
    throw new StoreError('fenced', 'this incarnation has no lane');
  }
  return generation;
}

class Lane implements LaneSession {
  readonly lastNumber: number;
  readonly closed: Promise<void>;
  readonly #session: Session;
  readonly #pipeline: number;
  /** The first three parameters of every commit. */
  readonly #identity: readonly Parameter[];

  constructor(
    context: StoreContext,
    session: Session,
    self: NodeRef,
    generation: string,
    lastNumber: number,
  ) {
    this.#session = session;
    this.#pipeline = context.options.lanePipeline;
    this.#identity = [self.node, self.incarnation, generation];
    this.lastNumber = lastNumber;
    this.closed = session.ended;
  }

  async commit(batch: Batch): Promise<void> {
    if (this.#session.inFlight >= this.#pipeline) {
      throw new StoreError('unavailable', `${this.#pipeline} batches are under way already`);
    }
    const answer = await this.#run(batch);
    if (answer.status !== 'I' || answer.command !== 'SELECT' || answer.warning !== null) {
      // For instance: the wait for a synchronous standby was cut short.
      this.#session.destroy();
      const why = answer.warning ?? `command ${answer.command}, status ${answer.status}`;
      throw new StoreError('unknown', `the commit is not certain: ${why}`);
    }
  }

  async #run(batch: Batch): Promise<Answer> {
    try {
      return await this.#session.run({
        name: 'commit_batch',
        text: COMMIT_TEXT,
        values: [...this.#identity, batch.epoch, batch.number, ...encodeBatch(batch)],
      });
    } catch (error) {
      if (error instanceof StoreError && error.kind === 'unknown') this.#session.destroy();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}
