/**
 * Operations: what a primary has run and not yet settled.
 *
 *     run ──▶ confirming ──▶ queued ──▶ sent ──▶ done
 *             (owners and     (in the    (in a     └▶ failed / void
 *              learners)       lane)      batch)
 *
 * An operation enters the lane only when every other owner and learner has confirmed its effects:
 * that is why a clean key on a live owner equals the table, and why no owner can hold an older value
 * as clean once the batch is committed (schedule db-ahead-of-replica).
 */
import type { Effect } from '../storage/memory/effect.ts';
import type { FloorChange } from '../storage/postgres/store.ts';

export type OpOutcome =
  /** In the database (or, for `none`, in the memory of all owners). */
  | { readonly kind: 'done' }
  /** Certainly not done, because a new view came: run it again there. */
  | { readonly kind: 'void' }
  /** Certainly not done: the database refused it, or something it was built on. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** This life of the node ends; nobody here will learn what became of it. */
  | { readonly kind: 'unknown' };

export const DONE: OpOutcome = { kind: 'done' };
export const VOID: OpOutcome = { kind: 'void' };

/**
 * A key of a numbered database, as text for maps. Unambiguous: only ids of other databases, and of
 * keys that themselves begin with a zero byte, begin with a zero byte.
 */
export function keyId(db: number, key: string): string {
  return db === 0 && key.charCodeAt(0) !== 0 ? key : `\0${db}\0${key}`;
}

export class Op {
  /** Counts up over the life of the process; the `dirty` mark of the entries it changed. */
  readonly no: number;
  readonly epoch: number;
  /** Changes of keys this node is primary of: go to the owners, and to the database if persistent. */
  readonly effects: readonly Effect[];
  /** Changes of keys of other primaries (a transaction over several owners): go to the database only. */
  readonly foreign: readonly Effect[];
  readonly floors: readonly FloorChange[];
  /** Every key the command named (ids), to find what was built on a failed operation. */
  readonly touched: readonly string[];
  /** Something of it goes to the database. */
  readonly persistent: boolean;
  /** Confirmations and earlier operations it still waits for before it may enter the lane. */
  remaining = 0;
  /** It waits, or waited, for operations of other replica sets: later ones on its slots wait for it. */
  chained = false;
  /** Entered the lane (or, with nothing for the database, finished). */
  entered = false;
  finished = false;
  /** Stays unfinished after its confirmation until `Engine.finishHeld`; `onConfirmed` is told then. */
  held = false;
  onConfirmed: (() => void) | null = null;
  dependents: Op[] | null = null;
  /** How often the database could not take it, alone in a batch. */
  postponed = 0;
  /** Called once. Null once the client's time was up. */
  #settle: ((outcome: OpOutcome) => void) | null;
  /** Replies that read what this operation wrote. */
  #watchers: ((outcome: OpOutcome) => void)[] | null = null;
  /** Monotonic milliseconds after which its client gets "outcome unknown". */
  readonly deadlineMs: number;
  #onOverdue: (() => void) | null;
  readonly #onLate: ((outcome: OpOutcome) => void) | null;

  constructor(fields: {
    no: number;
    epoch: number;
    effects: readonly Effect[];
    foreign?: readonly Effect[];
    floors?: readonly FloorChange[];
    touched: readonly string[];
    persistent: boolean;
    deadlineMs: number;
    settle: (outcome: OpOutcome) => void;
    onOverdue?: () => void;
    onLate?: (outcome: OpOutcome) => void;
  }) {
    this.no = fields.no;
    this.epoch = fields.epoch;
    this.effects = fields.effects;
    this.foreign = fields.foreign ?? [];
    this.floors = fields.floors ?? [];
    this.touched = fields.touched;
    this.persistent = fields.persistent;
    this.deadlineMs = fields.deadlineMs;
    this.#settle = fields.settle;
    this.#onOverdue = fields.onOverdue ?? null;
    this.#onLate = fields.onLate ?? null;
  }

  /** Calls `watcher` when the operation is finished, in the order of the calls. */
  watch(watcher: (outcome: OpOutcome) => void): void {
    (this.#watchers ??= []).push(watcher);
  }

  /** Tells everybody; the second call does nothing. */
  finish(outcome: OpOutcome): void {
    if (this.finished) return;
    this.finished = true;
    this.#settle?.(outcome);
    this.#settle = null;
    this.#onOverdue = null;
    const watchers = this.#watchers;
    this.#watchers = null;
    if (watchers !== null) for (const watcher of watchers) watcher(outcome);
  }

  /** The client's time is up; the operation itself goes on. */
  overdue(): void {
    const tell = this.#onOverdue;
    if (tell === null) return;
    this.#onOverdue = null;
    this.#settle = this.#onLate;
    tell();
  }
}
