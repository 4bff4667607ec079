/** How long a node's event loop stands still at most while it holds many keys and is written to. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Field } from '../field.ts';
import type { Load } from '../load.ts';
import { MEMORY_PREFIX } from '../peers/ringfence-cluster.ts';
import type { Figures } from '../report.ts';
import { type Round, sideResult } from '../rounds.ts';
import { roundsOf, type Scenario } from '../scenario.ts';

const KEYS = 5_000_000;
const PRELOAD = new URL('./event-loop-delay.mjs', import.meta.url);
/** The write load: persistent keys, so that effects, batches and commits are part of it. */
const WRITES: Load = { command: 'set', prefix: 'key:', connections: 50, pipeline: 1 };

export function longestPause(spec: Pick<Scenario, 'id' | 'title' | 'group' | 'demands'>): Scenario {
  return {
    ...spec,
    metric: { name: 'longest pause', unit: 'ms', better: 'less', digits: 1 },
    targets: [],
    measure: measurePause,
  };
}

/** One node, so that the machine has room for the keys and the pauses are not those of a full machine. */
async function measurePause(field: Field): Promise<Figures> {
  const folder = join(field.options.dir, 'delays');
  mkdirSync(folder);
  const keySpace = Math.round(KEYS * field.options.keysShare);
  const { cluster } = await field.cluster({
    id: 'pause',
    label: 'ringfence, one node',
    nodes: 1,
    replicas: 1,
    env: { NODE_OPTIONS: `--import ${PRELOAD.href}`, BENCH_DELAYS: folder },
  });
  const [pid] = cluster.nodePids;
  await cluster.fill({ ...WRITES, prefix: MEMORY_PREFIX, pipeline: 16, keySpace });
  await cluster.fill(WRITES);
  const rounds = await roundsOf(field, { contender: cluster, load: WRITES }, () => 0);
  const delays = parseDelays(readFileSync(join(folder, String(pid)), 'utf8'));
  await field.end(cluster);
  return {
    ours: sideResult(
      'ringfence',
      cluster.label,
      rounds.map((round) => withPause(round, delays)),
    ),
    peers: [],
    notes: [`${keySpace} keys in memory; the longest of each round, as its event loop saw it`],
  };
}

function withPause(round: Round, delays: readonly Delay[]): Round {
  const [from, to] = round.window ?? [0, 0];
  return { ...round, value: longestBetween(delays, from, to) };
}

export interface Delay {
  readonly atUs: number;
  /** The longest since the line before. */
  readonly longestMs: number;
}

export function parseDelays(text: string): Delay[] {
  return text
    .trim()
    .split('\n')
    .map((line) => line.split(' ').map(Number))
    .map(([atUs = Number.NaN, longestMs = Number.NaN]) => ({ atUs, longestMs }));
}

/** The longest delay in a window; a line stands for the time before it. Throws when no line is in it. */
export function longestBetween(delays: readonly Delay[], fromUs: number, toUs: number): number {
  const inside = delays.filter(({ atUs }) => atUs >= fromUs && atUs <= toUs);
  if (inside.length === 0) throw new RangeError('the node wrote down no delays in this round');
  return Math.max(...inside.map(({ longestMs }) => longestMs));
}
