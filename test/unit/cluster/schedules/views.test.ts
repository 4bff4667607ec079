/** Schedules around changes of view: who may act on a slot, and with which memory. */
import { expect } from 'vitest';
import { Sim } from '../../../../chaos/sim/cluster.ts';
import {
  expectEverywhere,
  forceView,
  inMemory,
  isolate,
  justRenewed,
  keyOwnedBy,
  schedule,
  threeNodes,
  track,
} from './support.ts';

/**
 * Three members, and a fourth node that is registered and in no view yet. It will be the learner of the
 * keys in question, so that nobody has to wait for a former owner as a learner.
 */
async function withNewcomer(replicas: number): Promise<Sim> {
  const sim = new Sim({ replicas, readsWithoutStore: 'refuse' });
  await sim.startAll('a', 'b', 'c');
  for (const other of ['a', 'b', 'c']) sim.network.cut('d', other);
  sim.startNode('d');
  await sim.until(() => sim.node('d').cluster.life?.lease.valid === true, 2000, 'd has registered');
  return sim;
}

const ABC = ['a', 'b', 'c'];
const ABCD = ['a', 'b', 'c', 'd'];

/** Polls `old` on a node until `done`: it may be answered before, and never after. */
async function neverAfter(
  sim: Sim,
  { node, key, old }: { node: string; key: string; old: string },
  write: { readonly done: boolean },
): Promise<void> {
  let served = 0;
  for (let i = 0; i < 400 && !write.done; i++) {
    const read = track(sim.client(node).send('GET', key));
    await sim.turn();
    if (read.value === old) served++;
    await sim.run(10);
  }
  expect(served, 'reads answered while the lease ran').toBeGreaterThan(0);
  expect(write.done).toBe(true);
  const late = track(sim.client(node).send('GET', key));
  await sim.run(200);
  expect(late.value ?? 'no answer').not.toBe(old);
}

schedule(
  'two-views-back',
  'nothing is acknowledged while the lease of an owner of then runs',
  async () => {
    const sim = await withNewcomer(1);
    const key = keyOwnedBy(sim, [
      { settled: ABC, owners: ['a'] },
      { settled: ['b', 'c'], owners: ['b'] },
      { settled: ABCD, owners: ['d'] },
    ]);
    await sim.wait(sim.client('a').send('SET', key, 'old'));
    await justRenewed(sim, 'a');
    isolate(sim, 'a');
    for (const other of ['b', 'c']) sim.network.heal('d', other);
    forceView(sim, { settled: ['b', 'c'], coming: ABCD, heardBy: ['b', 'c', 'd'] });
    await sim.run(20);
    forceView(sim, { settled: ['c'], coming: ABCD, heardBy: ['b', 'c', 'd'] });
    await sim.run(60);
    const write = track(sim.client('c').send('SET', key, 'new'));
    await neverAfter(sim, { node: 'a', key, old: '$3 old' }, write);
    expect(write.value).toBe('+OK');
  },
);

schedule(
  'batch-before-activation',
  'a primary that stays waits for the replica that goes',
  async () => {
    const sim = await withNewcomer(2);
    const key = keyOwnedBy(sim, [
      { settled: ABC, owners: ['a', 'b'] },
      { settled: ['a', 'c'], owners: ['a', 'c'] },
      { settled: ABCD, owners: ['a', 'd'] },
    ]);
    await sim.wait(sim.client('a').send('SET', key, 'old'));
    await sim.run(20);
    await justRenewed(sim, 'b');
    isolate(sim, 'b');
    for (const other of ['a', 'c']) sim.network.heal('d', other);
    forceView(sim, { settled: ['a', 'c'], coming: ABCD, heardBy: ['a', 'c', 'd'] });
    await sim.run(60);
    const write = track(sim.client('c').send('SET', key, 'new'));
    await neverAfter(sim, { node: 'b', key, old: '$3 old' }, write);
    expect(write.value).toBe('+OK');
    await expectEverywhere(sim, ['c', 'a'], ['GET', key], '$3 new');
  },
);

/** `a` loses the key in the next view, of which it cannot hear although it renews its lease. */
async function deaf(): Promise<{ sim: Sim; key: string }> {
  const sim = await withNewcomer(1);
  const key = keyOwnedBy(sim, [
    { settled: ABC, owners: ['a'] },
    { settled: ['b', 'c'], owners: ['b'] },
    { settled: ABCD, owners: ['d'] },
  ]);
  await sim.wait(sim.client('a').send('SET', key, 'old'));
  await justRenewed(sim, 'a');
  sim.database.cutSession('a', 'control');
  for (const other of ABC) sim.network.heal('d', other);
  forceView(sim, { settled: ['b', 'c'], coming: ABCD, heardBy: ['b', 'c', 'd'] });
  await sim.run(60);
  return { sim, key };
}

schedule(
  'jumped-view',
  'a node that owned the slot before and after does not believe its memory',
  async () => {
    const { sim, key } = await deaf();
    expect(await sim.wait(sim.client('c').send('SET', key, 'new'))).toBe('+OK');
    expect(inMemory(sim, 'a', key)?.value).toBe('old');
    // Without `d`, which would take the key from `a` as soon as it has everything.
    for (const other of ABC) sim.network.cut('d', other);
    forceView(sim, { settled: ABC, coming: ABC, heardBy: ['b', 'c'] });
    const { epoch } = sim.database.views.at(-1)!;
    // What it asked while it was deaf is not answered late.
    sim.database.breakSession('a', 'control');
    sim.database.healSession('a', 'control');
    await sim.until(() => sim.node('a').cluster.epoch >= epoch, 3000, 'a is in the newest view');
    expect(sim.node('a').cluster.expulsions).toBe(0);
    await expectEverywhere(sim, ['a', 'b', 'c'], ['GET', key], '$3 new');
  },
);

schedule(
  'renewal-prolongs-old-view',
  'the lease of a view ends although renewals go on',
  async () => {
    const { sim, key } = await deaf();
    const { self } = sim.node('a').life;
    const counter = sim.database.counterOf(self)!;
    const write = track(sim.client('c').send('SET', key, 'new'));
    await neverAfter(sim, { node: 'a', key, old: '$3 old' }, write);
    expect(write.value).toBe('+OK');
    expect(sim.database.counterOf(self)).toBeGreaterThan(counter);
  },
);

schedule(
  'join-fences-everyone',
  'batches in flight are sent again, and no client sees an error',
  async () => {
    const { sim, onA, onB, onC } = await threeNodes();
    const keys = [onA, onB, onC];
    for (const name of ABC) sim.database.holdBatches(name);
    const { epoch } = sim.node('a').cluster;
    const writes = keys.map((key, i) => sim.client(['b', 'c', 'a'][i]!).send('INCR', key));
    await sim.run(20);
    expect(sim.database.heldBatches).toBe(3);
    sim.startNode('d');
    await sim.until(() => sim.database.views.at(-1)!.epoch > epoch, 5000, 'd is in a view');
    for (const name of ABC) sim.database.releaseBatches(name);
    expect(await sim.wait(Promise.all(writes))).toEqual([':1', ':1', ':1']);
    await sim.settle(...ABCD);
    await expectEverywhere(sim, ['d'], ['MGET', ...keys], '*3 $1 1 $1 1 $1 1');
  },
);

schedule('zones-and-removal', 'the next primary is one that held the slot', async () => {
  const zones = { a: '1', b: '1', c: '2' };
  const sim = new Sim({ replicas: 2, zones });
  await sim.startAll(...ABC);
  // Without `a`, the ring alone would name `b` first, which has nothing of this slot.
  const key = keyOwnedBy(
    sim,
    [
      { settled: ABC, owners: ['a', 'c'] },
      { settled: ['b', 'c'], owners: ['b', 'c'] },
    ],
    'none:',
  );
  expect(await sim.wait(sim.client('b').send('SET', key, 'v'))).toBe('+OK');
  sim.kill('a');
  await sim.until(() => sim.ownersOf(key)[0] !== 'a', 5000, 'a is removed');
  expect(sim.ownersOf(key)[0]).toBe('c');
  await expectEverywhere(sim, ['b', 'c'], ['GET', key], '$1 v');
  await sim.settle('b', 'c');
  await expectEverywhere(sim, ['b', 'c'], ['GET', key], '$1 v');
});

for (const reached of ['b', 'c'] as const) {
  schedule(
    'unsettled-copies',
    `what reached ${reached} alone has one answer for ever`,
    async () => {
      const { sim } = await threeNodes();
      const key = sim.keyOn('a', 'none:');
      await sim.wait(sim.client('a').send('SET', key, 'old'));
      await sim.run(20);
      sim.network.cutOneWay('a', reached === 'b' ? 'c' : 'b');
      void sim.client('a').send('SET', key, 'new');
      await sim.run(20);
      expect([inMemory(sim, 'b', key)?.value, inMemory(sim, 'c', key)?.value].sort()).toEqual([
        'new',
        'old',
      ]);
      sim.kill('a');
      await sim.settle('b', 'c');
      const answer = await sim.wait(sim.client('b').send('GET', key));
      expect(['$3 old', '$3 new']).toContain(answer);
      await expectEverywhere(sim, ['c', 'b'], ['GET', key], answer);
      const primary = sim.ownersOf(key)[0]!;
      const last = primary === 'b' ? 'c' : 'b';
      sim.kill(primary);
      await sim.settle(last);
      await expectEverywhere(sim, [last], ['GET', key], answer);
    },
  );
}
schedule(
  'unsettled-copies',
  'a write that two views found unconfirmed is answered when its second primary has it',
  async () => {
    const { sim } = await threeNodes();
    const key = sim.keyOn('a', 'none:');
    const weigh = (node: string, tokens: number): Promise<unknown> =>
      sim.wait(sim.node('b').cluster.grant({ kind: 'weight', node, tokens }));
    sim.network.cutOneWay('a', 'c');
    const set = track(sim.client('b').send('SET', key, 'v'));
    await sim.run(20);
    // A view that changes nothing: `a` sends what it has again, and `c` does not hear that either.
    await weigh('b', 8);
    await sim.run(20);
    expect(set.value).toBeUndefined();
    await weigh('b', 512);
    await sim.until(() => sim.ownersOf(key)[0] === 'b', 1000, 'b is the primary');
    await sim.until(() => set.value !== undefined, 1000, 'the write is answered');
    expect(set.value).toBe('+OK');
  },
);
