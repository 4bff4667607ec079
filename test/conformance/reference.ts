/**
 * The real servers that we are compared with: a plain redis-server; for the family `cluster` one in
 * cluster mode that has all slots to itself; and a cluster of three, for cluster clients.
 */
import { RespClient } from '../support/resp-client.ts';
import { freePort, startRedisServer, type RedisServer } from '../support/redis-server.ts';

const SLOTS = 16384;
const OK_TRIES = 400;
const OK_PAUSE_MS = 50;
const CLUSTER_CLIENT_NODES = 3;

export interface References {
  /** The server for a family; started when first asked for. */
  forFamily(family: string): Promise<RedisServer>;
  /** Three servers that form one Redis Cluster; started when first asked for. */
  cluster(): Promise<readonly RedisServer[]>;
  stop(): Promise<void>;
}

export function references(): References {
  const started = new Map<string, Promise<RedisServer[]>>();
  const once = (name: string, start: () => Promise<RedisServer[]>): Promise<RedisServer[]> => {
    const servers = started.get(name) ?? start();
    started.set(name, servers);
    return servers;
  };
  return {
    async forFamily(family) {
      const servers =
        family === 'cluster'
          ? await once('one in cluster mode', () => startRedisCluster(1))
          : await once('plain', async () => [await startRedisServer()]);
      return servers[0]!;
    },
    cluster: () => once('cluster', () => startRedisCluster(CLUSTER_CLIENT_NODES)),
    async stop() {
      const servers = (await Promise.all(started.values())).flat();
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

/** Starts `count` servers in cluster mode, the slots divided among them, and waits until all agree. */
async function startRedisCluster(count: number): Promise<RedisServer[]> {
  const servers: ClusterServer[] = [];
  try {
    for (let i = 0; i < count; i++) servers.push(await startInClusterMode());
    const first = servers[0]!;
    for (const [index, server] of servers.entries()) {
      const from = Math.floor((index * SLOTS) / count);
      const to = Math.floor(((index + 1) * SLOTS) / count) - 1;
      await ask(server, 'CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
      if (server !== first) {
        await ask(server, 'CLUSTER', 'MEET', first.host, String(first.port), String(first.busPort));
      }
    }
    for (const server of servers) await untilOk(server, count);
    return servers;
  } catch (error) {
    await Promise.all(servers.map((server) => server.stop()));
    throw error;
  }
}

interface ClusterServer extends RedisServer {
  readonly busPort: number;
}

async function startInClusterMode(): Promise<ClusterServer> {
  const busPort = await freePort();
  const server = await startRedisServer({
    args: [
      '--cluster-enabled',
      'yes',
      '--cluster-port',
      String(busPort),
      '--cluster-announce-ip',
      '127.0.0.1',
    ],
  });
  return { ...server, busPort };
}

async function ask(server: RedisServer, ...args: string[]): Promise<string> {
  const client = await RespClient.connect(server);
  try {
    return (await client.command(...args)).raw;
  } finally {
    await client.close();
  }
}

async function untilOk(server: RedisServer, nodes: number): Promise<void> {
  for (let i = 0; i < OK_TRIES; i++) {
    const info = await ask(server, 'CLUSTER', 'INFO');
    if (info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${nodes}\r`))
      return;
    await new Promise((resolve) => setTimeout(resolve, OK_PAUSE_MS));
  }
  throw new Error('the reference Redis Cluster did not become ok');
}
