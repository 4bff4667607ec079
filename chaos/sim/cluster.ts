/**
 * A whole cluster in one process: nodes on a modelled network and a modelled database, in virtual time
 * and with seeded randomness, so that a test forces the order of events and sees the same one each time.
 *
 * - `Sim` owns time, the hosts, the network and the database.
 * - `Host` is a machine: it can be paused (SIGSTOP) and killed; nothing of it runs then.
 * - `SimNetwork` carries bytes in order with a delay; a cut link holds them until it is healed.
 * - `SimDatabase` keeps what `storage/postgres` promises.
 */
import type { Cluster } from '../../src/cluster/cluster.ts';
import { slotOf } from '../../src/cluster/slot.ts';
import { type Group, isMoving } from '../../src/cluster/view.ts';
import { createPrepare } from '../../src/commands/prepare.ts';
import { createLiveConfig } from '../../src/config/live.ts';
import { type Config, loadConfig } from '../../src/config/load.ts';
import { createNode, type Node } from '../../src/node.ts';
import type { Disk } from '../../src/platform/disk.ts';
import type { Platform } from '../../src/platform/platform.ts';
import { SimClient } from './client.ts';
import { SimDatabase } from './database/database.ts';
import { LEGACY_PREFIX, SimLegacy } from './legacy.ts';
import { type LogLine, QuietLog } from './log.ts';
import { type ClockFaults, Host } from './machine.ts';
import { SimNetwork } from './network.ts';
import { SeededRandom } from './random.ts';
import { VirtualTime } from './time.ts';

/** Keys with this prefix live in memory only. */
export const NONE_PREFIX = 'none:';

/** Options of the nodes; those that are not here are as in production. */
type NodeOptions = Pick<
  Config,
  | 'replicas'
  | 'primaries'
  | 'leaseMs'
  | 'leaseMarginMs'
  | 'requestTimeoutMs'
  | 'clockBoundMs'
  | 'lanePipeline'
  | 'batchRowsMax'
  | 'readsWithoutStore'
  | 'warmUp'
  | 'tokens'
  | 'storeTimeoutMs'
  | 'laneWaitMs'
>;

export interface SimOptions extends Partial<NodeOptions> {
  readonly seed?: number;
  readonly zones?: Readonly<Record<string, string>>;
  readonly maxmemory?: number;
  /** How much longer than the database's own limit an answer is waited for; 1000 in production. */
  readonly answerMarginMs?: number;
  /** Sees every line of every node's log. */
  readonly onLog?: (node: string, line: LogLine) => void;
}

/** Few tokens, so that views are cheap; nothing is loaded that no test asks for; little patience. */
const NODE_OPTIONS: Partial<NodeOptions> = {
  tokens: 8,
  leaseMarginMs: 100,
  batchRowsMax: 100,
  warmUp: false,
  storeTimeoutMs: 300,
};

const LEGACY = { url: 'http://legacy/{key}', value: '/value', negativeTtl: '60s' };
const POLICIES = [
  { prefix: NONE_PREFIX, persist: 'none' },
  {
    prefix: LEGACY_PREFIX,
    legacy: LEGACY,
  },
  // Of a schedule's clients: what they delete stays away for longer than any schedule lasts.
  { prefix: `${LEGACY_PREFIX}sim:`, legacy: LEGACY, tombstone: '1h' },
];

/** Where nodes listen for clients. */
export const CLIENT_PORT = 7001;
const HTTP_PORT = 8001;
const BASE_CONFIG = loadConfig({
  flags: { port: String(CLIENT_PORT), 'http-port': String(HTTP_PORT) },
  file: { path: 'simulation.json', text: JSON.stringify({ policies: POLICIES }) },
});

/** Nothing is decided by these. */
const HOST_FACTS = {
  os: 'simulated',
  processId: 1,
  executable: 'ringfence',
  residentBytes: 0,
  heapBytes: 0,
  externalBytes: 0,
  machineBytes: 0,
  cpuUserSeconds: 0,
  cpuSystemSeconds: 0,
  eventLoopActiveSeconds: 0,
  eventLoopIdleSeconds: 0,
};

const NO_DISK: Disk = {
  readText: () => Promise.resolve(null),
  replaceText: () => Promise.reject(new Error('a simulated machine has no disk')),
};

export class SimNode {
  readonly host: Host;
  readonly parts: Node;
  readonly log: QuietLog;

  constructor(host: Host, parts: Node, log: QuietLog) {
    this.host = host;
    this.parts = parts;
    this.log = log;
  }

  get cluster(): Cluster {
    return this.parts.cluster;
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

/** Looking whether everything is settled costs more than a millisecond of virtual time. */
const SETTLE_POLL_MS = 20;

export class Sim {
  readonly time: VirtualTime;
  readonly network: SimNetwork;
  readonly database: SimDatabase;
  readonly legacy: SimLegacy;
  readonly nodes = new Map<string, SimNode>();
  /** All processes of nodes, also those that others have replaced under their name. */
  readonly #processes: SimNode[] = [];
  readonly #random: SeededRandom;
  readonly #options: SimOptions;
  readonly #prepare: ReturnType<typeof createPrepare>;

  constructor(options: SimOptions = {}) {
    this.#options = options;
    this.time = new VirtualTime();
    this.network = new SimNetwork(this.time);
    this.database = new SimDatabase(this.network);
    this.legacy = new SimLegacy(this.time);
    this.#random = new SeededRandom(options.seed ?? 1);
    const limits = { protoMaxBulkLen: 512 * 1024 * 1024 };
    this.#prepare = createPrepare({ slotOf, limits, random: () => this.#random.float() });
  }

  prepare(args: readonly string[], noTouch = false): ReturnType<ReturnType<typeof createPrepare>> {
    return this.#prepare(args, 0, 2, noTouch);
  }

  /** Starts a node (again, under the same name, as a new process). */
  startNode(name: string, clocks: Partial<ClockFaults> = {}): SimNode {
    const host = new Host(name, this.time, clocks);
    const { onLog } = this.#options;
    const log = new QuietLog(onLog === undefined ? undefined : (line) => onLog(name, line));
    const platform: Platform = {
      clock: host.clock,
      timers: host.timers,
      random: new SeededRandom(this.#random.below(2 ** 32)),
      transport: this.network.transport(host),
    };
    const config = this.#configOf(name);
    const parts: Node = createNode({
      platform,
      log,
      store: this.database.store(host, {
        statementTimeoutMs: config.storeTimeoutMs,
        answerMarginMs: this.#options.answerMarginMs ?? 0,
        batchWaitMs: config.laneWaitMs,
        lanePipeline: config.lanePipeline,
      }),
      legacy: this.legacy.source(host, () => parts.cluster.epoch),
      config,
      live: createLiveConfig(config, NO_DISK),
      version: '0.0.0',
      hostFacts: () => HOST_FACTS,
    });
    const node = new SimNode(host, parts, log);
    this.nodes.set(name, node);
    this.#processes.push(node);
    void parts.listen().then(() => parts.join({ port: CLIENT_PORT, httpPort: HTTP_PORT }));
    return node;
  }

  #configOf(name: string): Config {
    const {
      seed: _seed,
      onLog: _onLog,
      answerMarginMs: _margin,
      zones = {},
      maxmemory = 0,
      ...options
    } = this.#options;
    return {
      ...BASE_CONFIG,
      ...NODE_OPTIONS,
      ...options,
      initial: { ...BASE_CONFIG.initial, maxmemory },
      nodeId: name,
      bind: name,
      linkBind: name,
      announceHost: name,
      zone: zones[name] ?? name,
    };
  }

  /** The processes that are not dead. */
  processes(): SimNode[] {
    return this.#processes.filter(({ host }) => !host.dead);
  }

  /** Starts these nodes and waits until all of them serve everything. */
  async startAll(...names: string[]): Promise<SimNode[]> {
    const nodes = names.map((name) => this.startNode(name));
    await this.settle(...names);
    return nodes;
  }

  /** Waits until exactly these nodes form the cluster, and serve everything. */
  async settle(...names: string[]): Promise<void> {
    for (let i = 0; i < 1000 && !this.isSettled(names); i++) await this.run(SETTLE_POLL_MS);
    if (!this.isSettled(names)) throw new Error(`${names.join(', ')} do not settle`);
  }

  /** Exactly these nodes form the cluster, and all of them serve everything. */
  isSettled(names: readonly string[]): boolean {
    const lives = names.map((name) => this.nodes.get(name)!);
    if (!lives.every((node) => node.ready)) return false;
    const newest = this.database.views.at(-1);
    if (newest === undefined || isMoving(newest)) return false;
    const known = lives.every(({ cluster }) => cluster.epoch === newest.epoch);
    return known && newest.settled.length === names.length;
  }

  /** kill -9. */
  kill(name: string): void {
    this.network.killHost(this.node(name).host);
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
    return this.groupOf(slotOf(key)).owners.map(({ node }) => node);
  }

  /** Who has a slot, as the node that is furthest knows it. */
  groupOf(slot: number): Group {
    const alive = [...this.nodes.values()].filter(
      ({ host, cluster }) => !host.dead && cluster.life !== null,
    );
    const newest = alive.reduce((a, b) => (b.cluster.epoch > a.cluster.epoch ? b : a));
    return newest.life.slots.group(slot);
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
  run(ms: number): Promise<void> {
    return this.time.run(ms);
  }

  /** Resolves after `ms` of virtual time. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.time.after(ms, resolve));
  }

  /** Ends the present turn and lets promises settle, without time passing. */
  turn(): Promise<void> {
    return this.time.run(0);
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
