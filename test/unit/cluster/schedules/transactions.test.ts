/** Schedules of commands over several primaries. */
import { expect } from 'vitest';
import { sleep } from '../../../../src/platform/clock.ts';
import { batchHeld, expectEverywhere, keyOwnedBy, schedule, threeNodes, track } from './support.ts';

const ABC = ['a', 'b', 'c'];

schedule(
  'half-a-transaction',
  'a participant that dies before its part leaves no half',
  async () => {
    const { sim, onA, onB } = await threeNodes();
    await sim.wait(sim.client('c').send('MSET', onA, '1', onB, '1'));
    await sim.run(20);
    sim.database.holdBatches('a');
    const mset = track(sim.client('a').send('MSET', onA, '2', onB, '2'));
    await batchHeld(sim);
    sim.kill('b');
    sim.database.releaseBatches('a');
    await sim.run(10);
    expect(mset.value).toBe('+OK');
    await expectEverywhere(sim, ['c', 'a'], ['GET', onB], '$1 2');
    await expectEverywhere(sim, ['c', 'a'], ['MGET', onA, onB], '*2 $1 2 $1 2');
  },
);

schedule('hold-outlives-view', 'a transaction whose holds are over does not commit', async () => {
  const { sim, onA } = await threeNodes();
  const onB = keyOwnedBy(sim, [{ settled: ABC, owners: ['b', 'c'] }]);
  await sim.wait(sim.client('c').send('MSET', onA, 'moved', onB, 'old'));
  sim.database.holdBatches('a');
  const rename = track(sim.client('a').send('RENAME', onA, onB));
  await batchHeld(sim);
  sim.kill('b');
  await sim.until(() => sim.primaryOf(onB) === sim.node('c'), 5000, 'b is removed');
  const set = track(sim.client('c').send('SET', onB, 'newer'));
  await sim.until(() => set.done, 5000, 'the new primary has acknowledged');
  sim.database.releaseBatches('a');
  await sim.settle('a', 'c');
  await sim.until(() => rename.done, 5000, 'the command is tried again, and answered');
  // Whatever the order, both took effect whole, once, and memory agrees with the table.
  expect([rename.value, set.value]).toEqual(['+OK', '+OK']);
  const value = sim.database.valueOf(onB);
  expect(['moved', 'newer']).toContain(value);
  expect(sim.database.valueOf(onA)).toBeUndefined();
  await expectEverywhere(sim, ['a', 'c'], ['MGET', onA, onB], `*2 $-1 $5 ${value}`);
});

schedule('hot-key-hold', 'RENAME of a key that is never clean gets its turn', async () => {
  const { sim, onA, onB } = await threeNodes();
  const clients = ABC.map((name) => sim.client(name));
  const writes: Promise<string>[] = [];
  const keepWriting = async (ms: number): Promise<void> => {
    for (let i = 0; i < ms; i++) {
      writes.push(clients[i % 3]!.send('SET', onB, 'hot'));
      await sim.run(1);
    }
  };
  await keepWriting(30);
  const rename = track(sim.client('c').send('RENAME', onB, onA));
  await keepWriting(100);
  expect(rename.value).toBe('+OK');
  expect(new Set(await sim.wait(Promise.all(writes)))).toEqual(new Set(['+OK']));
});

schedule('hold-on-uncommitted', 'what is under way on the key comes first', async () => {
  const { sim, onA, onB } = await threeNodes();
  await sim.wait(sim.client('a').send('SET', onA, 'v'));
  sim.database.holdBatches('b');
  const set = track(sim.client('b').send('SET', onB, 'v'));
  await batchHeld(sim);
  const del = track(sim.client('a').send('DEL', onA, onB));
  await sim.run(100);
  expect(del.done).toBe(false);
  sim.database.releaseBatches('b');
  await sim.run(50);
  expect([set.value, del.value]).toEqual(['+OK', ':2']);
  await expectEverywhere(sim, ABC, ['MGET', onA, onB], '*2 $-1 $-1');
  expect(sim.database.valueOf(onB)).toBeUndefined();
});

schedule(
  'half-an-mset',
  'MGET sees both or neither, at every moment and on every node',
  async () => {
    const { sim, onA, onB } = await threeNodes();
    await sim.wait(sim.client('c').send('MSET', onA, '0', onB, '0'));
    const seen: string[] = [];
    const writer = sim.client('c');
    let writing = true;
    const writes = (async () => {
      for (let i = 1; i <= 30; i++) await writer.send('MSET', onA, String(i), onB, String(i));
      writing = false;
    })();
    const readers = ABC.map(async (name, i) => {
      const reader = sim.client(name);
      while (writing) {
        seen.push(await reader.send('MGET', ...(i === 1 ? [onB, onA] : [onA, onB])));
        // A read of this node's memory takes no time: without a pause none would ever pass.
        await sleep(sim.time, 1);
      }
    });
    await sim.wait(Promise.all([writes, ...readers]));
    expect(seen.length).toBeGreaterThan(10);
    for (const reply of seen) {
      const values = reply.split(' ');
      expect(values[2], reply).toBe(values[4]);
    }
  },
);
