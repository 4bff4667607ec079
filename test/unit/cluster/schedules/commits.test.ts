/** Schedules between memory and the table: what is committed, what is not, and who may know it. */
import { expect } from 'vitest';
import { slotOf } from '../../../../src/cluster/slot.ts';
import { Sim } from '../../../../chaos/sim/cluster.ts';
import {
  batchHeld,
  expectEverywhere,
  inMemory,
  keyOwnedBy,
  schedule,
  threeNodes,
  track,
} from './support.ts';

schedule(
  'db-ahead-of-replica',
  'a replica whose primary died knows what the table has',
  async () => {
    const sim = new Sim();
    await sim.startAll('a', 'b');
    const key = sim.keyOn('a');
    await sim.wait(sim.client('a').send('SET', key, '1'));
    await sim.run(20);
    sim.network.cutOneWay('a', 'b');
    const write = track(sim.client('a').send('SET', key, '5'));
    await sim.run(50);
    sim.kill('a');
    expect(write.value).toBeUndefined();
    const value = sim.database.valueOf(key)!;
    await expectEverywhere(sim, ['b'], ['GET', key], `$1 ${value}`);
    await sim.settle('b');
    await expectEverywhere(sim, ['b'], ['INCR', key], `:${Number(value) + 1}`);
  },
);

schedule('db-ahead-of-replica', 'a batch whose watermark was lost is not forgotten', async () => {
  const { sim, onA: key } = await threeNodes();
  await sim.wait(sim.client('a').send('SET', key, '1'));
  await sim.run(20);
  sim.database.holdBatches('a');
  void sim.client('a').send('SET', key, '2');
  await batchHeld(sim);
  sim.database.releaseBatches('a');
  sim.kill('a');
  expect(sim.database.valueOf(key)).toBe('2');
  await expectEverywhere(sim, ['b', 'c'], ['GET', key], '$1 2');
});

schedule('zombie-commit', 'nobody answers before the fate of the old batch is known', async () => {
  const { sim, onA: key } = await threeNodes();
  await sim.wait(sim.client('a').send('SET', key, 'old'));
  sim.database.holdBatches('a');
  const set = track(sim.client('a').send('SET', key, 'new'));
  await batchHeld(sim);
  sim.database.breakLane('a');
  const reads = ['a', 'b', 'c'].map((name) => track(sim.client(name).send('GET', key)));
  await sim.run(50);
  expect([set, ...reads].map(({ done }) => done)).toEqual([false, false, false, false]);
  // The old backend comes too late: the lane's generation is higher by now.
  sim.database.releaseBatches('a');
  await sim.run(500);
  expect(set.value).toBe('+OK');
  expect(reads.map(({ value }) => value)).toEqual(['$3 new', '$3 new', '$3 new']);
  expect(sim.database.valueOf(key)).toBe('new');
});

schedule('zombie-commit', 'a batch committed before its connection died counts once', async () => {
  const { sim, onA: key } = await threeNodes();
  await sim.wait(sim.client('a').send('SET', key, '10'));
  sim.database.holdBatches('a');
  const incr = track(sim.client('a').send('INCR', key));
  await batchHeld(sim);
  const before = sim.database.committed.length;
  sim.database.releaseBatches('a');
  sim.database.breakLane('a');
  await sim.run(500);
  expect(incr.value).toBe(':11');
  expect(sim.database.committed.length).toBe(before + 1);
  expect(sim.database.valueOf(key)).toBe('11');
  await expectEverywhere(sim, ['c'], ['INCR', key], ':12');
});

schedule('delete-then-older-set', 'a SET that was sent again cannot pass its DEL', async () => {
  const { sim, onA: key } = await threeNodes();
  sim.database.refuse = (batch) =>
    batch.rows.some((row) => row.value === 'bad') ? 'no space left' : null;
  sim.database.holdBatches('a');
  const client = sim.client('a');
  const set = client.send('SET', key, 'v');
  const bad = client.send('SET', `{${key}}bad`, 'bad');
  await batchHeld(sim);
  const del = client.send('DEL', key);
  // A second batch follows the first one only when it is worth it.
  const others = Array.from({ length: 40 }, (_, i) => client.send('SET', `{${key}}${i}`, 'x'));
  await sim.run(20);
  expect(sim.node('a').life.engine.lane.underWay).toBeGreaterThan(2);
  sim.database.releaseBatches('a');
  expect(await sim.wait(Promise.all([set, del]))).toEqual(['+OK', ':1']);
  expect(await sim.wait(bad)).toContain('-STOREFAIL');
  expect(new Set(await sim.wait(Promise.all(others)))).toEqual(new Set(['+OK']));
  expect(sim.database.valueOf(key)).toBeUndefined();
  await expectEverywhere(sim, ['a', 'b', 'c'], ['GET', key], '$-1');
});

schedule('derived-from-nothing', 'what was built on a failed write fails with it', async () => {
  const { sim, onA: key } = await threeNodes();
  const copy = `{${key}}copy`;
  const other = `{${key}}other`;
  await sim.wait(sim.client('a').send('SET', key, '1'));
  sim.database.refuse = (batch) =>
    batch.rows.some((row) => row.key === key && row.value === 'bad') ? 'no space left' : null;
  sim.database.holdBatches('a');
  const bad = sim.client('a').send('SET', key, 'bad');
  await batchHeld(sim);
  const derived = [
    sim.client('b').send('COPY', key, copy),
    sim.client('c').send('APPEND', copy, 'x'),
  ];
  const read = sim.client('b').send('GET', key);
  const fine = sim.client('a').send('SET', other, 'fine');
  await sim.run(10);
  sim.database.releaseBatches('a');
  for (const reply of await sim.wait(Promise.all([bad, ...derived]))) {
    expect(reply).toContain('-STOREFAIL');
  }
  expect(await sim.wait(Promise.all([read, fine]))).toEqual(['$1 1', '+OK']);
  expect(sim.database.valueOf(copy)).toBeUndefined();
  await expectEverywhere(sim, ['a', 'b', 'c'], ['MGET', key, copy], '*2 $1 1 $-1');
});

schedule('effect-free-reply', 'SETNX, GET and DEL of nothing wait for what they read', async () => {
  const { sim, onA: key } = await threeNodes();
  const gone = `{${key}}gone`;
  await sim.wait(sim.client('a').send('SET', gone, 'v'));
  sim.database.holdBatches('a');
  const writes = [
    track(sim.client('a').send('SET', key, 'v')),
    track(sim.client('a').send('DEL', gone)),
  ];
  await sim.run(10);
  const replies = [
    track(sim.client('b').send('SETNX', key, 'w')),
    track(sim.client('c').send('GET', key)),
    track(sim.client('a').send('DEL', gone)),
  ];
  await sim.run(100);
  expect([...writes, ...replies].some(({ done }) => done)).toBe(false);
  sim.database.releaseBatches('a');
  await sim.run(20);
  expect(writes.map(({ value }) => value)).toEqual(['+OK', ':1']);
  expect(replies.map(({ value }) => value)).toEqual([':0', '$1 v', ':0']);
});

schedule('effect-free-reply', 'when the batch fails, they are answered anew', async () => {
  const { sim, onA: key } = await threeNodes();
  sim.database.refuse = (batch) => (batch.rows[0]?.value === 'bad' ? 'no space left' : null);
  sim.database.holdBatches('a');
  const bad = sim.client('a').send('SET', key, 'bad');
  await batchHeld(sim);
  const setnx = sim.client('b').send('SETNX', key, 'mine');
  await sim.run(10);
  sim.database.releaseBatches('a');
  expect(await sim.wait(bad)).toContain('-STOREFAIL');
  expect(await sim.wait(setnx)).toBe(':1');
  expect(sim.database.valueOf(key)).toBe('mine');
});

schedule('endless-dirty-read', 'a read of a key that is never clean is answered', async () => {
  const { sim, onA: key } = await threeNodes();
  // A new write every millisecond: when one is committed, the next ones are under way.
  const writers = ['a', 'b', 'c'].map((name) => sim.client(name));
  const writes: Promise<string>[] = [];
  const keepWriting = async (ms: number): Promise<void> => {
    for (let i = 0; i < ms; i++) {
      writes.push(writers[i % 3]!.send('SET', key, String(i)));
      await sim.run(1);
    }
  };
  await keepWriting(20);
  const read = track(sim.client('b').send('GET', key));
  await keepWriting(30);
  expect(read.done).toBe(true);
  expect(new Set(await sim.wait(Promise.all(writes)))).toEqual(new Set(['+OK']));
});

schedule('dropped-then-complete', 'a key that was dropped is asked of the database', async () => {
  const { sim, onA: key } = await threeNodes({ warmUp: true });
  await sim.wait(sim.client('a').send('SET', key, 'old'));
  const isComplete = (name: string): boolean => sim.node(name).life.slots.isComplete(slotOf(key));
  await sim.until(() => isComplete('a'), 5000, 'the slot is complete');
  sim.database.refuse = (batch) =>
    batch.rows.some((row) => row.value === 'bad') ? 'refused' : null;
  expect(await sim.wait(sim.client('a').send('SET', key, 'bad'))).toContain('-STOREFAIL');
  await sim.run(10);
  for (const name of ['a', 'b', 'c']) expect(isComplete(name)).toBe(false);
  await expectEverywhere(sim, ['a', 'b', 'c'], ['GET', key], '$3 old');
  sim.kill('a');
  await sim.settle('b', 'c');
  await expectEverywhere(sim, ['b', 'c'], ['GET', key], '$3 old');
});

schedule('watermark-lost', 'keys become clean although nothing else is said', async () => {
  const { sim, onA: key } = await threeNodes();
  // The watermark waits a moment for company; the link is gone when its time comes.
  await sim.wait(sim.client('a').send('SET', key, '1'));
  sim.network.break('a', 'b');
  await sim.run(1000);
  for (const name of ['a', 'b', 'c']) {
    expect(inMemory(sim, name, key), name).toMatchObject({ value: '1', dirty: 0 });
  }
});

schedule('database-down-writes', 'thousands of refused writes cost the cache nothing', async () => {
  const { sim, onA: lost } = await threeNodes();
  const keys = Array.from({ length: 300 }, (_, i) => `k${i}`).filter((key) => key !== lost);
  await sim.wait(sim.client('a').send('MSET', ...keys.flatMap((key) => [key, 'v'])));
  await sim.run(50);
  sim.database.down = true;
  // The first write of each primary finds out; from then on they know.
  for (const name of ['a', 'b', 'c']) void sim.client(name).send('SET', sim.keyOn(name, 'x'), 'w');
  const isDown = (name: string): boolean => sim.node(name).life.engine.lane.down;
  await sim.until(() => ['a', 'b', 'c'].every(isDown), 1000, 'everybody knows');
  expect(sim.node('a').life.lease.valid).toBe(true);
  const clients = ['a', 'b', 'c'].map((name) => sim.client(name));
  const writes = Array.from({ length: 3000 }, (_, i) =>
    clients[i % 3]!.send('SET', keys[i % keys.length]!, 'w'),
  );
  for (const reply of await sim.wait(Promise.all(writes))) {
    expect(reply).toMatch(/^-(STOREDOWN|NOTDONE).*nothing was changed/);
  }
  for (const name of ['a', 'b', 'c']) {
    for (const key of keys)
      expect(inMemory(sim, name, key)).toMatchObject({ value: 'v', dirty: 0 });
  }
  await expectEverywhere(sim, ['a', 'b', 'c'], ['GET', keys[0]!], '$1 v');
  sim.database.down = false;
  await sim.settle('a', 'b', 'c');
  await expectEverywhere(sim, ['b'], ['SET', keys[0]!, 'w'], '+OK');
});

schedule(
  'dead-replica-one-slot',
  'writes of slots it does not own are as fast as ever',
  async () => {
    const sim = new Sim({ replicas: 2 });
    const nodes = ['a', 'b', 'c', 'd'];
    await sim.startAll(...nodes);
    const stuck = keyOwnedBy(sim, [{ settled: nodes, owners: ['a', 'b'] }]);
    const free = keyOwnedBy(sim, [{ settled: nodes, owners: ['a', 'c'] }]);
    sim.network.cut('a', 'b');
    const waiting = track(sim.client('a').send('SET', stuck, 'v'));
    await sim.run(20);
    for (let i = 0; i < 20; i++) {
      const write = track(sim.client('a').send('SET', free, String(i)));
      await sim.run(15);
      expect(write.value, `write ${i}`).toBe('+OK');
    }
    expect(waiting.done).toBe(false);
    sim.network.heal('a', 'b');
    await sim.until(() => waiting.done, 2000, 'the link is back');
    expect(waiting.value).toBe('+OK');
  },
);
