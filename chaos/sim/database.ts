/**
 * A modelled PostgreSQL behind the interface of `storage/postgres/store.ts`. It keeps what the cluster
 * relies on: lanes with generation, epoch and numbers, leases, views, rows with versions and floors. A
 * statement runs in one instant, when it arrives; batches can be held back there, refused, or lose their
 * connection.
 */
import { slotOf } from '../../src/cluster/slot.ts';
import { sleep } from '../../src/platform/clock.ts';
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
  type Settlement,
  type Store,
  StoreError,
  type View,
  type ViewProposal,
} from '../../src/storage/postgres/store.ts';
import type { VirtualTime } from './time.ts';
import type { Host } from './machine.ts';
import { HOP_MS } from './network.ts';

interface LaneState {
  generation: number;
  epoch: number | null;
  last: number;
}

interface LeaseState {
  readonly ref: NodeRef;
  counter: number;
  givenUp: boolean;
  complaints: readonly NodeRef[];
  /** Why it may not renew any more. */
  expelled: string | null;
}

interface HeldBatch {
  run(): void;
}

/** What a session is for: some trouble befalls one of a node's sessions only. */
export type SessionRole = 'lane' | 'lease' | 'control' | 'loads';

const keyOf = (ref: NodeRef): string => `${ref.node}/${ref.incarnation}`;
const isOlder = (a: { epoch: number; seq: number }, b: { epoch: number; seq: number }): boolean =>
  a.epoch !== b.epoch ? a.epoch < b.epoch : a.seq < b.seq;

/** How long a caller waits for a database that does not answer, milliseconds. */
const ANSWER_TIMEOUT_MS = 300;

export class SimDatabase {
  readonly #time: VirtualTime;
  readonly #lanes = new Map<string, LaneState>();
  readonly #leases = new Map<string, LeaseState>();
  readonly #rows = new Map<string, Row>();
  readonly #floors = new Map<string, { epoch: number; seq: number }>();
  readonly #held = new Map<string, HeldBatch[]>();
  readonly #laneSessions = new Map<string, Set<(reason: string) => void>>();
  readonly views: View[] = [];
  /** Complaints that were settled, oldest first. */
  readonly settlements: Settlement[] = [];
  /** The server is away: nobody gets an answer. */
  down = false;
  /** Nodes that cannot reach it. */
  readonly unreachableFor = new Set<string>();
  /** Decides that the database refuses a batch for its data; the reason, or null. */
  refuse: (batch: Batch, self: NodeRef) => string | null = () => null;
  /** Batches committed, oldest first. */
  readonly committed: { self: NodeRef; batch: Batch }[] = [];
  /** Reads of rows by key take this much longer, milliseconds. */
  loadDelayMs = 0;
  /** Queries of rows by key that were answered. */
  loads = 0;
  wallOffsetMs = 0;
  /** By how much the database's clock looks wrong to a node, milliseconds; 0 for those not named. */
  readonly clockErrorMs = new Map<string, number>();
  readonly #cutSessions = new Set<string>();
  readonly #heldAnswers = new Map<string, (() => void)[]>();

  constructor(time: VirtualTime) {
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

  /** Sessions of this role get no answer for this node, while its other sessions go on. */
  cutSession(node: string, role: SessionRole): void {
    this.#cutSessions.add(`${node} ${role}`);
  }

  healSession(node: string, role: SessionRole): void {
    this.#cutSessions.delete(`${node} ${role}`);
  }

  /** Statements of this role run, and their answers stay on the way until `releaseAnswers`. */
  holdAnswers(node: string, role: SessionRole): void {
    this.#heldAnswers.set(`${node} ${role}`, []);
  }

  /** How many answers of this role are on the way to the node. */
  heldAnswers(node: string, role: SessionRole): number {
    return this.#heldAnswers.get(`${node} ${role}`)?.length ?? 0;
  }

  releaseAnswers(node: string, role: SessionRole): void {
    const held = this.#heldAnswers.get(`${node} ${role}`) ?? [];
    this.#heldAnswers.delete(`${node} ${role}`);
    for (const answer of held) answer();
  }

  /** A crash that loses the last renewals of everybody: counters stand lower than before. */
  loseRenewals(count: number): void {
    for (const lease of this.#leases.values()) lease.counter = Math.max(0, lease.counter - count);
  }

  store(host: Host): Store {
    const call = <T>(role: SessionRole, statement: () => T): Promise<T> =>
      this.#call(host, role, 'unavailable', statement);
    return {
      prepare: () => call('control', () => ({ clusterId: 'sim', serverVersion: '15.0' })),
      register: (member) => call('control', () => this.#register(member)),
      openLane: (self) => this.#openLane(host, self),
      openLease: (self) => call('lease', () => this.#leaseSession(host, self)),
      openControl: () => call('control', () => this.#controlSession(host)),
      loads: () => this.#loadPool(host),
      sweep: () => Promise.resolve(0),
      close: () => Promise.resolve(),
    };
  }

  /** A statement: it arrives, runs in one instant, and its answer comes back. */
  #call<T>(
    host: Host,
    role: SessionRole,
    lost: 'unavailable' | 'unknown',
    statement: () => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const answer = (settle: () => void, afterMs: number): void => {
        const deliver = (): void => void this.#time.after(afterMs, () => host.run(settle));
        const held = this.#heldAnswers.get(`${host.name} ${role}`);
        if (held === undefined) deliver();
        else held.push(deliver);
      };
      this.#time.after(HOP_MS, () => {
        if (host.dead) return;
        if (this.#isOutOfReach(host, role)) {
          const error = new StoreError(lost, 'the database does not answer');
          this.#time.after(ANSWER_TIMEOUT_MS, () => host.run(() => reject(error)));
          return;
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

  #isOutOfReach(host: Host, role: SessionRole): boolean {
    return (
      this.down ||
      this.unreachableFor.has(host.name) ||
      this.#cutSessions.has(`${host.name} ${role}`)
    );
  }

  #register(member: Member): void {
    const key = keyOf(member);
    if (this.#lanes.has(key)) {
      if (this.#leases.has(key)) return;
      throw new StoreError('fenced', 'this incarnation was removed');
    }
    this.#lanes.set(key, { generation: 0, epoch: null, last: 0 });
    this.#leases.set(key, {
      ref: member,
      counter: 0,
      givenUp: false,
      complaints: [],
      expelled: null,
    });
  }

  // ---------------------------------------------------------------- lanes

  async #openLane(host: Host, self: NodeRef): Promise<LaneSession> {
    const opened = await this.#call(host, 'lane', 'unavailable', () => {
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
          if (this.#isOutOfReach(host, 'lane')) {
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
      renew: (complaints) =>
        this.#call(host, 'lease', 'unavailable', () => {
          const lease = this.#leases.get(keyOf(self));
          if (lease === undefined || lease.givenUp)
            throw new StoreError('fenced', 'no lease any more');
          if (lease.expelled !== null) throw new StoreError('fenced', lease.expelled);
          lease.counter++;
          lease.complaints = complaints;
          const leases: LeaseInfo[] = [...this.#leases.values()].map(
            ({ ref, counter, givenUp, complaints, expelled }) => ({
              node: ref.node,
              incarnation: ref.incarnation,
              counter,
              givenUp,
              complaints,
              expelled: expelled !== null,
            }),
          );
          const error = this.clockErrorMs.get(self.node) ?? 0;
          const nowMs = this.#time.wallMs() + this.wallOffsetMs + error;
          const newest = this.views.at(-1);
          const [epoch, viewId] = [newest?.epoch ?? 0, newest?.id ?? ''];
          return { counter: lease.counter, epoch, viewId, leases, nowMs };
        }),
      giveUp: () =>
        this.#call(host, 'lease', 'unavailable', () => {
          const lease = this.#leases.get(keyOf(self));
          if (lease !== undefined) lease.givenUp = true;
        }),
      close: () => Promise.resolve(),
    };
  }

  #controlSession(host: Host): ControlSession {
    return {
      viewsAfter: (epoch) =>
        this.#call(host, 'control', 'unavailable', () =>
          structuredClone(this.views.filter((view) => view.epoch > epoch)),
        ),
      propose: (proposal) => this.#call(host, 'control', 'unknown', () => this.propose(proposal)),
      settleComplaint: (settlement) =>
        this.#call(host, 'control', 'unknown', () => this.settle(settlement)),
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
    const listed = [...view.settled, ...view.coming, ...view.leaving];
    const members = listed.map(keyOf).filter((key) => !removed.has(key));
    for (const key of members) {
      if (!this.#lanes.has(key) || !this.#leases.has(key) || gone.has(key)) {
        throw new StoreError('conflict', 'a member has no lane or no lease');
      }
    }
    for (const [key, lane] of this.#lanes) lane.epoch = members.includes(key) ? view.epoch : null;
    for (const key of gone) this.#leases.delete(key);
    this.views.push(structuredClone(view));
  }

  /** The transaction that settles a complaint. */
  settle({ by, about, loser, reason }: Settlement): boolean {
    const [complainer, accused] = [this.#leases.get(keyOf(by)), this.#leases.get(keyOf(about))];
    for (const lease of [complainer, accused]) {
      if (lease === undefined || lease.givenUp || lease.expelled !== null) return false;
    }
    if (!complainer!.complaints.some((ref) => keyOf(ref) === keyOf(about))) return false;
    this.#leases.get(keyOf(loser))!.expelled = reason;
    this.settlements.push({ by, about, loser, reason });
    return true;
  }

  counterOf(ref: NodeRef): number | null {
    return this.#leases.get(keyOf(ref))?.counter ?? null;
  }

  // ---------------------------------------------------------------- reads

  #loadPool(host: Host): LoadPool {
    const call = <T>(statement: () => T): Promise<T> =>
      this.#call(host, 'loads', 'unavailable', statement);
    const rows = (): Row[] =>
      [...this.#rows.values()].filter((row) => this.#aboveFloor(row)).sort(inOrder);
    const live = (row: Row, nowMs: number): boolean =>
      row.type !== RowType.Tombstone && (row.expiresAtMs === 0 || row.expiresAtMs > nowMs);
    return {
      load: async (keys) => {
        if (this.loadDelayMs > 0) await sleep(host.timers, this.loadDelayMs);
        return call(() => {
          this.loads += keys.length;
          const found = keys.map(({ slot, db, key }) => this.#rows.get(`${slot}:${db}:${key}`));
          return found.filter((row): row is Row => row !== undefined && this.#aboveFloor(row));
        });
      },
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
