/**
 * The participant's side of transactions: keys of this primary that are reserved for a command which
 * some primary leads (`transaction.ts`).
 *
 *     asked ─▶ in the queues of its keys ─▶ loaded and settled ─▶ marked on all owners ─▶ lent
 *                                                                    apply / release ─▶ over
 *
 * - From the request on, later commands on the keys wait (`gates.ts`). It is granted when nothing under
 *   way concerns the keys any more (schedule hold-on-uncommitted), so what is lent is committed.
 * - Then the keys are *marked* on all other owners and learners: from there on nobody but this node
 *   answers for them. That comes before the leader runs anything, so before its batch can commit; so no
 *   owner answers the old value after the commit (half-a-transaction). A hold of a command that only
 *   reads is not marked: nothing changes, and the others may go on answering.
 * - What is lent must be what the table has at that moment. Marking takes a round trip in which a key
 *   may be evicted, or a remembered absence end: then it is loaded again before it is lent.
 * - A participant never gives up by itself, since it cannot know whether the leader has committed. The
 *   leader ends a hold by applying its changes or releasing it; a new view ends all holds, and then the
 *   keys are dropped here and on all owners and read again from the table (hold-outlives-view).
 */
import type { Effect } from '../storage/memory/effect.ts';
import type { Keyspace } from '../storage/memory/keyspace.ts';
import { ReplyError } from '../errors.ts';
import type { Engine } from './engine.ts';
import { Hold } from './gates.ts';
import type { Lease } from './lease.ts';
import { keyId, type Op } from './op.ts';
import type { KeyPlace } from './places.ts';
import { CallFailed, Method, type Rpc } from './rpc.ts';
import { slotOf } from './slot.ts';
import type { SlotTable } from './slots.ts';

export interface HoldsEnv {
  readonly keyspace: Keyspace;
  readonly slots: SlotTable;
  readonly lease: Lease;
  readonly engine: Engine;
  readonly rpc: Rpc;
  epoch(): number;
}

/** What a participant hands over for one key: its value, and the version a change of it shall bear. */
export interface Lent {
  readonly db: number;
  readonly key: string;
  readonly value: string | null;
  readonly expiresAtMs: number;
  readonly epoch: number;
  readonly seq: number;
}

export interface HoldRequest {
  /** Of the leader's life; no two requests have the same. */
  readonly id: string;
  /** Epoch of the leader: the hold counts in that view only. */
  readonly epoch: number;
  /** The command does not look at the old values: they are neither loaded nor lent. */
  readonly blind: boolean;
  /** The command may change the keys: the other owners must stop answering for them. */
  readonly writes: boolean;
  readonly keys: readonly { readonly db: number; readonly key: string }[];
}

export interface ApplyRequest {
  readonly id: string;
  readonly epoch: number;
  readonly effects: readonly Effect[];
}

/** Keys and values that one hold may lend, bytes: they travel in one answer, as JSON. */
export const LENT_BYTES_MAX = 64 * 1024 * 1024;

interface Granted {
  readonly hold: Hold;
  readonly places: readonly KeyPlace[];
  readonly blind: boolean;
  /** The other owners need no marks: the leader's effects mark them, or nothing is going to change. */
  readonly unmarked: boolean;
  /** The marks on the other owners; null until they are asked for. */
  marks: Op | null;
  /** All owners have confirmed the marks. */
  marked: boolean;
  resolve(lent: Lent[]): void;
  reject(error: Error): void;
}

export class Holds {
  readonly #env: HoldsEnv;
  readonly #holds = new Map<string, Granted>();

  constructor(env: HoldsEnv) {
    this.#env = env;
    env.rpc.handle(Method.Hold, (_from, body) => this.request(body as HoldRequest, false));
    env.rpc.handle(Method.Apply, (_from, body) => this.#apply(body as ApplyRequest));
    env.rpc.handle(Method.Release, (_from, body) => this.release((body as { id: string }).id));
  }

  /** Holds that are asked for or granted here. */
  get count(): number {
    return this.#holds.size;
  }

  /**
   * Resolves when the keys are settled, marked on all owners, and nobody else's. `own`: the leader is this
   * node; its effects go to all owners before the commit like any write's, and mark the keys there, and
   * it reads the values from memory itself: nothing is lent. Rejects with a CallFailed when this node is
   * not the keys' active primary in the request's view or that view ends first, with a ReplyError when
   * a key cannot be loaded or there is too much to lend. Either way no hold is left.
   */
  request(request: HoldRequest, own: boolean): Promise<Lent[]> {
    const { slots, lease, engine } = this.#env;
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
        blind: request.blind,
        unmarked: own || !request.writes,
        marks: null,
        marked: false,
        hold: new Hold(ids, () => this.#onTurn(request.id, granted, own)),
        resolve,
        reject,
      };
      granted.hold.onDropped = () => reject(new CallFailed('a new view came', false));
      this.#holds.set(request.id, granted);
      engine.flushes.whenNone(() => {
        // The leader has given up, or a new view has come, while a flush went on.
        if (this.#holds.get(request.id) !== granted) {
          return reject(new CallFailed('the hold is not wanted any more', false));
        }
        engine.gates.acquire(granted.hold);
      });
    });
  }

  /**
   * Its turn on all keys. A load that is under way brings nothing any more: what it found in the legacy source
   * would be written by this node behind the leader's back, and over what that commits. A command that
   * looks at the old values joins such a load instead, and waits for it.
   */
  #onTurn(id: string, granted: Granted, own: boolean): void {
    const { loader } = this.#env.engine;
    if (granted.blind) for (const { db, key } of granted.places) loader.override(db, key);
    this.#prepare(id, granted, own);
  }

  /** The keys are ours: load what is missing, wait for what is under way, mark them everywhere, lend them. */
  #prepare(id: string, granted: Granted, own: boolean): void {
    const { engine } = this.#env;
    if (granted.hold.released) return;
    const again = (): void => this.#prepare(id, granted, own);
    const missing = granted.blind
      ? []
      : granted.places.filter(({ slot, db, key }) => engine.loader.isMissing(slot, db, key));
    if (missing.length > 0) {
      return engine.loadAll(missing, (error) => {
        if (error === null) again();
        else this.#refuse(id, granted, error);
      });
    }
    const unsettled = engine.operations.unsettledAt(granted.places);
    if (unsettled !== undefined) return unsettled.watch(again);
    // Only now: a load or a failed write before this could have taken the marks away again.
    if (!granted.unmarked && granted.marks === null) return this.#mark(granted, again);
    if (own) return granted.resolve([]);
    const bytes = granted.blind ? 0 : this.#bytesOf(granted.places);
    if (bytes <= LENT_BYTES_MAX) return granted.resolve(this.#lend(granted));
    const text = `one command may read at most ${LENT_BYTES_MAX} bytes of one other node; nothing was changed`;
    this.#refuse(id, granted, new ReplyError('ERR', text));
  }

  #refuse(id: string, granted: Granted, error: Error): void {
    this.release(id);
    granted.reject(error);
  }

  #mark(granted: Granted, then: () => void): void {
    granted.marks = this.#env.engine.operations.begin({
      effects: [],
      notices: granted.places.map((place) => ({ kind: 'mark' as const, ...place })),
      touched: [],
      slots: [...new Set(granted.places.map(({ slot }) => slot))],
      deadlineMs: Number.POSITIVE_INFINITY,
      held: true,
      onConfirmed: () => {
        granted.marked = true;
        // Not from within `begin`, which has not returned when there is nobody to wait for.
        if (granted.marks !== null) then();
      },
      settle: (outcome) => {
        if (outcome.kind !== 'done') granted.reject(new CallFailed('a new view came', false));
      },
    });
    if (granted.marked) then();
  }

  #bytesOf(places: readonly KeyPlace[]): number {
    let bytes = 0;
    for (const { slot, db, key } of places) {
      bytes += key.length + (this.#env.keyspace.find(slot, db, key)?.value?.length ?? 0);
    }
    return bytes;
  }

  #lend({ places, blind }: Granted): Lent[] {
    const { keyspace, engine } = this.#env;
    return places.map(({ slot, db, key }) => {
      const entry = blind ? undefined : keyspace.find(slot, db, key);
      const version = engine.operations.nextVersion();
      const [value, expiresAtMs] = [entry?.value ?? null, entry?.expiresAtMs ?? 0];
      return { db, key, value, expiresAtMs, ...version };
    });
  }

  /**
   * The leader's word that its batch is committed: these are the keys' values now. The hold ends at once:
   * the new values are in this node's memory, commands that waited read them here and are answered when
   * all owners have them, and to each owner they travel ahead of the end of the marks. Said again, or
   * after a new view, which dropped the keys, it does nothing.
   */
  #apply({ id, epoch, effects }: ApplyRequest): void {
    const granted = this.#holds.get(id);
    if (granted === undefined || epoch !== this.#env.epoch()) return;
    const { operations, gates } = this.#env.engine;
    this.#holds.delete(id);
    operations.begin({
      effects,
      slots: [...new Set(effects.map(({ slot }) => slot))],
      deadlineMs: Number.POSITIVE_INFINITY,
      toStore: false,
      // The marks end together with this: one watermark does for both.
      settle: () => this.#unmark(granted),
    });
    gates.release(granted.hold);
  }

  /** Ends a hold, granted or not, whose leader has changed nothing. Said again, it does nothing. */
  release(id: string): void {
    const granted = this.#holds.get(id);
    if (granted === undefined) return;
    this.#holds.delete(id);
    this.#unmark(granted);
    this.#env.engine.gates.release(granted.hold);
  }

  #unmark({ marks }: Granted): void {
    if (marks !== null) this.#env.engine.operations.finishHeld(marks);
  }

  /**
   * Keys of a slot that are, or are going to be, marked on its owners. Whoever sends the slot to a learner
   * from the start has to repeat the marks, as the start forgets them.
   */
  markedIn(slot: number): KeyPlace[] {
    const found: KeyPlace[] = [];
    for (const { places, unmarked } of this.#holds.values()) {
      if (!unmarked) for (const place of places) if (place.slot === slot) found.push(place);
    }
    return found;
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

  /** This life of the node is over. */
  stop(): void {
    this.#holds.clear();
  }
}
