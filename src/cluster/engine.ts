/**
 * The primary's engine: runs commands on the slots this node is primary of, and settles what they
 * change.
 *
 *     submit ─▶ may it run here? ─▶ gates ─▶ load what is missing ─▶ run ─▶ effects ─▶ owners ─▶ lane
 *                (role, active,                                        └─▶ reply, held until all that
 *                 lease)                                                   it read and wrote is settled
 *
 * Why replies are true:
 * - a write's reply leaves when its batch is committed, and a batch is formed only after every owner
 *   and learner has marked its keys: so it is durable and no owner answers an older value;
 * - a reply that read something uncommitted waits for that (schedules effect-free-reply,
 *   endless-dirty-read): if it fails, the command runs again;
 * - a write built on something uncommitted enters the lane after it, and fails with it
 *   (derived-from-nothing);
 * - a new view voids whatever is not in a committed batch, and the coordinators send it again.
 */
import type { TimerHandle } from '../platform/clock.ts';
import type { Platform } from '../platform/platform.ts';
import type { Logger } from '../platform/logger.ts';
import type { Effect } from '../storage/memory/effect.ts';
import type { Entry } from '../storage/memory/entry.ts';
import type { Keyspace } from '../storage/memory/keyspace.ts';
import { type KeyPolicy, WorkingSet, type WorkingSetEnv } from '../storage/memory/working-set.ts';
import type { FloorChange, Member, NodeRef, Row } from '../storage/postgres/store.ts';
import { ReplyError } from '../errors.ts';
import { encodeError } from '../resp/reply.ts';
import { assert } from './assert.ts';
import { encodeEffects, type Fill, type OwnerEffect, slotRuns } from './effects.ts';
import { MANY_SLOTS, type Prepared } from './execute.ts';
import { Gates } from './gates.ts';
import type { Lane } from './lane.ts';
import type { Lease } from './lease.ts';
import type { Loader } from './loader.ts';
import { ChangeOp, type ChangeRequest, DONE, keyId, Op, type OpOutcome, VOID } from './op.ts';
import { OpTable } from './op-table.ts';
import { OutStream } from './out-stream.ts';
import type { Peers } from './peers.ts';
import { type Replica, UNSETTLED } from './replica.ts';
import { SLOT_COUNT, slotOf } from './slot.ts';
import type { SlotTable } from './slots.ts';
import type { Task } from './task.ts';
import type { ClusterTime } from './time.ts';
import { type Group, hasRef, refKey, sameRef } from './view.ts';

export interface EngineLimits {
  /** Operations under way at once; above, writes are refused. */
  readonly pendingMax: number;
  /** Longest value that is kept, bytes. */
  readonly valueBytesMax: number;
  readonly requestTimeoutMs: number;
}

export interface EngineEnv {
  readonly platform: Platform;
  readonly log: Logger;
  readonly self: NodeRef;
  readonly keyspace: Keyspace;
  readonly slots: SlotTable;
  readonly lease: Lease;
  readonly time: ClusterTime;
  readonly replica: Replica;
  readonly limits: EngineLimits;
  epoch(): number;
  policyOf(key: string): KeyPolicy;
  /** Reads may be answered although the lease has ended: see `outage.ts`. */
  readsWithoutLease(): boolean;
  /** Makes room; false when memory is full and nothing may go. */
  ensureMemory(): boolean;
  /** A command whose keys have several primaries, this node being the first key's. */
  lead(task: Task): void;
}

/** A key with everything needed to find it. */
export interface KeyPlace {
  readonly slot: number;
  readonly db: number;
  readonly key: string;
}

interface WaitingFlush {
  readonly db: number | null;
  readonly deadlineMs: number;
  readonly done: (outcome: OpOutcome) => void;
}

const SWEEP_MS = 50;
/** Rows and bytes that one command may change: a batch must stay well below a lease. */
const EFFECTS_MAX = 20_000;
const EFFECT_BYTES_MAX = 128 * 1024 * 1024;
/** Tasks that wait for activation or a lease, and at gates. */
const PARKED_MAX = 50_000;

const OUTCOME_UNKNOWN = encodeError(
  new ReplyError(
    'UNKNOWN',
    'outcome unknown: the write was not confirmed in time; it may or may not have been applied',
  ),
);
const NOT_DONE_IN_TIME = encodeError(
  new ReplyError('NOTDONE', 'the command could not be run within its time; nothing was changed'),
);
const OUT_OF_MEMORY = encodeError(
  new ReplyError('OOM', "command not allowed when used memory > 'maxmemory'."),
);
const TOO_MUCH_PENDING = encodeError(
  new ReplyError('BUSY', 'too many writes are under way; nothing was changed'),
);
const STORE_DOWN = encodeError(
  new ReplyError('STOREDOWN', 'the database is not reachable; nothing was changed'),
);
const VALUE_TOO_LONG = encodeError(
  new ReplyError(
    'ERR',
    'string exceeds maximum allowed size (value-bytes-max); nothing was changed',
  ),
);

const TOO_MANY_CHANGES = encodeError(
  new ReplyError(
    'ERR',
    `one command may change at most ${EFFECTS_MAX} keys and ${EFFECT_BYTES_MAX} bytes; nothing was changed`,
  ),
);

const NO_NOTICES: readonly OwnerEffect[] = [];

/** One client's write. */
class WriteOp extends Op {
  readonly #engine: Engine;
  readonly #task: Task;
  readonly #reply: string;

  constructor(engine: Engine, task: Task, effects: readonly Effect[], reply: string) {
    super(effects, task.deadlineMs);
    this.#engine = engine;
    this.#task = task;
    this.#reply = reply;
  }

  override touched(): readonly string[] {
    return placesOf(this.#task.prepared).map(({ db, key }) => keyId(db, key));
  }

  protected override onOutcome(outcome: OpOutcome): void {
    if (outcome.kind === 'done') this.#task.onReply(this.#reply, '');
    else this.#engine.answerOutcome(this.#task, outcome);
  }

  protected override onOverdue(): void {
    this.#engine.answerOutcome(this.#task, { kind: 'unknown' });
  }
}

export class Engine {
  readonly #env: EngineEnv;
  readonly #setEnv: WorkingSetEnv;
  readonly gates: Gates;
  /** Set once by the assembly, which needs the engine to make them. */
  lane!: Lane;
  loader!: Loader;
  peers!: Peers;
  /** Told of every change while a scan of the table runs: see `warm-up.ts`. */
  onChange: ((slot: number, db: number, key: string) => void) | null = null;
  readonly #pending = new OpTable();
  /** Operations of earlier views that are in a batch whose fate is not known yet. */
  readonly #undecided = new Set<Op>();
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
  #parked: Task[] = [];
  /** A flush under way: everything else waits for it. */
  #flushing: Op | null = null;
  /** Flushes that wait for another one, or for holds to end. */
  #flushes: WaitingFlush[] = [];
  /** Holds that wait until no flush is wanted any more. */
  #afterFlush: (() => void)[] = [];
  /** No command begins here any more; those under way end. */
  #leaving = false;
  #stopped = false;
  readonly #sweeper: TimerHandle;

  constructor(env: EngineEnv) {
    this.#env = env;
    this.#setEnv = { keyspace: env.keyspace, slotOf, policyOf: (key) => env.policyOf(key) };
    this.gates = new Gates(
      (task) => this.submit(task),
      () => this.#beginFlush(),
    );
    this.#sweeper = env.platform.timers.every(SWEEP_MS, () => this.#sweep());
  }

  /** Operations that are not settled. */
  pendingOps(): Iterable<Op> {
    return this.#pending.values();
  }

  /** Operations that are not in the lane yet. */
  get confirmingCount(): number {
    return this.#pending.size - this.lane.length - this.lane.underWay;
  }

  get pendingCount(): number {
    return this.#pending.size + this.#undecided.size;
  }

  /** Everything a command runs against; also for reads that a replica answers itself. */
  workingSet(slot: number): WorkingSet {
    return new WorkingSet(this.#setEnv, this.#env.time.nowMs(), slot);
  }

  /** Takes a command for keys whose primary this node should be. Answers through the task, maybe at once. */
  submit(task: Task): void {
    const p = task.prepared;
    if (this.#stopped || this.#leaving) return task.onNotDone();
    const epoch = this.#env.epoch();
    if (task.epoch === 0) task.epoch = epoch;
    else if (task.epoch !== epoch) return task.onNotDone();
    if (!this.#isMine(p)) {
      if (p.slot === MANY_SLOTS && this.#env.slots.isPrimary(slotOf(p.keys[0]!)))
        return this.#env.lead(task);
      return task.onNotDone();
    }
    if (!this.#mayRun(p)) return this.#park(task);
    if (!this.gates.empty && this.#waitsAtGate(task)) return;
    if (!p.blind && this.#waitsForLoad(task)) return;
    this.#run(task);
  }

  /** Something that parked tasks wait for may have come: a lease, an activation, the end of a flush. */
  retryParked(): void {
    if (this.#parked.length === 0) return;
    const tasks = this.#parked;
    this.#parked = [];
    for (const task of tasks) this.submit(task);
  }

  // ---------------------------------------------------------------- may it run

  #isMine(p: Prepared): boolean {
    const { slots } = this.#env;
    if (p.slot !== MANY_SLOTS) return slots.isPrimary(p.slot);
    return p.keys.every((key) => slots.isPrimary(slotOf(key)));
  }

  #mayRun(p: Prepared): boolean {
    const { slots, lease } = this.#env;
    if (this.#flushing !== null) return false;
    if (!lease.valid && (p.writes || !this.#env.readsWithoutLease())) return false;
    if (p.slot !== MANY_SLOTS) return slots.isActivePrimary(p.slot);
    return p.keys.every((key) => slots.isActivePrimary(slotOf(key)));
  }

  #park(task: Task): void {
    if (this.#parked.length + this.gates.parked >= PARKED_MAX)
      return task.onReply(TOO_MUCH_PENDING, '');
    // Nothing can be written while the database is away: say so now rather than at the deadline.
    if (
      task.prepared.writes &&
      this.lane.down &&
      !this.#env.lease.valid &&
      this.#isPersistent(task.prepared)
    ) {
      return task.onReply(STORE_DOWN, '');
    }
    this.#parked.push(task);
  }

  #waitsAtGate(task: Task): boolean {
    for (const { db, key } of placesOf(task.prepared)) {
      const id = keyId(db, key);
      if (!this.gates.blocks(id)) continue;
      if (this.#parked.length + this.gates.parked >= PARKED_MAX) task.onReply(TOO_MUCH_PENDING, '');
      else this.gates.park(id, task);
      return true;
    }
    return false;
  }

  #waitsForLoad(task: Task): boolean {
    const p = task.prepared;
    if (p.keys.length === 1 && p.refs === undefined) {
      // The fast case: one key, in memory.
      if (!this.loader.isMissing(p.slot, p.db, p.keys[0]!)) return false;
    }
    const missing = placesOf(p).filter(({ slot, db, key }) => this.loader.isMissing(slot, db, key));
    if (missing.length === 0) return false;
    if (this.#env.platform.clock.monotonicMs() > task.deadlineMs) {
      task.onReply(NOT_DONE_IN_TIME, '');
      return true;
    }
    this.loadAll(missing, (error) => {
      if (error === null) this.submit(task);
      else task.onReply(encodeError(error), '');
    });
    return true;
  }

  /** Calls back once when all of them are in memory or known to be absent, or one could not be read. */
  loadAll(places: readonly KeyPlace[], done: (error: ReplyError | null) => void): void {
    let left = places.length;
    let failure: ReplyError | null = null;
    for (const { slot, db, key } of places) {
      this.loader.load(slot, db, key, (error) => {
        failure ??= error;
        if (--left === 0) done(failure);
      });
    }
  }

  // ---------------------------------------------------------------- run

  #run(task: Task): void {
    const p = task.prepared;
    if (this.#env.platform.clock.monotonicMs() > task.deadlineMs)
      return task.onReply(NOT_DONE_IN_TIME, '');
    const set = this.workingSet(p.slot);
    const outcome = p.run(set);
    if (outcome.failed || !set.changed) return this.#answer(task, outcome.reply);
    const effects = set.effects();
    const refusal = this.refuse(p, effects);
    if (refusal === null) return this.#write(task, effects, outcome.reply);
    // A read that found a key expired: true without the removal, which can wait for the database.
    if (!p.writes) return this.#answer(task, outcome.reply);
    this.#executed(task);
    task.onReply(refusal, '');
  }

  /** The error reply for a write that may not begin now, or null. */
  refuse(p: Prepared, effects: readonly Effect[]): string | null {
    if (this.#pending.size >= this.#env.limits.pendingMax) return TOO_MUCH_PENDING;
    if (effects.length > EFFECTS_MAX) return TOO_MANY_CHANGES;
    let bytes = 0;
    for (const effect of effects) {
      const length = effect.value?.length ?? 0;
      if (length > this.#env.limits.valueBytesMax) return VALUE_TOO_LONG;
      bytes += length;
      if (bytes > EFFECT_BYTES_MAX) return TOO_MANY_CHANGES;
      if (effect.persistent && this.lane.down) return STORE_DOWN;
      for (const stream of this.#targetsOf(effect.slot))
        if (stream.congested) return TOO_MUCH_PENDING;
    }
    return p.needsMemory && !this.#env.ensureMemory() ? OUT_OF_MEMORY : null;
  }

  #executed(task: Task): void {
    if (task.executed) return;
    task.executed = true;
    task.onExecuted();
  }

  /** Replies once everything the command looked at is settled. */
  #answer(task: Task, reply: string): void {
    const versions = task.wantVersions ? this.#versionsOf(task.prepared) : '';
    const unsettled = this.unsettledOps(task.prepared);
    this.#executed(task);
    if (unsettled === null) return task.onReply(reply, versions);
    let left = unsettled.length;
    let answered = false;
    for (const op of unsettled) {
      op.watch((outcome) => {
        if (answered) return;
        if (outcome.kind === 'done') {
          if (--left > 0) return;
          answered = true;
          return task.onReply(reply, versions);
        }
        answered = true;
        // What it had read never was: the command is run again, here or in the new view.
        if (outcome.kind === 'failed') this.submit(task);
        else task.onNotDone();
      });
    }
  }

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

  #versionsOf(p: Prepared): string {
    let versions = '';
    for (const { slot, db, key } of placesOf(p)) {
      const entry = this.#env.keyspace.find(slot, db, key);
      const present = entry !== undefined && entry.value !== null;
      versions += present
        ? `${entry.epoch}.${entry.seq} `
        : `-${this.#env.epoch()}.${this.#env.slots.writes[slot]} `;
    }
    return versions;
  }

  #write(task: Task, effects: readonly Effect[], reply: string): void {
    const p = task.prepared;
    const op = new WriteOp(this, task, effects, reply);
    const slots = p.slot === MANY_SLOTS ? [...new Set(placesOf(p).map(({ slot }) => slot))] : null;
    this.#launch(op, slots, NO_NOTICES, true);
    // Not before its effects are in memory: the client's next command may run right now.
    this.#executed(task);
  }

  /** Answers a write that is not (known to be) done. */
  answerOutcome(task: Task, outcome: Exclude<OpOutcome, { kind: 'done' }>): void {
    switch (outcome.kind) {
      case 'void':
        return task.onNotDone();
      case 'failed':
        return task.onReply(refusedByStore(outcome.reason), '');
      case 'unknown':
        // A read that removes what it found expired has changed nothing that anybody asked for.
        return task.onReply(task.prepared.writes ? OUTCOME_UNKNOWN : NOT_DONE_IN_TIME, '');
    }
  }

  // ---------------------------------------------------------------- operations

  /** Begins a change that is not (only) one client's write. */
  begin(request: ChangeRequest): Op {
    const op = new ChangeOp(request);
    const slots = request.slots ?? slotsOf(request.effects);
    this.#launch(op, slots, request.notices ?? NO_NOTICES, request.toStore !== false);
    return op;
  }

  /**
   * Applies effects to memory, sends them to the other owners and, once confirmed, to the lane.
   * `slots`: all slots it read or wrote (its order counts in all of them); null: that of its effects.
   */
  #launch(
    op: Op,
    slots: readonly number[] | null,
    notices: readonly OwnerEffect[],
    toStore: boolean,
  ): void {
    op.no = ++this.#lastOpNo;
    op.epoch = this.#env.epoch();
    op.persistent = toStore && goesToStore(op);
    this.#pending.add(op);
    for (const effect of op.effects) op.entries.push(this.#apply(op, effect, toStore));
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

  /** Returns the entry it changed, or null when this node does not hold the key. */
  #apply(op: Op, effect: Effect, stamp: boolean): Entry | null {
    const { keyspace, slots } = this.#env;
    const { slot, db, key } = effect;
    if (stamp) {
      effect.epoch = op.epoch;
      effect.seq = ++this.#seq;
    }
    slots.writes[slot]!++;
    this.loader.override(db, key);
    if (this.onChange !== null) this.onChange(slot, db, key);
    let entry: Entry | undefined;
    if (effect.kind === 'expire') {
      entry = keyspace.find(slot, db, key);
      if (entry === undefined || entry.value === null) return null;
      keyspace.setExpiry(slot, db, key, entry, effect.expiresAtMs);
    } else {
      entry = keyspace.put(slot, db, key, effect.value, effect.expiresAtMs);
      entry.persistent = effect.persistent;
    }
    entry.epoch = effect.epoch;
    entry.seq = effect.seq;
    entry.dirty = op.no;
    return entry;
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
      op.floors.length + notices.length === 0
        ? op.effects
        : [...op.effects, ...op.floors.flatMap((floor) => this.#flushEffects(floor)), ...notices];
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

  #flushEffects({ slots, db }: FloorChange): OwnerEffect[] {
    return this.#runs(slots).map(({ slot, to }) => ({ kind: 'flush', slot, to, db }));
  }

  /** Neighbouring slots that go to the same nodes. */
  #runs(slots: readonly number[]): { slot: number; to: number }[] {
    return slotRuns(slots, (a, b) => this.#targetsOf(a) === this.#targetsOf(b));
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
    this.#finish(op, DONE);
  }

  #finish(op: Op, outcome: OpOutcome): void {
    const flushed = this.#flushing === op;
    if (flushed) this.#flushing = null;
    op.finish(outcome);
    if (!flushed) return;
    this.#beginFlush();
    this.retryParked();
  }

  /** What it changed, and nobody after it, equals the table now. */
  #clean(op: Op): void {
    const { keyspace } = this.#env;
    for (let i = 0; i < op.effects.length; i++) {
      const { slot, db, key } = op.effects[i]!;
      if (this.#slotOps[slot] === op) this.#slotOps[slot] = null;
      const entry = op.entries[i]!;
      if (entry?.dirty !== op.no) continue;
      entry.dirty = 0;
      const isMarker = entry.value === null && entry.expiresAtMs === 0;
      // The entry may have been dropped, and another stand in its place.
      if (isMarker && keyspace.find(slot, db, key) === entry) keyspace.remove(slot, db, key);
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
    for (const op of doomed) this.#finish(op, { kind: 'failed', reason });
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

  /** Sends this node's state of `none` keys to all owners, so that all have the same for ever. */
  settle(places: readonly KeyPlace[], then: (outcome: OpOutcome) => void = nothing): void {
    const effects: Effect[] = [];
    for (const { slot, db, key } of places) {
      const entry = this.#env.keyspace.find(slot, db, key);
      const value = entry?.value ?? null;
      const expiresAtMs = value === null ? 0 : entry!.expiresAtMs;
      const kind = value === null ? 'delete' : 'put';
      effects.push({
        kind,
        slot,
        db,
        key,
        value,
        expiresAtMs,
        persistent: false,
        epoch: 0,
        seq: 0,
      });
    }
    const slots = [...new Set(effects.map(({ slot }) => slot))];
    this.begin({ effects, slots, deadlineMs: Infinity, settle: then });
  }

  /** A change that no client asked for: expiry, eviction of a `none` key, a value from the legacy source. */
  change(effect: Omit<Effect, 'epoch' | 'seq'>): void {
    const effects = [{ ...effect, epoch: 0, seq: 0 }];
    this.begin({ effects, deadlineMs: Infinity, settle: nothing });
  }

  /**
   * FLUSHALL / FLUSHDB of this node's slots. `done` gets null, or the error reply. Everything else here
   * waits until it is committed, so no read can see a slot half flushed or load a row that is going.
   */
  flush(db: number | null, deadlineMs: number, done: (outcome: OpOutcome) => void): void {
    this.#flushes.push({ db, deadlineMs, done });
    this.#beginFlush();
  }

  /**
   * Holds and flushes exclude each other: a key that was handed over must not be flushed under its
   * transaction, nor a value be loaded and handed over whose row is going. New holds wait while a flush
   * is wanted; the granted ones end by themselves, since the last participant of each waits for nobody.
   */
  whenNoFlush(then: () => void): void {
    if (this.#flushing === null && this.#flushes.length === 0) then();
    else this.#afterFlush.push(then);
  }

  #beginFlush(): void {
    if (this.#flushing !== null || this.gates.held > 0) return;
    const next = this.#flushes.shift();
    if (next !== undefined) return this.#flush(next);
    const waiting = this.#afterFlush;
    this.#afterFlush = [];
    for (const then of waiting) then();
  }

  #flush({ db, deadlineMs, done }: WaitingFlush): void {
    const { slots, keyspace } = this.#env;
    const mine: number[] = [];
    for (let slot = 0; slot < SLOT_COUNT; slot++) if (slots.isActivePrimary(slot)) mine.push(slot);
    const floor = { slots: mine, db, ...this.nextVersion() };
    for (const slot of mine) {
      keyspace.clearSlot(slot, db);
      slots.changes[slot]!++;
      slots.writes[slot]!++;
    }
    const op = this.begin({
      effects: [],
      floors: mine.length > 0 ? [floor] : [],
      slots: mine,
      touched: [],
      deadlineMs,
      settle: done,
      onOverdue: () => done({ kind: 'unknown' }),
    });
    if (op.finished) return this.#beginFlush();
    this.#flushing = op;
    op.watch(({ kind }) => {
      if (kind !== 'done') for (const slot of mine) slots.setComplete(slot, false);
      // Learned in a later view, it says nothing of what this node's memory holds now.
      else if (db === null && op.epoch === this.#env.epoch()) this.#declareEmptied(mine);
    });
  }

  /** After a flush of all databases: whatever these slots have, memory has; here and on the other owners. */
  #declareEmptied(mine: readonly number[]): void {
    for (const slot of mine) this.#env.slots.setComplete(slot, true);
    const notices = this.#runs(mine).map(({ slot, to }) => {
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

  // ---------------------------------------------------------------- views

  /**
   * The first half of adopting a view, before the slot table changes: ends everything uncommitted.
   * Returns what has to be tried again in the new view.
   */
  endView(): { tasks: Task[]; waiters: (() => void)[]; unsettled: Op[] } {
    const ops = [...this.#pending.values()];
    this.#pending.clear();
    this.#ending = [];
    for (const stream of this.#streams.values()) stream.end();
    this.#streams.clear();
    this.#targets = new Map();
    this.#slotTargets.fill(null);
    this.#slotOps.fill(null);
    this.#flushing = null;
    for (const { done } of this.#flushes) done(VOID);
    this.#flushes = [];
    const unsettled: Op[] = [];
    for (const op of ops) {
      for (const effect of op.effects) this.#env.replica.unsettle(effect, op.no);
      if (op.floors.length > 0)
        for (const slot of op.floors[0]!.slots) this.#env.slots.setComplete(slot, false);
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
    const waiters = this.loader.adopt().map((waiter) => () => waiter(null));
    const tasks = this.gates.clear().concat(this.#parked);
    this.#parked = [];
    return { tasks, waiters, unsettled };
  }

  /** The second half, after the slot table has changed. */
  beginView(over: { tasks: Task[]; waiters: (() => void)[]; unsettled: Op[] }): void {
    const { slots, replica } = this.#env;
    for (const op of over.unsettled) {
      // Its effects are in this node's memory; if this node is still primary they win, and the client
      // is told when all owners have them.
      const still = op.effects.every(({ slot }) => slots.isPrimary(slot));
      if (still) this.settle(op.effects, (outcome) => op.finish(outcome));
      else op.finish({ kind: 'unknown' });
    }
    const own = replica.unsettledOf((slot) => slots.isPrimary(slot));
    if (own.length > 0) this.settle(own);
    // Only now: whoever is told may come back with the next command at once.
    const ended = this.#ending ?? [];
    this.#ending = null;
    for (const op of ended) op.finish(VOID);
    for (const waiter of over.waiters) waiter();
    for (const task of over.tasks) this.submit(task);
    this.#beginFlush();
  }

  /** Sends commands away that have not begun: their coordinators ask the next primary. */
  leave(): void {
    this.#leaving = true;
    // Holds stay: their transactions are under way, and end.
    for (const task of this.gates.takeTasks().concat(this.#parked.splice(0))) task.onNotDone();
  }

  /** This life of the node is over. */
  stop(): void {
    this.#stopped = true;
    this.#sweeper.cancel();
    const over = { tasks: this.gates.clear().concat(this.#parked), waiters: this.loader.adopt() };
    this.#parked = [];
    for (const task of over.tasks) task.onNotDone();
    for (const waiter of over.waiters)
      waiter(new ReplyError('NOTDONE', 'this node is leaving the cluster; nothing was changed'));
    for (const op of [...this.#pending.values(), ...this.#undecided])
      op.finish({ kind: 'unknown' });
    this.#pending.clear();
    this.#undecided.clear();
  }

  // ---------------------------------------------------------------- time

  #sweep(): void {
    const now = this.#env.platform.clock.monotonicMs();
    for (const op of this.#pending.values()) if (op.deadlineMs <= now) op.overdue();
    for (const op of this.#undecided) if (op.deadlineMs <= now) op.overdue();
    for (const task of this.gates.takeTasks(now)) task.onReply(NOT_DONE_IN_TIME, '');
    const lateFlushes = this.#flushes.filter(({ deadlineMs }) => deadlineMs <= now);
    this.#flushes = this.#flushes.filter(({ deadlineMs }) => deadlineMs > now);
    for (const { done } of lateFlushes) done(VOID);
    if (this.#parked.length === 0) return;
    const late = this.#parked.filter((task) => task.deadlineMs <= now);
    if (late.length === 0) return;
    this.#parked = this.#parked.filter((task) => task.deadlineMs > now);
    for (const task of late) task.onReply(NOT_DONE_IN_TIME, '');
  }

  #isPersistent(p: Prepared): boolean {
    return p.keys.some((key) => this.#env.policyOf(key).persistent);
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

function refusedByStore(reason: string): string {
  return encodeError(
    new ReplyError('STOREFAIL', `the database refused the write (${reason}); nothing was changed`),
  );
}

/** Every key of a command with its database and slot. */
export function placesOf(p: Prepared): KeyPlace[] {
  if (p.refs !== undefined) return p.refs.map(({ db, key }) => ({ slot: slotOf(key), db, key }));
  const { db, slot } = p;
  if (slot !== MANY_SLOTS) return p.keys.map((key) => ({ slot, db, key }));
  return p.keys.map((key) => ({ slot: slotOf(key), db, key }));
}
