/** What a node's metrics are read from, put together from its parts at the moment it is asked. */
import type { Cluster } from './cluster/cluster.ts';
import type { ClusterNode } from './cluster/cluster-node.ts';
import type { LiveConfig } from './config/live.ts';
import type { Config } from './config/load.ts';
import type { ClientFacts, LifeFacts, MetricFacts, PeerFacts } from './http/metrics/facts.ts';
import type { HostFacts } from './platform/host.ts';
import type { Server } from './server/server.ts';
import type { LegacySource } from './storage/legacy/source.ts';
import { DB_COUNT } from './storage/memory/keyspace.ts';

export interface MetricParts {
  readonly cluster: Cluster;
  readonly server: Server;
  readonly legacy: LegacySource;
  readonly config: Config;
  readonly live: LiveConfig;
  readonly version: string;
  /** Wall clock at the start, milliseconds since 1970. */
  readonly startedAtMs: number;
  hostFacts(): HostFacts;
}

/** Costs a few passes over the slots and none over keys. */
export function metricFactsOf(parts: MetricParts): MetricFacts {
  const { cluster, server, config, live } = parts;
  const { life } = cluster;
  const { blocking } = cluster.problems();
  return {
    version: parts.version,
    startedAtMs: parts.startedAtMs,
    host: parts.hostFacts(),
    clients: clientFacts(server, live),
    commands: server.stats.commands(),
    errors: server.stats.errors(),
    memoryMaxBytes: live.maxmemory,
    legacy: parts.legacy.stats(),
    status: cluster.status(),
    blockingProblems: blocking.length,
    expulsions: cluster.expulsions,
    life: life === null ? null : lifeFacts(life, config),
  };
}

function clientFacts({ clients, stats }: Server, live: LiveConfig): ClientFacts {
  return {
    connected: clients.count,
    connectedMax: live.maxclients,
    received: stats.connectionsReceived,
    rejected: stats.connectionsRejected,
    closedForInput: stats.queryBufferDisconnects,
    closedForOutput: stats.outputBufferDisconnects,
    closedForIdleness: stats.idleDisconnects,
    protocolErrors: stats.protocolErrors,
    bytesIn: stats.netInputBytes,
    bytesOut: stats.netOutputBytes,
    commandsProcessed: stats.commandsProcessed,
    requestsPending: clients.pendingRequests,
    requestsPendingMax: live.pendingRequestsMax,
  };
}

function lifeFacts(life: ClusterNode, { leaseMs }: Config): LifeFacts {
  const { engine, fill, keyspace, upkeep } = life;
  const { lane, loader, operations } = engine;
  return {
    memory: {
      usedBytes: keyspace.usedBytes,
      entries: keyspace.entryCount,
      dirty: keyspace.dirtyCount,
      databases: databasesOf(life),
      hits: keyspace.hits,
      misses: keyspace.misses,
      expired: upkeep.expired,
      evicted: upkeep.evicted,
    },
    leaseMs,
    readsWithoutLease: life.outage.readsWithoutLease(),
    slots: life.slots.counts(),
    peers: peersOf(life),
    lane: {
      up: !lane.down,
      queued: lane.length,
      underWay: lane.underWay,
      batches: lane.batches,
      rows: lane.rows,
      lastCommitAtMs: lane.lastCommitAtMs,
    },
    operations: {
      begun: operations.begunCount,
      pending: operations.pendingCount,
      confirming: operations.confirmingCount,
    },
    loads: { total: loader.loads, pending: loader.pending },
    warmedRows: life.warmUp.rows,
    handedOver: { bytes: fill.bytes, slots: fill.filledSlots, slowedTicks: fill.slowedTicks },
  };
}

/** The numbered databases that have keys, and always database 0: a series must not come and go. */
function databasesOf({ keyspace }: ClusterNode): { db: number; keys: number; expires: number }[] {
  const found = [];
  for (let db = 0; db < DB_COUNT; db++) {
    const keys = keyspace.dbKeyCount(db);
    if (keys > 0 || db === 0) found.push({ db, keys, expires: keyspace.expiresCount(db) });
  }
  return found;
}

function peersOf({ peers, engine }: ClusterNode): PeerFacts[] {
  return [...peers.all()].map((peer) => ({
    name: peer.member.node,
    up: peer.up,
    bufferedBytes: peer.stream?.bufferedBytes ?? 0,
    unconfirmed: engine.operations.stream(peer.member)?.unconfirmed ?? 0,
  }));
}
