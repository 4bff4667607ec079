/** Commands over all keys, on a whole cluster in virtual time. */
import { describe, expect, test } from 'vitest';
import { SLOT_COUNT } from '../../../src/cluster/slot.ts';
import { Sim, type SimOptions } from '../../../chaos/sim/cluster.ts';

const NAMES = ['a', 'b', 'c'];

async function threeNodes(options: SimOptions = {}): Promise<Sim> {
  const sim = new Sim(options);
  await sim.startAll(...NAMES);
  return sim;
}

/** Waits until every primary has its slots in memory. */
async function warm(sim: Sim): Promise<void> {
  const isWarm = (): boolean =>
    NAMES.every((name) => {
      const { slots } = sim.node(name).life;
      for (let slot = 0; slot < SLOT_COUNT; slot++)
        if (slots.isPrimary(slot) && !slots.isComplete(slot)) return false;
      return true;
    });
  for (let i = 0; i < 100 && !isWarm(); i++) await sim.run(100);
  expect(isWarm()).toBe(true);
}

interface Step {
  readonly cursor: string;
  readonly keys: string[];
}

function scan(sim: Sim, name: string, cursor: string, count: number): Promise<Step> {
  const { cluster } = sim.node(name);
  return sim.wait(cluster.scan({ db: 0, cursor, count, match: null, type: null }));
}

async function fill(sim: Sim, count: number): Promise<string[]> {
  const keys = Array.from({ length: count }, (_, i) => `k${i}`);
  await sim.wait(sim.client('a').send('MSET', ...keys.flatMap((key) => [key, 'v'])));
  return keys.sort();
}

describe('SCAN', () => {
  test('of an empty, warmed-up cluster is one round trip, from every node', async () => {
    const sim = await threeNodes({ warmUp: true });
    await warm(sim);
    for (const name of NAMES) {
      const before = sim.time.monotonicMs();
      expect(await scan(sim, name, '0', 10)).toEqual({ cursor: '0', keys: [] });
      expect(sim.time.monotonicMs() - before).toBeLessThanOrEqual(4);
    }
  });

  test('hands out every key once, whichever nodes are asked and however small the steps', async () => {
    const sim = await threeNodes({ warmUp: true });
    await warm(sim);
    const keys = await fill(sim, 200);
    const found: string[] = [];
    let cursor = '0';
    let steps = 0;
    do {
      const step = await scan(sim, NAMES[steps++ % 3]!, cursor, 7);
      found.push(...step.keys);
      cursor = step.cursor;
    } while (cursor !== '0');
    expect(found.sort()).toEqual(keys);
    expect(steps).toBeLessThanOrEqual(30);
  });

  test('finds rows that no memory has', async () => {
    const sim = new Sim();
    const keys = Array.from({ length: 30 }, (_, i) => `k${i}`).sort();
    for (const key of keys) sim.database.seed(key, 'v');
    await sim.startAll(...NAMES);
    for (const name of NAMES) {
      const { slots } = sim.node(name).life;
      // All but the slots in question are known to be empty: the others are read from the table.
      for (let slot = 0; slot < SLOT_COUNT; slot++) slots.setComplete(slot, slots.isPrimary(slot));
    }
    for (const key of keys) {
      const { slots } = sim.primaryOf(key).life;
      slots.setComplete(sim.node('a').cluster.keySlot(key), false);
    }
    expect((await sim.wait(sim.node('b').cluster.keys(0, '*'))).sort()).toEqual(keys);
  });

  test('goes on over the death of a node with the cursor that it gave', async () => {
    const sim = await threeNodes({ warmUp: true });
    await warm(sim);
    const keys = await fill(sim, 60);
    const first = await scan(sim, 'b', '0', 20);
    sim.kill('b');
    const found = [...first.keys];
    let { cursor } = first;
    while (cursor !== '0') {
      const step = await scan(sim, 'c', cursor, 20);
      found.push(...step.keys);
      cursor = step.cursor;
    }
    expect(found.sort()).toEqual(keys);
  });
});

describe('a primary that is gone', () => {
  test('delays DBSIZE and RANDOMKEY until the next view, and fails them not', async () => {
    const sim = await threeNodes();
    await fill(sim, 20);
    sim.kill('b');
    const { cluster } = sim.node('a');
    const [count, key] = await sim.wait(Promise.all([cluster.dbsize(0), cluster.randomKey(0)]));
    expect(count).toBe(20);
    expect(key).toMatch(/^k\d+$/);
  });

  test('at the deadline leaves DBSIZE not done and FLUSHALL unknown, as others have flushed', async () => {
    const sim = await threeNodes({ requestTimeoutMs: 400 });
    sim.network.cut('a', 'b');
    const { cluster } = sim.node('a');
    const outcomes = await sim.wait(Promise.allSettled([cluster.dbsize(0), cluster.flush(null)]));
    expect(outcomes).toMatchObject([
      { reason: { code: 'NOTDONE' } },
      { reason: { code: 'UNKNOWN' } },
    ]);
  });
});

describe('a transaction that does not end', () => {
  test('leaves DBSIZE not done in its time, on every node', async () => {
    const sim = await threeNodes({ requestTimeoutMs: 400 });
    sim.database.holdBatches('a');
    const keys = [sim.keyOn('a'), sim.keyOn('b')];
    const mset = sim.client('a').send('MSET', keys[0]!, 'v', keys[1]!, 'v');
    await sim.until(() => sim.database.heldBatches > 0, 100, 'its batch is under way');
    const counts = NAMES.map((name) => sim.node(name).cluster.dbsize(0));
    for (const outcome of await sim.wait(Promise.allSettled(counts), 1000)) {
      expect(outcome).toMatchObject({ reason: { code: 'NOTDONE' } });
    }
    sim.database.releaseBatches('a');
    await sim.wait(mset);
    expect(await sim.wait(sim.node('b').cluster.dbsize(0))).toBe(2);
  });
});

describe('FLUSHALL', () => {
  test('without any database changes nothing, and says so', async () => {
    const sim = await threeNodes();
    await fill(sim, 20);
    sim.database.down = true;
    await sim.run(4000);
    await expect(sim.wait(sim.node('a').cluster.flush(null))).rejects.toMatchObject({
      code: 'STOREDOWN',
      message: 'the database is not reachable; nothing was changed',
    });
  });

  test('empties each key once: what is written while it goes on elsewhere stays', async () => {
    const sim = await threeNodes({ replicas: 1 });
    await fill(sim, 20);
    const key = sim.keyOn('b', 'after-');
    sim.kill('c');
    await sim.run(50);
    const flushed = sim.wait(sim.node('a').cluster.flush(null));
    await sim.run(100);
    expect(await sim.wait(sim.client('b').send('SET', key, 'kept'))).toBe('+OK');
    expect(sim.node('a').cluster.epoch).toBe(sim.node('b').cluster.epoch);
    await flushed;
    expect(await sim.wait(sim.client('b').send('GET', key))).toBe('$4 kept');
    expect(await sim.wait(sim.node('a').cluster.dbsize(0))).toBe(1);
  });

  test('has an unknown outcome when a primary is lost in the middle of it', async () => {
    const sim = await threeNodes();
    await fill(sim, 20);
    sim.database.holdCommits('c');
    const flushed = sim.wait(sim.node('a').cluster.flush(null));
    await sim.until(() => sim.database.isHeld('commit c'), 1000, 'the flush is under way');
    sim.kill('c');
    await expect(flushed).rejects.toMatchObject({
      code: 'UNKNOWN',
      message: expect.stringMatching(/outcome unknown.*some keys may be deleted/) as string,
    });
  });

  test('takes what was there when it was sent, and those that wait are done together', async () => {
    const sim = await threeNodes({ replicas: 1 });
    const key = sim.keyOn('a');
    sim.database.holdBatches('b');
    const first = sim.node('c').cluster.flush(null);
    await sim.until(() => sim.database.heldBatches > 0, 100, 'b flushes');
    await sim.run(50);
    expect(await sim.wait(sim.client('a').send('SET', key, 'v'))).toBe('+OK');
    const later = Array.from({ length: 40 }, () => sim.node('c').cluster.flush(null));
    const ofOne = sim.node('c').cluster.flush(3);
    await sim.run(50);
    expect(sim.database.committed.filter(({ batch }) => batch.floors.length > 0)).toHaveLength(2);
    expect(await sim.wait(sim.client('b').send('GET', key))).toBe('$1 v');
    sim.database.releaseBatches('b');
    await sim.wait(Promise.all([first, ...later, ofOne]));
    expect(await sim.wait(sim.client('b').send('GET', key))).toBe('$-1');
    // One a primary: of the first, of the next forty, and of the one of a single database.
    expect(sim.database.committed.filter(({ batch }) => batch.floors.length > 0)).toHaveLength(9);
  });

  test('that one primary cannot do has an unknown outcome, as others have deleted their keys', async () => {
    const sim = await threeNodes();
    await fill(sim, 20);
    sim.database.refuse = (batch, self) =>
      self.node === 'b' && batch.floors.length > 0 ? 'disk full' : null;
    const refused = sim.wait(sim.node('a').cluster.flush(null));
    await expect(refused).rejects.toMatchObject({
      code: 'UNKNOWN',
      message: expect.stringMatching(/disk full.*some may be deleted/) as string,
    });
    sim.database.refuse = () => null;
    await sim.wait(sim.node('a').cluster.flush(null));
    expect(await sim.wait(sim.node('c').cluster.dbsize(0))).toBe(0);
  });
});
