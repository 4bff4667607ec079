/** Our side: a cluster started exactly as users do, `ringfence up`, in a folder of the run. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT, PlainError } from '../../../src/cli/program.ts';
import { atExit } from '../at-exit.ts';
import { type Generator, RespLoad } from '../generator/resp-load.ts';
import type { Contender } from '../load.ts';
import type { ProcessGroup } from '../processor-time.ts';

/** Keys with this prefix are kept in memory only, the others in PostgreSQL too. */
export const MEMORY_PREFIX = 'none:';

const STOP_WITHIN_MS = 60_000;
/** Names of `src/cli/local/postgres.ts`; the port is ours. */
const databaseUrl = (port: number): string => `postgres://admin@127.0.0.1:${port}/cache_db`;

export interface RingfenceCluster extends Contender {
  readonly storeUrl: string;
  readonly postgres: ProcessGroup;
  /** Process ids of the nodes, the one that clients talk to first. */
  readonly nodePids: readonly number[];
  /** Ports for clients, in the same order. */
  readonly ports: readonly number[];
}

export interface ClusterSpec {
  readonly id: string;
  readonly label: string;
  /** Made when missing; a cluster that was stopped is started again from it. */
  readonly home: string;
  /** The first of `clusterPorts(nodes)`. */
  readonly port: number;
  readonly nodes: number;
  readonly replicas: number;
  /** The checkout whose build is run. */
  readonly root?: string;
  /** Policies besides that for MEMORY_PREFIX. */
  readonly policies?: readonly object[];
  /** Every process writes a profile of its life there when it ends. */
  readonly cpuProfileDir?: string | undefined;
  /** Options for the nodes. */
  readonly nodeFlags?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** Ports that a cluster needs, from its first one on. */
export function clusterPorts(nodes: number): number {
  return 3 * nodes + 1;
}

/** Starts the nodes and their PostgreSQL. Rejects with what they printed when they do not come up. */
export async function startCluster(
  spec: ClusterSpec,
  generator: Generator,
): Promise<RingfenceCluster> {
  const { id, label, home, port, nodes } = spec;
  mkdirSync(home, { recursive: true });
  const postgresPort = port + 3 * nodes;
  const child = spawn(process.execPath, clusterArguments(spec, postgresPort), {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: { ...withoutStore(), ...spec.env },
  });
  const exited = once(child, 'exit');
  const forget = atExit(() => void child.kill('SIGTERM'));
  const stop = async (): Promise<void> => {
    forget();
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
    await exited;
    clearTimeout(force);
  };
  await untilReady([child.stdout, child.stderr], exited);

  const pidOf = (name: string): number =>
    Number.parseInt(readFileSync(join(home, `${name}.pid`), 'utf8'), 10);
  const names = Array.from({ length: nodes }, (_, i) => `node-${i + 1}`);
  const ports = names.map((_, i) => port + i);
  const postgres = { name: 'postgres', pid: pidOf('postgres'), withChildren: true };
  const loads = new RespLoad(ports, generator);
  return {
    id,
    label,
    storeUrl: databaseUrl(postgresPort),
    postgres,
    nodePids: names.map(pidOf),
    ports,
    processes: () => [
      ...names.map((name) => ({ name, pid: pidOf(name), withChildren: false })),
      postgres,
    ],
    fill: (load) => loads.fill(load),
    run: (load, operations) => loads.run(load, operations),
    stop,
  };
}

function clusterArguments(spec: ClusterSpec, postgresPort: number): string[] {
  const { home, port, nodes, replicas, root = PACKAGE_ROOT, cpuProfileDir } = spec;
  const config = join(home, 'ringfence.config.json');
  const policies = [{ prefix: MEMORY_PREFIX, persist: 'none' }, ...(spec.policies ?? [])];
  writeFileSync(config, JSON.stringify({ policies }));
  // Nodes are started with the flags of Node that their parent was started with.
  const profiling =
    cpuProfileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${cpuProfileDir}`];
  return [
    ...[...profiling, join(root, 'dist', 'cli', 'main.js'), 'up'],
    ...['--dir', join(home), '--config', config, '--legacy', 'none', '--no-restart'],
    ...['--nodes', String(nodes), '--replicas', String(replicas), '--port', String(port)],
    ...['--link-port', String(port + nodes), '--http-port', String(port + 2 * nodes)],
    ...['--postgres-port', String(postgresPort), ...(spec.nodeFlags ?? [])],
  ];
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
