/**
 * The operations of a primary: from the effects of a command to their commit.
 *
 * Effects are applied to memory, sent to the other owners and learners and, once all have confirmed,
 * given to the lane; a commit makes their keys clean, a refusal drops them everywhere, a new view voids
 * what is not in a committed batch. The order within a slot is kept from the first step to the last.
 */
import type { Platform } from '../platform/platform.ts';
import type { Logger } from '../platform/logger.ts';
import type { Effect } from '../storage/memory/effect.ts';
import type { DirtyMark } from '../storage/memory/entry.ts';
import type { Keyspace } from '../storage/memory/keyspace.ts';
import type { Member, NodeRef, Row } from '../storage/postgres/store.ts';
import { assert } from './assert.ts';
import { encodeEffects, type Fill, type OwnerEffect, slotRuns } from './effects.ts';
import { type KeyPlace, placesOf } from './places.ts';
import type { Prepared } from './execute.ts';
import type { FlushPoints } from './flush-points.ts';
import type { Lane } from './lane.ts';
import type { Loader } from './loader.ts';
import { ChangeOp, type ChangeRequest, DONE, type Op, type OpOutcome, VOID } from './op.ts';
import { Numbered } from './numbered.ts';
import { OutStream } from './out-stream.ts';
import type { Peers } from './peers.ts';
import { type Replica, UNSETTLED } from './replica.ts';
import { SLOT_COUNT } from './slot.ts';
import type { SlotTable } from './slots.ts';
import type { Succession } from './succession.ts';
import { type Group, hasRef, refKey, sameRef } from './view.ts';

export interface OperationsEnv {
  readonly platform: Platform;
  readonly log: Logger;
  readonly self: NodeRef;
  readonly keyspace: Keyspace;
  readonly slots: SlotTable;
  readonly flushPoints: FlushPoints;
  readonly replica: Replica;
  epoch(): number;
}

const NO_NOTICES: readonly OwnerEffect[] = [];

export class Operations {
  readonly #env: OperationsEnv;
  /** Set once by the assembly, which needs this to make them. */
  lane!: Lane;
  loader!: Loader;
  peers!: Peers;
  succession!: Succession;
  /** Told of every change while a scan of the table runs: see `warm-up.ts`. */
  onChange: ((slot: number, db: number, key: string) => void) | null = null;
  readonly #pending = new Numbered<Op>();
  /** Operations of earlier views that are in a batch whose fate is not known yet. */
  readonly #undecided = new Set<Op>();
  /** On all owners of this view, but the slots are not active yet. */
  #inactive: Op[] = [];
  /** While a view is adopted: operations that it ends, to be told when the new one stands. */
  #ending: Op[] | null = null;
  #lastOpNo = 0;
  #seq = 0;
  /** Last operation of each slot, to keep the order of a slot among different sets of owners. */
  #slotOps: (Op | null)[] = new Array<Op | null>(SLOT_COUNT).fill(null);
  readonly #streams = new Map<string, OutStream>();
  #targets = new Map<Group, readonly OutStream[]>();
  /** The same by slot, filled as slots are written: this is asked several times a write. */
  #slotTargets = new Array<readonly OutStream[] | null>(SLOT_COUNT).fill(null);
  #watermarksDue = false;

  constructor(env: OperationsEnv) {
    this.#env = env;
  }

  /** Operations that are not settled. */
  pendingOps(): Iterable<Op> {
    return this.#pending.values();
  }

  /** Operations that are not in the lane yet. */
  get confirmingCount(): number {
    return this.#pending.size - this.lane.length - this.lane.underWay;
  }

  /** Operations begun in this life, settled or not. */
  get begunCount(): number {
    return this.#lastOpNo;
  }

  get pendingCount(): number {
    return this.#pending.size + this.#undecided.size + this.#inactive.length;
  }

  /** Begins a change that is not (only) one client's write. */
  begin(request: ChangeRequest): Op {
    const op = new ChangeOp(request);
    const slots = request.slots ?? slotsOf(request.effects);
    this.launch(op, slots, request.notices ?? NO_NOTICES, request.toStore !== false);
    return op;
  }

  /**
   * Applies effects to memory, sends them to the other owners and, once confirmed, to the lane.
   * `slots`: all slots it read or wrote (its order counts in all of them); null: that of its effects.
   */
  launch(
    op: Op,
    slots: readonly number[] | null,
    notices: readonly OwnerEffect[],
    toStore: boolean,
  ): void {
    op.no = ++this.#lastOpNo;
    op.epoch = this.#env.epoch();
    op.persistent = toStore && goesToStore(op);
    this.#pending.add(op.no, op);
    for (const effect of op.effects) op.marks.push(this.#apply(op, effect, toStore));
    if (slots === null) this.#follow(op, op.effects[0]!.slot, false);
    else this.#order(op, slots);
    this.#replicate(op, notices);
    if (op.remaining === 0) this.#enter(op);
  }

  /** A held operation's time is over: its marks go. */
  finishHeld(op: Op): void {
    op.held = false;
    if (op.entered) this.#complete(op);
  }

  /** The next version of a key of this node: epochs first, then a counter. */
  nextVersion(): { epoch: number; seq: number } {
    return { epoch: this.#env.epoch(), seq: ++this.#seq };
  }

  /** Returns the mark of the key, or null when this node does not hold it. */
  #apply(op: Op, effect: Effect, stamp: boolean): DirtyMark | null {
    const { keyspace, slots } = this.#env;
    const { slot, db, key } = effect;
    if (stamp) {
      effect.epoch = op.epoch;
      effect.seq = ++this.#seq;
    }
    slots.writes[slot]!++;
    this.loader.override(db, key);
    if (this.onChange !== null) this.onChange(slot, db, key);
    return effect.kind === 'expire'
      ? keyspace.changeExpiry(effect, op.no)
      : keyspace.change(effect, op.no);
  }

  /**
   * Within one slot, confirmations come in the order of the operations, as all go to the same owners
   * over first-in-first-out links. An operation on several slots can be confirmed later than one that
   * came after it on one of them; so what follows it waits for it, and what follows that.
   */
  #order(op: Op, slots: readonly number[]): void {
    const several = slots.length > 1;
    for (const slot of slots) this.#follow(op, slot, several);
    if (several) op.chained = true;
  }

  #follow(op: Op, slot: number, several: boolean): void {
    const before = this.#slotOps[slot]!;
    if (before !== null && !before.entered && (several || before.chained)) {
      op.remaining++;
      (before.dependents ??= []).push(op);
      op.chained = true;
    }
    this.#slotOps[slot] = op;
  }

  #replicate(op: Op, notices: readonly OwnerEffect[]): void {
    const all: readonly OwnerEffect[] =
      notices.length === 0 ? op.effects : [...op.effects, ...notices];
    if (all.length === 0) return;
    const first = this.#targetsOf(all[0]!.slot);
    if (all.length === 1 || all.every(({ slot }) => this.#targetsOf(slot) === first)) {
      if (first.length > 0) this.#sendTo(first, op, all);
      return;
    }
    const parts = new Map<OutStream, OwnerEffect[]>();
    for (const effect of all) {
      for (const stream of this.#targetsOf(effect.slot)) {
        const part = parts.get(stream);
        if (part === undefined) parts.set(stream, [effect]);
        else part.push(effect);
      }
    }
    for (const [stream, part] of parts) this.#sendTo([stream], op, part);
  }

  /** What the other owners are told of the last flushes of these slots, which ascend. */
  flushNotices(slots: readonly number[]): OwnerEffect[] {
    const { flushPoints } = this.#env;
    const runs = slotRuns(
      slots,
      (a, b) => this.#goAlike(a, b) && flushPoints.of(a) === flushPoints.of(b),
    );
    return runs.map(({ slot, to }) => {
      return { kind: 'flush', slot, to, point: flushPoints.of(slot)! };
    });
  }

  /** Both slots' effects go to the same nodes. */
  #goAlike(a: number, b: number): boolean {
    return this.#targetsOf(a) === this.#targetsOf(b);
  }

  #sendTo(streams: readonly OutStream[], op: Op, effects: readonly OwnerEffect[]): void {
    const payload = encodeEffects(effects);
    op.remaining += streams.length;
    for (const stream of streams) stream.send(op, payload);
  }

  #onConfirmed = (op: Op): void => {
    if (--op.remaining === 0) this.#enter(op);
  };

  /** All owners have it, and all that must come before it is on its way. */
  #enter(op: Op): void {
    if (op.entered) return;
    op.entered = true;
    // One that failed meanwhile has nothing to bring in; what must come after it waited for its turn.
    if (!op.finished) {
      if (op.persistent) this.lane.enqueue(op);
      else if (!op.held) this.#complete(op);
      else op.onConfirmed();
    }
    const { dependents } = op;
    op.dependents = null;
    if (dependents !== null) for (const next of dependents) this.#onConfirmed(next);
  }

  /** In the database, or nothing of it goes there: its keys are clean, its replies true. */
  #complete(op: Op): void {
    if (op.finished) return;
    const current = this.#pending.delete(op.no);
    if (!current) this.#undecided.delete(op);
    if (current) {
      this.#clean(op);
      this.#moveWatermarks();
    }
    op.finish(DONE);
  }

  /** What it changed, and nobody after it, equals the table now. */
  #clean(op: Op): void {
    const { keyspace } = this.#env;
    for (let i = 0; i < op.effects.length; i++) {
      const { slot } = op.effects[i]!;
      if (this.#slotOps[slot] === op) this.#slotOps[slot] = null;
      const mark = op.marks[i]!;
      if (mark !== null) keyspace.settle(mark, op.no);
    }
  }

  /** Something was settled: the streams' watermarks may move, at the end of this turn. */
  #moveWatermarks(): void {
    if (this.#watermarksDue) return;
    this.#watermarksDue = true;
    this.#env.platform.timers.turnEnd(() => {
      this.#watermarksDue = false;
      for (const stream of this.#streams.values()) stream.advance();
    });
  }

  /** The lane's word: committed. */
  onCommitted(op: Op): void {
    this.#complete(op);
  }

  /** The lane's word: certainly not committed, and its view is over. */
  onVoid(op: Op): void {
    this.#pending.delete(op.no);
    this.#undecided.delete(op);
    if (this.#ending === null) op.finish(VOID);
    else this.#ending.push(op);
  }

  /** The lane's word: the database refused it. It fails, and so does all that was built on it. */
  onRejected(failed: Op, reason: string): void {
    const bad = new Set<string>(failed.touched());
    const doomed: Op[] = [failed];
    for (const op of this.#pending.values()) {
      if (op.no <= failed.no || op.effects.length + op.foreign.length === 0) continue;
      const touched = op.touched();
      if (!touched.some((id) => bad.has(id))) continue;
      doomed.push(op);
      for (const id of touched) bad.add(id);
    }
    this.#env.log.error({ reason, operations: doomed.length }, 'the database refused a write');
    const places = doomed.flatMap((op) => op.effects);
    for (const op of doomed) this.#pending.delete(op.no);
    this.dropEverywhere(places);
    for (const op of doomed) op.finish({ kind: 'failed', reason });
    this.#moveWatermarks();
  }

  /** Memory and database may differ here: forget these keys on all owners, so that they are read again. */
  dropEverywhere(places: readonly KeyPlace[]): void {
    if (places.length === 0) return;
    const notices: OwnerEffect[] = [];
    for (const { slot, db, key } of places) {
      this.#dropHere(slot, db, key);
      notices.push({ kind: 'drop', slot, db, key });
    }
    const slots = [...new Set(places.map(({ slot }) => slot))];
    this.begin({ effects: [], notices, slots, touched: [], deadlineMs: Infinity, settle: nothing });
  }

  #dropHere(slot: number, db: number, key: string): void {
    const { keyspace, slots } = this.#env;
    keyspace.remove(slot, db, key);
    slots.setComplete(slot, false);
    slots.changes[slot]!++;
  }

  /**
   * Sends this node's state of `none` keys to all owners, so that all have the same for ever. It is no
   * change, so the versions stay (`succession.ts` compares them).
   */
  settle(places: readonly KeyPlace[], then: (outcome: OpOutcome) => void = nothing): void {
    const effects: Effect[] = [];
    for (const { slot, db, key } of places) {
      const entry = this.#env.keyspace.find(slot, db, key);
      const value = entry?.value ?? null;
      const expiresAtMs = value === null ? 0 : entry!.expiresAtMs;
      const kind = value === null ? 'delete' : 'put';
      const { epoch = 0, seq = 0 } = entry ?? {};
      const place = { slot, db, key, epoch, seq };
      effects.push({ kind, ...place, value, expiresAtMs, persistent: false });
    }
    const slots = [...new Set(effects.map(({ slot }) => slot))];
    this.begin({ effects, slots, deadlineMs: Infinity, toStore: false, settle: then });
  }

  /** A change that no client asked for: expiry, eviction of a `none` key, a value from the legacy source. */
  change(effect: Omit<Effect, 'epoch' | 'seq'>): void {
    const effects = [{ ...effect, epoch: 0, seq: 0 }];
    this.begin({ effects, deadlineMs: Infinity, settle: nothing });
  }

  /** After a flush of all databases: whatever these slots have, memory has; here and on the other owners. */
  declareEmptied(mine: readonly number[]): void {
    for (const slot of mine) this.#env.slots.setComplete(slot, true);
    const alike = (a: number, b: number): boolean => this.#goAlike(a, b);
    const notices = slotRuns(mine, alike).map(({ slot, to }) => {
      return { kind: 'filled' as const, slot, to, complete: true };
    });
    this.begin({
      effects: [],
      notices,
      slots: mine,
      touched: [],
      deadlineMs: Infinity,
      settle: nothing,
    });
  }

  // ---------------------------------------------------------------- what others depend on

  /** Operations that the command's keys still depend on, or null. */
  unsettledOps(p: Prepared): Op[] | null {
    if (p.keys.length === 1 && p.refs === undefined) {
      const op = this.#unsettledOp(p.slot, p.db, p.keys[0]!);
      return op === null ? null : [op];
    }
    const found = new Set<Op>();
    for (const { slot, db, key } of placesOf(p)) {
      const op = this.#unsettledOp(slot, db, key);
      if (op !== null) found.add(op);
    }
    return found.size === 0 ? null : [...found];
  }

  /** An operation that one of these keys still depends on, if there is any. */
  unsettledAt(places: readonly KeyPlace[]): Op | undefined {
    for (const { slot, db, key } of places) {
      const op = this.#unsettledOp(slot, db, key);
      if (op !== null) return op;
    }
    return undefined;
  }

  #unsettledOp(slot: number, db: number, key: string): Op | null {
    const entry = this.#env.keyspace.find(slot, db, key);
    if (entry === undefined || entry.dirty === 0) return null;
    if (entry.dirty === UNSETTLED) {
      this.settle([{ slot, db, key }]);
      // Without other owners it is settled at once.
      return this.#unsettledOp(slot, db, key);
    }
    const op = this.#pending.get(entry.dirty);
    assert(op !== undefined, 'a key is dirty and nothing is under way for it');
    return op;
  }

  /** Committed rows came into this node's memory from the database: the other owners get them too. */
  fill(rows: readonly Row[]): void {
    const parts = new Map<OutStream, OwnerEffect[]>();
    for (const { slot, db, key, value, expiresAtMs, epoch, seq } of rows) {
      const marks = { persistent: true, dirty: false };
      const effect: Fill = {
        kind: 'fill',
        slot,
        db,
        key,
        value,
        expiresAtMs,
        epoch,
        seq,
        ...marks,
      };
      for (const stream of this.#targetsOf(slot)) {
        // A fill is only a help: a link that has enough to do, or is down, is spared.
        if (stream.congested || stream.peer?.up !== true) continue;
        const part = parts.get(stream);
        if (part === undefined) parts.set(stream, [effect]);
        else part.push(effect);
      }
    }
    for (const [stream, part] of parts) stream.send(null, encodeEffects(part));
  }

  // ---------------------------------------------------------------- streams

  /** The stream to a member, if it gets effects of this node. */
  stream(ref: NodeRef): OutStream | undefined {
    return this.#streams.get(refKey(ref));
  }

  streamTo(member: Member): OutStream {
    const key = refKey(member);
    let stream = this.#streams.get(key);
    if (stream === undefined) {
      stream = new OutStream(this.#env.platform.timers, this.#onConfirmed);
      stream.peer = this.peers.get(member) ?? null;
      this.#streams.set(key, stream);
    }
    return stream;
  }

  #targetsOf(slot: number): readonly OutStream[] {
    return (this.#slotTargets[slot] ??= this.#targetsOfGroup(slot));
  }

  #targetsOfGroup(slot: number): readonly OutStream[] {
    const group = this.#env.slots.group(slot);
    let targets = this.#targets.get(group);
    if (targets === undefined) {
      const others = [...group.owners, ...group.learners].filter(
        (m) => !sameRef(m, this.#env.self),
      );
      assert(!hasRef(others, this.#env.self), 'a node replicates to itself');
      targets = others.map((member) => this.streamTo(member));
      this.#targets.set(group, targets);
    }
    return targets;
  }

  /** Too much waits for some other owner of the slot: a write must be refused. */
  isCongested(slot: number): boolean {
    for (const stream of this.#targetsOf(slot)) if (stream.congested) return true;
    return false;
  }

  // ---------------------------------------------------------------- views and time

  /** A view ends, before the slot table changes. Returns `none` operations that may be finished from memory. */
  endView(): Op[] {
    const ops = [...this.#pending.values()];
    this.#pending.clear();
    this.#ending = [];
    for (const stream of this.#streams.values()) stream.end();
    this.#streams.clear();
    this.#targets = new Map();
    this.#slotTargets.fill(null);
    this.#slotOps.fill(null);
    const unsettled = this.#inactive.filter((op) => !op.finished);
    this.#inactive = [];
    for (const op of ops) {
      for (const effect of op.effects) this.#env.replica.unsettle(effect, op.no);
      for (const slot of op.floors[0]?.slots ?? []) this.#env.slots.setComplete(slot, false);
      if (op.finished) continue;
      if (op.entered && op.persistent) {
        this.#undecided.add(op);
        continue;
      }
      // Only what has no row at all can be finished from memory.
      const memoryOnly = op.effects.length > 0 && op.effects.every((effect) => !effect.persistent);
      if (memoryOnly && op.foreign.length === 0) unsettled.push(op);
      else this.#ending.push(op);
    }
    this.#env.replica.adopt();
    this.lane.adopt();
    return unsettled;
  }

  /** The next view begins, after the slot table has changed. */
  beginView(unsettled: readonly Op[]): void {
    const { slots, replica } = this.#env;
    const moved: Op[] = [];
    for (const op of unsettled) {
      // Its effects are in this node's memory; if this node is still primary they win, and the client
      // is told when all owners have them.
      const still = op.effects.every(({ slot }) => slots.isPrimary(slot));
      if (still) this.settle(op.effects, (outcome) => this.#finishWhenActive(op, outcome));
      else moved.push(op);
    }
    if (moved.length > 0) this.succession.ask(moved);
    this.succession.onActive();
    const own = replica.unsettledOf((slot) => slots.isPrimary(slot));
    this.succession.inherit(own);
    if (own.length > 0) this.settle(own);
    // Only now: whoever is told may come back with the next command at once.
    const ended = this.#ending ?? [];
    this.#ending = null;
    for (const op of ended) op.finish(VOID);
  }

  /** Some slots have become active: what was settled before may be acknowledged. */
  onActive(): void {
    const ops = this.#inactive;
    this.#inactive = [];
    for (const op of ops) this.#finishWhenActive(op, DONE);
    this.succession.onActive();
  }

  /**
   * All owners of the present view have it. One of an older view that has not heard of this one may still
   * answer what was there before, until the slots are active. Where another node is primary by now, it was that one
   * that said so (`succession.ts`), when they were: asked again later, it might have forgotten.
   */
  #finishWhenActive(op: Op, outcome: OpOutcome): void {
    const { slots } = this.#env;
    const isWaiting = op.effects.some(
      ({ slot }) => slots.isPrimary(slot) && !slots.isActivePrimary(slot),
    );
    if (isWaiting && outcome.kind === 'done') this.#inactive.push(op);
    else op.finish(outcome);
  }

  /** Tells clients whose time is up. */
  sweep(nowMs: number): void {
    for (const op of this.#pending.values()) if (op.deadlineMs <= nowMs) op.overdue();
    for (const op of this.#inactive) if (op.deadlineMs <= nowMs) op.overdue();
    for (const op of this.#undecided) if (op.deadlineMs <= nowMs) op.overdue();
  }

  /** This life of the node is over. */
  stop(): void {
    // First: what ends here undecided is not settled, and a watermark over it would make the others keep
    // as clean what the database may never get.
    for (const stream of this.#streams.values()) stream.end();
    for (const op of [...this.#pending.values(), ...this.#undecided, ...this.#inactive])
      op.finish({ kind: 'unknown' });
    this.#inactive = [];
    this.#pending.clear();
    this.#undecided.clear();
  }
}

/** Each slot once: an operation that met itself in a slot would wait for itself. */
function slotsOf(effects: readonly Effect[]): readonly number[] {
  if (effects.length === 1) return [effects[0]!.slot];
  return [...new Set(effects.map(({ slot }) => slot))];
}

function goesToStore({ effects, foreign, floors }: Op): boolean {
  if (floors.length > 0) return true;
  for (const effect of effects) if (effect.persistent) return true;
  for (const effect of foreign) if (effect.persistent) return true;
  return false;
}

function nothing(): void {
  // Nobody waits for this operation.
}
