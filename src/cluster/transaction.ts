/**
 * Commands whose keys have several primaries: small transactions, and their leader.
 *
 * The leader is the primary of the first key. It asks the keys' primaries, one after the other, for
 * holds (`holds.ts`), runs the command on the values it was handed, and sends *all* changes to the
 * database in one batch of its own lane. Then the participants apply their part, and the holds end.
 *
 * **Whole or not at all.** PostgreSQL decides, in one transaction. Nobody sees one half: before the
 * commit all keys have their old values; between commit and apply nobody answers for the others' keys,
 * which are held at their primaries and marked elsewhere. The leader's own keys are dirty on all owners
 * before the batch is sent, like those of any write.
 *
 * **No circle.** Participants are asked in the order of their ids, each for all its keys at once, and a
 * hold joins the queues of its node's keys in one instant. So whoever holds something at a node waits
 * only for nodes that come later in that order, or for nothing; at the last of them, holds end by
 * themselves. A flush waits for holds that were granted before it and makes later ones wait, so it
 * takes a place in the queue of its node and fits into the same order. Needing another key (below) means
 * letting go of everything first.
 *
 * **No stale leader.** Its batch bears the epoch in which it got all its holds. A new view takes that
 * epoch away from the lane, so a leader that lost its holds to a new view cannot commit (schedule
 * hold-outlives-view). A leader that is not aware of the new view may still answer a command that changes
 * nothing: what it read stood together when the old view ended, as nothing commits in it afterwards.
 *
 * **What must arrive does.** Apply and release are sent until they are acknowledged or the view ends; and
 * when a view ends, every participant drops what was held and reads it again from the table.
 *
 * **More than one command.** What runs on the held keys is `Prepared.run`, a function of the working set. A
 * block of commands is one that runs them one after the other (`WorkingSet.attempt` undoes one that
 * fails); a script is one that finds out while it runs which keys it needs. The set is confined to what
 * is held: touching another key throws `KeyNotHeld`, nothing has happened yet, all holds are released,
 * and everything starts again with that key among those asked for.
 *
 * Bounds, each with its reply, none of which leaves anything changed: commands led at once, keys held,
 * bytes lent and changed elsewhere, rounds of starting again, and the command's own time.
 */
import type { Platform } from '../platform/platform.ts';
import type { Logger } from '../platform/logger.ts';
import { KeyNotHeld } from '../storage/memory/confined-set.ts';
import type { Effect } from '../storage/memory/effect.ts';
import type { Member, NodeRef } from '../storage/postgres/store.ts';
import { ReplyError } from '../errors.ts';
import { encodeError } from '../resp/reply.ts';
import { assert, isBrokenInvariant } from './assert.ts';
import type { Engine } from './engine.ts';
import type { ApplyRequest, HoldRequest, Holds, Lent } from './holds.ts';
import { type KeyPlace, placesOf } from './places.ts';
import { keyId } from './op.ts';
import type { Lease } from './lease.ts';
import type { Peers } from './peers.ts';
import { CallFailed, Method, type Rpc } from './rpc.ts';
import { slotOf } from './slot.ts';
import type { SlotTable } from './slots.ts';
import type { Task } from './task.ts';
import { refKey, sameRef } from './view.ts';

export interface TransactionEnv {
  readonly platform: Platform;
  readonly log: Logger;
  readonly self: NodeRef;
  readonly slots: SlotTable;
  readonly lease: Lease;
  readonly engine: Engine;
  readonly peers: Peers;
  readonly rpc: Rpc;
  readonly holds: Holds;
  epoch(): number;
}

/** Transactions led at once; above, commands are refused. */
const LED_MAX = 5_000;
/** Keys that one command may hold. */
export const HELD_KEYS_MAX = 50_000;
/** How often one command may start again because it touched a key that it had not named. */
export const ROUNDS_MAX = 16;
/**
 * Keys and values that one command may change at other primaries, bytes. They are handed out in one
 * question each after the commit, when nothing may be refused any more; as JSON they may grow sixfold.
 */
const FOREIGN_BYTES_MAX = 64 * 1024 * 1024;
const RESEND_MS = 200;

const TOO_MANY_LED = encodeError(
  new ReplyError('BUSY', 'too many commands over several nodes are under way; nothing was changed'),
);

interface Part {
  readonly member: Member;
  readonly places: KeyPlace[];
}

/** A command that has all its holds. */
interface Held {
  readonly id: string;
  readonly epoch: number;
  readonly places: readonly KeyPlace[];
  readonly parts: readonly Part[];
  readonly lent: readonly Lent[];
}

/** What running a command on what it holds comes to. Nothing is changed yet. */
type Plan =
  /** Changes to commit before the reply is true; none: it is true now. */
  | {
      readonly kind: 'run';
      readonly reply: string;
      readonly local: readonly Effect[];
      readonly foreign: readonly Effect[];
    }
  /** It needs this key besides. */
  | { readonly kind: 'undeclared'; readonly place: KeyPlace }
  /** Eviction took a key of this node while the other holds were asked for: hold and load it again. */
  | { readonly kind: 'evicted' }
  /** Not here and now: the lease has ended. */
  | { readonly kind: 'refused' };

export class Transactions {
  readonly #env: TransactionEnv;
  #led = 0;
  #lastId = 0;
  #stopped = false;

  constructor(env: TransactionEnv) {
    this.#env = env;
  }

  /** Commands that this node leads and has not answered. */
  get led(): number {
    return this.#led;
  }

  /**
   * Leads a command (a block, a script) of which this node has the first key. Answers through the task: a
   * reply that is committed, an error reply that says that nothing was changed or that the outcome is
   * unknown, or `onNotDone` when a participant is gone or in another view, for another try elsewhere.
   */
  lead(task: Task): void {
    const refusal = this.#led >= LED_MAX ? TOO_MANY_LED : this.#env.engine.hopeless(task.prepared);
    if (refusal !== null) return task.onReply(refusal, '');
    this.#led++;
    this.#run(task)
      .catch((error: unknown) => {
        if (error instanceof ReplyError) return task.onReply(encodeError(error), '');
        // Our own fault, and the holds are released; what is broken must not go on deciding.
        if (!(error instanceof CallFailed)) throw error;
        // A participant is gone or in another view: nothing is committed, try again from the start.
        this.#env.log.debug({ err: error }, 'a command over several nodes has to start again');
        task.onNotDone();
      })
      .finally(() => this.#led--);
  }

  async #run(task: Task): Promise<void> {
    let places = unique(placesOf(task.prepared));
    for (let rounds = 1; ; ) {
      const held = await this.#hold(task, places);
      const plan = this.#plan(task, held);
      if (plan.kind === 'run') return this.#commit(task, held, plan);
      this.#release(held);
      if (plan.kind === 'refused') return task.onNotDone();
      if (plan.kind === 'evicted') continue;
      if (++rounds > ROUNDS_MAX) {
        const text = `the command touched keys that it did not name more than ${ROUNDS_MAX} times; nothing was changed`;
        throw new ReplyError('ERR', text);
      }
      places = [...places, plan.place];
    }
  }

  // ---------------------------------------------------------------- holds

  /** Resolves with all holds, in the present view. When it rejects, none is left and nothing was changed. */
  async #hold(task: Task, places: readonly KeyPlace[]): Promise<Held> {
    if (places.length > HELD_KEYS_MAX) {
      const text = `one command over several nodes may name at most ${HELD_KEYS_MAX} keys; nothing was changed`;
      throw new ReplyError('ERR', text);
    }
    const id = `${this.#env.self.incarnation}:${++this.#lastId}`;
    const epoch = this.#env.epoch();
    const { blind, writes } = task.prepared;
    const asked: Part[] = [];
    const lent: Lent[] = [];
    const { clock } = this.#env.platform;
    try {
      const parts = this.#parts(places);
      for (const part of parts) {
        asked.push(part);
        const keys = part.places.map(({ db, key }) => ({ db, key }));
        const request = { id, epoch, blind, writes, keys };
        for (const one of await this.#ask(part.member, request, task.deadlineMs)) lent.push(one);
        if (clock.monotonicMs() >= task.deadlineMs) throw notHeldInTime();
        if (this.#env.epoch() !== epoch) throw new CallFailed('a new view came', false);
      }
      return { id, epoch, places, parts, lent };
    } catch (error) {
      for (const part of asked) this.#tell(part.member, Method.Release, { id }, epoch);
      // Another try would come too late.
      if (error instanceof CallFailed && clock.monotonicMs() >= task.deadlineMs)
        throw notHeldInTime();
      throw this.#asRefusal(error);
    }
  }

  /** The participants in the global order, each with all its keys. */
  #parts(places: readonly KeyPlace[]): Part[] {
    const parts = new Map<string, Part>();
    for (const place of places) {
      const member = this.#env.slots.primaryOf(place.slot);
      if (member === undefined) throw new CallFailed('a slot has no primary', false);
      const key = refKey(member);
      const part = parts.get(key);
      if (part === undefined) parts.set(key, { member, places: [place] });
      else part.places.push(place);
    }
    return [...parts.keys()].sort().map((key) => parts.get(key)!);
  }

  async #ask(member: Member, request: HoldRequest, deadlineMs: number): Promise<Lent[]> {
    const { self, peers, rpc, holds, platform } = this.#env;
    if (!sameRef(member, self)) {
      return (await rpc.call(peers.get(member), Method.Hold, request, deadlineMs)) as Lent[];
    }
    return new Promise((resolve, reject) => {
      const leftMs = deadlineMs - platform.clock.monotonicMs();
      const timer = platform.timers.after(leftMs, () => reject(notHeldInTime()));
      const granted = holds.request(request, true).finally(() => timer.cancel());
      granted.then(resolve, reject);
    });
  }

  #release({ id, epoch, parts }: Held): void {
    for (const { member } of parts) this.#tell(member, Method.Release, { id }, epoch);
  }

  /**
   * Before anything is begun, whatever goes wrong changes nothing, and the client may be told so. What
   * says that this node cannot be trusted any more stays what it is.
   */
  #asRefusal(error: unknown): unknown {
    if (error instanceof ReplyError || error instanceof CallFailed || isBrokenInvariant(error))
      return error;
    this.#env.log.error({ err: error }, 'a command over several nodes failed in an unexpected way');
    const reason = error instanceof Error ? error.message : String(error);
    return new ReplyError('ERR', `internal error (${reason}); nothing was changed`, {
      cause: error,
    });
  }

  // ---------------------------------------------------------------- run

  /** Runs the command on what it holds; throws, with all holds released, when that goes wrong. */
  #plan(task: Task, held: Held): Plan {
    try {
      return this.#runOn(task, held);
    } catch (error) {
      if (error instanceof KeyNotHeld) {
        const { db, key } = error;
        return { kind: 'undeclared', place: { slot: slotOf(key), db, key } };
      }
      this.#release(held);
      throw this.#asRefusal(error);
    }
  }

  #runOn(task: Task, { places, lent }: Held): Plan {
    const { engine, slots, lease } = this.#env;
    const { prepared } = task;
    if (!lease.valid) return { kind: 'refused' };
    const own = prepared.blind ? [] : places.filter(({ slot }) => slots.isPrimary(slot));
    if (own.some(({ slot, db, key }) => engine.loader.isMissing(slot, db, key)))
      return { kind: 'evicted' };
    const set = engine.confinedSet(places);
    for (const { db, key, value, expiresAtMs } of lent) set.lend(db, key, { value, expiresAtMs });
    const { reply, failed } = prepared.run(set);
    // A read that finds a key expired: true without the removal, which is its primary's business.
    const effects = failed || !prepared.writes ? [] : set.effects();
    const local = effects.filter(({ slot }) => slots.isPrimary(slot));
    const foreign = effects.filter(({ slot }) => !slots.isPrimary(slot));
    const refusal = effects.length === 0 ? null : this.#refuse(task, effects, foreign);
    if (refusal !== null) return { kind: 'run', reply: refusal, local: [], foreign: [] };
    stamp(foreign, lent);
    return { kind: 'run', reply, local, foreign };
  }

  /** The error reply for changes that may not be made, or null. */
  #refuse(task: Task, effects: readonly Effect[], foreign: readonly Effect[]): string | null {
    let bytes = 0;
    for (const { key, value } of foreign) bytes += key.length + (value?.length ?? 0);
    if (bytes <= FOREIGN_BYTES_MAX) return this.#env.engine.refuse(task.prepared, effects);
    const text = `one command may change at most ${FOREIGN_BYTES_MAX} bytes on other nodes; nothing was changed`;
    return encodeError(new ReplyError('ERR', text));
  }

  // ---------------------------------------------------------------- commit

  /** In the same turn as the run, so in the same view: one operation, one batch, then the participants. */
  #commit(task: Task, held: Held, { reply, local, foreign }: Plan & { kind: 'run' }): void {
    const { engine } = this.#env;
    task.executed = true;
    task.onExecuted();
    if (local.length + foreign.length === 0) {
      this.#release(held);
      return task.onReply(reply, '');
    }
    engine.operations.begin({
      effects: local,
      foreign,
      touched: held.places.map(({ db, key }) => keyId(db, key)),
      slots: [...new Set(local.map(({ slot }) => slot))],
      deadlineMs: task.deadlineMs,
      settle: (result) => {
        if (result.kind === 'done') {
          this.#handOut(held, foreign);
          return task.onReply(reply, '');
        }
        this.#release(held);
        engine.answerOutcome(task, result);
      },
      onOverdue: () => engine.answerOutcome(task, { kind: 'unknown' }),
      onLate: ({ kind }) => (kind === 'done' ? this.#handOut(held, foreign) : this.#release(held)),
    });
  }

  /** Committed: every participant applies its part, and its hold ends. */
  #handOut({ id, epoch, parts }: Held, foreign: readonly Effect[]): void {
    for (const { member, places } of parts) {
      const ids = new Set(places.map(({ db, key }) => keyId(db, key)));
      const effects = foreign.filter(({ db, key }) => ids.has(keyId(db, key)));
      if (effects.length === 0) this.#tell(member, Method.Release, { id }, epoch);
      else this.#tell(member, Method.Apply, { id, epoch, effects }, epoch);
    }
  }

  /**
   * Sends until it is acknowledged, or the view in which it means something is over. A stopped node says
   * nothing: it does not know what becomes of its last batch, and a release would be a lie if that commits.
   */
  #tell(member: Member, method: Method, body: ApplyRequest | { id: string }, epoch: number): void {
    const { self, peers, rpc, holds, platform } = this.#env;
    if (sameRef(member, self)) return holds.release(body.id);
    const send = (): void => {
      if (this.#env.epoch() !== epoch || this.#stopped) return;
      const deadline = platform.clock.monotonicMs() + RESEND_MS * 10;
      rpc.call(peers.get(member), method, body, deadline).catch((error: unknown) => {
        this.#env.log.debug({ err: error, method }, 'a participant did not acknowledge');
        platform.timers.after(RESEND_MS, send);
      });
    };
    send();
  }

  /** This life of the node is over. */
  stop(): void {
    this.#stopped = true;
  }
}

/** Changes of other primaries' keys bear the versions that these handed over. */
function stamp(foreign: readonly Effect[], lent: readonly Lent[]): void {
  const versions = new Map(lent.map((one) => [keyId(one.db, one.key), one]));
  for (const effect of foreign) {
    const version = versions.get(keyId(effect.db, effect.key));
    assert(version !== undefined, 'a transaction changes a key that nobody handed over');
    effect.epoch = version.epoch;
    effect.seq = version.seq;
  }
}

/** A command may name a key twice. */
function unique(places: readonly KeyPlace[]): KeyPlace[] {
  return [...new Map(places.map((place) => [keyId(place.db, place.key), place])).values()];
}

function notHeldInTime(): ReplyError {
  return new ReplyError('NOTDONE', 'the keys could not be held in time; nothing was changed');
}
