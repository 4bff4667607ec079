/**
 * What the clients of a run asked and were told, with the moment each request left and the moment its
 * answer was there, and the checks over it.
 *
 * Every key has one writer, which writes 1, 2, 3, …, one after the other. So what anybody may read is
 * known without a search: once a number was acknowledged or read, every read that begins later must
 * see it or a later one. A write whose outcome is unknown may be seen from then on; one that was
 * answered with "nothing was changed" never.
 */

/** `failed`: the answer said that nothing was changed. `unknown`: it may have been, then or later. */
export type Outcome = 'ok' | 'failed' | 'unknown';

export interface Operation {
  readonly client: string;
  /** The node it was sent to. */
  readonly node: string;
  readonly kind: 'set' | 'get' | 'incr';
  readonly key: string;
  /** Written or read; 0: there was no value. What INCR answered. */
  readonly number: number;
  /** Monotonic, milliseconds. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly outcome: Outcome;
  /** The error, where there is one. */
  readonly error: string;
}

/** Codes whose meaning is that nothing was changed (`src/errors.ts`). */
const NOTHING_CHANGED = /^(NOTDONE|STOREDOWN|STOREFAIL|BUSY|LOADING|OOM|LEGACYDOWN) /;
const OUTCOME_UNKNOWN = /^UNKNOWN /;
const SHOWN_MAX = 20;

/** Throws on an error that no client should ever see. */
export function outcomeOf(error: string): Outcome {
  if (NOTHING_CHANGED.test(error)) return 'failed';
  if (OUTCOME_UNKNOWN.test(error)) return 'unknown';
  throw new Error(`an answer that tells nothing about the data: ${error}`);
}

export class Recorder {
  readonly operations: Operation[] = [];

  add(operation: Operation): void {
    this.operations.push(operation);
  }

  count(kind: Operation['kind'], outcome: Outcome): number {
    return this.operations.filter((op) => op.kind === kind && op.outcome === outcome).length;
  }

  /** Error texts and how often each came. */
  errors(): Map<string, number> {
    const found = new Map<string, number>();
    for (const { error } of this.operations) {
      if (error !== '') found.set(error, (found.get(error) ?? 0) + 1);
    }
    return found;
  }

  keys(kind: Operation['kind']): string[] {
    return [...new Set(this.operations.filter((op) => op.kind === kind).map(({ key }) => key))];
  }

  /** Reads of what was older than something already acknowledged or read, or was never written. */
  staleReads(): string[] {
    const found: string[] = [];
    for (const [key, ops] of this.#byKey(['set', 'get'])) {
      const failed = new Set(
        ops
          .filter((op) => op.kind === 'set' && op.outcome === 'failed')
          .map(({ number }) => number),
      );
      const known = new Watermark(ops.filter(({ outcome }) => outcome === 'ok'));
      for (const op of ops) {
        if (op.kind !== 'get' || op.outcome !== 'ok') continue;
        const least = known.before(op.startedAtMs);
        if (least !== undefined && op.number < least.number) {
          found.push(`${key}: ${describe(op)} after ${describe(least)}`);
        }
        if (failed.has(op.number)) found.push(`${key}: ${describe(op)}, which was not written`);
      }
    }
    return found.slice(0, SHOWN_MAX);
  }

  /** Keys that hold something else than their last acknowledged value, or a later unknown one. */
  lostWrites(place: string, values: ReadonlyMap<string, string | null>): string[] {
    const found: string[] = [];
    for (const [key, ops] of this.#byKey(['set'])) {
      const last = ops.findLast(({ outcome }) => outcome === 'ok');
      const right = new Set(
        ops.filter(({ outcome }) => outcome === 'unknown').map(({ number }) => number),
      );
      const least = last?.number ?? 0;
      const number = numberOf(values.get(key) ?? null);
      if (number === least || (number > least && right.has(number))) continue;
      found.push(`${key} in ${place} is ${number}; acknowledged: ${least}`);
    }
    return found.slice(0, SHOWN_MAX);
  }

  /** Counters that are not between what was acknowledged and what was tried; answers out of order. */
  wrongCounters(place: string, values: ReadonlyMap<string, string | null>): string[] {
    const found: string[] = [];
    for (const [key, ops] of this.#byKey(['incr'])) {
      const done = ops.filter(({ outcome }) => outcome === 'ok');
      const unknown = ops.filter(({ outcome }) => outcome === 'unknown').length;
      const number = numberOf(values.get(key) ?? null);
      if (number < done.length || number > done.length + unknown) {
        found.push(
          `${key} in ${place} is ${number}; acknowledged ${done.length}, unknown ${unknown}`,
        );
      }
      if (new Set(done.map((op) => op.number)).size !== done.length)
        found.push(`${key}: an answer came twice`);
      const known = new Watermark(done);
      for (const op of done) {
        const before = known.before(op.startedAtMs);
        if (before !== undefined && before.number >= op.number) {
          found.push(`${key}: ${describe(op)} after ${describe(before)}`);
        }
      }
    }
    return found.slice(0, SHOWN_MAX);
  }

  /**
   * The longest time without an acknowledged write among the clients of these nodes, from `fromMs` on;
   * what is measured is printed, never asserted.
   */
  longestPauseMs(fromMs: number, nodes: readonly string[]): number {
    const ends = this.operations
      .filter(
        (op) =>
          op.kind === 'set' &&
          op.outcome === 'ok' &&
          op.endedAtMs >= fromMs &&
          nodes.includes(op.node),
      )
      .map(({ endedAtMs }) => endedAtMs)
      .sort((a, b) => a - b);
    let longest = 0;
    let last = fromMs;
    for (const end of ends) {
      longest = Math.max(longest, end - last);
      last = end;
    }
    return Math.round(longest);
  }

  #byKey(kinds: readonly Operation['kind'][]): Map<string, Operation[]> {
    const keys = new Map<string, Operation[]>();
    for (const op of this.operations) {
      if (!kinds.includes(op.kind)) continue;
      const list = keys.get(op.key);
      if (list === undefined) keys.set(op.key, [op]);
      else list.push(op);
    }
    return keys;
  }
}

/** The operation with the greatest number among those that had ended at a moment. */
class Watermark {
  readonly #ends: number[] = [];
  readonly #greatest: Operation[] = [];

  constructor(operations: readonly Operation[]) {
    let greatest: Operation | undefined;
    for (const op of [...operations].sort((a, b) => a.endedAtMs - b.endedAtMs)) {
      if (greatest === undefined || op.number > greatest.number) greatest = op;
      this.#ends.push(op.endedAtMs);
      this.#greatest.push(greatest);
    }
  }

  /** Strictly before: two events of one millisecond may have been in either order. */
  before(moment: number): Operation | undefined {
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ends[middle]! < moment) low = middle + 1;
      else high = middle;
    }
    return this.#greatest[low - 1];
  }
}

/** Values may be padded with a colon and anything after it. */
export function numberOf(value: string | null): number {
  if (value === null) return 0;
  return Number(value.split(':', 1)[0]);
}

function describe(op: Operation): string {
  const times = `${op.startedAtMs.toFixed(1)}-${op.endedAtMs.toFixed(1)}`;
  return `${op.kind} ${op.number} by ${op.client} on ${op.node} (${times} ms)`;
}
