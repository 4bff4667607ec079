/** A Redis Cluster of three primaries, with or without a replica each, in a folder of the run. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { PlainError } from '../../../src/cli/program.ts';
import { type Generator, RespLoad } from '../generator/resp-load.ts';
import type { Contender } from '../load.ts';
import { startRedisServer } from './redis-peer.ts';
import type { ServerProcess } from './resp-server.ts';

const PRIMARIES = 3;
const SLOTS = 16_384;
const FORMS_WITHIN_MS = 30_000;
const POLL_MS = 100;

/** Ports that it needs: one for clients and one for the bus a process. */
export function redisClusterPorts(replicas: number): number {
  return 2 * PRIMARIES * (1 + replicas);
}

/** `replicas` of each primary. Rejects when the nodes do not find each other. */
export async function startRedisCluster({
  id,
  dir,
  port,
  replicas,
  generator,
}: {
  id: string;
  dir: string;
  port: number;
  replicas: number;
  generator: Generator;
}): Promise<Contender> {
  const count = PRIMARIES * (1 + replicas);
  const ports = Array.from({ length: count }, (_, i) => port + i);
  const servers: ServerProcess[] = [];
  const stop = async (): Promise<void> => {
    for (const server of servers) await server.stop();
  };
  try {
    for (const at of ports) {
      const settings = ['--cluster-enabled', 'yes', '--cluster-port', String(at + count)];
      servers.push(await startRedisServer(join(dir, id, String(at)), at, settings));
    }
    await form(ports, count);
  } catch (error) {
    await stop();
    throw error;
  }
  const loads = new RespLoad(ports.slice(0, PRIMARIES), generator, 'primaries');
  return {
    id,
    label: replicas === 0 ? 'Redis Cluster of three' : 'Redis Cluster, a replica each, WAIT 1',
    processes: () =>
      servers.map(({ pid }, i) => ({ name: `redis-${i + 1}`, pid, withChildren: false })),
    fill: (load) => loads.fill(load),
    run: (load, operations) => loads.run(load, operations),
    stop,
  };
}

/** What `redis-cli --cluster create` does: slots, meetings, replicas; then waits until all agree. */
async function form(ports: readonly number[], busOffset: number): Promise<void> {
  const nodes = ports.map(
    (port) => new Redis({ host: '127.0.0.1', port, maxRetriesPerRequest: 0 }),
  );
  const [first] = nodes;
  if (first === undefined) throw new Error('a cluster has nodes');
  try {
    for (const [i, node] of nodes.slice(0, PRIMARIES).entries()) {
      const edge = (at: number): number => Math.floor((at * SLOTS) / PRIMARIES);
      await node.call('CLUSTER', 'ADDSLOTSRANGE', edge(i), edge(i + 1) - 1);
    }
    for (const port of ports.slice(1)) {
      await first.call('CLUSTER', 'MEET', '127.0.0.1', port, port + busOffset);
    }
    await until('know each other', () => everyone(nodes, `cluster_known_nodes:${ports.length}`));
    const ids = await Promise.all(nodes.map((node) => node.call('CLUSTER', 'MYID')));
    for (const [i, node] of nodes.entries()) {
      if (i >= PRIMARIES) await node.call('CLUSTER', 'REPLICATE', String(ids[i % PRIMARIES]));
    }
    await until('agree', () => everyone(nodes, 'cluster_state:ok'));
    await until('replicate', async () => {
      const infos = await Promise.all(
        nodes.slice(PRIMARIES).map((node) => node.info('replication')),
      );
      return infos.every((info) => info.includes('master_link_status:up'));
    });
  } finally {
    for (const node of nodes) node.disconnect();
  }
}

async function everyone(nodes: readonly Redis[], line: string): Promise<boolean> {
  const infos = await Promise.all(nodes.map((node) => node.call('CLUSTER', 'INFO')));
  return infos.every((info) => String(info).includes(line));
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + FORMS_WITHIN_MS;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new PlainError(`the Redis nodes do not ${what}`);
    await delay(POLL_MS);
  }
}
