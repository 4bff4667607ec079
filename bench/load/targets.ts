/** Who can be measured, by name, and how each is started. */
import { join } from 'node:path';
import type { Field } from './field.ts';
import type { Contender } from './load.ts';
import { startBareResponder } from './peers/bare-responder.ts';
import { startPostgresBatch } from './peers/postgres-batch-peer.ts';
import { redisClusterPorts, startRedisCluster } from './peers/redis-cluster-peer.ts';
import { type RedisDurability, startRedis } from './peers/redis-peer.ts';
import { clusterPorts, type RingfenceCluster, startCluster } from './peers/ringfence-cluster.ts';
import { startWriteThrough } from './peers/write-through-peer.ts';

export interface Targets {
  /** Three nodes, each an owner of every key: what most scenarios measure. */
  cluster: RingfenceCluster;
  /** Five nodes, two owners of every key. */
  'cluster-5': RingfenceCluster;
  /** Like `cluster`, for millions of keys, so that others are not measured beside them. */
  'cluster-large': RingfenceCluster;
  redis: Contender;
  'redis-large': Contender;
  'redis-always': Contender;
  'redis-cluster': Contender;
  'redis-cluster-wait': Contender;
  'write-through': Contender;
  'postgres-batch': Contender;
  bare: Contender;
}

export type TargetId = keyof Targets;

/** Whom a target uses: stopped after it. */
export const NEEDS: Readonly<Record<TargetId, readonly TargetId[]>> = {
  cluster: [],
  'cluster-5': [],
  'cluster-large': [],
  redis: [],
  'redis-large': [],
  'redis-always': [],
  'redis-cluster': [],
  'redis-cluster-wait': [],
  'write-through': ['cluster', 'redis'],
  'postgres-batch': ['cluster'],
  bare: [],
};

/** Keys that `cluster` reads from the sample legacy API, which a scenario starts on `legacyPort`. */
export const LEGACY_PREFIX = 'user:';

/** The port of the legacy API that the policies of `cluster` name. */
export function legacyPort(field: Field): Promise<number> {
  return field.once('legacy port', () => field.ports(1));
}

type Starters = { readonly [T in TargetId]: (field: Field) => Promise<Targets[T]> };

export const STARTERS: Starters = {
  cluster: async (field) =>
    ringfence(field, { id: 'cluster', nodes: 3, replicas: 3 }, [
      {
        prefix: LEGACY_PREFIX,
        persist: 'through',
        legacy: {
          url: `http://127.0.0.1:${await legacyPort(field)}/legacy/data/{key}`,
          value: '/value',
        },
      },
    ]),
  'cluster-5': (field) => ringfence(field, { id: 'cluster-5', nodes: 5, replicas: 2 }),
  'cluster-large': (field) => ringfence(field, { id: 'cluster-large', nodes: 3, replicas: 3 }),
  redis: (field) => redis(field, 'redis', 'none'),
  'redis-large': (field) => redis(field, 'redis-large', 'none'),
  'redis-always': (field) => redis(field, 'redis-always', 'always'),
  'redis-cluster': (field) => redisCluster(field, 'redis-cluster', 0),
  'redis-cluster-wait': (field) => redisCluster(field, 'redis-cluster-wait', 1),
  'write-through': async (field) => {
    const { storeUrl, postgres } = await field.get('cluster');
    const cache = await field.get('redis');
    const redisPort = await redisPortOf(field, 'redis');
    return startWriteThrough({ storeUrl, postgres, redis: cache, redisPort });
  },
  'postgres-batch': async (field) => startPostgresBatch(await field.get('cluster'), field.say),
  bare: async (field) => startBareResponder(await field.ports(1), await field.generator()),
};

async function ringfence(
  field: Field,
  { id, nodes, replicas }: { id: TargetId; nodes: number; replicas: number },
  policies: readonly object[] = [],
): Promise<RingfenceCluster> {
  const { dir, nodeFlags, cpuProfileDir } = field.options;
  const port = await field.ports(clusterPorts(nodes));
  const label = `ringfence, ${nodes} nodes`;
  const home = join(dir, id);
  const spec = { id, label, home, port, nodes, replicas, policies, nodeFlags, cpuProfileDir };
  return startCluster(spec, await field.generator());
}

type RedisId = 'redis' | 'redis-large' | 'redis-always';

function redisPortOf(field: Field, id: RedisId): Promise<number> {
  return field.once(`port of ${id}`, () => field.ports(1));
}

async function redis(field: Field, id: RedisId, durability: RedisDurability): Promise<Contender> {
  const port = await redisPortOf(field, id);
  const generator = await field.generator();
  return startRedis({ id, dir: field.options.dir, port, durability, generator });
}

async function redisCluster(field: Field, id: TargetId, replicas: number): Promise<Contender> {
  const port = await field.ports(redisClusterPorts(replicas));
  const generator = await field.generator();
  return startRedisCluster({ id, dir: field.options.dir, port, replicas, generator });
}
