/**
 * The cluster as the server sees it: routes commands, answers questions about all keys and members,
 * and outlives the lives of its node. When the other nodes have removed this one (it was paused or cut
 * off for longer than its lease), its memory is worthless; a new life with a new incarnation joins,
 * while the clients' connections stay.
 */
import type { Listener } from '../platform/transport.ts';
import { sleep } from '../platform/clock.ts';
import type { LoadPool, Member, Store } from '../storage/postgres/store.ts';
import { StoreError } from '../storage/postgres/store.ts';
import { ReplyError } from '../errors.ts';
import { encodeError } from '../resp/reply.ts';
import { ClusterNode, type ClusterNodeEnv } from './cluster-node.ts';
import type { ScanRequest } from './gather.ts';
import type { DirectReadBatch } from './local-reads.ts';
import { type ClientCall, Order } from './router.ts';
import { SLOT_COUNT, slotOf } from './slot.ts';
import {
  listed,
  type MemberState,
  type Status,
  stateOf,
  statusOf,
  type ViewFacts,
  viewFacts,
} from './status.ts';
import { hasRef, living, participants, refKey, sameRef, type Wish } from './view.ts';

export interface ClusterEnv
  extends Omit<ClusterNodeEnv, 'onExpelled' | 'loads' | 'asGuest' | 'highestEpoch'> {
  /** This node, without the ports, which are known when they are bound, and the life's incarnation. */
  readonly node: Omit<Member, 'incarnation' | 'port' | 'linkPort' | 'httpPort'>;
  readonly links: { readonly bind: string; readonly port: number };
  /** 40 hexadecimal digits, stable over restarts, for Redis's cluster commands. */
  clusterIdOf(node: string): string;
}

export interface NodeSummary {
  readonly clusterId: string;
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly linkPort: number;
  readonly self: boolean;
  readonly connected: boolean;
  readonly state: MemberState;
}

export interface RangeSummary {
  readonly from: number;
  readonly to: number;
  readonly owners: readonly NodeSummary[];
}

const RESTART_MS = 200;
const RESTART_LAST_MS = 6_400;
/** A life that was shorter than this makes the pause before the next one longer, milliseconds. */
const SHORT_LIFE_MS = 15_000;
/** How often a leaving node looks whether everything is handed over, milliseconds. */
const LEAVE_POLL_MS = 50;
/** How often an unchanged trouble is logged again, milliseconds. */
const SAY_AGAIN_MS = 30_000;
const JOINING = 'Ringfence is joining the cluster';

export class Cluster {
  readonly #env: ClusterEnv;
  #loads: LoadPool | null = null;
  #life: ClusterNode | null = null;
  #listener: Listener | null = null;
  #clusterId = '';
  #ports = { port: 0, linkPort: 0, httpPort: 0 };
  /** It is going to be stopped: clients should not come here any more. */
  #stopping = false;
  #stopped = false;
  /** Told to leave: its later lives take no data either. */
  #asGuest = false;
  /** Why there is no life at the moment, for people. */
  #trouble = 'starting';
  #sayAgainMs = 0;
  /** Lives that were ended by the other nodes. */
  expulsions = 0;
  #restartMs = RESTART_MS;
  /** Why the last life ended, for people; empty before the first end. */
  #lastEnd = '';
  #highestEpoch = 0;

  constructor(env: ClusterEnv) {
    this.#env = env;
  }

  /** The present life; null while there is none. */
  get life(): ClusterNode | null {
    return this.#life;
  }

  /**
   * Prepares the database, listens for links and starts the first life. An unreachable database is
   * waited for, with a line in the log now and then; anything else that is wrong with it rejects.
   */
  async start(ports: { port: number; httpPort: number }): Promise<void> {
    const { store, platform, links } = this.#env;
    this.#listener = await platform.transport.listen(
      { host: links.bind, port: links.port },
      (connection) => {
        if (this.#life === null) connection.destroy();
        else this.#life.accept(connection);
      },
    );
    this.#ports = { ...ports, linkPort: this.#listener.port };
    this.#clusterId = await this.#prepare(store);
    if (this.#stopped) return;
    const loads = store.loads();
    this.#loads = loads;
    await new Promise<void>((resolve) => void this.#live(loads, resolve));
  }

  /** Says from now on that it is not ready; to be called when a stop begins, while clients are still served. */
  announceStop(): void {
    this.#stopping = true;
  }

  /** Leaves gently: gives the lease up, so that the others take over at once. */
  async stop(): Promise<void> {
    this.#stopping = this.#stopped = true;
    const life = this.#life;
    this.#life = null;
    await life?.stop(true);
    await this.#listener?.close();
    await this.#loads?.close();
    await this.#env.store.close();
  }

  /**
   * Planned leave of this node. Everything it has is copied to the next owners first, and no request
   * fails; resolves when the node holds nothing any more. It then goes on bringing its clients' commands
   * to the others until `stop`, and takes no data however long that is. Rejects with a ReplyError when
   * the cluster cannot be told (try again), or when no other node would be left.
   */
  async leave(): Promise<void> {
    await this.grant({ kind: 'leave', node: this.#env.node.node });
    this.#asGuest = true;
    while (this.#life?.holdsNothing !== true) {
      if (this.#stopped) throw new ReplyError('NOTDONE', 'stopped before all was handed over');
      await sleep(this.#env.platform.timers, LEAVE_POLL_MS);
    }
  }

  /**
   * Makes what an operator asks for part of a view; the hand-over goes on afterwards. Throws a ReplyError
   * that says what became of it.
   */
  async grant(wish: Wish): Promise<void> {
    const life = this.#present;
    try {
      await life.membership.grant(wish);
    } catch (error) {
      throw notGranted(error);
    }
  }

  /** Members, settings and progress, as this node sees them. */
  status(): Status {
    const { blocking, others } = this.problems();
    return statusOf(this.#life, {
      node: this.#env.node.node,
      problems: [...blocking, ...others],
      clusterIdOf: (node) => this.#env.clusterIdOf(node),
    });
  }

  /** The latest views, newest first. Throws a ReplyError when the database cannot be asked. */
  async views(limit: number): Promise<ViewFacts[]> {
    const life = this.#present;
    try {
      return (await life.membership.history(limit)).map(viewFacts);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      throw new ReplyError('STOREDOWN', `the views cannot be read: ${error.message}`);
    }
  }

  /** Begins nothing any more; resolves when what was under way has ended, or after `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    await this.#life?.drain(timeoutMs);
  }

  /** Says what it waits for: at once when that changes, and now and then while it does not. */
  #sayWaiting(reason: string): void {
    const now = this.#env.platform.clock.monotonicMs();
    const trouble = `waiting for the database: ${reason}`;
    if (trouble === this.#trouble && now < this.#sayAgainMs) return;
    this.#trouble = trouble;
    this.#sayAgainMs = now + SAY_AGAIN_MS;
    this.#env.log.warn({ reason }, 'waiting for the database');
  }

  /** The cluster's id; empty when the node was stopped before it could be read. */
  async #prepare(store: Store): Promise<string> {
    for (;;) {
      try {
        return (await store.prepare()).clusterId;
      } catch (error) {
        if (this.#stopped) return '';
        if (!(error instanceof StoreError) || error.kind !== 'unavailable') throw error;
        this.#sayWaiting(error.message);
        await sleep(this.#env.platform.timers, RESTART_MS * 5);
      }
    }
  }

  /** One life after the other. `onFirst` is told when the first one stands. */
  async #live(loads: LoadPool, onFirst: () => void): Promise<void> {
    while (!this.#stopped) {
      let expelled: (reason: string) => void = () => undefined;
      const over = new Promise<string>((resolve) => {
        expelled = resolve;
      });
      const self = this.#member(this.#env.platform.random.id());
      const life: ClusterNode = new ClusterNode(
        {
          ...this.#env,
          loads,
          asGuest: this.#asGuest,
          highestEpoch: this.#highestEpoch,
          onExpelled: (reason) => {
            this.#asGuest ||= life.leaving;
            expelled(reason);
          },
        },
        self,
        this.#clusterId,
      );
      this.#life = life;
      const { expulsions } = this;
      const startedMs = this.#env.platform.clock.monotonicMs();
      try {
        const start = async (): Promise<void> => {
          await this.#env.store.identify();
          await life.start();
          onFirst();
        };
        await Promise.race([start(), over]);
        const reason = await over;
        this.expulsions++;
        this.#lastEnd = reason;
        this.#trouble = `starting anew: ${reason}`;
        this.#env.log.error(
          { reason },
          'this life of the node is over; it starts anew with an empty memory',
        );
      } catch (error) {
        this.#trouble = error instanceof Error ? error.message : String(error);
        this.#env.log.warn({ err: error }, 'this node could not join yet');
      }
      // Stopped from outside: `stop` has taken this life over.
      if (this.#life !== life) return;
      this.#life = null;
      this.#highestEpoch = Math.max(this.#highestEpoch, life.epoch);
      await life.stop(this.expulsions > expulsions);
      const isExpelled = this.expulsions > expulsions;
      await sleep(this.#env.platform.timers, isExpelled ? this.#pauseAfter(startedMs) : RESTART_MS);
    }
  }

  /** Lives that end soon, one after the other, come with longer and longer pauses: each costs two views. */
  #pauseAfter(startedMs: number): number {
    const livedMs = this.#env.platform.clock.monotonicMs() - startedMs;
    const isShort = livedMs < SHORT_LIFE_MS;
    this.#restartMs = isShort ? Math.min(this.#restartMs * 2, RESTART_LAST_MS) : RESTART_MS;
    return isShort ? this.#restartMs / 2 : RESTART_MS;
  }

  // ---------------------------------------------------------------- the server's Router

  openClient(): object {
    return new Order();
  }

  closeClient(_order: object): void {
    // Calls under way still end with `done`; nothing else is kept for a client.
  }

  submit(call: ClientCall): string | undefined {
    if (this.#life === null) return encodeError(new ReplyError('LOADING', JOINING));
    return this.#life.router.submit(call);
  }

  readDirectly(order: object, batch: DirectReadBatch): number {
    return this.#life === null ? 0 : this.#life.router.readDirectly(order, batch);
  }

  // ---------------------------------------------------------------- questions about the whole

  get #present(): ClusterNode {
    if (this.#life === null) throw new ReplyError('LOADING', JOINING);
    return this.#life;
  }

  get epoch(): number {
    return this.#life?.epoch ?? 0;
  }

  /** This node answers for every slot, by itself or by asking the primary. */
  get healthy(): boolean {
    return this.#disorders().length === 0;
  }

  nowMs(): number {
    return this.#life?.time.nowMs() ?? Math.floor(this.#env.platform.clock.wallMs());
  }

  keySlot(key: string): number {
    return slotOf(key);
  }

  dbsize(db: number): Promise<number> {
    return this.#present.gather.countKeys(db);
  }

  scan(request: ScanRequest): Promise<{ cursor: string; keys: string[] }> {
    return this.#present.gather.scan(request);
  }

  keys(db: number, pattern: string): Promise<string[]> {
    return this.#present.gather.keys(db, pattern);
  }

  keysInSlot(slot: number, limit: number): Promise<string[]> {
    return this.#present.gather.keysInSlot(slot, limit);
  }

  async countKeysInSlot(slot: number): Promise<number> {
    return (await this.#present.gather.keysInSlot(slot, Number.MAX_SAFE_INTEGER)).length;
  }

  randomKey(db: number): Promise<string | null> {
    return this.#present.gather.randomKey(db);
  }

  flush(db: number | null): Promise<void> {
    return this.#present.gather.flush(db);
  }

  /** Every acknowledged write is on all owners: as many replicas as there are others that answer. */
  waitForReplicas(): number {
    const life = this.#life;
    if (life?.view === null || life === null) return 0;
    const others = living(life.view).filter(
      (m) => !sameRef(m, life.self) && life.peers.get(m)?.up === true,
    );
    return Math.min(others.length, life.view.replicas - 1);
  }

  nodes(): NodeSummary[] {
    const life = this.#life;
    if (life?.view === null || life === null) return [this.#summary(this.#member(''))];
    return listed(life.view).map((member) => this.#summary(member));
  }

  slotRanges(): RangeSummary[] {
    const life = this.#life;
    if (life === null) return [];
    const summaries = new Map<string, NodeSummary>();
    const summary = (member: Member): NodeSummary => {
      const key = refKey(member);
      const known = summaries.get(key) ?? this.#summary(member);
      summaries.set(key, known);
      return known;
    };
    const ranges: RangeSummary[] = [];
    let from = 0;
    for (let slot = 1; slot <= SLOT_COUNT; slot++) {
      const { onRing } = life.slots.group(from);
      if (slot < SLOT_COUNT && sameOwners(life.slots.group(slot).onRing, onRing)) continue;
      if (onRing.length > 0) ranges.push({ from, to: slot - 1, owners: onRing.map(summary) });
      from = slot;
    }
    return ranges;
  }

  /**
   * What is wrong, in words. `blocking`: clients should not be sent here. A missing link blocks only
   * when most links are missing, that is, when this node is more likely the cause than its peers: the
   * death of one node must not make all others look unready.
   */
  problems(): { blocking: string[]; others: string[] } {
    if (this.#stopping) return { blocking: ['stopping'], others: [] };
    const life = this.#life;
    const blocking = this.#disorders();
    if (life === null || !isSeated(life)) return { blocking, others: [] };
    if (life.leaving) blocking.push(this.#leavingText(life));
    const others = living(life.view!).filter((member) => !sameRef(member, life.self));
    const links = others.map((member) => life.peers.missingLink(member)).filter(isText);
    const complaints = life.complaints.reasons().map((reason) => `complaint: ${reason}`);
    if (links.length * 2 > others.length && links.length > 1)
      return { blocking: [...blocking, ...links], others: complaints };
    return { blocking, others: [...links, ...complaints] };
  }

  /** What keeps this node out of the view. */
  #joiningText(life: ClusterNode): string {
    const members = life.view === null ? [] : participants(life.view);
    const missing = members.map((member) => life.peers.missingLink(member)).filter(isText);
    const why = missing.length === 0 ? 'not yet in a view' : missing.join('; ');
    const before = this.#lastEnd === '' ? '' : ` (its last life ended: ${this.#lastEnd})`;
    return `joining: ${why}${before}`;
  }

  /** Why this node cannot answer everything at the moment. */
  #disorders(): string[] {
    const life = this.#life;
    if (life === null) return [this.#trouble];
    if (!isSeated(life)) return [this.#joiningText(life)];
    const { membership } = life;
    const found: string[] = [];
    if (!life.settled) found.push(`joining: being filled, ${life.learning} slots to go`);
    if (!life.lease.valid) {
      const why = membership.storeUnreachable ? 'the database is not reachable' : 'being renewed';
      const reads = life.outage.readsWithoutLease() ? 'reads of cached keys only' : 'nothing';
      found.push(`no lease: ${why}; serving ${reads}`);
    }
    if (life.engine.lane.down) found.push('no lane: writes are refused until the database is back');
    if (!life.slots.allActive) found.push('some slots wait for the nodes that held them before');
    return found;
  }

  #leavingText(life: ClusterNode): string {
    if (life.holdsNothing) return 'leaving: all handed over; it only forwards, and may be stopped';
    return 'leaving: its slots are being handed over';
  }

  #member(incarnation: string): Member {
    return { ...this.#env.node, ...this.#ports, incarnation };
  }

  #summary(member: Member): NodeSummary {
    const life = this.#life;
    const self = member.node === this.#env.node.node;
    const state = stateOf(life?.view ?? null, member);
    return {
      clusterId: this.#env.clusterIdOf(member.node),
      name: member.node,
      host: member.host,
      port: member.port,
      linkPort: member.linkPort,
      self,
      connected: self || life?.peers.get(member)?.up === true,
      state,
    };
  }
}

/** It is in the view that it knows. */
function isSeated({ view, self }: ClusterNode): boolean {
  return view !== null && hasRef(participants(view), self);
}

function isText(value: string | null): value is string {
  return value !== null;
}

function sameOwners(a: readonly Member[], b: readonly Member[]): boolean {
  return a === b || (a.length === b.length && a.every((member, i) => sameRef(member, b[i]!)));
}

function notGranted(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  if (error.kind === 'rejected') return new ReplyError('ERR', error.message);
  if (error.kind === 'conflict')
    return new ReplyError('NOTDONE', `${error.message}; nothing was changed`);
  return new ReplyError('UNKNOWN', `outcome unknown: ${error.message}; see CLUSTER STATUS`);
}
