/**
 * FLUSHALL and FLUSHDB of this node's slots, as their primary. One at a time, and everything else here waits until
 * it is committed, so no read can see a slot half flushed or load a row that is going. What a change of view does
 * to a flush: `flush-points.ts`.
 */
import type { Keyspace } from '../storage/memory/keyspace.ts';
import { slotRuns } from './effects.ts';
import { type FlushPoint, type FlushPoints, type FlushRun, retryOf } from './flush-points.ts';
import { type Op, type OpOutcome, VOID } from './op.ts';
import type { Operations } from './operations.ts';
import { SLOT_COUNT } from './slot.ts';
import type { SlotTable } from './slots.ts';

export interface FlushesEnv {
  readonly keyspace: Keyspace;
  readonly slots: SlotTable;
  readonly flushPoints: FlushPoints;
  readonly operations: Operations;
  epoch(): number;
  /** Some transaction holds keys of this node. */
  hasHolds(): boolean;
  /** What waited for a flush may go on. */
  retryParked(): void;
}

/** A flush of those of this node's slots that are wanted. */
export interface FlushRequest {
  /** Null: all databases. */
  readonly db: number | null;
  /** Slots, each with the point that an earlier try of this flush has come to there. */
  readonly wanted: ReadonlyMap<number, FlushPoint | null>;
  /** Monotonic milliseconds after which the outcome is told as unknown. */
  readonly deadlineMs: number;
  /** Told once, with the slots whose memory it has emptied. */
  done(outcome: OpOutcome, emptied: readonly FlushRun[]): void;
}

export class Flushes {
  readonly #env: FlushesEnv;
  /** Everything else here waits for it. */
  #current: Op | null = null;
  /** Flushes that wait for another one, or for holds to end; one of each node at most (`gather.ts`). */
  #waiting: FlushRequest[] = [];
  /** Holds that wait until no flush is wanted any more. */
  #after: (() => void)[] = [];

  constructor(env: FlushesEnv) {
    this.#env = env;
  }

  /**
   * Memory is empty and the table not yet: what is read from there now is no news, neither when it arrives before the
   * flush is committed nor, since its slots count as changed once more then, after it.
   */
  get underWay(): boolean {
    return this.#current !== null;
  }

  add(request: FlushRequest): void {
    this.#waiting.push(request);
    this.next();
  }

  /**
   * Holds and flushes exclude each other: a key that was handed over must not be flushed under its
   * transaction, nor a value be loaded and handed over whose row is going. New holds wait while a flush
   * is wanted; the granted ones end by themselves, since the last participant of each waits for nobody.
   */
  whenNone(then: () => void): void {
    if (this.#current === null && this.#waiting.length === 0) then();
    else this.#after.push(then);
  }

  /** Begins the next one if nothing is in its way. */
  next(): void {
    if (this.#current !== null || this.#env.hasHolds()) return;
    const request = this.#waiting.shift();
    if (request === undefined) this.#admitHolds();
    else this.#begin(request);
  }

  #admitHolds(): void {
    const after = this.#after;
    this.#after = [];
    for (const then of after) then();
  }

  #begin(request: FlushRequest): void {
    const { db, deadlineMs, wanted } = request;
    const { slots, flushPoints, operations } = this.#env;
    const mine: number[] = [];
    for (let slot = 0; slot < SLOT_COUNT; slot++)
      if (slots.isActivePrimary(slot) && wanted.has(slot)) mine.push(slot);
    const retries = mine.map((slot) =>
      retryOf(wanted.get(slot)!, db, flushPoints.of(slot), slots.primarySince[slot]!),
    );
    if (retries.includes('unclear')) {
      request.done({ kind: 'unknown' }, []);
      return this.next();
    }
    const version = operations.nextVersion();
    const point = { ...version, db };
    mine.forEach((slot, i) => this.#empty(slot, point, retries[i] === 'rows-only'));
    const emptied = this.#runsOf(mine);
    const op = operations.begin({
      effects: [],
      floors: mine.length > 0 ? [{ slots: mine, db, ...version }] : [],
      notices: operations.flushNotices(mine),
      slots: mine,
      touched: [],
      deadlineMs,
      settle: (outcome) => request.done(outcome, emptied),
      onOverdue: () => request.done({ kind: 'unknown' }, emptied),
    });
    if (op.finished) return this.next();
    op.watch(({ kind }) => {
      for (const slot of mine) slots.changes[slot]!++;
      if (kind !== 'done') for (const slot of mine) slots.setComplete(slot, false);
      // Learned in a later view, it says nothing of what this node's memory holds now.
      else if (db === null && op.epoch === this.#env.epoch()) operations.declareEmptied(mine);
      // The database is asked, and can refuse, only what all owners have.
      if (kind === 'done' || kind === 'failed') this.#settle(emptied);
    });
    this.#holdBack(op);
  }

  #empty(slot: number, point: FlushPoint, rowsOnly: boolean): void {
    const { slots, keyspace, flushPoints } = this.#env;
    if (rowsOnly) keyspace.clearSlotUpTo(slot, point.db, flushPoints.of(slot)!);
    else {
      keyspace.clearSlot(slot, point.db);
      flushPoints.reach(slot, point);
    }
    slots.changes[slot]!++;
    slots.writes[slot]!++;
  }

  /** Everything else waits until this one has ended. */
  #holdBack(op: Op): void {
    this.#current = op;
    op.watch(() => {
      if (this.#current !== op) return;
      this.#current = null;
      // Before the next flush: else flushes without pause would keep holds waiting for ever.
      this.#admitHolds();
      this.next();
      this.#env.retryParked();
    });
  }

  /** A view ends. The flush under way ends with the operations; those that wait have done nothing. */
  endView(): void {
    this.#current = null;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const request of waiting) request.done(VOID, []);
  }

  /**
   * The next view begins. The flushes that this node's memory of its slots has seen may not be on all owners: they get
   * them before anybody reads here that keys are gone, so nobody finds them again when this node is gone as well.
   * To be called before anything else is sent under the view.
   */
  beginView(): void {
    const { slots, flushPoints, operations } = this.#env;
    const unsettled = flushPoints.unsettled((slot) => slots.isPrimary(slot));
    if (unsettled.length === 0) return;
    const runs = this.#runsOf(unsettled);
    const op = operations.begin({
      effects: [],
      notices: operations.flushNotices(unsettled),
      slots: unsettled,
      touched: [],
      deadlineMs: Infinity,
      settle: ({ kind }) => {
        if (kind === 'done') this.#settle(runs);
      },
    });
    if (!op.finished) this.#holdBack(op);
  }

  /** Those whose time is up before they have begun have done nothing. */
  sweep(nowMs: number): void {
    const late = this.#waiting.filter(({ deadlineMs }) => deadlineMs <= nowMs);
    if (late.length === 0) return;
    this.#waiting = this.#waiting.filter(({ deadlineMs }) => deadlineMs > nowMs);
    for (const request of late) request.done(VOID, []);
  }

  #runsOf(slots: readonly number[]): FlushRun[] {
    const { flushPoints } = this.#env;
    const runs = slotRuns(slots, (a, b) => flushPoints.of(a) === flushPoints.of(b));
    return runs.map(({ slot, to }) => ({ slot, to, point: flushPoints.of(slot)! }));
  }

  #settle(runs: readonly FlushRun[]): void {
    for (const { slot, to, point } of runs)
      for (let at = slot; at <= to; at++) this.#env.flushPoints.settle(at, point);
  }
}
