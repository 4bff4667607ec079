/**
 * How cost grows: clusters of 3, 5, 7 and 9 nodes on this machine, one after the other, each with the same
 * work at the same modest rate. Processor time an operation is compared, not throughput: the machine is
 * shared by all nodes, and far from full.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Field } from '../field.ts';
import type { Metric } from '../goals.ts';
import type { Load } from '../load.ts';
import type { RingfenceCluster } from '../peers/ringfence-cluster.ts';
import { readGroups } from '../processor-time.ts';
import type { Figures } from '../report.ts';
import { measure, type Round, sideResult } from '../rounds.ts';
import type { Scenario } from '../scenario.ts';
import { median } from '../statistics.ts';

const NODE_COUNTS = [3, 5, 7, 9] as const;
const OWNERS = 3;
const IDLE_MS = 4000;
/** Commands for each node before the first round: its code is compiled by then. */
const WARM_UP = { get: 30_000, set: 5000 };

const WORK: Load = {
  command: 'get',
  prefix: 'key:',
  keySpace: 20_000,
  connections: 45,
  pipeline: 1,
  client: 'own',
  route: 'everywhere',
};
const LOADS = {
  get: { ...WORK, ratePerSecond: 4000 },
  set: { ...WORK, command: 'set', ratePerSecond: 1500 },
} as const satisfies Record<string, Load>;

export type Work = 'idle' | 'get' | 'set';

const METRICS: Readonly<Record<Work, Metric>> = {
  idle: { name: 'processor time', unit: 'ms/s per node', better: 'less', digits: 2 },
  get: { name: 'processor time', unit: 'µs/op', better: 'less', digits: 1 },
  set: { name: 'processor time', unit: 'µs/op', better: 'less', digits: 1 },
};

export function scalingOf(
  work: Work,
  spec: Pick<Scenario, 'id' | 'title' | 'group' | 'demands'>,
): Scenario {
  return {
    ...spec,
    metric: METRICS[work],
    targets: [],
    async measure(field): Promise<Figures> {
      // All three kinds of work are done on each cluster, as starting it takes longer than they do.
      const steps = await field.once('scaling', () => measureAll(field));
      const sides = steps.map(({ nodes, rounds }) =>
        sideResult(`nodes-${nodes}`, `${nodes} nodes`, rounds[work]),
      );
      const ours = sides.pop();
      if (ours === undefined) throw new Error('there are clusters to compare');
      return { ours, peers: sides, notes: work === 'idle' ? [] : [idleShare(steps, LOADS[work])] };
    },
  };
}

interface Step {
  readonly nodes: number;
  readonly rounds: Readonly<Record<Work, readonly Round[]>>;
}

async function measureAll(field: Field): Promise<Step[]> {
  const steps: Step[] = [];
  for (const nodes of NODE_COUNTS) {
    field.say(`  ${nodes} nodes ...`);
    const { cluster } = await field.cluster({ id: `scaling-${nodes}`, nodes, replicas: OWNERS });
    await cluster.fill(WORK);
    await cluster.run({ ...WORK, command: 'get' }, WARM_UP.get * nodes);
    await cluster.run({ ...WORK, command: 'set' }, WARM_UP.set * nodes);
    const { rounds } = field.options.durations;
    const idle: Round[] = [];
    const get: Round[] = [];
    const set: Round[] = [];
    for (let i = 0; i < rounds; i++) {
      idle.push(await idleRound(cluster, nodes));
      get.push(await workRound(field, cluster, LOADS.get));
      set.push(await workRound(field, cluster, LOADS.set));
    }
    await field.end(cluster);
    steps.push({ nodes, rounds: { idle, get, set } });
  }
  return steps;
}

/** How much of the cost an operation is what the nodes spend without any: the rate is modest. */
function idleShare(steps: readonly Step[], { ratePerSecond }: { ratePerSecond: number }): string {
  const shares = steps.map(({ nodes, rounds }) => {
    const idleMs = median(rounds.idle.map(({ value }) => value));
    return `${nodes} nodes ${((idleMs * 1000 * nodes) / ratePerSecond).toFixed(1)}`;
  });
  return `of that, what the nodes spend without clients: ${shares.join(', ')} µs/op`;
}

async function workRound(
  field: Field,
  contender: RingfenceCluster,
  load: Load & { readonly ratePerSecond: number },
): Promise<Round> {
  const count = Math.ceil(load.ratePerSecond * field.options.durations.roundSeconds);
  const round = await measure({ contender, load }, count, () => 0);
  const processorUs = joinNodes(round.processorUs);
  return { ...round, ...(processorUs && { processorUs }), value: processorUs?.total ?? Number.NaN };
}

/** Nine nodes in a line of a report are no use: theirs as one sum. */
export function joinNodes(time: Round['processorUs']): Round['processorUs'] {
  if (time === undefined) return undefined;
  const { postgres = 0, ...nodes } = time.byProcess;
  const sum = Object.values(nodes).reduce((a, b) => a + b, 0);
  return { ...time, byProcess: { nodes: sum, postgres } };
}

/** Leases, heartbeats, timers: what a node costs when nobody asks it anything. */
async function idleRound(cluster: RingfenceCluster, nodes: number): Promise<Round> {
  const groups = cluster.processes().filter(({ name }) => name !== 'postgres');
  const sum = (): number => [...readGroups(groups).values()].reduce((a, b) => a + b, 0);
  const beforeUs = sum();
  const startedAtMs = performance.now();
  await delay(IDLE_MS);
  const seconds = (performance.now() - startedAtMs) / 1000;
  return { value: (sum() - beforeUs) / 1000 / seconds / nodes };
}
