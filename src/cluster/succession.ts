/**
 * `none` writes that were under way when their slot got another primary by plan.
 *
 * The next primary's copy wins on all owners (`Operations.settle`), and whether it has the write is a
 * matter of microseconds: the effect arrived before it adopted the view, or not. The old primary alone
 * cannot know, and "outcome unknown" would be a failed request in a change that nobody should notice. So
 * it asks: the next primary compares versions, and answers when its copy is on all owners and the slot is
 * active, so that nobody answers with an older one any more. *Has it*: done.
 * *Has not*: the write is nowhere any more, so it is not done, and its coordinator sends it again.
 *
 * Why the answer is true: the question travels before the old primary's confirmation on the same stream,
 * and the slot is not active before that. So nothing has run on it since, the version found is the last
 * one of the old view that arrived, and settling keeps versions (those of deletions, which leave no entry,
 * are remembered until then). Where the slot is active already (the old
 * primary was silent for a lease) the next one has gone on without it, and the outcome stays unknown.
 */
import type { Clock } from '../platform/clock.ts';
import type { Keyspace } from '../storage/memory/keyspace.ts';
import type { NodeRef } from '../storage/postgres/store.ts';
import { DONE, keyId, type Op, type OpOutcome, VOID } from './op.ts';
import type { Operations } from './operations.ts';
import type { KeyPlace } from './places.ts';
import type { Peers } from './peers.ts';
import { Method, type Rpc } from './rpc.ts';
import type { SlotTable } from './slots.ts';
import { refKey } from './view.ts';

export interface SuccessionEnv {
  readonly clock: Clock;
  readonly keyspace: Keyspace;
  readonly slots: SlotTable;
  readonly operations: Operations;
  readonly peers: Peers;
  readonly rpc: Rpc;
  readonly requestTimeoutMs: number;
}

/** One key as a write left it. */
interface Left {
  readonly slot: number;
  readonly db: number;
  readonly key: string;
  readonly epoch: number;
  readonly seq: number;
}

type Verdict = 'done' | 'void' | 'unknown';

const UNKNOWN: OpOutcome = { kind: 'unknown' };
const OUTCOMES: Readonly<Record<Verdict, OpOutcome>> = { done: DONE, void: VOID, unknown: UNKNOWN };

/** On all owners of the present view; the answer waits until nobody can hold the slots under an older one. */
interface Settled {
  readonly slots: readonly number[];
  readonly verdicts: readonly Verdict[];
  readonly resolve: (verdicts: readonly Verdict[]) => void;
}

export class Succession {
  readonly #env: SuccessionEnv;
  #settled: Settled[] = [];
  /** Deletions that arrived under an older view, while their slots are not active: settling leaves no entry. */
  readonly #deleted = new Map<string, Left>();

  constructor(env: SuccessionEnv) {
    this.#env = env;
    env.rpc.handle(Method.Inherit, (_from, body) => this.#judge(body as Left[][]));
  }

  /** To be called when a view begins, before keys that this node has unsettled, as their primary, are settled. */
  inherit(places: readonly KeyPlace[]): void {
    const { keyspace } = this.#env;
    for (const { slot, db, key } of places) {
      const entry = keyspace.find(slot, db, key);
      if (entry?.value !== null) continue;
      const { epoch, seq } = entry;
      this.#deleted.set(keyId(db, key), { slot, db, key, epoch, seq });
    }
  }

  /** Finishes operations on `none` keys whose primary this node was. To be called before it confirms the view. */
  ask(ops: readonly Op[]): void {
    const heirs = new Map<string, { heir: NodeRef; ops: Op[] }>();
    for (const op of ops) {
      const heir = this.#heirOf(op);
      if (heir === undefined) {
        op.finish(UNKNOWN);
        continue;
      }
      const group = heirs.get(refKey(heir)) ?? { heir, ops: [] };
      heirs.set(refKey(heir), group);
      group.ops.push(op);
    }
    for (const group of heirs.values()) void this.#askOne(group.heir, group.ops);
  }

  /** The next primary, if there is one for all the operation's keys. */
  #heirOf({ effects }: Op): NodeRef | undefined {
    const heirs = effects.map(({ slot }) => this.#env.slots.primaryOf(slot));
    const [first] = heirs;
    return heirs.every((heir) => heir === first) ? first : undefined;
  }

  async #askOne(heir: NodeRef, ops: readonly Op[]): Promise<void> {
    const { rpc, peers, clock, requestTimeoutMs } = this.#env;
    const question: Left[][] = ops.map(({ effects }) =>
      effects.map(({ slot, db, key, epoch, seq }) => ({ slot, db, key, epoch, seq })),
    );
    const deadlineMs = clock.monotonicMs() + requestTimeoutMs;
    let verdicts: readonly Verdict[] = [];
    try {
      verdicts = (await rpc.call(
        peers.get(heir),
        Method.Inherit,
        question,
        deadlineMs,
      )) as Verdict[];
    } catch {
      // Lost, or in another view by now: what became of them is not known, which is what they are told.
    }
    ops.forEach((op, i) => op.finish(OUTCOMES[verdicts[i] ?? 'unknown']));
  }

  /** The next primary's answer, one verdict an operation, given when its copy is on all owners. */
  #judge(question: readonly Left[][]): Promise<readonly Verdict[]> | Verdict[] {
    const verdicts = question.map((left) => this.#verdict(left));
    const known = question.filter((_, i) => verdicts[i] !== 'unknown').flat();
    if (known.length === 0) return verdicts;
    return new Promise((resolve) => {
      const slots = [...new Set(known.map(({ slot }) => slot))];
      this.#env.operations.settle(known, ({ kind }) => {
        if (kind !== 'done') return resolve(verdicts.map(() => 'unknown'));
        this.#settled.push({ slots, verdicts, resolve });
        this.onActive();
      });
    });
  }

  /** Slots may have become active, or this node is their primary no more: what is answered now? */
  onActive(): void {
    this.#forgetDeleted();
    const settled = this.#settled;
    this.#settled = [];
    for (const answer of settled) {
      const { slots, verdicts, resolve } = answer;
      if (slots.every((slot) => this.#env.slots.isActivePrimary(slot))) resolve(verdicts);
      else if (slots.every((slot) => this.#env.slots.isPrimary(slot))) this.#settled.push(answer);
      else resolve(verdicts.map(() => 'unknown'));
    }
  }

  /** Nobody is answered about a slot that this node is not the primary of, or acts on already. */
  #forgetDeleted(): void {
    const { slots } = this.#env;
    for (const [id, { slot }] of this.#deleted) {
      if (!slots.isPrimary(slot) || slots.isActivePrimary(slot)) this.#deleted.delete(id);
    }
  }

  #verdict(left: readonly Left[]): Verdict {
    const { slots } = this.#env;
    const mayJudge = left.every(
      ({ slot }) => slots.isPrimary(slot) && !slots.isActivePrimary(slot),
    );
    if (!mayJudge) return 'unknown';
    const there = left.filter((place) => this.#has(place)).length;
    if (there === left.length) return 'done';
    return there === 0 ? 'void' : 'unknown';
  }

  #has({ slot, db, key, epoch, seq }: Left): boolean {
    const last = this.#env.keyspace.find(slot, db, key) ?? this.#deleted.get(keyId(db, key));
    if (last === undefined) return false;
    return last.epoch > epoch || (last.epoch === epoch && last.seq >= seq);
  }
}
