/** Schedules of nodes that reach the database and not each other. */
import { expect } from 'vitest';
import type { Sim } from '../../../../chaos/sim/cluster.ts';
import { schedule, threeNodes, track } from './support.ts';

const ABC = ['a', 'b', 'c'];
const LEASE_MS = 1500;

function comingOf(sim: Sim): string[] {
  return sim.database.views.at(-1)!.coming.map(({ node }) => node);
}

schedule('one-cut-link', 'one of the two leaves, once, and writes go on', async () => {
  const { sim, onA: key } = await threeNodes();
  await sim.run(300);
  sim.network.cut('a', 'b');
  const write = track(sim.client('c').send('SET', key, 'v'));
  await sim.until(() => write.done, 2 * LEASE_MS, 'the write is answered');
  expect(write.value).toBe('+OK');
  await sim.settle('a', 'c');
  const { epoch } = sim.node('a').cluster;
  await sim.run(10_000);
  expect(sim.node('a').cluster.epoch).toBe(epoch);
  sim.network.heal('a', 'b');
  await sim.settle(...ABC);
});

schedule('stuck-but-renewing', 'the stuck one goes, and no other', async () => {
  const { sim, onB: key } = await threeNodes();
  await sim.run(300);
  for (const other of ['b', 'c']) sim.network.cut('a', other);
  const write = track(sim.client('c').send('SET', key, 'v'));
  await sim.until(() => write.done, 2 * LEASE_MS, 'the write is answered');
  expect(write.value).toBe('+OK');
  await sim.run(5 * LEASE_MS);
  expect(comingOf(sim)).toEqual(['b', 'c']);
  expect(sim.node('b').cluster.expulsions + sim.node('c').cluster.expulsions).toBe(0);
  expect(sim.node('a').cluster.expulsions).toBe(1);
});

schedule('stuck-but-renewing', 'of a learner and a settled node, the learner goes', async () => {
  const { sim } = await threeNodes();
  sim.startNode('aa');
  await sim.until(() => comingOf(sim).length === 4, 5000, 'it learns');
  sim.network.cut('aa', 'c');
  await sim.until(() => comingOf(sim).length === 3, 3 * LEASE_MS, 'one of them goes');
  await sim.settle(...ABC);
  expect(comingOf(sim)).toEqual(ABC);
});
