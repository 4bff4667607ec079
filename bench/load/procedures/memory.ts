/** Resident memory that a key costs, on every node and in redis-server: growth while the keys are written. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Field } from '../field.ts';
import type { Contender, Load } from '../load.ts';
import { startRedis } from '../peers/redis-peer.ts';
import type { Figures } from '../report.ts';
import { sideResult } from '../rounds.ts';
import type { Scenario } from '../scenario.ts';

const KEYS = 1_000_000;
/** With the twelve digits of a number, sixteen bytes. */
const PREFIX = 'mem:';
/** For buffers to be given back, milliseconds. */
const SETTLE_MS = 3000;
const NODES = 3;

export function memoryPerKey(spec: Pick<Scenario, 'id' | 'title' | 'group' | 'demands'>): Scenario {
  return {
    ...spec,
    metric: { name: 'resident memory', unit: 'bytes/key', better: 'less', digits: 0 },
    targets: [],
    measure: measureMemory,
  };
}

/** One round: memory that was given back to the process, not to the system, would be used by a second one. */
async function measureMemory(field: Field): Promise<Figures> {
  const keySpace = Math.round(KEYS * field.options.keysShare);
  const load: Load = { command: 'set', prefix: PREFIX, connections: 50, pipeline: 16, keySpace };
  const { cluster } = await field.cluster({ id: 'memory', nodes: NODES, replicas: NODES });
  const ours = await growth(cluster, cluster.nodePids, load, field);
  await field.end(cluster);
  const generator = await field.generator();
  const port = await field.ports(1);
  const { dir } = field.options;
  const redis = field.add(
    await startRedis({
      id: 'redis',
      dir: join(dir, 'memory'),
      port,
      durability: 'none',
      generator,
    }),
  );
  const pids = redis.processes().map(({ pid }) => pid);
  const theirs = await growth(redis, pids, load, field);
  await field.end(redis);
  const perKey = (bytes: number[]): number =>
    bytes.reduce((a, b) => a + b, 0) / bytes.length / keySpace;
  const nodes = ours.map((bytes) => (bytes / keySpace).toFixed(0)).join(', ');
  return {
    ours: sideResult('ringfence', 'ringfence, mean of three nodes', [{ value: perKey(ours) }]),
    peers: [sideResult('redis', 'redis-server', [{ value: perKey(theirs) }])],
    notes: [`${keySpace} keys; the three nodes: ${nodes} bytes a key`],
  };
}

/** Bytes by which each process grew while the keys were written and read once. */
async function growth(
  contender: Contender,
  pids: readonly number[],
  load: Load,
  field: Field,
): Promise<number[]> {
  // Code and buffers that any load needs are no cost of keys.
  await contender.fill({ ...load, prefix: 'warm:', keySpace: 20_000 });
  await delay(SETTLE_MS);
  const before = pids.map(residentBytes);
  await contender.fill(load);
  await delay(SETTLE_MS);
  const grown = pids.map((pid, i) => residentBytes(pid) - (before[i] ?? 0));
  const shown = grown.map((bytes) => `${Math.round(bytes / 2 ** 20)} MB`).join(', ');
  field.say(`    ${contender.label}: grown by ${shown}`);
  return grown;
}

function residentBytes(pid: number): number {
  return parseResident(readFileSync(`/proc/${pid}/status`, 'latin1'));
}

/** Parses `/proc/<pid>/status`: the resident set in bytes. */
export function parseResident(text: string): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1];
  if (kilobytes === undefined) throw new Error('there is no VmRSS in the status of the process');
  return Number(kilobytes) * 1024;
}
