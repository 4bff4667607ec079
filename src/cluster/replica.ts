/**
 * The replica's side: applies the effects of primaries to this node's memory, marks the keys dirty
 * until the primary's watermark passes them, and confirms.
 *
 * A clean key here equals the table, because no batch is committed before every owner has confirmed
 * its effects, that is, has marked the keys. A key that is absent or dirty is the primary's business.
 */
import type { Timers } from '../platform/clock.ts';
import type { DirtyMark } from '../storage/memory/entry.ts';
import type { Keyspace } from '../storage/memory/keyspace.ts';
import type { NodeRef } from '../storage/postgres/store.ts';
import { assert } from './assert.ts';
import { Fifo } from './fifo.ts';
import { decodeEffects, type OwnerEffect } from './effects.ts';
import { type FlushPoint, type FlushPoints, type FlushRun, isBehind } from './flush-points.ts';
import type { FrameStream } from './link.ts';
import type { SlotTable } from './slots.ts';
import { refKey, sameRef } from './view.ts';
import { type FrameReader, FrameType } from './wire.ts';

/** Mark of a `none` key whose last change may not be on all owners, kept over a change of view. */
export const UNSETTLED = -1;

interface Place {
  readonly slot: number;
  readonly db: number;
  readonly key: string;
}

/** A key that an effect of a primary has marked. */
interface Marked extends Place {
  readonly seq: number;
  readonly mark: DirtyMark;
  /** Set by a transaction that holds the key at its primary. */
  readonly held: boolean;
}

/** What has come from one primary in the present view. */
class InStream {
  lastSeq = 0;
  readonly marks = new Fifo<Marked>();
  readonly flushes = new Fifo<FlushRun & { readonly seq: number }>();
  ackScheduled = false;
}

export interface ReplicaEnv {
  readonly timers: Timers;
  readonly keyspace: Keyspace;
  readonly slots: SlotTable;
  readonly flushPoints: FlushPoints;
  epoch(): number;
  /** A slot that this node learns has been sent to its end. */
  onFilled(slot: number): void;
  /** Memory has grown: evict if need be. */
  onGrowth(): void;
}

export class Replica {
  readonly #env: ReplicaEnv;
  readonly #streams = new Map<string, InStream>();
  /** `none` keys left unsettled by an earlier view, until the primary has sent its state. */
  readonly #unsettled = new Map<string, Place>();
  #heldKeys = 0;
  /** Slots being filled, with the count of losses when they began. */
  readonly #begun = new Map<number, number>();

  constructor(env: ReplicaEnv) {
    this.#env = env;
  }

  lastSeqFrom(from: NodeRef): number {
    return this.#streams.get(refKey(from))?.lastSeq ?? 0;
  }

  /** A frame of effects of the present view. Throws when the peer breaks the protocol. */
  onEffects(from: NodeRef, frame: FrameReader, answers: () => FrameStream): void {
    const state = this.#stream(from);
    const seq = frame.u53();
    // Sent again after a reconnect although it had arrived.
    if (seq <= state.lastSeq) return this.#acknowledge(from, state, answers);
    assert(seq === state.lastSeq + 1, 'effects are missing from a stream');
    for (const effect of decodeEffects(frame)) {
      const primary = this.#env.slots.primaryOf(effect.slot);
      assert(
        primary !== undefined && sameRef(primary, from),
        'effects from a node that is no primary',
      );
      this.#apply(state, seq, effect);
    }
    state.lastSeq = seq;
    this.#acknowledge(from, state, answers);
    this.#env.onGrowth();
  }

  onWatermark(from: NodeRef, frame: FrameReader): void {
    const state = this.#stream(from);
    const watermark = frame.u53();
    const { keyspace, flushPoints } = this.#env;
    for (let flush = state.flushes.peek(); flush !== null && flush.seq <= watermark; ) {
      state.flushes.shift();
      for (let { slot } = flush; slot <= flush.to; slot++) flushPoints.settle(slot, flush.point);
      flush = state.flushes.peek();
    }
    for (let marked = state.marks.peek(); marked !== null && marked.seq <= watermark; ) {
      state.marks.shift();
      if (marked.held) this.#heldKeys--;
      keyspace.settle(marked.mark, marked.seq);
      marked = state.marks.peek();
    }
  }

  /**
   * A new view: what is not known to be committed goes. `through` keys are dropped, to be read from
   * the table again; `none` keys stay, marked, until the primary has sent its state.
   */
  adopt(): void {
    for (const state of this.#streams.values()) {
      for (const marked of state.marks.takeAll()) this.unsettle(marked, marked.seq);
    }
    this.#streams.clear();
    this.#begun.clear();
    this.#heldKeys = 0;
  }

  /** Keys that transactions hold at their primaries: what they are now is not known here. */
  get heldKeys(): number {
    return this.#heldKeys;
  }

  /** Drops or marks one key that carries the dirty mark `mark`. */
  unsettle({ slot, db, key }: Place, mark: number): void {
    const { keyspace, slots } = this.#env;
    const entry = keyspace.find(slot, db, key);
    if (entry === undefined || entry.dirty !== mark) return;
    if (!entry.persistent) {
      keyspace.mark(slot, db, key, UNSETTLED);
      this.#unsettled.set(`${slot}:${db}:${key}`, { slot, db, key });
      return;
    }
    keyspace.remove(slot, db, key);
    slots.setComplete(slot, false);
    slots.changes[slot]!++;
  }

  /** Unsettled keys of slots for which `isWanted`, for the primary that must settle them. */
  unsettledOf(isWanted: (slot: number) => boolean): Place[] {
    const found: Place[] = [];
    for (const [id, place] of this.#unsettled) {
      const entry = this.#env.keyspace.find(place.slot, place.db, place.key);
      if (entry?.dirty !== UNSETTLED) this.#unsettled.delete(id);
      else if (isWanted(place.slot)) found.push(place);
    }
    return found;
  }

  #stream(from: NodeRef): InStream {
    const key = refKey(from);
    let state = this.#streams.get(key);
    if (state === undefined) this.#streams.set(key, (state = new InStream()));
    return state;
  }

  #acknowledge(from: NodeRef, state: InStream, answers: () => FrameStream): void {
    if (state.ackScheduled) return;
    state.ackScheduled = true;
    this.#env.timers.turnEnd(() => {
      state.ackScheduled = false;
      // A number of an older view must not be taken for one of the present view's stream.
      const stream = answers();
      if (stream.closed || this.#streams.get(refKey(from)) !== state) return;
      stream.begin(FrameType.EffectsAck).u53(state.lastSeq);
      stream.end();
    });
  }

  #apply(state: InStream, seq: number, effect: OwnerEffect): void {
    const { keyspace, slots } = this.#env;
    if (effect.kind === 'begin') return this.#begin(effect.slot, effect.point);
    if (effect.kind === 'flush') {
      for (let slot = effect.slot; slot <= effect.to; slot++) this.#flush(slot, effect.point);
      state.flushes.push({ ...effect, seq });
      return;
    }
    if (effect.kind === 'filled') {
      for (let slot = effect.slot; slot <= effect.to; slot++) this.#filled(slot, effect.complete);
      return;
    }
    const { slot, db, key } = effect;
    switch (effect.kind) {
      case 'put':
      case 'delete': {
        const mark = keyspace.change(effect, seq);
        state.marks.push({ seq, slot, db, key, mark, held: false });
        return;
      }
      case 'expire': {
        const mark = keyspace.changeExpiry(effect, seq);
        // Not held in full here: it stays absent, and the primary is asked.
        if (mark !== null) state.marks.push({ seq, slot, db, key, mark, held: false });
        return;
      }
      case 'fill': {
        if (!effect.dirty) return keyspace.load(effect);
        const mark = keyspace.change(effect, seq);
        state.marks.push({ seq, slot, db, key, mark, held: false });
        return;
      }
      case 'mark': {
        const mark = keyspace.mark(slot, db, key, seq);
        this.#heldKeys++;
        state.marks.push({ seq, slot, db, key, mark, held: true });
        return;
      }
      case 'drop':
        keyspace.remove(slot, db, key);
        slots.setComplete(slot, false);
        slots.changes[slot]!++;
    }
  }

  #begin(slot: number, point: FlushPoint | null): void {
    this.#env.keyspace.clearSlot(slot, null);
    this.#env.flushPoints.inherit(slot, point);
    this.#emptied(slot, null);
  }

  #flush(slot: number, point: FlushPoint): void {
    const { keyspace, flushPoints } = this.#env;
    const isNews = isBehind(flushPoints.of(slot), point);
    // Nothing here is younger than what its primary does now, and the quick way is for large flushes.
    if (isNews && point.epoch === this.#env.epoch()) keyspace.clearSlot(slot, point.db);
    else keyspace.clearSlotUpTo(slot, point.db, point);
    if (isNews) flushPoints.reach(slot, point);
    this.#emptied(slot, point.db);
  }

  /** From here on the slot holds what the primary sends. A flush may fail yet: it is complete only after `filled`. */
  #emptied(slot: number, db: number | null): void {
    const { slots } = this.#env;
    slots.changes[slot]!++;
    slots.setComplete(slot, false);
    if (db === null) this.#begun.set(slot, slots.losses[slot]!);
  }

  /** The primary has sent all it has. Complete only if nothing was evicted here since it began. */
  #filled(slot: number, complete: boolean): void {
    const { slots } = this.#env;
    slots.setComplete(slot, complete && this.#begun.get(slot) === slots.losses[slot]);
    this.#begun.delete(slot);
    this.#env.onFilled(slot);
  }
}
