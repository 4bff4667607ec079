/**
 * One life of a node: all parts of the cluster, wired together, and the adoption of views. When the
 * life ends (another node removed it, or it is stopped), this object is thrown away as a whole, with
 * its memory; `cluster.ts` starts the next one.
 */
import type { Connection } from '../platform/transport.ts';
import type { Logger } from '../platform/logger.ts';
import type { Platform } from '../platform/platform.ts';
import { sleep, type TimerHandle } from '../platform/clock.ts';
import type { Evictor } from '../storage/memory/eviction.ts';
import type { Keyspace } from '../storage/memory/keyspace.ts';
import type { KeyPolicy } from '../storage/memory/working-set.ts';
import type { LegacySource } from '../storage/legacy/source.ts';
import type { LoadPool, Member, NodeRef, Store, View } from '../storage/postgres/store.ts';
import { Complaints } from './complaints.ts';
import { slotRuns } from './effects.ts';
import { Engine } from './engine.ts';
import type { Prepare } from './execute.ts';
import { Fill } from './fill.ts';
import { FlushPoints } from './flush-points.ts';
import { Gather } from './gather.ts';
import { Holds } from './holds.ts';
import { Lane } from './lane.ts';
import { Lease } from './lease.ts';
import type { FrameStream, LinkEnv } from './link.ts';
import { Loader } from './loader.ts';
import { Membership } from './membership.ts';
import { Outage } from './outage.ts';
import { HeartbeatFlag, type Peer, Peers } from './peers.ts';
import { Pressure } from './pressure.ts';
import { Replica } from './replica.ts';
import { Router } from './router.ts';
import { Rpc } from './rpc.ts';
import { hostRun, readRunReply } from './runs.ts';
import { SLOT_COUNT } from './slot.ts';
import { SlotTable } from './slots.ts';
import { Succession } from './succession.ts';
import { ClusterTime } from './time.ts';
import { Transactions } from './transaction.ts';
import { Upkeep } from './upkeep.ts';
import { type Group, hasRef, living, participants, refKey, sameRef } from './view.ts';
import { WarmUp } from './warm-up.ts';
import { FrameError, type FrameReader, FrameType, PROTOCOL_VERSIONS } from './wire.ts';

/** Operations that must wait before a batch is sent behind another one that is under way. */
const FOLLOW_ROWS = 32;
/** A smaller batch waits this long for operations that are about to enter, milliseconds. */
const GATHER_ROWS = 16;
const GATHER_MS = 2;
/** How often a leaving node looks whether all is done, milliseconds. */
const DRAIN_POLL_MS = 5;

/** What a node is told; names and units as in the option table. */
export interface ClusterOptions {
  readonly replicas: number;
  readonly primaries: 'spread' | 'one';
  readonly leaseMs: number;
  readonly leaseMarginMs: number;
  readonly requestTimeoutMs: number;
  readonly clockBoundMs: number;
  readonly connectTimeoutMs: number;
  readonly linkBufferMax: number;
  readonly lanePipeline: number;
  readonly batchRowsMax: number;
  readonly batchBytesMax: number;
  readonly readsWithoutStore: 'serve' | 'refuse';
  readonly warmUp: boolean;
  /** May change while the node runs. */
  readonly live: {
    readonly maxmemory: number;
    readonly valueBytesMax: number;
    readonly loadPendingMax: number;
    readonly pendingRequestsMax: number;
    readonly keysLimit: number;
  };
}

export interface ClusterNodeEnv {
  readonly platform: Platform;
  readonly log: Logger;
  readonly store: Store;
  readonly loads: LoadPool;
  readonly legacy: LegacySource;
  readonly options: ClusterOptions;
  readonly prepare: Prepare;
  policyOf(key: string): KeyPolicy;
  matches(pattern: string, key: string): boolean;
  /** The node was told to leave in an earlier life: it takes no data any more. */
  readonly asGuest: boolean;
  /** The highest epoch that earlier lives of this process have seen; 0: none. */
  readonly highestEpoch: number;
  /** A fresh memory, and what evicts from it. */
  createKeyspace(nowMs: () => number): { keyspace: Keyspace; evictor: Evictor };
  onExpelled(reason: string): void;
}

export class ClusterNode {
  readonly self: Member;
  readonly keyspace: Keyspace;
  readonly slots: SlotTable;
  readonly time: ClusterTime;
  readonly lease: Lease;
  readonly engine: Engine;
  readonly router: Router;
  readonly gather: Gather;
  readonly peers: Peers;
  readonly membership: Membership;
  readonly upkeep: Upkeep;
  readonly warmUp: WarmUp;
  readonly fill: Fill;
  readonly evictor: Evictor;
  readonly outage: Outage;
  readonly complaints: Complaints;
  readonly #env: ClusterNodeEnv;
  readonly #log: Logger;
  readonly #flushPoints: FlushPoints;
  readonly #replica: Replica;
  readonly #rpc: Rpc;
  readonly #holds: Holds;
  readonly #transactions: Transactions;
  #epoch = 0;
  #view: View | null = null;
  /** Lives that were members once: their links are refused. */
  readonly #gone = new Set<string>();
  /** Learners of the present view that say they have everything. */
  readonly #filled = new Set<string>();
  /** Slots that this node still learns, and how many it learns or has learned in this view. */
  readonly #learning = new Set<number>();
  #toLearn = 0;
  #holdersTimer: TimerHandle | null = null;
  readonly #complaintsTimer: TimerHandle;
  #stopped = false;

  constructor(env: ClusterNodeEnv, self: Member, clusterId: string) {
    const { platform, options } = env;
    this.#env = env;
    this.self = self;
    this.#log = env.log.child({ incarnation: self.incarnation.slice(0, 8) });
    this.time = new ClusterTime(platform.clock);
    this.lease = new Lease(platform.clock, {
      leaseMs: options.leaseMs,
      marginMs: options.leaseMarginMs,
    });
    const memory = env.createKeyspace(() => this.time.nowMs());
    this.keyspace = memory.keyspace;
    this.evictor = memory.evictor;
    this.slots = new SlotTable(self);
    this.#flushPoints = new FlushPoints();
    this.#rpc = new Rpc(platform.clock, platform.timers);
    const epoch = (): number => this.#epoch;
    const shared = {
      platform,
      log: this.#log,
      self,
      clock: platform.clock,
      timers: platform.timers,
      keyspace: this.keyspace,
      slots: this.slots,
      flushPoints: this.#flushPoints,
      lease: this.lease,
      time: this.time,
      loads: env.loads,
      rpc: this.#rpc,
      requestTimeoutMs: options.requestTimeoutMs,
      epoch,
    };
    this.#replica = new Replica({
      ...shared,
      onFilled: (slot) => this.#onFilled(slot),
      onGrowth: () => void this.upkeep.ensureMemory(),
    });
    this.engine = new Engine({
      ...shared,
      replica: this.#replica,
      limits: {
        get pendingMax() {
          return options.live.pendingRequestsMax;
        },
        get valueBytesMax() {
          return options.live.valueBytesMax;
        },
      },
      policyOf: (key) => env.policyOf(key),
      readsWithoutLease: () => this.outage.readsWithoutLease(),
      ensureMemory: () => this.upkeep.ensureMemory(),
      lead: (task) => this.#transactions.lead(task),
    });
    const lane = new Lane({
      ...shared,
      bounds: {
        rowsMax: options.batchRowsMax,
        bytesMax: options.batchBytesMax,
        pipeline: options.lanePipeline,
        followRows: FOLLOW_ROWS,
        gatherRows: GATHER_ROWS,
        gatherMs: GATHER_MS,
      },
      open: () => env.store.openLane(self),
      confirming: () => this.engine.operations.confirmingCount,
      onDone: (op) => this.engine.operations.onCommitted(op),
      onVoid: (op) => this.engine.operations.onVoid(op),
      onRejected: (op, reason) => this.engine.operations.onRejected(op, reason),
      onFenced: () => this.membership.hearOf(this.#epoch + 1),
      onReplaced: (reason) => env.onExpelled(reason),
    });
    this.engine.lane = this.engine.operations.lane = lane;
    this.engine.loader = this.engine.operations.loader = new Loader({
      ...shared,
      legacy: env.legacy,
      nowMs: () => this.time.nowMs(),
      pendingMax: () => options.live.loadPendingMax,
      isPersistent: (key) => env.policyOf(key).persistent,
      onLoaded: (row) => this.engine.operations.fill([row]),
      onGrowth: () => void this.upkeep.ensureMemory(),
      mayHydrate: (key) =>
        !env.policyOf(key).persistent || (!this.engine.lane.down && this.lease.valid),
      hydrate: ({ slot, db, key, value, ttlMs }) => {
        const expiresAtMs = ttlMs > 0 ? this.time.nowMs() + ttlMs : 0;
        const { persistent } = env.policyOf(key);
        this.engine.operations.change({
          kind: 'put',
          slot,
          db,
          key,
          value,
          expiresAtMs,
          persistent,
        });
      },
    });
    const linkEnv: LinkEnv = {
      ...shared,
      versions: PROTOCOL_VERSIONS,
      clusterId,
      times: {
        heartbeatMs: options.leaseMs / 6,
        silenceMs: options.leaseMs,
        connectTimeoutMs: options.connectTimeoutMs,
      },
      bounds: { bufferBytesMax: options.linkBufferMax },
      heartbeatFlags: () => this.#heartbeatFlags(),
    };
    this.peers = new Peers(linkEnv, {
      onFrame: (from, frame, stream) => this.#onFrame(from, frame, stream),
      onUp: (peer, lastSeq) => this.#onUp(peer, lastSeq),
      onDown: (peer) => this.#onDown(peer),
      onLinked: () => {
        if (this.#view !== null && !this.#isMember) void this.membership.plan();
      },
      lastSeqFrom: (from) => this.#replica.lastSeqFrom(from),
      onNewerEpoch: (newer) => this.membership.hearOf(newer),
      isGone: (ref) => this.#isGone(ref),
    });
    this.engine.operations.peers = this.peers;
    const withPeers = { ...shared, engine: this.engine, peers: this.peers };
    this.#holds = new Holds(withPeers);
    this.#transactions = new Transactions({ ...withPeers, holds: this.#holds });
    const { operations } = this.engine;
    operations.succession = new Succession({ ...withPeers, operations });
    this.membership = new Membership({
      ...shared,
      store: env.store,
      times: { leaseMs: options.leaseMs, marginMs: options.leaseMarginMs },
      replicas: options.replicas,
      led: options.primaries === 'one',
      highestEpoch: env.highestEpoch,
      asGuest: env.asGuest,
      adopt: (view) => this.#adopt(view),
      onLease: () => this.engine.retryParked(),
      onExpelled: (reason) => env.onExpelled(reason),
      isLinked: (ref) => this.complaints.isLinked(ref),
      allFilled: () => this.#allFilled(),
      announce: (view) => this.#announce(view),
      complaints: () => this.complaints.said(),
      onRenewal: (renewal, complaints) => this.complaints.onRenewal(renewal, complaints),
    });
    this.complaints = new Complaints({
      ...withPeers,
      leaseMs: options.leaseMs,
      // A node that is in no view has nobody's writes waiting for it.
      members: () => (this.#view !== null && this.#isMember ? participants(this.#view) : []),
      isLearner: (ref) => this.#view !== null && !hasRef(living(this.#view), ref),
      stream: (ref) => this.engine.operations.stream(ref),
      renew: () => this.membership.renewNow(),
      settle: (settlement) => this.membership.settleComplaint(settlement),
    });
    this.#complaintsTimer = platform.timers.every(linkEnv.times.heartbeatMs / 2, () =>
      this.complaints.tick(),
    );
    this.outage = new Outage({
      ...withPeers,
      leaseMs: options.leaseMs,
      mode: options.readsWithoutStore,
      members: () =>
        this.#view === null ? Number.POSITIVE_INFINITY : participants(this.#view).length,
      storeUnreachable: () => this.membership.storeUnreachable,
    });
    this.upkeep = new Upkeep({
      ...withPeers,
      evictor: this.evictor,
      maxmemory: () => options.live.maxmemory,
      sweep: (limit) => env.store.sweep(limit),
    });
    const pressure = new Pressure({
      clock: platform.clock,
      operations,
      lane,
      pendingMax: () => options.live.pendingRequestsMax,
    });
    const background = { ...withPeers, pressure: () => pressure.cause() };
    this.fill = new Fill({ ...background, holds: this.#holds });
    this.warmUp = new WarmUp({ ...background, hasRoom: () => this.upkeep.hasRoom() });
    this.router = new Router({
      ...withPeers,
      clockBoundMs: options.clockBoundMs,
      readsWithoutLease: () => this.outage.readsWithoutLease(),
    });
    this.gather = new Gather({
      ...withPeers,
      replica: this.#replica,
      mayServe: () => this.mayServe,
      primaries: () => this.primaries(),
      keysLimit: () => options.live.keysLimit,
      matches: (pattern, key) => env.matches(pattern, key),
    });
  }

  get epoch(): number {
    return this.#epoch;
  }

  get view(): View | null {
    return this.#view;
  }

  get #isMember(): boolean {
    return this.#view !== null && hasRef(participants(this.#view), this.self);
  }

  /** It may answer reads: it has a lease, or all are without one. */
  get mayServe(): boolean {
    return this.lease.valid || this.outage.readsWithoutLease();
  }

  /** It has all that it is to have: its list is settled, or it is one of those that only forward. */
  get settled(): boolean {
    const view = this.#view;
    return view !== null && (hasRef(living(view), this.self) || hasRef(view.leaving, this.self));
  }

  /** It was told to leave. */
  get leaving(): boolean {
    return this.#view !== null && hasRef(this.#view.leaving, this.self);
  }

  /** It owns no slot and learns none: nothing is lost when it stops. */
  get holdsNothing(): boolean {
    return this.#view !== null && !this.slots.holdsAny;
  }

  /** Members that are primary of some slot. */
  primaries(): NodeRef[] {
    const found = new Map<string, NodeRef>();
    let last: NodeRef | undefined;
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      const primary = this.slots.primaryOf(slot);
      if (primary === undefined || primary === last) continue;
      last = primary;
      found.set(refKey(primary), primary);
    }
    return [...found.values()];
  }

  /** Slots that this node learns and does not have yet. */
  get learning(): number {
    return this.#learning.size;
  }

  /** Slots that this node learns in this view, those included that it has already. */
  get toLearn(): number {
    return this.#toLearn;
  }

  /** Resolves when the lease runs and the lane stands. Rejects when the database refuses this node. */
  async start(): Promise<void> {
    await this.membership.register();
    // Before it joins: where there is little to learn, it is primary of slots a moment later, and would
    // refuse their writes as long as it has no lane.
    await this.engine.lane.start();
    await this.membership.start();
    if (this.#env.options.warmUp) this.warmUp.start();
  }

  accept(connection: Connection): void {
    this.peers.accept(connection);
  }

  /**
   * Begins nothing any more, and resolves when what was under way has ended, or after `timeoutMs`. The
   * coordinators keep what comes back as not done and send it to the next primary.
   */
  async drain(timeoutMs: number): Promise<void> {
    const { clock, timers } = this.#env.platform;
    const deadline = clock.monotonicMs() + timeoutMs;
    this.engine.leave();
    while (
      this.engine.operations.pendingCount + this.#transactions.led > 0 &&
      clock.monotonicMs() < deadline
    ) {
      await sleep(timers, DRAIN_POLL_MS);
    }
  }

  /** Ends this life. `gently`: gives the lease up, so that the others take over at once. */
  async stop(gently: boolean): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#holdersTimer?.cancel();
    this.#complaintsTimer.cancel();
    this.lease.end();
    this.upkeep.stop();
    this.fill.stop();
    this.#transactions.stop();
    this.#holds.stop();
    this.#rpc.stop();
    this.engine.stop();
    this.router.stop();
    await this.warmUp.stop();
    await this.engine.lane.stop();
    // Not while a transaction may still be answered: its coordinator would send it twice.
    if (this.#transactions.led === 0) this.peers.sayLeaving();
    if (gently) await this.membership.stop();
    else await this.membership.abandon();
    this.peers.stop();
  }

  // ---------------------------------------------------------------- views

  /**
   * Takes over a view. In one turn: everything uncommitted ends, the slot table changes, what is not
   * held any more goes, and the rest starts again under the new epoch. Only then is it confirmed.
   */
  #adopt(view: View): void {
    if (this.#stopped) return;
    const before = this.#view;
    this.#view = view;
    this.#epoch = view.epoch;
    const members = participants(view);
    if (before !== null) {
      for (const member of participants(before))
        if (!hasRef(members, member)) this.#gone.add(refKey(member));
    }
    this.#holds.endView();
    const over = this.engine.endView();
    const { lost } = this.slots.adopt(view);
    for (const slot of lost) {
      this.keyspace.clearSlot(slot, null);
      this.#flushPoints.inherit(slot, null);
    }
    this.#filled.clear();
    this.#learning.clear();
    this.#toLearn = 0;
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (!this.slots.isLearner(slot)) continue;
      this.#toLearn++;
      if (!this.slots.isHeld(slot)) this.#learning.add(slot);
    }
    this.peers.setMembers(members);
    this.#log.info(
      { epoch: view.epoch, members: members.map(refKey), settled: living(view).length },
      'view adopted',
    );
    this.engine.beginView(over);
    for (const peer of this.peers.all()) this.#confirmTo(peer);
    this.fill.restart();
    this.peers.heartbeatAll();
    this.peers.resumeAll();
    this.#armHolders();
  }

  /** Leases of those who never confirm have ended a lease and margin from now. */
  #armHolders(): void {
    this.#holdersTimer?.cancel();
    const { leaseMs, leaseMarginMs } = this.#env.options;
    this.#holdersTimer = this.#env.platform.timers.after(leaseMs + leaseMarginMs, () => {
      this.slots.expireHolders();
      this.engine.retryParked();
    });
  }

  #confirmTo(peer: Peer): void {
    const { stream } = peer;
    if (stream === null || this.#epoch === 0) return;
    const unsettled = this.#replica.unsettledOf((slot) => {
      const primary = this.slots.primaryOf(slot);
      return primary !== undefined && sameRef(primary, peer.member);
    });
    const writer = stream.begin(FrameType.ViewConfirm);
    writer.u32(unsettled.length);
    for (const { slot, db, key } of unsettled) {
      writer.u16(slot);
      writer.u8(db);
      writer.str(key);
    }
    const learned = this.#learnedFrom(peer.member);
    writer.u16(learned.length);
    for (const { slot, to } of learned) {
      writer.u16(slot);
      writer.u16(to);
    }
    stream.end();
  }

  /** Runs of slots of a primary that this node learns and has already. */
  #learnedFrom(primary: NodeRef): { slot: number; to: number }[] {
    const learned: number[] = [];
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (!this.slots.isLearner(slot) || !this.slots.isHeld(slot)) continue;
      const owner = this.slots.primaryOf(slot);
      if (owner !== undefined && sameRef(owner, primary)) learned.push(slot);
    }
    return slotRuns(learned, () => true);
  }

  #onConfirm(from: NodeRef, frame: FrameReader): void {
    if (frame.epoch !== this.#epoch) return;
    const places = [];
    for (let left = frame.u32(); left > 0; left--) {
      places.push({ slot: frame.u16(), db: frame.u8(), key: frame.str() });
    }
    const learned = new Uint8Array(SLOT_COUNT);
    for (let left = frame.u16(); left > 0; left--) {
      const first = frame.u16();
      learned.fill(1, first, frame.u16() + 1);
    }
    this.fill.begin(from, (slot) => learned[slot] === 1);
    const mine = places.filter(({ slot }) => this.slots.isPrimary(slot));
    if (mine.length > 0) this.engine.operations.settle(mine);
    if (this.slots.confirm(from).length > 0) this.engine.retryParked();
  }

  #announce(view: View): void {
    for (const { stream } of this.peers.all()) {
      if (stream === null) continue;
      stream.begin(FrameType.ViewNews).str(JSON.stringify(view));
      stream.end();
    }
  }

  // ---------------------------------------------------------------- learning

  #onFilled(slot: number): void {
    if (!this.#learning.delete(slot)) return;
    this.slots.setHeld(slot);
    if (this.#learning.size > 0) return;
    this.#log.info({ epoch: this.#epoch, slots: this.#toLearn }, 'filled');
    this.peers.heartbeatAll();
    void this.membership.plan();
  }

  #allFilled(): boolean {
    const learners = new Set<string>();
    let last: Group | undefined;
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      const group = this.slots.group(slot);
      // Neighbouring slots share their group; this is asked with every heartbeat of a learner.
      if (group === last) continue;
      last = group;
      for (const learner of group.learners) learners.add(refKey(learner));
    }
    const selfKey = refKey(this.self);
    for (const key of learners) {
      if (key === selfKey ? !this.#hasLearned : !this.#filled.has(key)) return false;
    }
    const members = this.#view === null ? [] : participants(this.#view);
    return !members.some((ref) => learners.has(refKey(ref)) && this.complaints.concern(ref));
  }

  #heartbeatFlags(): number {
    const filled = this.#hasLearned ? HeartbeatFlag.Filled : 0;
    return (this.lease.valid ? 0 : HeartbeatFlag.Leaseless) | filled;
  }

  /** It has all that it is to learn, and can be reached by everybody: settled, it would stay. */
  get #hasLearned(): boolean {
    return this.#view !== null && this.#learning.size === 0 && this.complaints.allLinked;
  }

  // ---------------------------------------------------------------- frames

  #onFrame(from: NodeRef, frame: FrameReader, stream: FrameStream): void {
    const current = frame.epoch === this.#epoch;
    const answers = (): FrameStream => this.peers.answerStream(from, stream);
    switch (frame.type) {
      case FrameType.Run:
        hostRun(
          {
            clock: this.#env.platform.clock,
            prepare: this.#env.prepare,
            epoch: this.#epoch,
            submit: (task) => this.engine.submit(task),
          },
          frame,
          answers,
        );
        return;
      case FrameType.RunReply:
        return this.router.onRunReply(readRunReply(frame));
      case FrameType.Effects:
        // Of an older view: its primary will hear of the newer one, and its clients send again.
        if (current) this.#replica.onEffects(from, frame, answers);
        return;
      case FrameType.EffectsAck:
        if (current) this.engine.operations.stream(from)?.confirm(frame.u53());
        return;
      case FrameType.Watermark:
        if (current) this.#replica.onWatermark(from, frame);
        return;
      case FrameType.Call:
        return this.#rpc.onCall(from, frame, answers);
      case FrameType.CallReply:
        return this.#rpc.onReply(frame);
      case FrameType.ViewConfirm:
        return this.#onConfirm(from, frame);
      case FrameType.ViewNews:
        return this.membership.hear(frame.json() as View);
      case FrameType.Heartbeat:
        return this.#onHeartbeat(from, frame);
      case FrameType.Leaving:
        return this.#onLeaving(from, frame);
      default:
        throw new FrameError(`a frame of type ${frame.type} on an open link`);
    }
  }

  #onLeaving(from: NodeRef, frame: FrameReader): void {
    const peer = this.peers.get(from);
    if (peer !== undefined && ++peer.leavingHeard >= frame.u8()) this.router.onLeaving(peer);
  }

  #onHeartbeat(from: NodeRef, frame: FrameReader): void {
    const flags = frame.u8();
    const peer = this.peers.get(from);
    if (peer !== undefined) {
      peer.leaseless = (flags & HeartbeatFlag.Leaseless) !== 0;
      peer.heardAtMs = this.#env.platform.clock.monotonicMs();
    }
    const key = refKey(from);
    if (
      (flags & HeartbeatFlag.Filled) === 0 ||
      frame.epoch !== this.#epoch ||
      this.#filled.has(key)
    )
      return;
    this.#filled.add(key);
    void this.membership.plan();
  }

  #onUp(peer: Peer, lastSeq: number): void {
    this.#confirmTo(peer);
    const stream = this.engine.operations.stream(peer.member);
    if (stream === undefined) return;
    stream.peer = peer;
    stream.resume(lastSeq);
  }

  #isGone(ref: NodeRef): boolean {
    if (this.#gone.has(refKey(ref))) return true;
    const members = this.#view === null ? [] : participants(this.#view);
    return members.some((member) => member.node === ref.node && !sameRef(member, ref));
  }

  #onDown(peer: Peer): void {
    this.router.onDown(peer);
    this.#rpc.onDown(peer);
  }
}
