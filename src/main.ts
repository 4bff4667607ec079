/**
 * Wiring of one process: configuration -> the outside world -> a node -> graceful shutdown. Everything
 * that touches the outside world is made here and handed down.
 */
import pino from 'pino';
import type { Cluster } from './cluster/cluster.ts';
import { createLiveConfig, type LiveConfig } from './config/live.ts';
import type { Config } from './config/load.ts';
import { startHttp } from './http/server.ts';
import type { Health } from './http/health.ts';
import { createNode, type Node } from './node.ts';
import type { Logger } from './platform/logger.ts';
import { nodeDisk } from './platform/node-disk.ts';
import { nodeHostFacts } from './platform/node-host.ts';
import { createNodePlatform } from './platform/node-platform.ts';
import { createLegacySource } from './storage/legacy/legacy-source.ts';
import { createPostgresStore } from './storage/postgres/postgres-store.ts';

/** Loads that may wait for a connection to the database. */
const LOAD_QUEUE_MAX = 1_000;

export interface RunningNode {
  /** Resolves when this node has joined the cluster; rejects when it never will. */
  readonly ready: Promise<void>;
  /** Finishes what is under way, leaves the cluster, closes everything. */
  stop(): Promise<void>;
}

/** Starts one node. Rejects when a port is taken. */
export async function runNode(start: { config: Config; version: string }): Promise<RunningNode> {
  const { config, version } = start;
  const live = createLiveConfig(config, nodeDisk);
  const log = createLogger(config, live);
  for (const warning of config.warnings) log.warn({}, warning);
  if (config.store === '')
    throw new Error(
      'no database is configured: set --store or RINGFENCE_STORE to a PostgreSQL URL',
    );

  const node = createWiredNode(config, live, log, version);
  const listen = async () => {
    const clients = await node.listen();
    const http = await startHttp({
      host: config.httpBind,
      port: config.httpPort,
      health: () => healthOf(node.cluster),
      metrics: () => node.metrics(),
      log: log.child({ part: 'http' }),
    });
    return { clients, http };
  };
  const { clients, http } = await listen().catch(async (error: unknown) => {
    // Nothing may keep the process alive that only came to say that a port is taken.
    await node.abandon();
    throw error;
  });
  const ready = node.join({ port: clients.port, httpPort: http.port });
  let stopping = false;
  ready.then(
    () => {
      if (!stopping) log.info({ port: clients.port, httpPort: http.port }, 'node started');
    },
    (error: unknown) => log.error({ err: error }, 'node cannot start'),
  );
  return {
    ready,
    async stop() {
      stopping = true;
      log.info({}, 'stopping');
      await node.stop();
      await http.close();
    },
  };
}

/** The node on this machine's clock, sockets and disk, with its PostgreSQL and its legacy APIs. */
function createWiredNode(config: Config, live: LiveConfig, log: Logger, version: string): Node {
  const platform = createNodePlatform();
  const { policies, legacyConcurrency: concurrency, legacyPendingMax: pendingMax } = config;
  const legacy = createLegacySource(policies, {
    ...platform,
    logger: log.child({ part: 'legacy' }),
    concurrency,
    pendingMax,
  });
  const store = createPostgresStore({
    ...platform,
    url: config.store,
    node: config.nodeId,
    logger: log.child({ part: 'store' }),
    loadConnections: config.storeConnections,
    loadQueueMax: LOAD_QUEUE_MAX,
    statementTimeoutMs: config.storeTimeoutMs,
    batchWaitMs: config.laneWaitMs,
    lanePipeline: config.lanePipeline,
    connectTimeoutMs: config.storeTimeoutMs,
  });
  const hostFacts = nodeHostFacts;
  return createNode({ platform, log, store, legacy, config, live, version, hostFacts });
}

/** Redis's names of log levels in pino's. */
const PINO_LEVELS = {
  debug: 'debug',
  verbose: 'debug',
  notice: 'info',
  warning: 'warn',
  nothing: 'silent',
} as const;

/** Logs go to the file given, else to standard output. */
function createLogger(config: Config, live: LiveConfig): Logger {
  const destination = config.logfile === '' ? 1 : config.logfile;
  const logger = pino(
    { level: PINO_LEVELS[live.loglevel], base: { node: config.nodeId } },
    pino.destination({ dest: destination, sync: false, mkdir: true }),
  );
  live.onChange('loglevel', () => {
    logger.level = PINO_LEVELS[live.loglevel];
  });
  return logger;
}

function healthOf(cluster: Cluster): Health {
  const { blocking, others } = cluster.problems();
  return {
    ready: blocking.length === 0,
    reasons: [...blocking, ...others],
    details: {
      incarnation: cluster.life?.self.incarnation ?? null,
      epoch: cluster.epoch,
      nodes: cluster.nodes().map(({ name, state, connected }) => ({ name, state, connected })),
    },
  };
}
