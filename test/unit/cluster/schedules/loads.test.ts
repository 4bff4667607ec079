/** Schedules of what comes into memory from outside, and of what leaves it. */
import { expect } from 'vitest';
import { SLOT_COUNT, slotOf } from '../../../../src/cluster/slot.ts';
import { Sim } from '../../../../chaos/sim/cluster.ts';
import { evict, expectEverywhere, inMemory, schedule, threeNodes, track } from './support.ts';

const ALL_SLOTS = Array.from({ length: SLOT_COUNT }, (_, slot) => slot);

schedule(
  'fetch-meets-delete',
  'a key stays deleted when the legacy source answers late',
  async () => {
    const { sim } = await threeNodes();
    const key = sim.keyOn('a', 'legacy:');
    sim.legacy.values.set(key, 'old');
    sim.legacy.delayMs = 50;
    const read = track(sim.client('b').send('GET', key));
    await sim.run(20);
    await sim.wait(sim.client('c').send('SET', key, 'x'));
    await sim.wait(sim.client('c').send('DEL', key));
    await sim.run(200);
    expect(read.value).toBe('$-1');
    await expectEverywhere(sim, ['a', 'b', 'c'], ['GET', key], '$-1');
    expect(sim.database.valueOf(key)).toBeUndefined();
  },
);

schedule(
  'fetch-meets-delete',
  'a key stays deleted when the scan of its slot ends late',
  async () => {
    const { sim, onA: key } = await threeNodes({ warmUp: true });
    const { slots } = sim.node('a').life;
    const isScanned = (slot: number): boolean =>
      slots.isComplete(slot) || !slots.isActivePrimary(slot);
    const allScanned = (): boolean => ALL_SLOTS.every(isScanned);
    await sim.wait(sim.client('a').send('SET', key, 'old'));
    await sim.until(allScanned, 5000, 'all slots are complete');
    // Now this slot alone is incomplete: the next scan is its own, and finds the key.
    evict(sim, 'a', key);
    sim.database.holdReads('a', 'scan');
    await sim.until(() => sim.database.isHeld('scan a'), 5000, 'the slot is scanned');
    // Two writes that need no look at the old value, so that nothing is left in memory to tell.
    await sim.wait(sim.client('b').send('SET', key, 'x'));
    await sim.wait(sim.client('b').send('DEL', key));
    await sim.run(20);
    expect(inMemory(sim, 'a', key)).toBeUndefined();
    sim.database.releaseReads('a', 'scan');
    await sim.run(100);
    await expectEverywhere(sim, ['a', 'b', 'c'], ['GET', key], '$-1');
  },
);

/** A cluster where the slot of a key that only the table has is being flushed, and is scanned meanwhile. */
async function scanDuringFlush(): Promise<{ sim: Sim; key: string; flushed: Promise<void> }> {
  const { sim, onA: key } = await threeNodes({ warmUp: true });
  const { slots } = sim.node('a').life;
  const isScanned = (slot: number): boolean =>
    slots.isComplete(slot) || !slots.isActivePrimary(slot);
  await sim.wait(sim.client('a').send('SET', key, 'old'));
  await sim.until(() => ALL_SLOTS.every(isScanned), 5000, 'all slots are complete');
  sim.database.holdCommits('a');
  const flushed = sim.wait(sim.node('b').cluster.flush(0));
  await sim.until(() => sim.database.isHeld('commit a'), 1000, 'the flush is under way');
  slots.setComplete(slotOf(key), false);
  sim.database.holdReads('a', 'scan');
  await sim.until(() => sim.database.isHeld('scan a'), 5000, 'the slot is scanned');
  return { sim, key, flushed };
}

schedule(
  'fetch-meets-delete',
  'a row of a scan that began while FLUSHDB was under way and ends after it stays deleted',
  async () => {
    const { sim, key, flushed } = await scanDuringFlush();
    sim.database.releaseCommits('a');
    await flushed;
    sim.database.releaseReads('a', 'scan');
    await sim.run(100);
    expect(inMemory(sim, 'a', key)).toBeUndefined();
    await expectEverywhere(sim, ['a', 'b', 'c'], ['GET', key], '$-1');
  },
);

schedule(
  'fetch-meets-delete',
  'a row of a scan that begins and ends while FLUSHDB is under way stays deleted',
  async () => {
    const { sim, key, flushed } = await scanDuringFlush();
    sim.database.releaseReads('a', 'scan');
    await sim.run(100);
    sim.database.releaseCommits('a');
    await flushed;
    expect(inMemory(sim, 'a', key)).toBeUndefined();
    await expectEverywhere(sim, ['a', 'b', 'c'], ['GET', key], '$-1');
  },
);

schedule(
  'delete-then-hydrate',
  'absent for as long as the policy says, then asked for',
  async () => {
    const { sim } = await threeNodes();
    const key = sim.keyOn('a', 'legacy:');
    sim.legacy.values.set(key, 'old');
    await expectEverywhere(sim, ['b'], ['GET', key], '$3 old');
    expect(sim.database.valueOf(key)).toBe('old');
    await expectEverywhere(sim, ['b'], ['DEL', key], ':1');
    const { fetches } = sim.legacy;
    await expectEverywhere(sim, ['a', 'b', 'c'], ['GET', key], '$-1');
    // Neither eviction nor the death of the primary bring it back: the table remembers.
    for (const name of ['a', 'b', 'c']) evict(sim, name, key);
    await expectEverywhere(sim, ['a', 'b', 'c'], ['GET', key], '$-1');
    sim.kill('a');
    await sim.settle('b', 'c');
    await expectEverywhere(sim, ['b', 'c'], ['GET', key], '$-1');
    expect(sim.legacy.fetches).toBe(fetches);
    await sim.run(60_000);
    await expectEverywhere(sim, ['b', 'c'], ['GET', key], '$3 old');
  },
);

schedule('ttl-clocks', 'what the primary calls expired, no slower clock answers', async () => {
  const sim = new Sim();
  sim.database.clockErrorMs.set('b', -45);
  await sim.startAll('a', 'b', 'c');
  const key = sim.keyOn('a');
  await sim.wait(sim.client('a').send('SET', key, 'v', 'PX', '3000'));
  await sim.run(1000);
  await expectEverywhere(sim, ['b'], ['GET', key], '$1 v');
  // Without its lane the primary cannot remove the key everywhere, but may say that it has expired.
  sim.database.cutSession('a', 'lane');
  void sim.client('a').send('SET', sim.keyOn('a', 'x'), 'w');
  await sim.until(() => sim.node('a').life.engine.lane.down, 1000, 'the lane is down');
  const reader = sim.client('a');
  for (let i = 0; (await sim.wait(reader.send('GET', key))) === '$1 v'; i++) {
    expect(i).toBeLessThan(5000);
    await sim.run(1);
  }
  expect(inMemory(sim, 'b', key)?.value).toBe('v');
  const late = ['b', 'c'].map((name) => track(sim.client(name).send('GET', key)));
  await sim.run(20);
  for (const read of late) expect(read.value).toBe('$-1');
});

schedule('reaper-meets-persist', 'a row made persistent while it was picked stays', async () => {
  const { sim, onA: key } = await threeNodes();
  sim.database.seed(key, 'v', sim.node('a').life.time.nowMs() + 200);
  await sim.run(250);
  sim.database.holdReads('a', 'expired');
  await sim.until(() => sim.database.isHeld('expired a'), 6000, 'the reaper has picked');
  expect(await sim.wait(sim.client('b').send('SET', key, 'kept'))).toBe('+OK');
  await sim.run(20);
  for (const name of ['a', 'b', 'c']) evict(sim, name, key);
  sim.database.releaseReads('a', 'expired');
  await sim.run(100);
  expect(sim.database.valueOf(key)).toBe('kept');
  await expectEverywhere(sim, ['a', 'b', 'c'], ['GET', key], '$4 kept');
});

schedule(
  'reaper-meets-persist',
  'a row written while its slot was with another primary stays',
  async () => {
    const { sim } = await threeNodes({ storeTimeoutMs: 5000 });
    const keys = Array.from({ length: 40 }, (_, i) => sim.keyOn('a', `r${i}-`));
    const endMs = sim.node('a').life.time.nowMs() + 200;
    for (const key of keys) sim.database.seed(key, 'v', endMs);
    await sim.run(250);
    sim.database.holdReads('a', 'expired');
    await sim.until(() => sim.database.isHeld('expired a'), 6000, 'the reaper has picked');
    const weigh = async (tokens: number): Promise<void> => {
      await sim.wait(sim.node('c').cluster.grant({ kind: 'weight', node: 'a', tokens }));
      await sim.settle('a', 'b', 'c');
    };
    const { tokens } = sim.node('a').life.self;
    await weigh(1);
    const key = keys.find((each) => sim.ownersOf(each)[0] !== 'a')!;
    expect(await sim.wait(sim.client('b').send('SET', key, 'kept'))).toBe('+OK');
    await weigh(tokens);
    expect(sim.ownersOf(key)[0]).toBe('a');
    for (const name of ['a', 'b', 'c']) evict(sim, name, key);
    sim.database.releaseReads('a', 'expired');
    await sim.run(100);
    expect(sim.database.valueOf(key)).toBe('kept');
    await expectEverywhere(sim, ['a', 'b', 'c'], ['GET', key], '$4 kept');
  },
);

schedule('reaper-meets-persist', 'a row whose write was under way stays', async () => {
  const { sim, onA: key } = await threeNodes({ storeTimeoutMs: 5000 });
  sim.database.seed(key, 'v', sim.node('a').life.time.nowMs() + 200);
  await sim.run(250);
  sim.database.holdCommits('a');
  const write = track(sim.client('b').send('SET', key, 'kept'));
  await sim.until(() => sim.database.isHeld('commit a'), 200, 'the write is in a batch');
  sim.database.holdReads('a', 'expired');
  // Nothing else keeps the reaper from picking it: what is under way has been counted.
  await sim.until(() => sim.database.isHeld('expired a'), 6000, 'the reaper has picked');
  sim.database.releaseCommits('a');
  await sim.run(20);
  expect(write.value).toBe('+OK');
  for (const name of ['a', 'b', 'c']) evict(sim, name, key);
  sim.database.releaseReads('a', 'expired');
  await sim.run(100);
  expect(sim.database.valueOf(key)).toBe('kept');
});

schedule(
  'partial-hash',
  'a change of a key that a replica evicted leaves it absent there',
  async () => {
    const { sim, onA: key } = await threeNodes();
    await sim.wait(sim.client('a').send('SET', key, 'whole'));
    await sim.run(20);
    evict(sim, 'b', key);
    expect(await sim.wait(sim.client('a').send('EXPIRE', key, '1000'))).toBe(':1');
    await sim.run(20);
    expect(inMemory(sim, 'b', key)).toBeUndefined();
    await expectEverywhere(sim, ['b', 'a', 'c'], ['GET', key], '$5 whole');
  },
);

schedule('huge-delete', 'FLUSHALL of any number of keys is one bounded batch', async () => {
  const { sim, onA: key } = await threeNodes();
  const keys = Array.from({ length: 5000 }, (_, i) => `k${i}`);
  await sim.wait(sim.client('a').send('MSET', ...keys.flatMap((each) => [each, 'v'])));
  await sim.run(50);
  const before = sim.database.committed.length;
  sim.database.holdBatches('a');
  const flush = track(
    sim
      .node('c')
      .cluster.flush(null)
      .catch((error: unknown) => String(error)),
  );
  await sim.until(() => sim.database.heldBatches > 0, 200, 'the flush of one primary is under way');
  // The others' writes wait for nothing but their own part.
  await sim.run(20);
  const written = sim.keyOn('b', 'written-');
  expect(await sim.wait(sim.client('b').send('SET', written, 'w'), 100)).toBe('+OK');
  sim.kill('a');
  await sim.settle('b', 'c');
  await sim.until(() => flush.done, 6000, 'the flush ends');
  // Whether the lost primary had flushed is not known; nobody flushes what was written meanwhile.
  expect(flush.value).toContain('outcome unknown');
  await expectEverywhere(sim, ['b', 'c'], ['GET', written], '$1 w');
  await sim.wait(sim.node('c').cluster.flush(null));
  for (const { batch } of sim.database.committed.slice(before)) {
    expect(batch.rows.length).toBeLessThan(5);
    expect(batch.floors.length).toBeLessThan(5);
  }
  await expectEverywhere(sim, ['b', 'c'], ['GET', key], '$-1');
  expect(sim.database.valueOf(key)).toBeUndefined();
});
