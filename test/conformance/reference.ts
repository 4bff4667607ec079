/**
 * The real server that each family is compared with: a plain redis-server, and for the family
 * `cluster` one in cluster mode that has all slots to itself.
 */
import { RespClient } from '../support/resp-client.ts';
import { startRedisServer, type RedisServer } from '../support/redis-server.ts';

const CLUSTER_MODE = ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'];
const OK_TRIES = 200;
const OK_PAUSE_MS = 50;

export interface References {
  /** The server for a family; started when first asked for. */
  forFamily(family: string): Promise<RedisServer>;
  stop(): Promise<void>;
}

export function references(): References {
  const started = new Map<string, Promise<RedisServer>>();
  return {
    forFamily(family) {
      const mode = family === 'cluster' ? 'cluster' : 'plain';
      const server =
        started.get(mode) ?? (mode === 'cluster' ? startClusterMode() : startRedisServer());
      started.set(mode, server);
      return server;
    },
    async stop() {
      const servers = await Promise.all(started.values());
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

async function startClusterMode(): Promise<RedisServer> {
  const server = await startRedisServer({ args: CLUSTER_MODE });
  const client = await RespClient.connect(server);
  try {
    await client.command('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    for (let i = 0; i < OK_TRIES; i++) {
      const { raw } = await client.command('CLUSTER', 'INFO');
      if (raw.includes('cluster_state:ok')) return server;
      await new Promise((resolve) => setTimeout(resolve, OK_PAUSE_MS));
    }
    throw new Error('redis-server in cluster mode did not become ok');
  } catch (error) {
    await server.stop();
    throw error;
  } finally {
    await client.close();
  }
}
