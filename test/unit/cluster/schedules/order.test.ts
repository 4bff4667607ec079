/** Schedules of one client's commands, and of frames that come late. */
import { expect } from 'vitest';
import { Sim } from '../../../../chaos/sim/cluster.ts';
import type { SimClient } from '../../../../chaos/sim/client.ts';
import { batchHeld, expectEverywhere, schedule, threeNodes, track } from './support.ts';

schedule('pipelined-read-own-write', 'a GET behind a SET at a replica sees it', async () => {
  const { sim, onA: key } = await threeNodes();
  await sim.wait(sim.client('b').send('SET', key, 'old'));
  await sim.run(20);
  const client = sim.client('b');
  const both = [client.send('SET', key, 'new'), client.send('GET', key)];
  expect(await sim.wait(Promise.all(both))).toEqual(['+OK', '$3 new']);
});

/** A SET whose batch is held in the database over a change of view. */
async function undecided(name: string): Promise<{ sim: Sim; key: string; client: SimClient }> {
  const { sim, onA: key } = await threeNodes();
  sim.database.holdBatches('a');
  const { epoch } = sim.node('a').cluster;
  sim.startNode('d');
  const client = sim.client(name);
  void client.send('SET', key, 'first');
  await batchHeld(sim);
  expect(sim.node('a').cluster.epoch).toBe(epoch);
  await sim.until(() => sim.node('a').cluster.epoch > epoch, 2000, 'the view is adopted');
  return { sim, key, client };
}

for (const [name, where] of [
  ['a', 'on its primary'],
  ['b', 'from another node'],
] as const) {
  schedule(
    'retry-out-of-order',
    `the refused SET comes before the next one, ${where}`,
    async () => {
      const { sim, key, client } = await undecided(name);
      const second = client.send('SET', key, 'second');
      // Before the view that settles the new node ends everything once more.
      await sim.run(1);
      sim.database.releaseBatches('a');
      expect(await sim.wait(second)).toBe('+OK');
      expect(client.replies).toEqual(['+OK', '+OK']);
      expect(sim.database.valueOf(key)).toBe('second');
    },
  );
}

schedule(
  'old-frames',
  'a command that was stuck in a broken link does not run any more',
  async () => {
    const { sim, onA: key } = await threeNodes();
    // A fresh link on which nothing was answered yet: nothing but its successor tells that it is over.
    sim.network.break('a', 'b');
    await sim.run(300);
    sim.network.strand('b', 'a');
    const first = track(sim.client('b').send('SET', key, 'first'));
    await sim.run(20);
    sim.network.breakStranded();
    await sim.run(10);
    expect(first.value).toContain('-UNKNOWN');
    expect(await sim.wait(sim.client('b').send('SET', key, 'second'))).toBe('+OK');
    sim.network.arrive();
    await sim.run(200);
    await expectEverywhere(sim, ['a', 'b', 'c'], ['GET', key], '$6 second');
    expect(sim.database.valueOf(key)).toBe('second');
  },
);

schedule(
  'old-frames',
  'effects that were stuck in a broken link are not applied again',
  async () => {
    const { sim, onA: key } = await threeNodes();
    await sim.wait(sim.client('a').send('SET', key, '1'));
    sim.network.strand('a', 'b');
    const second = track(sim.client('a').send('SET', key, '2'));
    await sim.run(20);
    expect(second.done).toBe(false);
    sim.network.breakStranded();
    await sim.until(() => second.done, 2000, 'the effects came on the new link');
    expect(second.value).toBe('+OK');
    expect(await sim.wait(sim.client('a').send('SET', key, '3'))).toBe('+OK');
    sim.network.arrive();
    await sim.run(200);
    await expectEverywhere(sim, ['a', 'b', 'c'], ['GET', key], '$1 3');
    expect(sim.node('b').cluster.expulsions).toBe(0);
  },
);
