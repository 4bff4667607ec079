/**
 * One node above the outside world: cluster, commands and server, wired together. `main.ts` plugs in the
 * machine, PostgreSQL and the legacy API; the simulator plugs in models of them.
 */
import { createHash } from 'node:crypto';
import { Cluster } from './cluster/cluster.ts';
import type { ClusterOptions } from './cluster/cluster-node.ts';
import { slotOf } from './cluster/slot.ts';
import { createPrepare } from './commands/prepare.ts';
import { commandTable } from './commands/table.ts';
import { matchesGlob } from './config/glob.ts';
import type { LiveConfig } from './config/live.ts';
import type { Config } from './config/load.ts';
import type { MetricFacts } from './http/metrics/facts.ts';
import type { HostFacts } from './platform/host.ts';
import { metricFactsOf } from './node-metrics.ts';
import type { Logger } from './platform/logger.ts';
import type { Platform } from './platform/platform.ts';
import type { Listener } from './platform/transport.ts';
import type { InfoSources } from './server/info.ts';
import { createServer, type Server } from './server/server.ts';
import type { LegacySource } from './storage/legacy/source.ts';
import { Evictor } from './storage/memory/eviction.ts';
import { DB_COUNT, Keyspace } from './storage/memory/keyspace.ts';
import type { Store } from './storage/postgres/store.ts';

/** How long a stopping node lets clients' commands finish, milliseconds. */
const DRAIN_MS = 2_000;

export interface NodeParts {
  readonly platform: Platform;
  readonly log: Logger;
  readonly store: Store;
  readonly legacy: LegacySource;
  readonly config: Config;
  readonly live: LiveConfig;
  /** Of this program, for INFO. */
  readonly version: string;
  hostFacts(): HostFacts;
}

export interface Node {
  readonly cluster: Cluster;
  readonly server: Server;
  /** What metrics are read from, at this moment. */
  metrics(): MetricFacts;
  /** Starts to accept clients. Rejects with the system's error when the port cannot be bound. */
  listen(): Promise<Listener>;
  /** Joins the cluster. Resolves when it has joined; rejects when it never will. */
  join(ports: { port: number; httpPort: number }): Promise<void>;
  /** Closes what was opened without having joined. */
  abandon(): Promise<void>;
  /** Finishes what is under way, leaves the cluster, closes everything. */
  stop(): Promise<void>;
}

/** Puts a node together; nothing of it runs yet. */
export function createNode(parts: NodeParts): Node {
  const { platform, log, store, legacy, config, live } = parts;
  const { policies } = config;
  const startedAtMs = platform.clock.wallMs();
  const prepare = createPrepare({ slotOf, limits: live, random: () => platform.random.float() });
  const cluster = new Cluster({
    platform,
    log: log.child({ part: 'cluster' }),
    store,
    legacy,
    options: clusterOptions(config, live),
    prepare,
    policyOf: (key) => policies.policyFor(key),
    matches: matchesGlob,
    createKeyspace: (nowMs) => createMemory(platform, live, nowMs),
    node: {
      node: config.nodeId,
      host: config.announceHost,
      zone: config.zone,
      tokens: config.tokens,
    },
    links: { bind: config.linkBind, port: config.linkPort },
    clusterIdOf,
  });
  const facts = createFacts({ ...parts, cluster });
  const server = createServer({
    platform,
    log: log.child({ part: 'server' }),
    settings: live,
    commands: commandTable.values(),
    prepare,
    router: cluster,
    config: live,
    cluster,
    info: facts.info,
    resetCounters: () => facts.resetCounters(),
  });
  for (const key of [
    'maxmemoryPolicy',
    'maxmemorySamples',
    'lfuLogFactor',
    'lfuDecayTime',
  ] as const) {
    live.onChange(key, () => {
      if (cluster.life !== null) tune(live, cluster.life.keyspace, cluster.life.evictor);
    });
  }
  return {
    cluster,
    server,
    metrics: () => metricFactsOf({ ...parts, cluster, server, startedAtMs }),
    async listen() {
      const clients = await server.listen({ host: config.bind, port: config.port });
      facts.port = clients.port;
      return clients;
    },
    join: (ports) => cluster.start(ports),
    async abandon() {
      await server.close(0);
      await legacy.close();
    },
    async stop() {
      // First, so that balancers send no new clients while those that are here get their answers.
      cluster.announceStop();
      await server.close(DRAIN_MS);
      await cluster.drain(DRAIN_MS);
      await cluster.stop();
      await legacy.close();
    },
  };
}

function clusterOptions(config: Config, live: LiveConfig): ClusterOptions {
  return {
    replicas: config.replicas,
    primaries: config.primaries,
    leaseMs: config.leaseMs,
    leaseMarginMs: config.leaseMarginMs,
    requestTimeoutMs: config.requestTimeoutMs,
    clockBoundMs: config.clockBoundMs,
    connectTimeoutMs: config.leaseMs,
    linkBufferMax: config.linkBufferMax,
    lanePipeline: config.lanePipeline,
    batchRowsMax: config.batchRowsMax,
    batchBytesMax: config.batchBytesMax,
    readsWithoutStore: config.readsWithoutStore,
    warmUp: config.warmUp,
    live,
  };
}

/** A memory of its own for every life of the node. */
function createMemory(
  platform: Platform,
  live: LiveConfig,
  nowMs: () => number,
): { keyspace: Keyspace; evictor: Evictor } {
  const keyspace = new Keyspace({ random: platform.random, nowMs });
  const evictor = new Evictor({
    keyspace,
    random: platform.random,
    nowMs,
    policy: live.maxmemoryPolicy,
    samples: live.maxmemorySamples,
  });
  tune(live, keyspace, evictor);
  return { keyspace, evictor };
}

/** Brings the options of eviction to a memory. */
function tune(live: LiveConfig, keyspace: Keyspace, evictor: Evictor): void {
  evictor.policy = live.maxmemoryPolicy;
  evictor.samples = live.maxmemorySamples;
  keyspace.access.lfuLogFactor = live.lfuLogFactor;
  keyspace.access.lfuDecayMinutes = live.lfuDecayTime;
}

/** 40 hexadecimal digits that stay the same over restarts, as Redis's cluster commands show nodes. */
function clusterIdOf(node: string): string {
  return createHash('sha1').update(node).digest('hex');
}

interface Counters {
  readonly hits: number;
  readonly misses: number;
  readonly expired: number;
  readonly evicted: number;
}

/** The numbers behind INFO that the server itself does not have. */
function createFacts(parts: {
  platform: Platform;
  cluster: Cluster;
  config: Config;
  live: LiveConfig;
  legacy: LegacySource;
  version: string;
  hostFacts(): HostFacts;
}): { info: InfoSources; port: number; resetCounters(): void } {
  const { platform, cluster, config, live, legacy, version } = parts;
  const startedAtMs = platform.clock.monotonicMs();
  const runId = clusterIdOf(`${config.nodeId}/${platform.random.id()}`);
  let peakBytes = 0;
  const counters = (): Counters => ({
    hits: cluster.life?.keyspace.hits ?? 0,
    misses: cluster.life?.keyspace.misses ?? 0,
    expired: cluster.life?.upkeep.expired ?? 0,
    evicted: cluster.life?.upkeep.evicted ?? 0,
  });
  let before = counters();
  const facts = {
    port: config.port,
    resetCounters: () => {
      before = counters();
    },
    info: {
      host: () => parts.hostFacts(),
      identity: () => ({
        version,
        runId,
        port: facts.port,
        configFile: config.filePath ?? '',
        startedAtMs,
        nowMs: () => cluster.nowMs(),
      }),
      memory: () => {
        const usedBytes = cluster.life?.keyspace.usedBytes ?? 0;
        peakBytes = Math.max(peakBytes, usedBytes);
        return { usedBytes, peakBytes, maxBytes: live.maxmemory, policy: live.maxmemoryPolicy };
      },
      persistence: () => ({
        loading: cluster.life?.settled !== true,
        lastWriteOk: cluster.life?.engine.lane.down !== true,
        uncommitted: cluster.life?.engine.operations.pendingCount ?? 0,
        lastCommitAtMs: cluster.life?.engine.lane.lastCommitAtMs ?? 0,
      }),
      keyspace: () => keyspaceFacts(cluster),
      keyspaceCounters: () => {
        const now = counters();
        return {
          hits: now.hits - before.hits,
          misses: now.misses - before.misses,
          expired: now.expired - before.expired,
          evicted: now.evicted - before.evicted,
        };
      },
      ringfence: () => ringfenceLines(cluster, legacy),
    },
  };
  return facts;
}

function keyspaceFacts(
  cluster: Cluster,
): { db: number; keys: number; expires: number; avgTtlMs: number }[] {
  const keyspace = cluster.life?.keyspace;
  if (keyspace === undefined) return [];
  const found = [];
  for (let db = 0; db < DB_COUNT; db++) {
    const keys = keyspace.dbKeyCount(db);
    if (keys > 0) found.push({ db, keys, expires: keyspace.expiresCount(db), avgTtlMs: 0 });
  }
  return found;
}

function ringfenceLines(cluster: Cluster, legacy: LegacySource): [string, string | number][] {
  const { life } = cluster;
  const lines: [string, string | number][] = [
    ['epoch', cluster.epoch],
    ['problems', Object.values(cluster.problems()).flat().join('; ')],
    ['expulsions', cluster.expulsions],
  ];
  if (life !== null) {
    lines.push(
      ['incarnation', life.self.incarnation],
      ['lease_valid', life.lease.valid ? 1 : 0],
      ['lane_down', life.engine.lane.down ? 1 : 0],
      ['lane_queue', life.engine.lane.length],
      ['batches', life.engine.lane.batches],
      ['batch_rows', life.engine.lane.rows],
      ['loads', life.engine.loader.loads],
      ['warmed_rows', life.warmUp.rows],
      ['slots_to_fill', life.fill.left],
      ['slots_to_learn', life.learning],
      ['handover_bytes_total', life.fill.bytes],
      ['handover_slots_total', life.fill.filledSlots],
      ['handover_slowed_ticks_total', life.fill.slowedTicks],
    );
  }
  for (const { prefix, requests, found, absent, failed, breakerOpen } of legacy.stats()) {
    lines.push([
      `legacy_${prefix}`,
      `requests=${requests},found=${found},absent=${absent},failed=${failed},breaker_open=${breakerOpen ? 1 : 0}`,
    ]);
  }
  return lines;
}
