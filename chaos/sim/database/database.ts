/**
 * A modelled PostgreSQL behind the interface of `storage/postgres/store.ts`: a server on a machine of its
 * own, with connections over the modelled network, backends that outlive their clients, transactions, row
 * locks and snapshots. It can be held back, refuse, hang, crash and start again.
 */
import {
  type Batch,
  type NodeRef,
  type Row,
  RowType,
  type Settlement,
  type Store,
  StoreError,
  type View,
  type ViewProposal,
} from '../../../src/storage/postgres/store.ts';
import { slotOf } from '../../../src/cluster/slot.ts';
import type { SimConnection } from '../connection.ts';
import { DATABASE } from '../ground.ts';
import { Host } from '../machine.ts';
import type { SimNetwork } from '../network.ts';
import { Backend, type BackendEnv, type Request, type Result } from './backend.ts';
import {
  DATABASE_PORT,
  DatabaseSession,
  type Hello,
  type Mail,
  type Sync,
  type Welcome,
} from './session.ts';
import { proposeView, type Server } from './statements.ts';
import { createStore, type SessionRole, type StoreOptions } from './store.ts';
import { type Content, keyOf, rowId, Tables } from './tables.ts';
import { Locks, Transaction } from './transactions.ts';

export type { SessionRole } from './store.ts';

/** Reads of the table that can be held back: of rows for memory, and of rows whose time is over. */
export type ReadKind = 'scan' | 'expired';

interface Received {
  readonly request: Request;
  readonly complete: boolean;
}

/** The server's keepalive finds out about a dead client after this, milliseconds. */
const KEEPALIVE_MS = 20_000;

export interface CommittedView {
  readonly view: View;
  readonly atMs: number;
  /** The lives whose removal came with it. */
  readonly removed: readonly NodeRef[];
}

export class SimDatabase {
  readonly #network: SimNetwork;
  readonly #tables = new Tables();
  #locks = new Locks();
  #host: Host;
  readonly #backends = new Map<number, Backend>();
  /** Sessions of somebody else that hold a lock, by process: how to end them. */
  readonly #strangers = new Map<number, () => void>();
  #lastPid = 0;
  #history = 1;
  #starts = 1;
  readonly #mail = new Mailbox();
  /** Gates that are closed, and what waits at them. */
  readonly #gates = new Map<string, (() => void)[]>();
  readonly #cutSessions = new Set<string>();
  readonly #heldAnswers = new Map<string, (() => void)[]>();
  /** The server is away: nobody gets an answer. */
  down = false;
  /** Nodes that cannot reach it. */
  readonly unreachableFor = new Set<string>();
  /** Decides that the database refuses a batch for its data; the reason, or null. */
  refuse: (batch: Batch, self: NodeRef) => string | null = () => null;
  /** Complaints that were settled, oldest first. */
  readonly settlements: Settlement[] = [];
  /** Views with the moments of their commits, oldest first; also those that a failover has lost. */
  readonly committedViews: CommittedView[] = [];
  /** Batches committed, oldest first. */
  readonly committed: { self: NodeRef; batch: Batch }[] = [];
  readonly #commitWaiters = new Map<string, (() => void)[]>();
  /** Sees every view when it is committed, with those whose leases went with it. */
  onView: (view: View, removed: readonly NodeRef[]) => void = () => undefined;
  /** Reads of rows by key take this much longer, milliseconds. */
  loadDelayMs = 0;
  /** Keys that were asked for. */
  loads = 0;
  wallOffsetMs = 0;
  /** By how much the database's clock looks wrong to a node, milliseconds; 0 for those not named. */
  readonly clockErrorMs = new Map<string, number>();
  /** Time that the work of one statement takes, and that a commit takes to be on the disk, milliseconds. */
  workMs: () => number = () => 0;
  flushMs: () => number = () => 0;
  /** Whether a statement travels in two parts. */
  inTwoParts: () => boolean = () => false;

  constructor(network: SimNetwork) {
    this.#network = network;
    this.#host = this.#listen();
  }

  // ---------------------------------------------------------------- for tests and faults

  get views(): readonly View[] {
    return this.#tables.views;
  }

  /** The machine that the server runs on: it can be paused. */
  get host(): Host {
    return this.#host;
  }

  /** A row's value as SQL shows it; undefined when there is none. */
  valueOf(key: string, db = 0): string | undefined {
    return this.#tables.valueOf(key, db);
  }

  /** When the times of rows are over that have one, milliseconds since 1970; without tombstones. */
  expiries(): number[] {
    return [...this.#tables.rows.values()]
      .filter(({ type, expiresAtMs }) => type !== RowType.Tombstone && expiresAtMs !== 0)
      .map(({ expiresAtMs }) => expiresAtMs);
  }

  /** Puts a row there that no node knows of. */
  seed(key: string, value: string, expiresAtMs = 0): void {
    const place = { slot: slotOf(key), db: 0, key };
    const row: Row = { ...place, type: RowType.String, value, expiresAtMs, epoch: 0, seq: 1 };
    this.#tables.rows.set(rowId(place), row);
  }

  /** Batches of this node arrive and stay undecided until `releaseBatches`; they hold no lock. */
  holdBatches(node: string): void {
    this.#close(`batch ${node}`);
  }

  /** Batches that are held back. */
  get heldBatches(): number {
    let count = 0;
    for (const [gate, held] of this.#gates) if (gate.startsWith('batch ')) count += held.length;
    return count;
  }

  releaseBatches(node: string): void {
    this.#open(`batch ${node}`);
  }

  /** Batches of this node get their locks and stay uncommitted until `releaseCommits`. */
  holdCommits(node: string): void {
    this.#close(`commit ${node}`);
  }

  /** Reads of this kind see what is there and are not answered until `releaseReads`. */
  holdReads(node: string, kind: ReadKind): void {
    this.#close(`${kind} ${node}`);
  }

  releaseReads(node: string, kind: ReadKind): void {
    this.#open(`${kind} ${node}`);
  }

  /** Something waits at this gate: `batch NODE`, `commit NODE`, `scan NODE` or `expired NODE`. */
  isHeld(gate: string): boolean {
    return (this.#gates.get(gate)?.length ?? 0) > 0;
  }

  releaseCommits(node: string): void {
    this.#open(`commit ${node}`);
  }

  /** What waits at a gate that is closed already goes on waiting. */
  #close(gate: string): void {
    if (!this.#gates.has(gate)) this.#gates.set(gate, []);
  }

  #open(gate: string): void {
    const held = this.#gates.get(gate) ?? [];
    this.#gates.delete(gate);
    for (const resume of held) resume();
  }

  /** Resolves when the next batch of the node is committed, before anybody is told. */
  nextCommit(node: string): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#commitWaiters.get(node);
      if (waiting === undefined) this.#commitWaiters.set(node, [resolve]);
      else waiting.push(resolve);
    });
  }

  /** The node's connection for batches breaks; what is under way there has no answer. */
  breakLane(node: string): void {
    this.breakSession(node, 'lane');
  }

  /** The node's connections for this role break; what is under way there has no answer. */
  breakSession(node: string, role: SessionRole): void {
    for (const backend of [...this.#backends.values()])
      if (backend.node === node && backend.role === role) backend.connection.breakBoth();
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
    for (const lease of this.#tables.leases.values())
      lease.counter = Math.max(0, lease.counter - count);
  }

  /** kill -9 of the server: what is not committed is rolled back, all connections end. */
  crash(): void {
    for (const backend of [...this.#backends.values()]) backend.terminate();
    this.#locks = new Locks();
    this.#network.killHost(this.#host);
  }

  restart(): void {
    this.#starts++;
    this.#host = this.#listen();
  }

  /** All that is committed now, as a standby would have it that hears of nothing after this. */
  snapshot(): Content {
    return this.#tables.copy();
  }

  /** `crash`; then a standby takes over that has no more than `content`, with a history of its own. */
  failOver(content: Content): void {
    this.crash();
    this.#history++;
    this.#tables.restore(content);
    this.restart();
  }

  /** A session of somebody else locks a row (a lane, a lease) until the function it returns is called. */
  lock(key: string): () => void {
    const pid = ++this.#lastPid;
    const transaction = new Transaction(pid);
    const locks = this.#locks;
    locks.take(transaction, key, () => undefined);
    const end = (): void => {
      if (this.#strangers.delete(pid)) locks.release(transaction);
    };
    this.#strangers.set(pid, end);
    return end;
  }

  /** Keys of the lanes of members. */
  laneKeys(): string[] {
    return [...this.#tables.lanes]
      .filter(([, lane]) => lane.epoch !== null)
      .map(([key]) => `lane ${key}`);
  }

  counterOf(ref: NodeRef): number | null {
    return this.#tables.leases.get(keyOf(ref))?.counter ?? null;
  }

  /** The view transaction. Tests may call it themselves, as a node that is not modelled. */
  propose(proposal: ViewProposal): void {
    const transaction = new Transaction(-1);
    const steps = proposeView(this.#server, proposal)(transaction);
    try {
      for (let step = steps.next(); step.done !== true; step = steps.next()) {
        const { value } = step;
        if ('lock' in value && !this.#locks.take(transaction, value.lock, () => undefined))
          throw new StoreError('unavailable', `${value.lock} is locked`);
      }
      for (const write of transaction.writes) write();
    } finally {
      this.#locks.release(transaction);
    }
  }

  // ---------------------------------------------------------------- for nodes

  store(host: Host, options: StoreOptions): Store {
    return createStore({
      host,
      options,
      server: this.#server,
      loadDelayMs: () => this.loadDelayMs,
      onLoaded: (keys) => {
        this.loads += keys;
      },
      isFree: (lock) => this.#locks.isFree(lock),
      open: (role) => this.#openSession(host, role, options),
      rootOf: (pid) => this.#rootOf(pid),
      terminate: (pid) => this.#terminate(pid),
    });
  }

  get #server(): Server {
    return {
      tables: this.#tables,
      workMs: () => this.workMs(),
      wallMs: (node) =>
        this.#network.time.wallMs() + this.wallOffsetMs + (this.clockErrorMs.get(node) ?? 0),
      refuse: (batch, self) => this.refuse(batch, self),
      onCommitted: (self, batch) => {
        this.committed.push({ self, batch });
        const waiting = this.#commitWaiters.get(self.node) ?? [];
        this.#commitWaiters.delete(self.node);
        for (const resolve of waiting) resolve();
      },
      onSettled: (settlement) => this.settlements.push(settlement),
      onView: (view, removed) => {
        this.committedViews.push({ view, atMs: this.#network.time.monotonicMs(), removed });
        this.onView(view, removed);
      },
    };
  }

  #openSession(
    host: Host,
    role: SessionRole,
    { statementTimeoutMs, answerMarginMs }: StoreOptions,
  ): Promise<DatabaseSession> {
    return DatabaseSession.open({
      network: this.#network,
      mail: this.#mail,
      host,
      role,
      connectTimeoutMs: statementTimeoutMs,
      statementTimeoutMs,
      answerTimeoutMs: statementTimeoutMs + answerMarginMs,
      inTwoParts: () => this.inTwoParts(),
    });
  }

  #rootOf(pid: number): { pid: number; transaction: number } | null {
    const transaction = this.#backends.get(pid)?.transaction ?? null;
    const root = transaction === null ? null : this.#locks.rootOf(transaction);
    return root === null ? null : { pid: root.pid, transaction: root.id };
  }

  #terminate(pid: number): void {
    this.#backends.get(pid)?.terminate();
    this.#strangers.get(pid)?.();
  }

  // ---------------------------------------------------------------- the server

  #listen(): Host {
    const host = new Host(DATABASE, this.#network.time);
    const at = { host: DATABASE, port: DATABASE_PORT };
    void this.#network
      .transport(host)
      .listen(at, (connection) => this.#accept(connection as SimConnection));
    return host;
  }

  #accept(connection: SimConnection): void {
    let backend: Backend | null = null;
    const { host } = this;
    const keepalive = host.timers.every(KEEPALIVE_MS, () => {
      if (connection.to.dead) backend?.hangUp(true);
    });
    connection.handle({
      onData: (frame) => {
        const content = this.#mail.take(frame) as Hello | Sync | Received;
        if ('role' in content) backend = this.#begin(content, connection);
        else if (backend === null || this.#isOutOfReach(backend)) return;
        else if ('sync' in content) backend.sync(content.sync);
        else backend.receive(content.request, content.complete);
      },
      onClose: (error) => {
        keepalive.cancel();
        backend?.hangUp(error !== undefined);
      },
    });
  }

  #begin({ node, role }: Hello, connection: SimConnection): Backend | null {
    if (this.#isOutOfReach({ node, role })) return null;
    const env: BackendEnv = {
      host: this.#host,
      locks: this.#locks,
      flushMs: () => this.flushMs(),
      isHeld: (gate, resume) => {
        const held = this.#gates.get(gate);
        held?.push(resume);
        return held !== undefined;
      },
      answer: (backend, result) => this.#answer(backend, result),
      onEnd: (backend) => this.#backends.delete(backend.pid),
    };
    const backend = new Backend(env, ++this.#lastPid, { node, role, connection });
    this.#backends.set(backend.pid, backend);
    connection.write(
      this.#mail.put({
        pid: backend.pid,
        history: this.#history,
        start: this.#starts,
      } satisfies Welcome),
    );
    return backend;
  }

  #answer(backend: Backend, result: Result): void {
    const deliver = (): void => backend.connection.write(this.#mail.put(result));
    const held = this.#heldAnswers.get(`${backend.node} ${backend.role}`);
    if (held === undefined) deliver();
    else held.push(deliver);
  }

  #isOutOfReach({ node, role }: { node: string; role: string }): boolean {
    return this.down || this.unreachableFor.has(node) || this.#cutSessions.has(`${node} ${role}`);
  }
}

class Mailbox implements Mail {
  readonly #content = new Map<number, object>();
  #last = 0;

  put(content: object): string {
    this.#content.set(++this.#last, content);
    return String(this.#last);
  }

  take(frame: Buffer): object {
    const id = Number(frame.toString('latin1'));
    const content = this.#content.get(id);
    if (content === undefined) throw new Error(`frame ${id} was taken twice`);
    this.#content.delete(id);
    return content;
  }
}
