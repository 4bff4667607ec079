/**
 * Commands whose keys have several primaries: small transactions with holds.
 *
 * The leader is the primary of the first key. It asks each participating primary, in the order of
 * their ids, for *holds* on all keys there at once; within one view that is one global order, so two
 * transactions can never wait for each other in a circle. A hold is granted when the keys are settled
 * and marked dirty on all their owners: from then on nobody answers for them but the participant, and
 * there every command waits. The leader then runs the command on the values it was handed, and all
 * changes go to the database in one batch of its own lane. After that the participants apply their
 * part and the holds end. So nobody can see one half: before the commit all keys have their old
 * values, and between commit and apply nobody answers for the others' keys.
 *
 * A participant never gives up by itself; a hold ends when the leader says so or a new view comes.
 * Then the keys are dropped and read again from the table. The leader's batch bears the epoch in
 * which it got its holds, so once a new view exists it cannot commit (schedules hold-outlives-view,
 * half-a-transaction, hold-on-uncommitted). What must reach a participant (apply, release) is sent
 * again until it is acknowledged or the view ends.
 */
import type { Platform } from '../platform/platform.ts';
import type { Logger } from '../platform/logger.ts';
import type { Effect } from '../storage/memory/effect.ts';
import type { Keyspace } from '../storage/memory/keyspace.ts';
import type { Member, NodeRef } from '../storage/postgres/store.ts';
import { ReplyError } from '../errors.ts';
import { encodeError } from '../resp/reply.ts';
import { assert, isBrokenInvariant } from './assert.ts';
import type { Engine } from './engine.ts';
import { type KeyPlace, placesOf } from './places.ts';
import { Hold } from './gates.ts';
import { keyId, type Op } from './op.ts';
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
  readonly keyspace: Keyspace;
  readonly slots: SlotTable;
  readonly lease: Lease;
  readonly engine: Engine;
  readonly peers: Peers;
  readonly rpc: Rpc;
  epoch(): number;
}

/** What a participant hands over for one key: its value, and the version a change of it shall bear. */
interface Lent {
  readonly db: number;
  readonly key: string;
  readonly value: string | null;
  readonly expiresAtMs: number;
  readonly epoch: number;
  readonly seq: number;
}

interface HoldRequest {
  readonly id: string;
  /** The command does not look at the old values: they need not be loaded. */
  readonly blind: boolean;
  readonly epoch: number;
  readonly keys: readonly { readonly db: number; readonly key: string }[];
}

/** Transactions led at once; above, commands are refused. */
const LED_MAX = 5_000;
/**
 * Keys and values that one command may change at other primaries, bytes. They are handed out in one
 * question each after the commit, when nothing may be refused any more; as JSON they may grow sixfold.
 */
const FOREIGN_BYTES_MAX = 64 * 1024 * 1024;
const RESEND_MS = 200;

/** A hold at the participant's side. */
interface Granted {
  readonly hold: Hold;
  readonly places: readonly KeyPlace[];
  /**
   * The leader is this node: its effects go to all owners before the commit like any write's, and mark
   * the keys there.
   */
  readonly own: boolean;
  readonly blind: boolean;
  /** The marks on the other owners; null until they are asked for. */
  marks: Op | null;
}

interface Part {
  readonly member: Member;
  readonly places: KeyPlace[];
}

/** A command that has all its holds. */
interface Held {
  readonly id: string;
  readonly epoch: number;
  readonly parts: readonly Part[];
  readonly lent: readonly Lent[];
}

/** What a command that has run comes to: a reply, or changes to commit before the reply is true. */
interface Plan {
  readonly reply: string;
  readonly local: readonly Effect[];
  readonly foreign: readonly Effect[];
}

export class Transactions {
  readonly #env: TransactionEnv;
  readonly #holds = new Map<string, Granted>();
  #led = 0;
  #lastId = 0;
  #stopped = false;

  constructor(env: TransactionEnv) {
    this.#env = env;
    env.rpc.handle(Method.Hold, (_from, body) => this.#onHold(body as HoldRequest));
    env.rpc.handle(Method.Apply, (_from, body) =>
      this.#onApply(body as { id: string; epoch: number; effects: Effect[] }),
    );
    env.rpc.handle(Method.Release, (_from, body) => this.#release((body as { id: string }).id));
  }

  /** Commands that this node leads and has not answered. */
  get led(): number {
    return this.#led;
  }

  // ---------------------------------------------------------------- leader

  /** Leads a command of which this node has the first key. Answers through the task. */
  lead(task: Task): void {
    if (this.#led >= LED_MAX) {
      task.onReply(
        encodeError(
          new ReplyError(
            'BUSY',
            'too many commands over several nodes are under way; nothing was changed',
          ),
        ),
        '',
      );
      return;
    }
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
    const { platform, self } = this.#env;
    const id = `${self.incarnation}:${++this.#lastId}`;
    const epoch = this.#env.epoch();
    const parts = this.#parts(task);
    const asked: Part[] = [];
    const lent: Lent[] = [];
    try {
      for (const part of parts) {
        asked.push(part);
        const keys = part.places.map(({ db, key }) => ({ db, key }));
        const request: HoldRequest = { id, epoch, keys, blind: task.prepared.blind };
        const granted = sameRef(part.member, self)
          ? await this.#onHold(request, true)
          : await this.#env.rpc.call(
              this.#env.peers.get(part.member),
              Method.Hold,
              request,
              task.deadlineMs,
            );
        if (!sameRef(part.member, self)) lent.push(...(granted as Lent[]));
        if (platform.clock.monotonicMs() > task.deadlineMs) {
          throw new ReplyError(
            'NOTDONE',
            'other commands held the keys for too long; nothing was changed',
          );
        }
        if (this.#env.epoch() !== epoch) throw new CallFailed('a new view came', false);
      }
    } catch (error) {
      for (const part of asked) this.#tell(part.member, Method.Release, { id }, epoch);
      throw this.#asRefusal(error);
    }
    this.#execute(task, { id, epoch, parts, lent });
  }

  /** The participants in the global order, each with all its keys. */
  #parts(task: Task): Part[] {
    const parts = new Map<string, Part>();
    const seen = new Set<string>();
    for (const place of placesOf(task.prepared)) {
      const member = this.#env.slots.primaryOf(place.slot);
      if (member === undefined) throw new CallFailed('a slot has no primary', false);
      const id = keyId(place.db, place.key);
      if (seen.has(id)) continue;
      seen.add(id);
      const key = refKey(member);
      const part = parts.get(key);
      if (part === undefined) parts.set(key, { member, places: [place] });
      else part.places.push(place);
    }
    return [...parts.keys()].sort().map((key) => parts.get(key)!);
  }

  /** All holds are there: run, commit, hand out. Nothing in here waits before the batch is queued. */
  #execute(task: Task, held: Held): void {
    const { engine } = this.#env;
    const { id, epoch, parts } = held;
    const release = (): void => {
      for (const part of parts) this.#tell(part.member, Method.Release, { id }, epoch);
    };
    let plan: Plan | null;
    try {
      plan = this.#plan(task, held);
    } catch (error) {
      release();
      throw this.#asRefusal(error);
    }
    if (plan === null) {
      release();
      return task.onNotDone();
    }
    task.executed = true;
    task.onExecuted();
    const { reply, local, foreign } = plan;
    if (local.length + foreign.length === 0) {
      release();
      return task.onReply(reply, '');
    }
    engine.operations.begin({
      effects: local,
      foreign,
      touched: placesOf(task.prepared).map(({ db, key }) => keyId(db, key)),
      slots: [...new Set(local.map(({ slot }) => slot))],
      deadlineMs: task.deadlineMs,
      settle: (result) => {
        if (result.kind === 'done') {
          this.#handOut(held, foreign);
          return task.onReply(reply, '');
        }
        release();
        engine.answerOutcome(task, result);
      },
      onOverdue: () => engine.answerOutcome(task, { kind: 'unknown' }),
      onLate: (result) => (result.kind === 'done' ? this.#handOut(held, foreign) : release()),
    });
  }

  /** Runs the command on what it holds. Null: it cannot run now. Nothing is changed in here. */
  #plan(task: Task, { lent }: Held): Plan | null {
    const { engine, slots, lease } = this.#env;
    const { prepared } = task;
    // Eviction may have taken an own key while the other holds were asked for.
    const own = placesOf(prepared).filter(({ slot }) => slots.isPrimary(slot));
    const gone =
      !prepared.blind && own.some(({ slot, db, key }) => engine.loader.isMissing(slot, db, key));
    if (gone || !lease.valid) return null;
    const set = engine.workingSet(prepared.slot);
    for (const { db, key, value, expiresAtMs } of lent) set.lend(db, key, { value, expiresAtMs });
    const outcome = prepared.run(set);
    const effects = outcome.failed ? [] : set.effects();
    const foreign = effects.filter((effect) => !slots.isPrimary(effect.slot));
    const refusal = effects.length === 0 ? null : this.#refuse(task, effects, foreign);
    if (refusal !== null) return { reply: refusal, local: [], foreign: [] };
    const versions = new Map(lent.map((one) => [keyId(one.db, one.key), one]));
    for (const effect of foreign) {
      const version = versions.get(keyId(effect.db, effect.key));
      assert(version !== undefined, 'a transaction changes a key that nobody handed over');
      effect.epoch = version.epoch;
      effect.seq = version.seq;
    }
    const local = effects.filter((effect) => slots.isPrimary(effect.slot));
    return { reply: outcome.reply, local, foreign };
  }

  /** The error reply for changes that may not be made, or null. */
  #refuse(task: Task, effects: readonly Effect[], foreign: readonly Effect[]): string | null {
    let bytes = 0;
    for (const { key, value } of foreign) bytes += key.length + (value?.length ?? 0);
    if (bytes <= FOREIGN_BYTES_MAX) return this.#env.engine.refuse(task.prepared, effects);
    const text = `one command may change at most ${FOREIGN_BYTES_MAX} bytes on other nodes; nothing was changed`;
    return encodeError(new ReplyError('ERR', text));
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

  /** Committed: every participant applies its part, and its hold ends. */
  #handOut(held: Held, foreign: readonly Effect[]): void {
    for (const { member, places } of held.parts) {
      const ids = new Set(places.map(({ db, key }) => keyId(db, key)));
      const effects = foreign.filter(({ db, key }) => ids.has(keyId(db, key)));
      const { id, epoch } = held;
      if (effects.length === 0) this.#tell(member, Method.Release, { id }, epoch);
      else this.#tell(member, Method.Apply, { id, epoch, effects }, epoch);
    }
  }

  /** Sends until it is acknowledged, or the view in which it means something is over. */
  #tell(
    member: Member,
    method: Method,
    body: { id: string; epoch?: number; effects?: readonly Effect[] },
    epoch: number,
  ): void {
    const { self, peers, rpc, platform } = this.#env;
    if (sameRef(member, self)) {
      this.#release(body.id);
      return;
    }
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

  // ---------------------------------------------------------------- participant

  /** Resolves with the values when the keys are settled, marked on all owners, and nobody else's. */
  #onHold(request: HoldRequest, own = false): Promise<Lent[]> {
    const { slots, lease } = this.#env;
    const places = request.keys.map(({ db, key }) => ({ slot: slotOf(key), db, key }));
    if (
      !lease.valid ||
      request.epoch !== this.#env.epoch() ||
      !places.every(({ slot }) => slots.isActivePrimary(slot))
    ) {
      return Promise.reject(new CallFailed('not the primary of these keys in this view', false));
    }
    return new Promise((resolve, reject) => {
      const ids = places.map(({ db, key }) => keyId(db, key));
      const granted: Granted = {
        places,
        marks: null,
        own,
        blind: request.blind,
        hold: new Hold(ids, () => this.#prepare(request.id, granted, resolve, reject)),
      };
      granted.hold.onDropped = () => reject(new CallFailed('a new view came', false));
      this.#holds.set(request.id, granted);
      this.#env.engine.whenNoFlush(() => {
        // The leader has given up, or a new view has come, while a flush went on.
        if (this.#holds.get(request.id) !== granted) {
          return reject(new CallFailed('the hold is not wanted any more', false));
        }
        this.#env.engine.gates.acquire(granted.hold);
      });
    });
  }

  /** The keys are ours: load what is missing, wait for what is under way, mark them everywhere. */
  #prepare(
    id: string,
    granted: Granted,
    resolve: (lent: Lent[]) => void,
    reject: (error: Error) => void,
  ): void {
    const { engine } = this.#env;
    if (granted.hold.released) return;
    const again = (): void => this.#prepare(id, granted, resolve, reject);
    const missing = granted.blind
      ? []
      : granted.places.filter(({ slot, db, key }) => engine.loader.isMissing(slot, db, key));
    if (missing.length > 0) {
      engine.loadAll(missing, (error) => {
        if (error === null) return again();
        this.#release(id);
        reject(error);
      });
      return;
    }
    const unsettled = engine.operations.unsettledAt(granted.places);
    if (unsettled !== undefined) {
      unsettled.watch(again);
      return;
    }
    if (granted.own) return resolve([]);
    this.#mark(
      granted,
      () => resolve(this.#lend(granted)),
      () => reject(new CallFailed('a new view came', false)),
    );
  }

  #mark(granted: Granted, marked: () => void, ended: () => void): void {
    const notices = granted.places.map(({ slot, db, key }) => ({
      kind: 'mark' as const,
      slot,
      db,
      key,
    }));
    granted.marks = this.#env.engine.operations.begin({
      effects: [],
      notices,
      touched: [],
      slots: [...new Set(granted.places.map(({ slot }) => slot))],
      deadlineMs: Number.POSITIVE_INFINITY,
      held: true,
      onConfirmed: marked,
      settle: (outcome) => {
        if (outcome.kind !== 'done') ended();
      },
    });
  }

  #lend(granted: Granted): Lent[] {
    const { keyspace, engine } = this.#env;
    return granted.places.map(({ slot, db, key }) => {
      const entry = keyspace.find(slot, db, key);
      const version = engine.operations.nextVersion();
      return {
        db,
        key,
        value: entry?.value ?? null,
        expiresAtMs: entry?.expiresAtMs ?? 0,
        ...version,
      };
    });
  }

  /** The leader's word that its batch is committed: these are the keys' values now. */
  #onApply({
    id,
    epoch,
    effects,
  }: {
    id: string;
    epoch: number;
    effects: readonly Effect[];
  }): Promise<void> {
    const granted = this.#holds.get(id);
    // Applied already, or ended by a new view, which dropped the keys.
    if (granted === undefined || epoch !== this.#env.epoch()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#env.engine.operations.begin({
        effects,
        slots: [...new Set(effects.map(({ slot }) => slot))],
        deadlineMs: Number.POSITIVE_INFINITY,
        toStore: false,
        settle: (outcome) => {
          if (outcome.kind === 'done') this.#release(id);
          resolve();
        },
      });
    });
  }

  #release(id: string): void {
    const granted = this.#holds.get(id);
    if (granted === undefined) return;
    this.#holds.delete(id);
    if (granted.marks !== null) this.#env.engine.operations.finishHeld(granted.marks);
    this.#env.engine.gates.release(granted.hold);
  }

  /** A new view: no hold counts any more, and what they held may have changed in the table. */
  endView(): void {
    const { keyspace, slots } = this.#env;
    for (const { hold, places } of this.#holds.values()) {
      if (!hold.granted) continue;
      for (const { slot, db, key } of places) {
        // A `none` key has no row: its copy in memory is all there is.
        if (keyspace.find(slot, db, key)?.persistent !== false) keyspace.remove(slot, db, key);
        // A key that was absent may exist now.
        slots.setComplete(slot, false);
      }
    }
    this.#holds.clear();
  }

  stop(): void {
    this.#stopped = true;
    this.#holds.clear();
  }
}
