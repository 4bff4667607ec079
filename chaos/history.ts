/**
 * What the clients of a run asked and were told, what was broken meanwhile, which node served as primary
 * when, and what was found at the end. Checkers and the report read nothing else, so a run that is kept
 * in a file (`history-file.ts`) can be judged again.
 *
 * All moments are milliseconds on one monotonic axis: that of the process that drives the clients, or the
 * simulator's virtual time. They may have fractions. Two events of the same moment count as concurrent,
 * so a coarse clock makes the checkers miss violations and never invent one.
 */

import type { Verdict } from './checkers/checker.ts';

/** A reply without its wire form: a status is its text, a missing value null. Bytes are binary strings. */
export type ReplyValue = string | number | null | readonly ReplyValue[];

/**
 * `ok`: there was a reply that is no error. `refused`: certainly not done, now or later. `unknown`: it may
 * take effect at any time after it was sent, also long after its client gave up, or never.
 */
export type Outcome = 'ok' | 'refused' | 'unknown';

export interface Operation {
  /** The workload that sent it: says which checkers judge it. */
  readonly workload: string;
  readonly client: string;
  /** The node it was sent to. */
  readonly node: string;
  /** The command as it was sent, its name in upper case. */
  readonly command: readonly string[];
  readonly startedAtMs: number;
  /** The moment its client knew, or gave up. */
  readonly endedAtMs: number;
  readonly outcome: Outcome;
  /** The reply, or the text of the error. */
  readonly reply: ReplyValue;
}

/** An operation that was sent and is not answered yet. */
export type Sent = Pick<Operation, 'workload' | 'client' | 'command' | 'startedAtMs'>;

const STILL_UNDER_WAY = 'still under way at the end of the run';

/** Something that was broken on purpose, from its beginning until it was mended. */
export interface FaultSpan {
  readonly name: string;
  /** What exactly: the node, the direction of a cut. */
  readonly detail: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

/**
 * A time in which one life of a node would have answered as primary of some slots. It begins when the
 * slots were activated and ends when that node could no longer answer or acknowledge anything for them:
 * it stepped back, its lease ran out, or it was killed.
 */
export interface PrimarySpan {
  readonly node: string;
  readonly incarnation: string;
  readonly epoch: number;
  /** First and last slot, both included. */
  readonly slots: readonly [number, number];
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

/**
 * How far the clocks by which nodes judge times to live were ahead of the history's axis (a number below zero:
 * behind) at some time, of all nodes that could answer.
 */
export interface ClockSpan {
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly lowestMs: number;
  readonly highestMs: number;
}

/** Values by key. Null: looked for and not there. A key that was not looked for is missing. */
export type Values = ReadonlyMap<string, string | null>;

/**
 * Something other than a client's command that changed keys, or may have: what was there before the run, an
 * operator's FLUSHALL, the loss of all owners of a key that lives in memory only, a database that lacks its
 * newest commits. It changes all its keys at one moment.
 */
export interface KeyEvent {
  /** What happened, in a few words. */
  readonly why: string;
  /** What the keys are then; null: gone. */
  readonly values: Values;
  /** When the time of those is over that have one, by the nodes' clocks. */
  readonly expiresAtMs?: ReadonlyMap<string, number>;
  readonly startedAtMs: number;
  /** Infinity: it happens at any time from its start on, or never. */
  readonly endedAtMs: number;
}

/** What was found after the clients had stopped and the cluster was whole again. */
export interface EndState {
  /** `after the faults`, `after a cold start`. */
  readonly when: string;
  /** From the first look to the last one. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** By node: what it answered to a GET of every key, asked alone. */
  readonly answers: ReadonlyMap<string, Values>;
  /**
   * By node: the keys that it owns and holds clean, taken from its memory; the values of keys that it knows
   * to be absent are null. Empty where nobody can look into a node.
   */
  readonly memory: ReadonlyMap<string, Values>;
  /** The rows of `kv_store`; keys without a row are null. Keys that live in memory only are not looked for. */
  readonly table: Values;
}

/** What a run is called and how it was set up (its seed, number of nodes, ...), for whoever repeats it. */
export interface RunInfo {
  readonly title: string;
  readonly settings: Readonly<Record<string, string>>;
}

/** Sees every record of a run when it is made; writes it to a file, for example. */
export type HistorySink = (record: HistoryRecord) => void;

export type HistoryRecord =
  | { readonly kind: 'run'; readonly run: RunInfo }
  | { readonly kind: 'operation'; readonly operation: Operation }
  | { readonly kind: 'fault'; readonly fault: FaultSpan }
  | { readonly kind: 'primary'; readonly primary: PrimarySpan }
  | { readonly kind: 'event'; readonly event: KeyEvent }
  | { readonly kind: 'clocks'; readonly clocks: ClockSpan }
  | { readonly kind: 'end'; readonly end: EndState }
  | { readonly kind: 'verdict'; readonly verdict: Verdict };

export class History {
  readonly run: RunInfo;
  /** In the order in which they ended. */
  readonly operations: Operation[] = [];
  readonly faults: FaultSpan[] = [];
  readonly primaries: PrimarySpan[] = [];
  readonly events: KeyEvent[] = [];
  /** One after the other, by time; none: nobody recorded them. */
  readonly clocks: ClockSpan[] = [];
  /** In the order in which they were read; none for a run that did not come to its end. */
  readonly ends: EndState[] = [];
  /** What the run found by looking itself, so that nobody can judge it again from the records. */
  readonly verdicts: Verdict[] = [];
  readonly #sink: HistorySink | undefined;
  readonly #keepsOperations: boolean;
  readonly #open = new Set<Sent>();

  /**
   * `sink` gets every record, the run's description first. Of a long run, whose operations are millions, it may be
   * the only one that does: without `keepsOperations` none stays here.
   */
  constructor(run: RunInfo, sink?: HistorySink, { keepsOperations = true } = {}) {
    this.run = run;
    this.#sink = sink;
    this.#keepsOperations = keepsOperations;
    sink?.({ kind: 'run', run });
  }

  add(operation: Operation): void {
    if (this.#keepsOperations) this.operations.push(operation);
    this.#sink?.({ kind: 'operation', operation });
  }

  /** An operation whose answer is still to come; `answered` must be given the very same object. */
  sent(operation: Sent): void {
    this.#open.add(operation);
  }

  /** Adds an operation that was sent. One that was given up before keeps its unknown outcome. */
  answered(
    operation: Sent,
    answer: Pick<Operation, 'node' | 'endedAtMs' | 'outcome' | 'reply'>,
  ): void {
    if (this.#open.delete(operation)) this.add({ ...operation, ...answer });
  }

  /** For a run that ends while clients wait: what is still under way has an unknown outcome. */
  giveUp(endedAtMs: number): void {
    for (const operation of this.#open) {
      this.answered(operation, { node: '', endedAtMs, outcome: 'unknown', reply: STILL_UNDER_WAY });
    }
  }

  addFault(fault: FaultSpan): void {
    this.faults.push(fault);
    this.#sink?.({ kind: 'fault', fault });
  }

  addPrimary(primary: PrimarySpan): void {
    this.primaries.push(primary);
    this.#sink?.({ kind: 'primary', primary });
  }

  addEvent(event: KeyEvent): void {
    this.events.push(event);
    this.#sink?.({ kind: 'event', event });
  }

  addClocks(clocks: ClockSpan): void {
    this.clocks.push(clocks);
    this.#sink?.({ kind: 'clocks', clocks });
  }

  addEnd(end: EndState): void {
    this.ends.push(end);
    this.#sink?.({ kind: 'end', end });
  }

  addVerdict(verdict: Verdict): void {
    this.verdicts.push(verdict);
    this.#sink?.({ kind: 'verdict', verdict });
  }

  /** The same run with the operations of these workloads only. */
  of(workloads: ReadonlySet<string>): History {
    const part = new History(this.run);
    for (const operation of this.operations) {
      if (workloads.has(operation.workload)) part.operations.push(operation);
    }
    part.faults.push(...this.faults);
    part.primaries.push(...this.primaries);
    part.events.push(...this.events);
    part.clocks.push(...this.clocks);
    part.ends.push(...this.ends);
    part.verdicts.push(...this.verdicts);
    return part;
  }

  count(outcome: Outcome): number {
    return this.operations.filter((operation) => operation.outcome === outcome).length;
  }

  /** The longest time between two acknowledged operations of all clients together, milliseconds. */
  longestPauseMs(): number {
    const ends = this.operations
      .filter(({ outcome }) => outcome === 'ok')
      .map(({ endedAtMs }) => endedAtMs)
      .sort((a, b) => a - b);
    let longest = 0;
    for (let i = 1; i < ends.length; i++) longest = Math.max(longest, ends[i]! - ends[i - 1]!);
    return longest;
  }
}
