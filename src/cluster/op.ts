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
import type { DirtyMark } from '../storage/memory/entry.ts';
import type { FloorChange } from '../storage/postgres/store.ts';
import type { OwnerEffect } from './effects.ts';

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

const NO_EFFECTS: readonly Effect[] = [];
const NO_FLOORS: readonly FloorChange[] = [];

/** One operation. What becomes of it is told to the subclass: a client's write, or an internal change. */
export abstract class Op {
  /** Counts up over the life of the process; the dirty mark of the keys it changed. */
  no = 0;
  epoch = 0;
  /** Changes of keys this node is primary of: go to the owners, and to the database if persistent. */
  readonly effects: readonly Effect[];
  /** Changes of keys of other primaries (a transaction over several owners): go to the database only. */
  foreign: readonly Effect[] = NO_EFFECTS;
  floors: readonly FloorChange[] = NO_FLOORS;
  /** The dirty marks of the keys that the effects changed here, in the same order; null where there is none. */
  readonly marks: (DirtyMark | null)[] = [];
  /** Something of it goes to the database. */
  persistent = false;
  /** Confirmations and earlier operations it still waits for before it may enter the lane. */
  remaining = 0;
  /** It waits, or waited, for operations of other replica sets: later ones on its slots wait for it. */
  chained = false;
  /** Entered the lane (or, with nothing for the database, finished). */
  entered = false;
  finished = false;
  /** Stays unfinished after its confirmation until `Engine.finishHeld`; `onConfirmed` is told then. */
  held = false;
  dependents: Op[] | null = null;
  /** How often the database could not take it, alone in a batch. */
  postponed = 0;
  /** Monotonic milliseconds after which its client gets "outcome unknown". */
  readonly deadlineMs: number;
  #told = false;
  /** Replies that read what this operation wrote. */
  #watchers: ((outcome: OpOutcome) => void)[] | null = null;

  constructor(effects: readonly Effect[], deadlineMs: number) {
    this.effects = effects;
    this.deadlineMs = deadlineMs;
  }

  /** Every key the command named (ids), to find what was built on a failed operation. */
  abstract touched(): readonly string[];
  /** Told once, unless the client's time was up before. */
  protected abstract onOutcome(outcome: OpOutcome): void;
  /** The client's time is up; the operation itself goes on. */
  protected abstract onOverdue(): void;
  /** The outcome, after `onOverdue`. */
  protected onLate(_outcome: OpOutcome): void {
    // Nobody waits any more.
  }
  /** A held operation is confirmed by all owners. */
  onConfirmed(): void {
    // Only holds wait for this.
  }

  /** Calls `watcher` when the operation is finished, in the order of the calls. */
  watch(watcher: (outcome: OpOutcome) => void): void {
    (this.#watchers ??= []).push(watcher);
  }

  /** Tells everybody; the second call does nothing. */
  finish(outcome: OpOutcome): void {
    if (this.finished) return;
    this.finished = true;
    if (this.#told) this.onLate(outcome);
    else this.onOutcome(outcome);
    const watchers = this.#watchers;
    this.#watchers = null;
    if (watchers !== null) for (const watcher of watchers) watcher(outcome);
  }

  overdue(): void {
    if (this.#told) return;
    this.#told = true;
    this.onOverdue();
  }
}

/** What an internal change asks for; see `Engine.begin`. */
export interface ChangeRequest {
  readonly effects: readonly Effect[];
  readonly foreign?: readonly Effect[];
  readonly floors?: readonly FloorChange[];
  /** What owners are told besides the effects. */
  readonly notices?: readonly OwnerEffect[];
  /** Ids of the keys it read or wrote; those of the effects when not given. */
  readonly touched?: readonly string[];
  /** All slots it read or wrote; those of the effects when not given. */
  readonly slots?: readonly number[];
  readonly deadlineMs: number;
  /** False: these changes are in the database already. */
  readonly toStore?: boolean;
  /** It stays unfinished, and its marks stay, until `Engine.finishHeld`. */
  readonly held?: boolean;
  readonly settle: (outcome: OpOutcome) => void;
  readonly onOverdue?: () => void;
  /** The outcome, if `onOverdue` was called before it was known. */
  readonly onLate?: (outcome: OpOutcome) => void;
  readonly onConfirmed?: () => void;
}

/** An operation that no single client waits for, or a part of something larger. */
export class ChangeOp extends Op {
  readonly #request: ChangeRequest;

  constructor(request: ChangeRequest) {
    super(request.effects, request.deadlineMs);
    this.#request = request;
    this.foreign = request.foreign ?? NO_EFFECTS;
    this.floors = request.floors ?? NO_FLOORS;
    this.held = request.held === true;
  }

  override touched(): readonly string[] {
    return this.#request.touched ?? this.effects.map(({ db, key }) => keyId(db, key));
  }

  protected override onOutcome(outcome: OpOutcome): void {
    this.#request.settle(outcome);
  }

  protected override onOverdue(): void {
    this.#request.onOverdue?.();
  }

  protected override onLate(outcome: OpOutcome): void {
    this.#request.onLate?.(outcome);
  }

  override onConfirmed(): void {
    this.#request.onConfirmed?.();
  }
}
