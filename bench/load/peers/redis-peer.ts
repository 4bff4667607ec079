/** A redis-server to compare with, in a folder of the run, stopped with it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Generator, RespLoad } from '../generator/resp-load.ts';
import type { Contender } from '../load.ts';
import { type ServerProcess, startServer } from './resp-server.ts';

/** Which writes survive a crash of the machine: none, or each one before its reply. */
export type RedisDurability = 'none' | 'always';

/** Starts a redis-server without snapshots on 127.0.0.1. Rejects when it does not come up. */
export function startRedisServer(
  home: string,
  port: number,
  settings: readonly string[],
): Promise<ServerProcess> {
  mkdirSync(home, { recursive: true });
  return startServer(
    'redis-server',
    [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', home, '--save', ''],
      // Rewriting the journal in the middle of a round would measure something else.
      ...['--auto-aof-rewrite-percentage', '0', ...settings],
    ],
    { name: `redis-server on port ${port}`, ready: 'Ready to accept connections' },
  );
}

export async function startRedis({
  id,
  dir,
  port,
  durability,
  generator,
}: {
  id: string;
  dir: string;
  port: number;
  durability: RedisDurability;
  generator: Generator;
}): Promise<Contender> {
  const journal = durability === 'always' ? ['--appendonly', 'yes', '--appendfsync', 'always'] : [];
  const { pid, stop } = await startRedisServer(join(dir, id), port, journal);
  const loads = new RespLoad([port], generator);
  return {
    id,
    label: durability === 'always' ? 'redis-server, appendfsync always' : 'redis-server',
    processes: () => [{ name: 'redis', pid, withChildren: false }],
    fill: (load) => loads.fill(load),
    run: (load, operations) => loads.run(load, operations),
    stop,
  };
}
