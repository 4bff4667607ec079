/**
 * What the cases are played against: the cluster of three nodes that this run shares, or what
 * `RINGFENCE_TEST_TARGET` names: `host:port[,host:port...]`, or `redis` for a redis-server (which
 * checks the runner itself: everything must then be equal, without the table of differences).
 */
import { inject } from 'vitest';
import type { RespAddress } from '../support/resp-client.ts';
import { sharedClusterNodes } from '../support/shared-cluster.ts';
import { references } from './reference.ts';

export interface Target {
  /** True when the target is redis-server itself. */
  readonly isRedis: boolean;
  /** The nodes to play a family against. */
  nodesFor(family: string): Promise<readonly RespAddress[]>;
  /** The nodes for cluster-aware clients: the same as for a family, except for redis-server. */
  clusterNodes(): Promise<readonly RespAddress[]>;
  stop(): Promise<void>;
}

export async function startTarget(): Promise<Target> {
  const named = process.env['RINGFENCE_TEST_TARGET'] ?? '';
  if (named === 'redis') return redisTarget();
  if (named !== '') return fixedTarget(parseAddresses(named));
  return clusterTarget();
}

/** `host:port,host:port` as addresses. */
export function parseAddresses(text: string): RespAddress[] {
  return text.split(',').map((part) => {
    const colon = part.lastIndexOf(':');
    const port = Number(part.slice(colon + 1));
    if (colon <= 0 || !Number.isInteger(port)) throw new Error(`not host:port: ${part}`);
    return { host: part.slice(0, colon), port };
  });
}

function redisTarget(): Target {
  const servers = references();
  return {
    isRedis: true,
    nodesFor: async (family) => [await servers.forFamily(family)],
    clusterNodes: () => servers.cluster(),
    stop: () => servers.stop(),
  };
}

function fixedTarget(nodes: readonly RespAddress[]): Target {
  return {
    isRedis: false,
    nodesFor: () => Promise.resolve(nodes),
    clusterNodes: () => Promise.resolve(nodes),
    stop: () => Promise.resolve(),
  };
}

/** The cluster that this run's files share; it is stopped at the end of the run. */
async function clusterTarget(): Promise<Target> {
  return fixedTarget(await sharedClusterNodes(inject('sharedClusterUrl')));
}
