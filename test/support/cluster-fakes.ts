/**
 * A whole cluster in one process: nodes on a modelled network and a modelled database, in virtual time
 * and with seeded randomness, so that a test forces the order of events and sees the same one each time.
 *
 * - `Sim` owns time, the hosts, the network and the database.
 * - `Host` is a machine: it can be paused (SIGSTOP) and killed; nothing of it runs then.
 * - `SimNetwork` carries bytes in order with a delay; a cut link holds them until it is healed.
 * - `SimDatabase` keeps what `storage/postgres` promises: lanes with generation, epoch and numbers,
 *   leases, views, rows with versions and floors. A statement runs in one instant, when it arrives.
 */
import { Cluster } from '../../src/cluster/cluster.ts';
import type { ClusterOptions } from '../../src/cluster/cluster-node.ts';
import { slotOf } from '../../src/cluster/slot.ts';
import { matchesGlob } from '../../src/commands/glob.ts';
import { createPrepare } from '../../src/commands/prepare.ts';
import type { Random, TimerHandle, Timers } from '../../src/platform/clock.ts';
import type { Logger } from '../../src/platform/logger.ts';
import type { Platform } from '../../src/platform/platform.ts';
import type { Connection, ConnectionHandlers, Transport } from '../../src/platform/transport.ts';
import type { LegacyAnswer, LegacySource } from '../../src/storage/legacy/source.ts';
import { Evictor } from '../../src/storage/memory/eviction.ts';
import { Keyspace } from '../../src/storage/memory/keyspace.ts';
import {
  type Batch,
  type ControlSession,
  type LaneSession,
  type LeaseInfo,
  type LeaseSession,
  type LoadPool,
  type Member,
  type NodeRef,
  type Row,
  type RowChange,
  RowType,
  type Store,
  StoreError,
  type View,
  type ViewProposal,
} from '../../src/storage/postgres/store.ts';
import { FakeTime } from './fake-time.ts';

/** mulberry32: small, fast, good enough to vary schedules. */
export class SeededRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  float(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  }

  below(bound: number): number {
    return Math.floor(this.float() * bound);
  }

  id(): string {
    let id = '';
    while (id.length < 32) id += this.below(16).toString(16);
    return id;
  }
}

/** Drops everything; errors are kept, so that a test can look at them. */
export class QuietLog implements Logger {
  readonly lines: { level: string; fields: object; message: string }[];

  constructor(lines: QuietLog['lines'] = []) {
    this.lines = lines;
  }

  debug(fields: object, message: string): void {
    this.#add('debug', fields, message);
  }
  info(fields: object, message: string): void {
    this.#add('info', fields, message);
  }
  warn(fields: object, message: string): void {
    this.#add('warn', fields, message);
  }
  error(fields: object, message: string): void {
    this.#add('error', fields, message);
  }
  child(): Logger {
    return this;
  }
  #add(level: string, fields: object, message: string): void {
    this.lines.push({ level, fields, message });
  }
}

/** A machine. What happens to it while it is paused happens when it wakes; when it is dead, never. */
export class Host {
  readonly name: string;
  readonly #time: FakeTime;
  #paused = false;
  #waiting: (() => void)[] = [];
  dead = false;

  constructor(name: string, time: FakeTime) {
    this.name = name;
    this.#time = time;
  }

  get paused(): boolean {
    return this.#paused;
  }

  run(callback: () => void): void {
    if (this.dead) return;
    if (this.#paused) this.#waiting.push(callback);
    else callback();
  }

  pause(): void {
    this.#paused = true;
  }

  wake(): void {
    this.#paused = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const callback of waiting) this.#time.after(0, () => this.run(callback));
  }

  get timers(): Timers {
    const time = this.#time;
    const armed = (
      arm: (callback: () => void) => TimerHandle,
      callback: () => void,
    ): TimerHandle => {
      let cancelled = false;
      const handle = arm(() =>
        this.run(() => {
          if (!cancelled) callback();
        }),
      );
      return {
        cancel() {
          cancelled = true;
          handle.cancel();
        },
      };
    };
    return {
      after: (delayMs, callback) => armed((fire) => time.after(delayMs, fire), callback),
      every: (periodMs, callback) => armed((fire) => time.every(periodMs, fire), callback),
      turnEnd: (callback) => time.turnEnd(() => this.run(callback)),
    };
  }
}

// ------------------------------------------------------------------ network

const HOP_MS = 1;

class SimConnection implements Connection {
  readonly from: Host;
  readonly to: Host;
  readonly #network: SimNetwork;
  peer!: SimConnection;
  #handlers: ConnectionHandlers | null = null;
  #inbox: Buffer[] = [];
  #paused = false;
  #closed = false;
  readonly bufferedBytes = 0;

  constructor(network: SimNetwork, from: Host, to: Host) {
    this.#network = network;
    this.from = from;
    this.to = to;
  }

  get remoteAddress(): string {
    return this.to.name;
  }
  get localAddress(): string {
    return this.from.name;
  }

  handle(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
  }

  write(data: string | Buffer): void {
    if (this.#closed) return;
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : Buffer.from(data);
    this.#network.carry(this.from, this.to, () => this.peer.receive(bytes));
  }

  receive(bytes: Buffer): void {
    if (this.#closed) return;
    this.#inbox.push(bytes);
    this.#drain();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#network.carry(this.from, this.from, () => this.#drain());
  }

  #drain(): void {
    while (!this.#paused && !this.#closed && this.#inbox.length > 0) {
      this.#handlers?.onData(this.#inbox.shift()!);
    }
  }

  end(): void {
    this.destroy();
  }

  destroy(): void {
    if (this.#closed) return;
    this.#close(undefined);
    this.#network.carry(this.from, this.to, () => this.peer.#close(undefined));
  }

  /** The other side is gone for good: seen at once, as a reset. */
  reset(): void {
    this.#close(new Error('connection reset'));
  }

  #close(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#network.forget(this);
    this.#handlers?.onClose(error);
  }

  setKeepAlive(): void {
    // Nothing to keep alive here.
  }
}

export class SimNetwork {
  readonly #time: FakeTime;
  readonly #listeners = new Map<string, { host: Host; accept: (connection: Connection) => void }>();
  readonly #cuts = new Set<string>();
  readonly #delays = new Map<string, number>();
  /** Last arrival per direction, so that nothing overtakes. */
  readonly #arrivals = new Map<string, number>();
  readonly #held = new Map<string, (() => void)[]>();
  readonly #connections = new Set<SimConnection>();

  constructor(time: FakeTime) {
    this.#time = time;
  }

  /** What `from` sends to `to` stays on the way until `heal`. */
  cutOneWay(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`);
  }

  cut(a: string, b: string): void {
    this.cutOneWay(a, b);
    this.cutOneWay(b, a);
  }

  heal(a: string, b: string): void {
    for (const way of [`${a}>${b}`, `${b}>${a}`]) {
      this.#cuts.delete(way);
      const held = this.#held.get(way) ?? [];
      this.#held.delete(way);
      for (const deliver of held) this.#time.after(HOP_MS, deliver);
    }
  }

  /** Extra time on the way from one host to another, milliseconds. */
  delay(from: string, to: string, ms: number): void {
    this.#delays.set(`${from}>${to}`, ms);
  }

  /** All connections between two hosts break; new ones can be made. */
  break(a: string, b: string): void {
    for (const connection of [...this.#connections]) {
      const ends = [connection.from.name, connection.to.name];
      if (ends.includes(a) && ends.includes(b)) connection.from.run(() => connection.reset());
    }
  }

  killHost(host: Host): void {
    for (const [id, listener] of this.#listeners)
      if (listener.host === host) this.#listeners.delete(id);
    for (const connection of [...this.#connections]) {
      if (connection.to === host) this.carry(host, connection.from, () => connection.reset());
    }
  }

  carry(from: Host, to: Host, deliver: () => void): void {
    const way = `${from.name}>${to.name}`;
    if (this.#cuts.has(way)) {
      const held = this.#held.get(way);
      const again = (): void => this.carry(from, to, deliver);
      if (held === undefined) this.#held.set(way, [again]);
      else held.push(again);
      return;
    }
    const now = this.#time.monotonicMs();
    const at = Math.max(now + HOP_MS + (this.#delays.get(way) ?? 0), this.#arrivals.get(way) ?? 0);
    this.#arrivals.set(way, at);
    this.#time.after(at - now, () => to.run(deliver));
  }

  forget(connection: SimConnection): void {
    this.#connections.delete(connection);
  }

  transport(host: Host): Transport {
    return {
      listen: ({ port }, accept) => {
        this.#listeners.set(`${host.name}:${port}`, { host, accept });
        const close = (): Promise<void> => {
          this.#listeners.delete(`${host.name}:${port}`);
          return Promise.resolve();
        };
        return Promise.resolve({ port, close });
      },
      connect: ({ host: to, port, timeoutMs }) =>
        new Promise((resolve, reject) => {
          const timer = host.timers.after(timeoutMs, () => reject(new Error('connect timed out')));
          const target = this.#listeners.get(`${to}:${port}`);
          if (target === undefined) {
            timer.cancel();
            reject(new Error('connection refused'));
            return;
          }
          this.carry(host, target.host, () => {
            const here = new SimConnection(this, host, target.host);
            const there = new SimConnection(this, target.host, host);
            here.peer = there;
            there.peer = here;
            this.#connections.add(here).add(there);
            target.accept(there);
            this.carry(target.host, host, () => {
              timer.cancel();
              resolve(here);
            });
          });
        }),
    };
  }
}

// ------------------------------------------------------------------ database

interface LaneState {
  generation: number;
  epoch: number | null;
  last: number;
}

interface LeaseState {
  readonly ref: NodeRef;
  counter: number;
  givenUp: boolean;
}

interface HeldBatch {
  run(): void;
}

const keyOf = (ref: NodeRef): string => `${ref.node}/${ref.incarnation}`;
const isOlder = (a: { epoch: number; seq: number }, b: { epoch: number; seq: number }): boolean =>
  a.epoch !== b.epoch ? a.epoch < b.epoch : a.seq < b.seq;

/** How long a caller waits for a database that does not answer, milliseconds. */
const ANSWER_TIMEOUT_MS = 300;

export class SimDatabase {
  readonly #time: FakeTime;
  readonly #lanes = new Map<string, LaneState>();
  readonly #leases = new Map<string, LeaseState>();
  readonly #rows = new Map<string, Row>();
  readonly #floors = new Map<string, { epoch: number; seq: number }>();
  readonly #held = new Map<string, HeldBatch[]>();
  readonly #laneSessions = new Map<string, Set<(reason: string) => void>>();
  readonly views: View[] = [];
  /** The server is away: nobody gets an answer. */
  down = false;
  /** Nodes that cannot reach it. */
  readonly unreachableFor = new Set<string>();
  /** Decides that the database refuses a batch for its data; the reason, or null. */
  refuse: (batch: Batch, self: NodeRef) => string | null = () => null;
  /** Batches committed, oldest first. */
  readonly committed: { self: NodeRef; batch: Batch }[] = [];
  /** Queries of rows by key that were answered. */
  loads = 0;
  wallOffsetMs = 0;

  constructor(time: FakeTime) {
    this.#time = time;
  }

  /** A row's value as SQL shows it; undefined when there is none. */
  valueOf(key: string, db = 0): string | undefined {
    const row = this.#rows.get(`${slotOf(key)}:${db}:${key}`);
    if (row === undefined || row.type === RowType.Tombstone || !this.#aboveFloor(row))
      return undefined;
    return row.value ?? undefined;
  }

  /** Puts a row there that no node knows of. */
  seed(key: string, value: string, expiresAtMs = 0): void {
    const slot = slotOf(key);
    const row: Row = {
      slot,
      db: 0,
      key,
      type: RowType.String,
      value,
      expiresAtMs,
      epoch: 0,
      seq: 1,
    };
    this.#rows.set(`${slot}:0:${key}`, row);
  }

  /** Batches of this node arrive and stay undecided until `releaseBatches`. */
  holdBatches(node: string): void {
    this.#held.set(node, []);
  }

  get heldBatches(): number {
    let count = 0;
    for (const held of this.#held.values()) count += held.length;
    return count;
  }

  releaseBatches(node: string): void {
    const held = this.#held.get(node) ?? [];
    this.#held.delete(node);
    for (const batch of held) batch.run();
  }

  /** The node's connection for batches breaks; what is under way there has no answer. */
  breakLane(node: string): void {
    for (const lose of [...(this.#laneSessions.get(node) ?? [])]) lose('the connection broke');
  }

  store(host: Host): Store {
    const call = <T>(lost: 'unavailable' | 'unknown', statement: () => T): Promise<T> =>
      this.#call(host, lost, statement);
    return {
      prepare: () => call('unavailable', () => ({ clusterId: 'sim', serverVersion: '15.0' })),
      register: (member) => call('unavailable', () => this.#register(member)),
      openLane: (self) => this.#openLane(host, self),
      openLease: (self) => call('unavailable', () => this.#leaseSession(host, self)),
      openControl: () => call('unavailable', () => this.#controlSession(host)),
      loads: () => this.#loadPool(host),
      sweep: () => Promise.resolve(0),
      close: () => Promise.resolve(),
    };
  }

  /** A statement: it arrives, runs in one instant, and its answer comes back. */
  #call<T>(host: Host, lost: 'unavailable' | 'unknown', statement: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const answer = (settle: () => void, afterMs: number): void => {
        this.#time.after(afterMs, () => host.run(settle));
      };
      this.#time.after(HOP_MS, () => {
        if (host.dead) return;
        if (this.down || this.unreachableFor.has(host.name)) {
          const error = new StoreError(lost, 'the database does not answer');
          return answer(() => reject(error), ANSWER_TIMEOUT_MS);
        }
        try {
          const result = statement();
          answer(() => resolve(result), HOP_MS);
        } catch (error) {
          const reason = error instanceof Error ? error : new Error(String(error));
          answer(() => reject(reason), HOP_MS);
        }
      });
    });
  }

  #register(member: Member): void {
    const key = keyOf(member);
    if (this.#lanes.has(key)) {
      if (this.#leases.has(key)) return;
      throw new StoreError('fenced', 'this incarnation was removed');
    }
    this.#lanes.set(key, { generation: 0, epoch: null, last: 0 });
    this.#leases.set(key, { ref: member, counter: 0, givenUp: false });
  }

  // ---------------------------------------------------------------- lanes

  async #openLane(host: Host, self: NodeRef): Promise<LaneSession> {
    const opened = await this.#call(host, 'unavailable', () => {
      const lane = this.#lanes.get(keyOf(self));
      if (lane === undefined) throw new StoreError('fenced', 'this incarnation has no lane');
      lane.generation++;
      return { generation: lane.generation, last: lane.last };
    });
    let over: () => void = () => undefined;
    const closed = new Promise<void>((resolve) => {
      over = resolve;
    });
    let ended = false;
    const open = new Set<(error: StoreError) => void>();
    const sessions = this.#laneSessions.get(self.node) ?? new Set();
    this.#laneSessions.set(self.node, sessions);
    const lose = (reason: string): void => {
      if (ended) return;
      ended = true;
      sessions.delete(lose);
      host.run(() => {
        for (const reject of open) reject(new StoreError('unknown', reason));
        over();
      });
    };
    sessions.add(lose);
    const commit = (batch: Batch): Promise<void> =>
      new Promise((resolve, reject) => {
        if (ended) return reject(new StoreError('unavailable', 'the connection is over'));
        const fail = (error: Error): void => {
          open.delete(fail);
          reject(error);
        };
        open.add(fail);
        const run = (): void => {
          let error: Error | null = null;
          try {
            this.#commit(self, opened.generation, batch);
          } catch (refusal) {
            error = refusal instanceof Error ? refusal : new Error(String(refusal));
          }
          this.#time.after(HOP_MS, () =>
            host.run(() => {
              if (!open.delete(fail)) return;
              if (error === null) resolve();
              else reject(error);
            }),
          );
        };
        this.#time.after(HOP_MS, () => {
          if (host.dead || ended) return;
          if (this.down || this.unreachableFor.has(host.name)) {
            this.#time.after(ANSWER_TIMEOUT_MS, () => lose('the database does not answer'));
            return;
          }
          const held = this.#held.get(self.node);
          if (held === undefined) run();
          else held.push({ run });
        });
      });
    return {
      lastNumber: opened.last,
      closed,
      commit,
      close: () => {
        lose('closed');
        return Promise.resolve();
      },
    };
  }

  #commit(self: NodeRef, generation: number, batch: Batch): void {
    const lane = this.#lanes.get(keyOf(self));
    if (lane?.generation !== generation || lane.epoch !== batch.epoch) {
      throw new StoreError('fenced', 'this lane may not write');
    }
    if (batch.number > lane.last + 1) throw new StoreError('gap', 'the batch before is missing');
    if (batch.number <= lane.last) throw new StoreError('unknown', 'committed before');
    const refusal = this.refuse(batch, self) ?? this.#contradiction(batch);
    if (refusal !== null) throw new StoreError('rejected', refusal);
    lane.last = batch.number;
    this.committed.push({ self, batch });
    for (const row of batch.rows) this.#write(row);
    for (const { slots, db, epoch, seq } of batch.floors) {
      for (const slot of slots) this.#floors.set(`${slot}:${db ?? -1}`, { epoch, seq });
    }
  }

  #contradiction(batch: Batch): string | null {
    for (const change of batch.rows) {
      const row = this.#rows.get(`${change.slot}:${change.db}:${change.key}`);
      if (row !== undefined && isOlder(change, row))
        return 'a row is older than what the table has';
      const gone = row === undefined || row.type === RowType.Tombstone || !this.#aboveFloor(row);
      if (change.kind === 'expire' && gone) return 'the expiry of a row that is not there';
    }
    return null;
  }

  #write(change: RowChange): void {
    const { slot, db, key, value, expiresAtMs, epoch, seq } = change;
    const id = `${slot}:${db}:${key}`;
    const before = this.#rows.get(id);
    if (change.kind === 'put') {
      this.#rows.set(id, { slot, db, key, type: RowType.String, value, expiresAtMs, epoch, seq });
    } else if (change.kind === 'expire') {
      this.#rows.set(id, { ...before!, expiresAtMs, epoch, seq });
    } else if (expiresAtMs === 0) {
      this.#rows.delete(id);
    } else {
      const type = RowType.Tombstone;
      this.#rows.set(id, { slot, db, key, type, value: null, expiresAtMs, epoch, seq });
    }
  }

  #aboveFloor(row: Row): boolean {
    for (const db of [row.db, -1]) {
      const floor = this.#floors.get(`${row.slot}:${db}`);
      if (floor !== undefined && !isOlder(floor, row)) return false;
    }
    return true;
  }

  // ---------------------------------------------------------------- leases and views

  #leaseSession(host: Host, self: NodeRef): LeaseSession {
    return {
      renew: () =>
        this.#call(host, 'unavailable', () => {
          const lease = this.#leases.get(keyOf(self));
          if (lease === undefined || lease.givenUp)
            throw new StoreError('fenced', 'no lease any more');
          lease.counter++;
          const leases: LeaseInfo[] = [...this.#leases.values()].map(
            ({ ref, counter, givenUp }) => ({
              node: ref.node,
              incarnation: ref.incarnation,
              counter,
              givenUp,
            }),
          );
          const nowMs = this.#time.wallMs() + this.wallOffsetMs;
          const newest = this.views.at(-1);
          const [epoch, viewId] = [newest?.epoch ?? 0, newest?.id ?? ''];
          return { counter: lease.counter, epoch, viewId, leases, nowMs };
        }),
      giveUp: () =>
        this.#call(host, 'unavailable', () => {
          const lease = this.#leases.get(keyOf(self));
          if (lease !== undefined) lease.givenUp = true;
        }),
      close: () => Promise.resolve(),
    };
  }

  #controlSession(host: Host): ControlSession {
    return {
      viewsAfter: (epoch) =>
        this.#call(host, 'unavailable', () =>
          structuredClone(this.views.filter((view) => view.epoch > epoch)),
        ),
      propose: (proposal) => this.#call(host, 'unknown', () => this.propose(proposal)),
      close: () => Promise.resolve(),
    };
  }

  /** The view transaction. Tests may call it themselves, as a node that is not modelled. */
  propose({ view, removals }: ViewProposal): void {
    const newest = this.views.at(-1)?.epoch ?? 0;
    if (view.epoch !== newest + 1) throw new StoreError('conflict', `the newest view is ${newest}`);
    for (const { ref, counter } of removals) {
      const lease = this.#leases.get(keyOf(ref));
      if (lease !== undefined && !lease.givenUp && lease.counter !== counter) {
        throw new StoreError('conflict', `${ref.node} has renewed its lease`);
      }
    }
    const gone = new Set([...removals.map(({ ref }) => keyOf(ref))]);
    const removed = new Set(view.removed.map(keyOf));
    const members = [...view.settled, ...view.coming].map(keyOf).filter((key) => !removed.has(key));
    for (const key of members) {
      if (!this.#lanes.has(key) || !this.#leases.has(key) || gone.has(key)) {
        throw new StoreError('conflict', 'a member has no lane or no lease');
      }
    }
    for (const [key, lane] of this.#lanes) lane.epoch = members.includes(key) ? view.epoch : null;
    for (const key of gone) this.#leases.delete(key);
    this.views.push(structuredClone(view));
  }

  counterOf(ref: NodeRef): number | null {
    return this.#leases.get(keyOf(ref))?.counter ?? null;
  }

  // ---------------------------------------------------------------- reads

  #loadPool(host: Host): LoadPool {
    const call = <T>(statement: () => T): Promise<T> => this.#call(host, 'unavailable', statement);
    const rows = (): Row[] =>
      [...this.#rows.values()].filter((row) => this.#aboveFloor(row)).sort(inOrder);
    const live = (row: Row, nowMs: number): boolean =>
      row.type !== RowType.Tombstone && (row.expiresAtMs === 0 || row.expiresAtMs > nowMs);
    return {
      load: (keys) =>
        call(() => {
          this.loads += keys.length;
          const found = keys.map(({ slot, db, key }) => this.#rows.get(`${slot}:${db}:${key}`));
          return found.filter((row): row is Row => row !== undefined && this.#aboveFloor(row));
        }),
      scan: ({ from, to, after, limit }) =>
        call(() =>
          rows()
            .filter(
              (row) =>
                row.slot >= from && row.slot <= to && (after === null || inOrder(row, after) > 0),
            )
            .slice(0, limit),
        ),
      count: (slots, db, nowMs) =>
        call(
          () =>
            rows().filter((row) => slots.includes(row.slot) && row.db === db && live(row, nowMs))
              .length,
        ),
      keys: ({ slot, db, after, limit, nowMs }) =>
        call(() =>
          rows()
            .filter((row) => row.slot === slot && row.db === db && live(row, nowMs))
            .filter(({ key }) => after === null || key > after)
            .slice(0, limit)
            .map(({ key, type }) => ({ key, type })),
        ),
      expired: (slots, nowMs, limit) =>
        call(() =>
          [...this.#rows.values()]
            .filter(({ slot }) => slots.some(({ from, to }) => slot >= from && slot <= to))
            .filter(({ expiresAtMs }) => expiresAtMs !== 0 && expiresAtMs <= nowMs)
            .slice(0, limit),
        ),
      close: () => Promise.resolve(),
    };
  }
}

type RowOrder = Pick<Row, 'slot' | 'db' | 'key'>;

function inOrder(a: RowOrder, b: RowOrder): number {
  return a.slot - b.slot || a.db - b.db || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
}

// ------------------------------------------------------------------ legacy

/** Keys with this prefix have a legacy source; those with `none:` live in memory only. */
export const LEGACY_PREFIX = 'legacy:';
export const NONE_PREFIX = 'none:';

export class SimLegacy implements LegacySource {
  readonly values = new Map<string, string>();
  readonly #time: FakeTime;
  fetches = 0;
  /** Answers take this long, milliseconds. */
  delayMs = 5;

  constructor(time: FakeTime) {
    this.#time = time;
  }

  covers(key: string): boolean {
    return key.startsWith(LEGACY_PREFIX);
  }

  fetch(key: string): Promise<LegacyAnswer> {
    this.fetches++;
    const value = this.values.get(key);
    const answer: LegacyAnswer =
      value === undefined ? { kind: 'absent', ttlMs: 5_000 } : { kind: 'found', value, ttlMs: 0 };
    return new Promise((resolve) => this.#time.after(this.delayMs, () => resolve(answer)));
  }

  stats(): [] {
    return [];
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

// ------------------------------------------------------------------ nodes and clients

export interface SimOptions extends Partial<Omit<ClusterOptions, 'live'>> {
  readonly seed?: number;
  readonly tokens?: number;
  readonly zones?: Readonly<Record<string, string>>;
  readonly maxmemory?: number;
}

const TOMBSTONE_MS = 60_000;

export class SimNode {
  readonly host: Host;
  readonly cluster: Cluster;
  readonly log: QuietLog;

  constructor(host: Host, cluster: Cluster, log: QuietLog) {
    this.host = host;
    this.cluster = cluster;
    this.log = log;
  }

  get life(): NonNullable<Cluster['life']> {
    const { life } = this.cluster;
    if (life === null) throw new Error(`${this.host.name} has no life`);
    return life;
  }

  get ready(): boolean {
    return this.cluster.healthy;
  }
}

/** One client connection of a node: commands in order, replies in order. */
export class SimClient {
  readonly #sim: Sim;
  readonly #node: SimNode;
  readonly #order: object;
  /** Replies in the order in which they came. */
  readonly replies: string[] = [];

  constructor(sim: Sim, node: SimNode) {
    this.#sim = sim;
    this.#node = node;
    this.#order = node.cluster.openClient();
  }

  /** Sends a command; resolves with its reply on one line (`+OK`, `$1 x`, `-ERR ...`). */
  send(...args: string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      let answered = false;
      const done = (reply: string): void => {
        if (answered) return reject(new Error(`${args.join(' ')} was answered twice`));
        answered = true;
        const line = reply.trimEnd().replaceAll('\r\n', ' ');
        this.replies.push(line);
        resolve(line);
      };
      const prepared = this.#sim.prepare(args);
      const reply = this.#node.cluster.submit({ prepared, order: this.#order, done });
      if (reply !== undefined) done(reply);
    });
  }
}

/** Looking whether everything is settled costs more than a millisecond of virtual time. */
const SETTLE_POLL_MS = 20;
/** How often microtasks are let run after each step of time; more than any chain of awaits is long. */
const MICROTASK_ROUNDS = 40;

export class Sim {
  readonly time: FakeTime;
  readonly network: SimNetwork;
  readonly database: SimDatabase;
  readonly legacy: SimLegacy;
  readonly nodes = new Map<string, SimNode>();
  readonly #random: SeededRandom;
  readonly #options: SimOptions;
  readonly #prepare: ReturnType<typeof createPrepare>;

  constructor(options: SimOptions = {}) {
    this.#options = options;
    this.time = new FakeTime();
    this.network = new SimNetwork(this.time);
    this.database = new SimDatabase(this.time);
    this.legacy = new SimLegacy(this.time);
    this.#random = new SeededRandom(options.seed ?? 1);
    const limits = { protoMaxBulkLen: 512 * 1024 * 1024 };
    this.#prepare = createPrepare({ slotOf, limits, random: () => this.#random.float() });
  }

  prepare(args: readonly string[]): ReturnType<ReturnType<typeof createPrepare>> {
    return this.#prepare(args, 0, 2);
  }

  /** Starts a node (again, under the same name, as a new process). */
  startNode(name: string): SimNode {
    const host = new Host(name, this.time);
    const log = new QuietLog();
    const random = new SeededRandom(this.#random.below(2 ** 32));
    const platform: Platform = {
      clock: this.time,
      timers: host.timers,
      random,
      transport: this.network.transport(host),
    };
    const { seed: _seed, tokens = 8, zones = {}, maxmemory = 0, ...rest } = this.#options;
    const cluster = new Cluster({
      platform,
      log,
      store: this.database.store(host),
      legacy: this.legacy,
      options: {
        replicas: 3,
        leaseMs: 1500,
        leaseMarginMs: 100,
        requestTimeoutMs: 5_000,
        clockBoundMs: 50,
        connectTimeoutMs: 500,
        linkBufferMax: 64 * 1024 * 1024,
        lanePipeline: 2,
        batchRowsMax: 100,
        batchBytesMax: 1024 * 1024,
        readsWithoutStore: 'serve',
        warmUp: false,
        ...rest,
        live: {
          maxmemory,
          valueBytesMax: 1024 * 1024,
          loadPendingMax: 10_000,
          pendingRequestsMax: 10_000,
          keysLimit: 100_000,
        },
      },
      prepare: this.#prepare,
      policyOf: (key) => ({
        persistent: !key.startsWith(NONE_PREFIX),
        defaultTtlMs: 0,
        tombstoneMs: key.startsWith(LEGACY_PREFIX) ? TOMBSTONE_MS : 0,
      }),
      matches: matchesGlob,
      createKeyspace: (nowMs) => {
        const keyspace = new Keyspace({ random, nowMs });
        return {
          keyspace,
          evictor: new Evictor({ keyspace, random, nowMs, policy: 'allkeys-lru', samples: 5 }),
        };
      },
      node: { node: name, host: name, zone: zones[name] ?? name, tokens },
      links: { bind: name, port: 17001 },
      clusterIdOf: (node) => node.padEnd(40, '0'),
    });
    const node = new SimNode(host, cluster, log);
    this.nodes.set(name, node);
    void cluster.start({ port: 7001, httpPort: 8001 });
    return node;
  }

  /** Starts these nodes and waits until all of them serve everything. */
  async startAll(...names: string[]): Promise<SimNode[]> {
    const nodes = names.map((name) => this.startNode(name));
    await this.settle(...names);
    return nodes;
  }

  /** Waits until exactly these nodes form the cluster, and serve everything. */
  async settle(...names: string[]): Promise<void> {
    for (let i = 0; i < 1000 && !this.#settled(names); i++) await this.run(SETTLE_POLL_MS);
    if (!this.#settled(names)) throw new Error(`${names.join(', ')} do not settle`);
  }

  #settled(names: readonly string[]): boolean {
    const lives = names.map((name) => this.nodes.get(name)!);
    if (!lives.every((node) => node.ready)) return false;
    const epochs = new Set(lives.map((node) => node.cluster.epoch));
    const coming = this.database.views.at(-1)?.settled.length ?? 0;
    return epochs.size === 1 && coming === names.length;
  }

  /** kill -9. */
  kill(name: string): void {
    const { host } = this.node(name);
    host.dead = true;
    this.network.killHost(host);
  }

  node(name: string): SimNode {
    const node = this.nodes.get(name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  client(name: string): SimClient {
    return new SimClient(this, this.node(name));
  }

  /** The node that is primary of a key, as the newest view has it. */
  primaryOf(key: string): SimNode {
    return this.node(this.ownersOf(key)[0]!);
  }

  /** Names of a key's owners, primary first, as the node that is furthest knows them. */
  ownersOf(key: string): string[] {
    const alive = [...this.nodes.values()].filter(
      ({ host, cluster }) => !host.dead && cluster.life !== null,
    );
    const newest = alive.reduce((a, b) => (b.cluster.epoch > a.cluster.epoch ? b : a));
    return newest.life.slots.group(slotOf(key)).owners.map(({ node }) => node);
  }

  /** A key `${prefix}${i}` whose primary is the node. */
  keyOn(name: string, prefix = 'k'): string {
    for (let i = 0; i < 100_000; i++) {
      const key = `${prefix}${i}`;
      if (this.ownersOf(key)[0] === name) return key;
    }
    throw new Error(`${name} is primary of no key`);
  }

  /** Lets virtual time pass. */
  async run(ms: number): Promise<void> {
    for (let i = 0; i < ms; i++) {
      await this.turn();
      this.time.advance(1);
    }
    await this.turn();
  }

  /** Ends the present turn and lets promises settle, without time passing. */
  async turn(): Promise<void> {
    this.time.endTurn();
    for (let i = 0; i < MICROTASK_ROUNDS; i++) await Promise.resolve();
    this.time.endTurn();
  }

  /** Lets time pass until `condition` holds. Throws when it does not within `ms` of virtual time. */
  async until(condition: () => boolean, ms: number, what: string): Promise<void> {
    for (let i = 0; i < ms; i++) {
      if (condition()) return;
      await this.run(1);
    }
    throw new Error(`not within ${ms} ms: ${what}`);
  }

  /** The outcome of a promise, letting time pass until it is there. */
  async wait<T>(promise: Promise<T>, ms = 15_000): Promise<T> {
    let outcome: { value: T } | { error: unknown } | undefined;
    promise.then(
      (value) => (outcome = { value }),
      (error: unknown) => (outcome = { error }),
    );
    await this.until(() => outcome !== undefined, ms, 'a promise settles');
    if ('error' in outcome!) throw outcome.error;
    return (outcome as { value: T }).value;
  }
}
