/** FLUSHALL that meets a change of view: keys without a row are emptied once, and stay gone. */
import { expect, test } from 'vitest';
import { NONE_PREFIX, Sim } from '../../../chaos/sim/cluster.ts';
import { track } from './schedules/support.ts';

interface Ground {
  readonly sim: Sim;
  /** A `none` key whose primary is node b. */
  readonly key: string;
  readonly get: (name: string) => Promise<string>;
  /** Waits until these nodes have adopted another view than the first. */
  readonly adopted: (...names: string[]) => Promise<void>;
}

async function threeNodes(): Promise<Ground> {
  const sim = new Sim({ replicas: 3 });
  await sim.startAll('a', 'b', 'c');
  const key = sim.keyOn('b', NONE_PREFIX);
  await sim.wait(sim.client('b').send('SET', key, 'old'));
  await sim.run(50);
  const { epoch } = sim.node('a').cluster;
  return {
    sim,
    key,
    get: (name) => sim.wait(sim.client(name).send('GET', key)),
    adopted: (...names) =>
      sim.until(() => names.every((name) => sim.node(name).cluster.epoch > epoch), 500, 'a view'),
  };
}

const aLeads = { kind: 'lead', node: 'a' } as const;

test('takes nothing a second time that was written under the next primary', async () => {
  const { sim, key, get, adopted } = await threeNodes();
  sim.database.holdBatches('b');
  const flush = track(sim.node('c').cluster.flush(null));
  await sim.until(() => sim.database.heldBatches > 0, 100, 'its batch is under way');
  void sim.node('a').cluster.grant(aLeads);
  await adopted('a', 'b', 'c');
  expect(await sim.wait(sim.client('a').send('SETNX', key, 'new'))).toBe(':1');
  expect(flush.done).toBe(false);
  sim.database.releaseBatches('b');
  await sim.until(() => flush.done, 2000, 'the flush ends');
  for (const name of ['a', 'b', 'c']) expect(await get(name)).toBe('$3 new');
});

test('takes what the next primary has not heard that it should take', async () => {
  const { sim, key, get, adopted } = await threeNodes();
  sim.network.delay('b', 'a', 700);
  const flush = track(sim.node('c').cluster.flush(null));
  await sim.run(5);
  void sim.node('b').cluster.grant(aLeads);
  await adopted('a');
  expect(await sim.wait(sim.client('a').send('APPEND', key, 'er'))).toBe(':5');
  expect(flush.done).toBe(false);
  await sim.until(() => flush.done, 3000, 'the flush ends');
  for (const name of ['a', 'b', 'c']) expect(await get(name)).toBe('$-1');
});

test('that nobody ends takes a key for good once it was read as gone', async () => {
  const { sim, get, adopted } = await threeNodes();
  sim.network.delay('b', 'c', 700);
  void sim
    .node('b')
    .cluster.flush(null)
    .catch(() => null);
  await sim.run(5);
  void sim.node('a').cluster.grant(aLeads);
  await adopted('a', 'b', 'c');
  sim.kill('b');
  sim.network.healAll();
  expect(await get('a')).toBe('$-1');
  sim.kill('a');
  expect(await get('c')).toBe('$-1');
});

test('is of unknown outcome where it cannot be told what was written since', async () => {
  const { sim, key, get, adopted } = await threeNodes();
  // Only c has heard of the flush when a, which has not, is primary; and c is when it is asked again.
  sim.network.delay('b', 'a', 700);
  sim.database.holdBatches('b');
  const flush = expect(sim.wait(sim.node('b').cluster.flush(null))).rejects.toMatchObject({
    code: 'UNKNOWN',
  });
  await sim.run(5);
  void sim.node('b').cluster.grant(aLeads);
  await adopted('a', 'b', 'c');
  expect(await sim.wait(sim.client('a').send('APPEND', key, 'er'))).toBe(':5');
  await sim.wait(sim.node('a').cluster.grant({ kind: 'lead', node: 'c' }));
  sim.database.releaseBatches('b');
  await flush;
  expect(await get('c')).toBe('$5 older');
});
