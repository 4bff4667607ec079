/**
 * The lane: this node's one ordered way into the database.
 *
 * Confirmed operations queue here and leave in numbered batches, one transaction each; several may be
 * under way on the connection. Batch n commits only after n-1, under this life's generation and the
 * epoch its commands ran in; otherwise the database refuses it (`storage/postgres`). So:
 *
 * - a batch that was refused is certainly not done, and neither is any later one;
 * - after a lost connection, opening the next one raises the generation and reads the last number,
 *   and from then on every batch is known to be done or not (schedule zombie-commit);
 * - operations of an older epoch that are not in a committed batch never will be: they are *void*.
 *
 * A batch that the database refuses for its data is sent again operation by operation, so that only
 * the one at fault (and what was built on it) fails.
 */
import type { Clock, TimerHandle, Timers } from '../platform/clock.ts';
import type { Logger } from '../platform/logger.ts';
import type { Effect } from '../storage/memory/effect.ts';
import {
  type Batch,
  type FloorChange,
  type LaneSession,
  type RowChange,
  StoreError,
} from '../storage/postgres/store.ts';
import { assert } from './assert.ts';
import { Fifo } from './fifo.ts';
import { keyId, type Op } from './op.ts';

export interface LaneBounds {
  /** Rows and bytes of values in one batch; a single operation may exceed them. */
  readonly rowsMax: number;
  readonly bytesMax: number;
  /** Batches under way at once. */
  readonly pipeline: number;
  /** Operations that must wait before a batch is sent behind another one. */
  readonly followRows: number;
  /** A batch of fewer operations waits for others that are about to enter, but no longer than `gatherMs`. */
  readonly gatherRows: number;
  readonly gatherMs: number;
}

export interface LaneEnv {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Logger;
  readonly bounds: LaneBounds;
  open(): Promise<LaneSession>;
  epoch(): number;
  /** Operations that have run here and wait for confirmations: they enter soon. */
  confirming(): number;
  /** The operation is in the database. */
  onDone(op: Op): void;
  /** It certainly is not, and must be run again in the present view. */
  onVoid(op: Op): void;
  /** The database refused it; the caller fails it and what was built on it. */
  onRejected(op: Op, reason: string): void;
  /** The database says that this epoch is over: look for a newer view. */
  onFenced(): void;
  /** The database is another one than before, or has lost commits: this life is over. */
  onReplaced(reason: string): void;
}

interface Sent {
  readonly batch: Batch;
  readonly ops: readonly Op[];
  outcome: 'pending' | 'committed' | 'rejected' | 'refused' | 'postponed' | 'unknown';
  reason: string;
}

const REOPEN_FIRST_MS = 10;
const REOPEN_LAST_MS = 500;
/** A batch that the database could not take now is sent again after this, and a single operation this often. */
const POSTPONE_MS = 20;
const POSTPONED_MAX = 3;

export class Lane {
  readonly #env: LaneEnv;
  #session: LaneSession | null = null;
  #opening = false;
  #stopped = false;
  /** The last attempt to open failed: writes are refused before they run. */
  down = true;
  readonly #queue = new Fifo<Op>();
  #sent: Sent[] = [];
  #nextNumber = 1;
  /** The last batch that is known to be committed. */
  #committedNumber = 0;
  /** Operations to be sent one by one, because one of them made a batch fail. */
  #isolate = 0;
  /** Fenced: nothing is sent until a newer view is adopted or the connection is new. */
  #fenced = false;
  #pumpScheduled = false;
  /** Runs while a small batch waits for company; null: none waits, or it has waited. */
  #gathering: TimerHandle | null = null;
  #gathered = false;
  #reopenMs = REOPEN_FIRST_MS;
  batches = 0;
  rows = 0;
  /** Wall clock of the last commit, milliseconds since 1970; of the start, before the first. */
  lastCommitAtMs: number;

  constructor(env: LaneEnv) {
    this.#env = env;
    this.lastCommitAtMs = env.clock.wallMs();
  }

  /** Resolves when the first connection stands. Rejects only when stopped. */
  async start(): Promise<void> {
    await this.#open();
  }

  /** Operations in batches under way. */
  get underWay(): number {
    let count = 0;
    for (const { ops } of this.#sent) count += ops.length;
    return count;
  }

  get length(): number {
    return this.#queue.length;
  }

  enqueue(op: Op): void {
    this.#queue.push(op);
    this.#schedule();
  }

  /** A view was adopted: what was not sent is void now, what was sent when its answer is there. */
  adopt(): void {
    const waiting = this.#queue.takeAll();
    this.#isolate = 0;
    this.#fenced = false;
    for (const op of waiting) this.#env.onVoid(op);
    this.#schedule();
  }

  /** Ends the connection; operations under way stay undecided here. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#gathering?.cancel();
    await this.#session?.close();
  }

  // Batches form at the end of a turn, when all confirmations of this turn are in.
  #schedule(): void {
    if (this.#pumpScheduled) return;
    this.#pumpScheduled = true;
    this.#env.timers.turnEnd(() => {
      this.#pumpScheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#maySend()) {
      const ops = this.#takeOps();
      if (ops.length === 0) return;
      this.#send(ops);
    }
  }

  #maySend(): boolean {
    if (this.#session === null || this.#fenced || this.length === 0) return false;
    const depth = this.#isolate > 0 ? 1 : this.#env.bounds.pipeline;
    if (this.#sent.length >= depth) return false;
    // Behind a batch under way, another one pays only when it is large: what a batch costs the database
    // is mostly per batch, and waiting makes the next one larger (docs/benchmarks.md).
    const { followRows, gatherRows } = this.#env.bounds;
    if (this.#sent.length > 0) {
      if (this.length < followRows) return false;
    } else if (this.length < gatherRows && this.#isolate === 0 && !this.#hasGathered()) {
      return false;
    }
    // The number of the next batch is open until the fate of an older epoch's batches is known, and
    // nothing may follow a batch that did not commit.
    const epoch = this.#env.epoch();
    return this.#sent.every((sent) => sent.batch.epoch === epoch && sent.outcome === 'pending');
  }

  /**
   * False: more is coming, and this batch waits for it for a moment. A client that writes alone never
   * waits: nothing else is coming then.
   */
  #hasGathered(): boolean {
    if (this.#gathered || this.#env.confirming() === 0) return true;
    this.#gathering ??= this.#env.timers.after(this.#env.bounds.gatherMs, () => {
      this.#gathering = null;
      this.#gathered = true;
      this.#pump();
    });
    return false;
  }

  #takeOps(): Op[] {
    const { rowsMax, bytesMax } = this.#env.bounds;
    const ops: Op[] = [];
    let rows = 0;
    let bytes = 0;
    for (let op = this.#queue.peek(); op !== null; op = this.#queue.peek()) {
      if (op.finished) {
        this.#queue.shift();
        continue;
      }
      rows += op.effects.length + op.foreign.length;
      for (const effect of op.effects) bytes += effect.value?.length ?? 0;
      for (const effect of op.foreign) bytes += effect.value?.length ?? 0;
      if (ops.length > 0 && (rows > rowsMax || bytes > bytesMax || this.#isolate > 0)) break;
      ops.push(op);
      this.#queue.shift();
    }
    if (this.#isolate > 0) this.#isolate--;
    return ops;
  }

  #send(ops: readonly Op[]): void {
    this.#gathering?.cancel();
    this.#gathering = null;
    this.#gathered = false;
    const { rows, floors } = coalesce(ops);
    const number = this.#nextNumber++;
    const batch: Batch = { number, epoch: this.#env.epoch(), rows, floors };
    const sent: Sent = { batch, ops, outcome: 'pending', reason: '' };
    this.#sent.push(sent);
    this.batches++;
    this.rows += rows.length;
    this.#session!.commit(batch).then(
      () => this.#onAnswer(sent, 'committed', ''),
      (error: unknown) => this.#onError(sent, error),
    );
  }

  #onError(sent: Sent, error: unknown): void {
    // An answer of a connection that was given up: opening the next one has told its outcome.
    if (!this.#sent.includes(sent)) return;
    const kind = error instanceof StoreError ? error.kind : 'unknown';
    const reason = error instanceof Error ? error.message : String(error);
    this.#env.log.warn({ batch: sent.batch.number, kind, reason }, 'a batch was not committed');
    if (kind === 'fenced' || kind === 'gap' || kind === 'conflict') {
      if (kind === 'fenced') this.#fence(sent);
      this.#onAnswer(sent, 'refused', reason);
    } else if (kind === 'unavailable') {
      // Not done, and the next try may pass (a timeout, a deadlock). If the connection is over, that is
      // heard meanwhile, and opening the next one decides.
      const answer = (): void => {
        if (this.#sent.includes(sent)) this.#onAnswer(sent, 'postponed', reason);
      };
      this.#env.timers.after(POSTPONE_MS, answer);
    } else if (kind === 'rejected') this.#onAnswer(sent, 'rejected', reason);
    else this.#onAnswer(sent, 'unknown', reason);
  }

  #fence(sent: Sent): void {
    if (sent.batch.epoch !== this.#env.epoch()) return;
    this.#fenced = true;
    this.#env.onFenced();
  }

  #onAnswer(sent: Sent, outcome: Sent['outcome'], reason: string): void {
    sent.outcome = outcome;
    sent.reason = reason;
    if (outcome === 'committed') this.lastCommitAtMs = this.#env.clock.wallMs();
    while (this.#sent[0]?.outcome === 'committed') {
      const done = this.#sent.shift()!;
      this.#committedNumber = done.batch.number;
      for (const op of done.ops) this.#env.onDone(op);
    }
    const first = this.#sent[0];
    if (first === undefined) return this.#pump();
    if (this.#sent.some((other) => other.outcome === 'unknown')) return this.#lose();
    if (first.outcome === 'pending') return this.#pump();
    if (this.#sent.every((other) => other.outcome !== 'pending')) this.#giveBack(first);
  }

  /** Everything under way is known not to be done: back to the queue, or void. */
  #giveBack(first: Sent): void {
    const sent = this.#sent;
    this.#sent = [];
    this.#nextNumber = first.batch.number;
    if (first.batch.epoch === this.#env.epoch()) this.#blame(first);
    this.#requeue(sent);
    this.#schedule();
  }

  /** Finds out which operation a batch failed for: alone, it is the one. */
  #blame({ ops, outcome, reason }: Sent): void {
    if (outcome !== 'rejected' && outcome !== 'postponed') return;
    const [only] = ops;
    if (ops.length > 1) this.#isolate = ops.length;
    else if (only !== undefined && (outcome === 'rejected' || ++only.postponed >= POSTPONED_MAX)) {
      this.#env.onRejected(only, reason);
    }
  }

  #requeue(sent: readonly Sent[]): void {
    const again: Op[] = [];
    for (const { batch, ops } of sent) {
      for (const op of ops) {
        if (op.finished) continue;
        if (batch.epoch === this.#env.epoch()) again.push(op);
        else this.#env.onVoid(op);
      }
    }
    for (const op of again.concat(this.#queue.takeAll())) this.#queue.push(op);
  }

  /** The connection is over while batches were under way: their outcome is learned by opening anew. */
  #lose(): void {
    const session = this.#session;
    this.#session = null;
    void session?.close();
    void this.#open();
  }

  async #open(): Promise<void> {
    if (this.#opening || this.#stopped) return;
    this.#opening = true;
    while (!this.#stopped) {
      try {
        const session = await this.#env.open();
        this.#opening = false;
        if (this.#stopped) void session.close();
        else this.#onOpened(session);
        return;
      } catch (error) {
        this.down = true;
        const kind = error instanceof StoreError ? error.kind : 'unavailable';
        this.#env.log.warn({ err: error }, 'the lane could not be opened');
        if (kind === 'fenced') this.#env.onFenced();
        if (kind === 'replaced') this.#env.onReplaced((error as StoreError).message);
        await this.#pause();
      }
    }
    this.#opening = false;
  }

  #pause(): Promise<void> {
    const delay = this.#reopenMs;
    this.#reopenMs = Math.min(this.#reopenMs * 2, REOPEN_LAST_MS);
    return new Promise((resolve) => this.#env.timers.after(delay, resolve));
  }

  #onOpened(session: LaneSession): void {
    if (session.lastNumber < this.#committedNumber) {
      void session.close();
      return this.#env.onReplaced('the database has lost batches that it had committed');
    }
    this.#session = session;
    this.down = false;
    this.#fenced = false;
    this.#reopenMs = REOPEN_FIRST_MS;
    void session.closed.then(() => {
      if (this.#session === session) this.#lose();
    });
    const sent = this.#sent;
    this.#sent = [];
    const isDone = (entry: Sent): boolean => entry.batch.number <= session.lastNumber;
    this.#nextNumber = session.lastNumber + 1;
    for (const entry of sent) {
      assert(!(entry.outcome === 'committed' && !isDone(entry)), 'a committed batch is missing');
      if (isDone(entry)) for (const op of entry.ops) this.#env.onDone(op);
    }
    this.#requeue(sent.filter((entry) => !isDone(entry)));
    this.#schedule();
  }
}

/** Several changes of one row become one; the last one wins, and an expiry joins the value before it. */
function coalesce(ops: readonly Op[]): { rows: RowChange[]; floors: FloorChange[] } {
  if (ops.length === 1 && ops[0]!.foreign.length === 0 && ops[0]!.effects.length === 1) {
    const effect = ops[0]!.effects[0]!;
    return { rows: effect.persistent ? [effect] : [], floors: [...ops[0]!.floors] };
  }
  const rows: RowChange[] = [];
  const floors: FloorChange[] = [];
  const places = new Map<string, number>();
  for (const op of ops) {
    for (const effect of op.effects) add(rows, places, effect);
    for (const effect of op.foreign) add(rows, places, effect);
    for (const floor of op.floors) floors.push(floor);
  }
  return { rows, floors };
}

function add(rows: RowChange[], places: Map<string, number>, effect: Effect): void {
  if (!effect.persistent) return;
  const id = keyId(effect.db, effect.key);
  const place = places.get(id);
  if (place === undefined) {
    places.set(id, rows.length);
    rows.push(effect);
    return;
  }
  const before = rows[place]!;
  if (effect.kind === 'expire' && before.kind === 'put') {
    const { expiresAtMs, epoch, seq } = effect;
    rows[place] = { ...before, expiresAtMs, epoch, seq };
  } else {
    rows[place] = effect;
  }
}
