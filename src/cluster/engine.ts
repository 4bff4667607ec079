/**
 * The primary's engine: runs commands on the slots this node is primary of. What they change is settled
 * in `operations.ts`.
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
import { ConfinedSet } from '../storage/memory/confined-set.ts';
import type { Effect } from '../storage/memory/effect.ts';
import type { Keyspace } from '../storage/memory/keyspace.ts';
import { type KeyPolicy, WorkingSet, type WorkingSetEnv } from '../storage/memory/working-set.ts';
import type { NodeRef } from '../storage/postgres/store.ts';
import { ReplyError } from '../errors.ts';
import { encodeError } from '../resp/reply.ts';
import { MANY_SLOTS, type Prepared } from './execute.ts';
import type { FlushPoints } from './flush-points.ts';
import { Flushes } from './flushes.ts';
import { Gates } from './gates.ts';
import type { Lane } from './lane.ts';
import type { Lease } from './lease.ts';
import type { Loader } from './loader.ts';
import { keyId, Op, type OpOutcome } from './op.ts';
import { Operations } from './operations.ts';
import { type KeyPlace, placesOf } from './places.ts';
import type { Replica } from './replica.ts';
import { slotOf } from './slot.ts';
import type { SlotTable } from './slots.ts';
import type { Task } from './task.ts';
import type { ClusterTime } from './time.ts';

export interface EngineLimits {
  /** Operations under way at once; above, writes are refused. */
  readonly pendingMax: number;
  /** Longest value that is kept, bytes. */
  readonly valueBytesMax: number;
}

export interface EngineEnv {
  readonly platform: Platform;
  readonly log: Logger;
  readonly self: NodeRef;
  readonly keyspace: Keyspace;
  readonly slots: SlotTable;
  readonly flushPoints: FlushPoints;
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

/** What a change of view carries over to be tried again. */
export interface OverView {
  readonly tasks: readonly Task[];
  readonly waiters: readonly (() => void)[];
  readonly unsettled: readonly Op[];
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
const READ_REFUSED = encodeError(
  new ReplyError(
    'STOREFAIL',
    'the database refused a write that this command has seen; nothing was changed',
  ),
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
  readonly operations: Operations;
  readonly flushes: Flushes;
  /** Set once by the assembly, which needs the engine to make them. */
  lane!: Lane;
  loader!: Loader;
  #parked: Task[] = [];
  /** Keys (ids) that commands wait to read again, and how many: see `#runAgain`. */
  readonly #rereads = new Map<string, number>();
  /** No command begins here any more; those under way end. */
  #leaving = false;
  #stopped = false;
  readonly #sweeper: TimerHandle;

  constructor(env: EngineEnv) {
    this.#env = env;
    this.operations = new Operations(env);
    this.#setEnv = { keyspace: env.keyspace, slotOf, policyOf: (key) => env.policyOf(key) };
    this.gates = new Gates(
      (task) => this.submit(task),
      () => this.flushes.next(),
    );
    this.flushes = new Flushes({
      ...env,
      operations: this.operations,
      hasHolds: () => this.gates.held > 0,
      retryParked: () => this.retryParked(),
    });
    this.#sweeper = env.platform.timers.every(SWEEP_MS, () => this.#sweep());
  }

  /** Everything a command runs against; also for reads that a replica answers itself. */
  workingSet(slot: number): WorkingSet {
    return new WorkingSet(this.#setEnv, this.#env.time.nowMs(), slot);
  }

  /** The same for what holds these keys and no others (`transaction.ts`). */
  confinedSet(held: readonly KeyPlace[]): ConfinedSet {
    return new ConfinedSet(this.#setEnv, this.#env.time.nowMs(), held);
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
    if (p.blind ? this.#waitsForReread(task) : this.#waitsForLoad(task)) return;
    this.#run(task);
  }

  /** Something that parked tasks wait for may have come: a lease, an activation, the end of a flush. */
  retryParked(): void {
    this.operations.onActive();
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
    if (this.flushes.underWay) return false;
    if (!lease.valid && (p.writes || !this.#env.readsWithoutLease())) return false;
    if (p.slot !== MANY_SLOTS) return slots.isActivePrimary(p.slot);
    return p.keys.every((key) => slots.isActivePrimary(slotOf(key)));
  }

  #park(task: Task): void {
    if (this.#parked.length + this.gates.parked >= PARKED_MAX)
      return task.onReply(TOO_MUCH_PENDING, '');
    const refusal = this.hopeless(task.prepared);
    if (refusal !== null) return task.onReply(refusal, '');
    this.#parked.push(task);
  }

  /** Nothing can be written while the database is away: the reply that says so now rather than at the deadline. */
  hopeless(p: Prepared): string | null {
    const away = p.writes && this.lane.down && !this.#env.lease.valid;
    return away && this.#isPersistent(p) ? STORE_DOWN : null;
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
    if (this.operations.pendingCount >= this.#env.limits.pendingMax) return TOO_MUCH_PENDING;
    if (effects.length > EFFECTS_MAX) return TOO_MANY_CHANGES;
    let bytes = 0;
    for (const effect of effects) {
      const length = effect.value?.length ?? 0;
      if (length > this.#env.limits.valueBytesMax) return VALUE_TOO_LONG;
      bytes += length + effect.key.length;
      if (bytes > EFFECT_BYTES_MAX) return TOO_MANY_CHANGES;
      if (effect.persistent && this.lane.down) return STORE_DOWN;
      if (this.operations.isCongested(effect.slot)) return TOO_MUCH_PENDING;
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
    const unsettled = this.operations.unsettledOps(task.prepared);
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
        if (outcome.kind === 'failed') this.#runAgain(task);
        else task.onNotDone();
      });
    }
  }

  /**
   * Runs a command again that has read what the database refused. Its client's later commands may run since it was
   * executed, and it must not see what they do. On the key that was refused none of them has: those that had run failed
   * with it, and those that come wait, also the blind ones, for the same load behind this one. Another key of
   * the command may be changed by them already, so a command of several keys is not run again.
   */
  #runAgain(task: Task): void {
    const [place, another] = placesOf(task.prepared);
    if (place === undefined || another !== undefined) return task.onReply(READ_REFUSED, '');
    const { slot, db, key } = place;
    const id = keyId(db, key);
    this.#rereads.set(id, (this.#rereads.get(id) ?? 0) + 1);
    this.loader.load(slot, db, key, () => {
      const left = this.#rereads.get(id)! - 1;
      if (left === 0) this.#rereads.delete(id);
      else this.#rereads.set(id, left);
      this.submit(task);
    });
  }

  /** A blind command whose key is about to be read again by one that came before it. */
  #waitsForReread(task: Task): boolean {
    if (this.#rereads.size === 0) return false;
    const place = placesOf(task.prepared).find(({ db, key }) => this.#rereads.has(keyId(db, key)));
    if (place === undefined) return false;
    this.loader.load(place.slot, place.db, place.key, () => this.submit(task));
    return true;
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
    this.operations.launch(op, slots, [], true);
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

  // ---------------------------------------------------------------- views

  /**
   * The first half of adopting a view, before the slot table changes: ends everything uncommitted.
   * Returns what has to be tried again in the new view.
   */
  endView(): OverView {
    this.flushes.endView();
    const unsettled = this.operations.endView();
    const waiters = this.loader.adopt().map((waiter) => () => waiter(null));
    const tasks = this.gates.clear().concat(this.#parked);
    this.#parked = [];
    return { tasks, waiters, unsettled };
  }

  /** The second half, after the slot table has changed. */
  beginView({ tasks, waiters, unsettled }: OverView): void {
    this.flushes.beginView();
    this.operations.beginView(unsettled);
    for (const waiter of waiters) waiter();
    for (const task of tasks) this.submit(task);
    this.flushes.next();
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
    this.operations.stop();
  }

  // ---------------------------------------------------------------- time

  #sweep(): void {
    const now = this.#env.platform.clock.monotonicMs();
    this.operations.sweep(now);
    for (const task of this.gates.takeTasks(now)) task.onReply(NOT_DONE_IN_TIME, '');
    this.flushes.sweep(now);
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

function refusedByStore(reason: string): string {
  return encodeError(
    new ReplyError('STOREFAIL', `the database refused the write (${reason}); nothing was changed`),
  );
}
