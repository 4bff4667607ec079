/**
 * Is there an order of the operations on one object, compatible with real time, in which every reply is the
 * one that the model gives? (Wing and Gong 1993; Lowe, "Testing for linearizability", 2017.)
 *
 * The search goes through the moments at which required operations ended, in order, and places an operation
 * only when it must have happened by then ("just in time"). What it has decided so far is a *configuration*: at
 * which ending it is, the state, which of the operations that are still under way are placed already, and
 * which optional ones (unknown outcome) are used. The past beyond that does not matter, so a configuration is
 * looked at once. Between two operations that do not overlap, nothing is under way and a configuration is no
 * more than a state: what happened before such a quiescent moment is never looked at again from after it.
 *
 * Four rules keep the number of configurations small; each leaves out only what another one covers:
 * - An operation that changed nothing (a read; SETNX answered with 0) is placed in the first state that fits its
 *   reply: the rest of any solution goes on from there as it would without it.
 * - A configuration is left out when one with the same state and placed operations has used a subset of its
 *   optional operations: that one can do all that this one can.
 * - Of equal optional operations the one that was sent first is used first: all of them stay open for ever.
 * - The deepest configuration is gone on with first, in order of what it used: with a right history, that is
 *   one step per operation.
 */
import type { ReplyValue } from '../../history.ts';
import { type Model, sameReply } from './model.ts';

/** An operation that must have taken effect between its beginning and its end, with this reply. */
export interface Required {
  readonly command: readonly string[];
  readonly reply: ReplyValue;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

/** An operation that takes effect at some moment after its beginning, or never. */
export interface Optional {
  readonly command: readonly string[];
  readonly startedAtMs: number;
}

export interface Problem {
  /** By `endedAtMs`. */
  readonly required: readonly Required[];
  /** By `startedAtMs`. */
  readonly optional: readonly Optional[];
}

/** Where a search may begin: nothing is under way, these optional operations (bits, by position) are used. */
export interface Start<State> {
  readonly state: State;
  readonly used: bigint;
}

export type Result<State> =
  | { readonly kind: 'linearizable' }
  /** The bound on configurations was reached. */
  | { readonly kind: 'undecided'; readonly configurations: number }
  /**
   * No order explains the operations up to the one at position `at` of `required`. All that could have been
   * the case before some earlier ending is known.
   */
  | {
      readonly kind: 'impossible';
      readonly at: number;
      readonly possibleBefore: (ending: number) => Start<State>[];
    };

interface Configuration {
  /** Position in `required` of the ending that comes next. */
  readonly at: number;
  readonly stateId: number;
  /** Lanes of operations that are placed and have not ended. */
  readonly placed: bigint;
  readonly used: bigint;
}

/** Looks at no more than `configurationsMax` configurations, each of some 200 bytes. */
export function search<State>(
  model: Model<State>,
  problem: Problem,
  configurationsMax: number,
  starts: readonly Start<State>[] = [{ state: model.initial, used: 0n }],
): Result<State> {
  return new Search(model, problem, configurationsMax).run(starts);
}

class Search<State> {
  readonly #model: Model<State>;
  readonly #problem: Problem;
  readonly #configurationsMax: number;
  readonly #timeline: Timeline;
  readonly #changesNothing: readonly boolean[];
  readonly #states: State[] = [];
  readonly #stateIds = new Map<string, number>();
  /** By ending, state and placed operations: the sets of used optional operations, none within another. */
  readonly #seen = new Map<string, bigint[]>();
  /** By ending. A configuration first tries the operation that ends next, later all others. */
  readonly #fresh: Queue[] = [];
  readonly #tried: Queue[] = [];
  #configurations = 0;
  #depth = 0;
  #deepest = 0;

  constructor(model: Model<State>, problem: Problem, configurationsMax: number) {
    this.#model = model;
    this.#problem = problem;
    this.#configurationsMax = configurationsMax;
    this.#timeline = new Timeline(problem);
    this.#changesNothing = problem.required.map(({ command, reply }) =>
      model.changesNothing(command, reply),
    );
  }

  run(starts: readonly Start<State>[]): Result<State> {
    for (const { state, used } of starts) this.#enter(0, this.#idOf(state), 0n, used);
    const last = this.#problem.required.length;
    for (;;) {
      if (this.#deepest === last) return { kind: 'linearizable' };
      if (this.#configurations > this.#configurationsMax) {
        return { kind: 'undecided', configurations: this.#configurations };
      }
      const fresh = this.#fresh[this.#depth]?.shift();
      if (fresh !== undefined) {
        this.#tryNextEnding(fresh);
        continue;
      }
      const tried = this.#tried[this.#depth]?.shift();
      if (tried !== undefined) this.#placeOthers(tried);
      else if (this.#depth === 0) break;
      else this.#depth--;
    }
    const possibleBefore = (ending: number): Start<State>[] => this.#possibleBefore(ending);
    return { kind: 'impossible', at: this.#deepest, possibleBefore };
  }

  /** Passes the next ending: its operation is placed already, or is placed now. */
  #tryNextEnding(configuration: Configuration): void {
    const { at, stateId, placed, used } = configuration;
    const lane = this.#timeline.lanes[at]!;
    if ((placed & lane) !== 0n) return this.#enter(at + 1, stateId, placed & ~lane, used);
    if (!this.#changesNothing[at]) {
      const next = this.#stepRequired(stateId, at);
      if (next !== undefined) this.#enter(at + 1, next, placed, used);
    }
    (this.#tried[at] ??= new Queue()).push(configuration);
  }

  /** Something else comes before the operation that ends next. */
  #placeOthers({ at, stateId, placed, used }: Configuration): void {
    for (const other of this.#timeline.underWay[at]!) {
      const lane = this.#timeline.lanes[other]!;
      if (other === at || (placed & lane) !== 0n || this.#changesNothing[other]) continue;
      const next = this.#stepRequired(stateId, other);
      if (next !== undefined) this.#enter(at, next, placed | lane, used);
    }
    const count = this.#timeline.optionalBegun[at]!;
    for (let i = 0; i < count; i++) {
      const bit = 1n << BigInt(i);
      if ((used & bit) !== 0n) continue;
      const equal = this.#timeline.equalBefore[i]!;
      if (equal >= 0 && (used & (1n << BigInt(equal))) === 0n) continue;
      const next = this.#stepOptional(stateId, i);
      if (next !== undefined) this.#enter(at, next, placed, used | bit);
    }
  }

  #enter(at: number, stateId: number, placedBefore: bigint, used: bigint): void {
    const placed = placedBefore | this.#readsThatFit(at, stateId, placedBefore);
    if (!this.#isNew(at, stateId, placed, used)) return;
    this.#configurations++;
    (this.#fresh[at] ??= new Queue()).push({ at, stateId, placed, used });
    this.#depth = Math.max(this.#depth, at);
    this.#deepest = Math.max(this.#deepest, at);
  }

  #readsThatFit(at: number, stateId: number, placed: bigint): bigint {
    let found = 0n;
    for (const other of this.#timeline.underWay[at] ?? []) {
      if (!this.#changesNothing[other] || (placed & this.#timeline.lanes[other]!) !== 0n) continue;
      if (this.#stepRequired(stateId, other) !== undefined) found |= this.#timeline.lanes[other]!;
    }
    return found;
  }

  #isNew(at: number, stateId: number, placed: bigint, used: bigint): boolean {
    const key = `${at} ${stateId} ${placed}`;
    const before = this.#seen.get(key);
    if (before === undefined) {
      this.#seen.set(key, [used]);
      return true;
    }
    if (before.some((smaller) => (smaller & ~used) === 0n)) return false;
    before.push(used);
    return true;
  }

  /** The state after a required operation; undefined when its reply would be another one. */
  #stepRequired(stateId: number, position: number): number | undefined {
    const { command, reply } = this.#problem.required[position]!;
    const step = this.#model.step(this.#states[stateId]!, command);
    if (step === undefined || !sameReply(step.reply, reply)) return undefined;
    return this.#idOf(step.state);
  }

  /** The state after an optional operation; undefined when it would change nothing. */
  #stepOptional(stateId: number, position: number): number | undefined {
    const { command } = this.#problem.optional[position]!;
    const step = this.#model.step(this.#states[stateId]!, command);
    if (step === undefined) return undefined;
    const next = this.#idOf(step.state);
    return next === stateId ? undefined : next;
  }

  #idOf(state: State): number {
    const text = this.#model.id(state);
    const known = this.#stateIds.get(text);
    if (known !== undefined) return known;
    this.#states.push(state);
    this.#stateIds.set(text, this.#states.length - 1);
    return this.#states.length - 1;
  }

  #possibleBefore(ending: number): Start<State>[] {
    const prefix = `${ending} `;
    const starts: Start<State>[] = [];
    for (const [key, sets] of this.#seen) {
      if (!key.startsWith(prefix)) continue;
      const state = this.#states[Number(key.split(' ')[1])]!;
      for (const used of sets) starts.push({ state, used });
    }
    return starts;
  }
}

/** What is under way at each ending, worked out once. */
class Timeline {
  /** By ending: positions of the required operations that have begun by then and have not ended before. */
  readonly underWay: readonly (readonly number[])[];
  /** By required operation: a bit that no operation has that is under way at the same time. */
  readonly lanes: readonly bigint[];
  /** By ending: how many optional operations have begun. */
  readonly optionalBegun: readonly number[];
  /** By optional operation: the last one before it with the same command, or -1. */
  readonly equalBefore: readonly number[];

  constructor({ required, optional }: Problem) {
    const byBegin = required.map((_, i) => i);
    byBegin.sort((a, b) => required[a]!.startedAtMs - required[b]!.startedAtMs);
    const underWay: number[][] = [];
    const lanes: bigint[] = new Array<bigint>(required.length);
    const optionalBegun: number[] = [];
    const free = new Lanes();
    let current: number[] = [];
    let begun = 0;
    let optionals = 0;
    for (let at = 0; at < required.length; at++) {
      const { endedAtMs } = required[at]!;
      // Beginnings of the same moment count as before the ending: concurrent.
      while (begun < byBegin.length && required[byBegin[begun]!]!.startedAtMs <= endedAtMs) {
        const position = byBegin[begun++]!;
        lanes[position] = free.take();
        current.push(position);
      }
      while (optionals < optional.length && optional[optionals]!.startedAtMs <= endedAtMs) {
        optionals++;
      }
      underWay.push(current);
      optionalBegun.push(optionals);
      free.giveBack(lanes[at]!);
      current = current.filter((position) => position !== at);
    }
    this.underWay = underWay;
    this.lanes = lanes;
    this.optionalBegun = optionalBegun;
    this.equalBefore = equalBefore(optional);
  }
}

function equalBefore(optional: readonly Optional[]): number[] {
  const last = new Map<string, number>();
  return optional.map(({ command }, i) => {
    const text = JSON.stringify(command);
    const before = last.get(text) ?? -1;
    last.set(text, i);
    return before;
  });
}

/** Bits, the lowest free one first. */
class Lanes {
  readonly #free: bigint[] = [];
  #next = 1n;

  take(): bigint {
    const lane = this.#free.pop();
    if (lane !== undefined) return lane;
    const fresh = this.#next;
    this.#next <<= 1n;
    return fresh;
  }

  giveBack(lane: bigint): void {
    this.#free.push(lane);
  }
}

/** First in, first out, in constant time. */
class Queue {
  #items: (Configuration | undefined)[] = [];
  #head = 0;

  push(configuration: Configuration): void {
    this.#items.push(configuration);
  }

  shift(): Configuration | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    }
    return item;
  }
}
