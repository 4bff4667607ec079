/** Our side: a cluster started exactly as users do, `ringfence up`, in a folder of the run. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT, PlainError } from '../../src/cli/program.ts';
import { fill } from './fill.ts';
import type { Contender } from './load.ts';
import type { ProcessGroup } from './processor-time.ts';
import { redisBenchmark } from './redis-benchmark.ts';

/** Keys with this prefix are kept in memory only, the others in PostgreSQL too. */
export const MEMORY_PREFIX = 'none:';

const NODES = 3;
/** Ports that a cluster needs, from its first one on. */
export const CLUSTER_PORTS = 3 * NODES + 1;
const STOP_WITHIN_MS = 40_000;
/** Names of `src/cli/local/postgres.ts`; the port is ours. */
const databaseUrl = (port: number): string => `postgres://admin@127.0.0.1:${port}/cache_db`;

export interface RingfenceCluster extends Contender {
  readonly storeUrl: string;
  readonly postgres: ProcessGroup;
  /** Process ids of the nodes, the one that clients talk to first. */
  readonly nodePids: readonly number[];
}

/**
 * Starts three nodes, each an owner of all keys, and their PostgreSQL. `cpuProfileDir`: every process
 * writes a profile of its life there when it ends. `nodeFlags`: options for the nodes.
 */
export async function startCluster({
  dir,
  port,
  cpuProfileDir,
  nodeFlags,
}: {
  dir: string;
  port: number;
  cpuProfileDir: string | undefined;
  nodeFlags: readonly string[];
}): Promise<RingfenceCluster> {
  const home = join(dir, 'cluster');
  const config = join(dir, 'ringfence.config.json');
  const policies = [{ prefix: MEMORY_PREFIX, persist: 'none' }];
  writeFileSync(config, JSON.stringify({ policies }));
  const postgresPort = port + 3 * NODES;
  // Nodes are started with the flags of Node that their parent was started with.
  const profiling =
    cpuProfileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${cpuProfileDir}`];
  const child = spawn(
    process.execPath,
    [
      ...[...profiling, join(PACKAGE_ROOT, 'dist', 'cli', 'main.js'), 'up'],
      ...['--dir', home, '--config', config, '--legacy', 'none', '--no-restart'],
      ...['--nodes', String(NODES), '--replicas', String(NODES), '--port', String(port)],
      ...['--link-port', String(port + NODES), '--http-port', String(port + 2 * NODES)],
      ...['--postgres-port', String(postgresPort), ...nodeFlags],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env: withoutStore() },
  );
  const exited = once(child, 'exit');
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
    await exited;
    clearTimeout(force);
  };
  process.once('exit', () => child.kill('SIGTERM'));
  await untilReady([child.stdout, child.stderr], exited);

  const pidOf = (name: string): number =>
    Number.parseInt(readFileSync(join(home, `${name}.pid`), 'utf8'), 10);
  const nodes = Array.from({ length: NODES }, (_, i) => `node-${i + 1}`);
  const postgres = { name: 'postgres', pid: pidOf('postgres'), withChildren: true };
  return {
    id: 'ringfence',
    label: 'ringfence, one node of three',
    storeUrl: databaseUrl(postgresPort),
    postgres,
    nodePids: nodes.map(pidOf),
    processes: () => [
      ...nodes.map((name) => ({ name, pid: pidOf(name), withChildren: false })),
      postgres,
    ],
    fill: (prefix) => fill(port, prefix),
    run: (load, operations) => redisBenchmark(port, load, operations),
    stop,
  };
}

/** The comparison needs the embedded server, whatever the user's own cluster runs on. */
function withoutStore(): NodeJS.ProcessEnv {
  const env = { ...process.env };
  delete env.RINGFENCE_STORE;
  return env;
}

async function untilReady(
  outputs: readonly NodeJS.ReadableStream[],
  exited: Promise<unknown>,
): Promise<void> {
  let log = '';
  const ready = new Promise<void>((resolve) => {
    for (const output of outputs) {
      output.on('data', (chunk: Buffer) => {
        log = (log + chunk.toString()).slice(-8000);
        if (/^ready/m.test(log)) resolve();
      });
    }
  });
  const ended = exited.then(() => {
    throw new PlainError(`the cluster did not start:\n${log.trim()}`);
  });
  await Promise.race([ready, ended]);
}
