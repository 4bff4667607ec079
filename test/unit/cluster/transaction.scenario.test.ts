/** Commands over several primaries, with a forced order, on a whole cluster in virtual time. */
import { describe, expect, test } from 'vitest';
import { slotOf } from '../../../src/cluster/slot.ts';
import { sleep } from '../../../src/platform/clock.ts';
import { Sim, type SimOptions } from '../../../chaos/sim/cluster.ts';
import { SeededRandom } from '../../../chaos/sim/random.ts';

interface Setup {
  readonly sim: Sim;
  readonly onA: string;
  readonly onB: string;
}

async function threeNodes(options: SimOptions = {}): Promise<Setup> {
  const sim = new Sim(options);
  await sim.startAll('a', 'b', 'c');
  return { sim, onA: sim.keyOn('a'), onB: sim.keyOn('b') };
}

function track<T>(promise: Promise<T>): { readonly done: boolean; readonly value: T | undefined } {
  const state: { done: boolean; value: T | undefined } = { done: false, value: undefined };
  void promise.then((value) => {
    state.done = true;
    state.value = value;
  });
  return state;
}

describe('a command over two primaries', () => {
  test('commits in one batch and is then on all owners', async () => {
    const { sim, onA, onB } = await threeNodes();
    await sim.wait(sim.client('c').send('SET', onA, 'v'));
    const before = sim.database.committed.length;
    expect(await sim.wait(sim.client('c').send('RENAME', onA, onB))).toBe('+OK');
    expect(sim.database.committed.length).toBe(before + 1);
    expect(sim.database.valueOf(onA)).toBeUndefined();
    await sim.run(50);
    for (const name of ['a', 'b', 'c']) {
      expect(sim.node(name).life.keyspace.find(slotOf(onB), 0, onB)).toMatchObject({
        value: 'v',
        dirty: 0,
      });
      expect(await sim.wait(sim.client(name).send('MGET', onA, onB))).toBe('*2 $-1 $1 v');
    }
  });

  test('is seen whole or not at all, at every moment and on every node (half-an-mset)', async () => {
    const { sim, onA, onB } = await threeNodes();
    await sim.wait(sim.client('c').send('MSET', onA, '0', onB, '0'));
    const seen: string[] = [];
    const writer = sim.client('c');
    let writing = true;
    const writes = (async () => {
      for (let i = 1; i <= 30; i++) await writer.send('MSET', onA, String(i), onB, String(i));
      writing = false;
    })();
    const readers = ['a', 'b', 'c'].map(async (name, i) => {
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
      expect(values[2]).toBe(values[4]);
    }
  });

  test('keeps readers of the participant away from the old value once it is committed', async () => {
    const { sim, onA, onB } = await threeNodes();
    await sim.wait(sim.client('c').send('MSET', onA, 'new', onB, 'old'));
    await sim.run(20);
    const rename = track(sim.client('a').send('RENAME', onA, onB));
    // The participant hears of the commit late.
    await sim.until(
      () => sim.node('a').life.engine.operations.pendingCount > 0,
      100,
      'the batch is under way',
    );
    sim.network.cutOneWay('a', 'b');
    await sim.until(() => rename.done, 200, 'it is acknowledged');
    const reads = ['b', 'c'].map((name) => track(sim.client(name).send('GET', onB)));
    await sim.run(100);
    for (const read of reads) expect(read.value ?? '$3 new').toBe('$3 new');
    sim.network.heal('a', 'b');
    await sim.run(100);
    for (const read of reads) expect(read.value).toBe('$3 new');
  });

  test('gets its turn on a key that is written without pause (hot-key-hold)', async () => {
    const { sim, onA, onB } = await threeNodes();
    let writing = true;
    const writers = ['a', 'b', 'c'].map(async (name) => {
      const client = sim.client(name);
      while (writing) await client.send('SET', onB, 'hot');
    });
    await sim.run(30);
    const rename = track(sim.client('c').send('RENAME', onB, onA));
    await sim.run(100);
    expect(rename.value).toBe('+OK');
    writing = false;
    await sim.wait(Promise.all(writers));
  });

  test('whose hold a new view ended cannot commit over what came after (hold-outlives-view)', async () => {
    const { sim, onA, onB } = await threeNodes();
    await sim.wait(sim.client('c').send('MSET', onA, 'moved', onB, 'old'));
    sim.database.holdBatches('a');
    const rename = track(sim.client('a').send('RENAME', onA, onB));
    await sim.until(() => sim.database.heldBatches > 0, 100, 'the batch is sent');
    sim.kill('b');
    await sim.until(
      () =>
        sim.node('c').cluster.epoch > sim.node('a').cluster.epoch - 1 &&
        sim.database.views.at(-1)!.settled.length === 2,
      5000,
      'b is removed',
    );
    const set = track(sim.client('c').send('SET', onB, 'newer'));
    await sim.run(20);
    sim.database.releaseBatches('a');
    await sim.settle('a', 'c');
    await sim.run(500);
    expect([rename.value, set.value]).toEqual(['+OK', '+OK']);
    // Whatever the order, both took effect whole, once, and memory agrees with the table.
    const value = sim.database.valueOf(onB);
    expect(['moved', 'newer']).toContain(value);
    expect(sim.database.valueOf(onA)).toBeUndefined();
    for (const name of ['a', 'c']) {
      expect(await sim.wait(sim.client(name).send('MGET', onA, onB))).toBe(`*2 $-1 $5 ${value}`);
    }
  });

  test('committed when its participant dies is whole for everybody after (half-a-transaction)', async () => {
    const { sim, onA, onB } = await threeNodes();
    await sim.wait(sim.client('c').send('MSET', onA, '1', onB, '1'));
    await sim.run(20);
    sim.network.cutOneWay('a', 'b');
    sim.network.heal('a', 'b');
    sim.database.holdBatches('a');
    const mset = track(sim.client('a').send('MSET', onA, '2', onB, '2'));
    await sim.until(() => sim.database.heldBatches > 0, 100, 'the batch is sent');
    sim.kill('b');
    sim.database.releaseBatches('a');
    await sim.run(10);
    expect(mset.value).toBe('+OK');
    for (const name of ['a', 'c']) {
      expect(await sim.wait(sim.client(name).send('MGET', onA, onB))).toBe('*2 $1 2 $1 2');
      expect(await sim.wait(sim.client(name).send('GET', onB))).toBe('$1 2');
    }
  });

  test('waits for what its participant has under way (hold-on-uncommitted)', async () => {
    const { sim, onA, onB } = await threeNodes();
    sim.database.holdBatches('b');
    const set = track(sim.client('b').send('SET', onB, 'v'));
    await sim.run(10);
    const rename = track(sim.client('a').send('RENAME', onB, onA));
    await sim.run(100);
    expect(rename.done).toBe(false);
    sim.database.releaseBatches('b');
    await sim.run(50);
    expect([set.value, rename.value]).toEqual(['+OK', '+OK']);
    for (const name of ['a', 'b', 'c']) {
      expect(await sim.wait(sim.client(name).send('MGET', onA, onB))).toBe('*2 $1 v $-1');
    }
  });

  test('that finds the link to a participant broken is done once or not at all', async () => {
    const { sim, onA, onB } = await threeNodes();
    await sim.wait(sim.client('c').send('MSET', onA, 'x', onB, 'x'));
    for (let i = 0; i < 8; i++) {
      const value = String(i);
      const mset = track(sim.client('c').send('MSET', onA, value, onB, value));
      await sim.run(i);
      sim.network.break('a', 'b');
      sim.network.break('a', 'c');
      await sim.until(() => mset.done, 6000, 'it is answered');
      await sim.run(300);
      const [a, b] = [sim.database.valueOf(onA), sim.database.valueOf(onB)];
      expect(a).toBe(b);
      if (mset.value === '+OK') expect(a).toBe(value);
      for (const name of ['a', 'b', 'c']) {
        expect(await sim.wait(sim.client(name).send('MGET', onA, onB))).toBe(`*2 $1 ${a} $1 ${b}`);
      }
      expect(sim.node('a').life.engine.gates.empty).toBe(true);
      expect(sim.node('b').life.engine.gates.empty).toBe(true);
    }
  });

  test('takes no key for absent that its participant evicts while it is being held', async () => {
    const { sim, onA, onB } = await threeNodes();
    await sim.wait(sim.client('c').send('SET', onB, 'old'));
    const { keyspace, slots } = sim.node('b').life;
    const evict = (): void => {
      const entry = keyspace.find(slotOf(onB), 0, onB);
      if (entry === undefined || entry.dirty !== 0) return;
      keyspace.remove(slotOf(onB), 0, onB);
      slots.setComplete(slotOf(onB), false);
    };
    for (let after = 0; after < 12; after++) {
      await sim.run(30);
      const msetnx = track(sim.client('c').send('MSETNX', onA, 'new', onB, 'new'));
      await sim.run(after);
      evict();
      await sim.until(() => msetnx.done, 1000, 'it is answered');
      expect([after, msetnx.value]).toEqual([after, ':0']);
    }
  });

  test('is marked on a learner too, also if the key was held before its slot was sent', async () => {
    const sim = new Sim({ replicas: 2 });
    await sim.startAll('a', 'b', 'c');
    const onA = sim.keyOn('a');
    // So much that the last slots have to wait for e's confirmations of the first ones, which are slow.
    sim.network.delay('e', 'b', 100);
    for (let i = 0; i < 40; i++) {
      const big = sim.client('b').send('SET', sim.keyOn('b', `big${i}:`), 'x'.repeat(300_000));
      await sim.wait(big);
    }
    const names = Array.from({ length: 100 }, (_, i) => `key${i}`);
    await sim.wait(sim.client('a').send('MSET', ...names.flatMap((key) => [key, 'old'])));
    sim.startNode('e');
    const isJoining = (): boolean => sim.node('b').life.view!.coming.length === 4;
    await sim.until(isJoining, 3000, 'e joins');
    // Keys of b that e is going to own, and gets last.
    const { slots } = sim.node('b').life;
    const lastLearnt = (keys: readonly string[]): string[] =>
      keys
        .filter((key) => slots.group(slotOf(key)).learners[0]?.node === 'e')
        .filter((key) => slots.isPrimary(slotOf(key)))
        .sort((x, y) => slotOf(y) - slotOf(x))
        .slice(0, 2);
    const held = [...lastLearnt(names), ...lastLearnt(names.map((name) => `no-${name}`))];
    expect(held).toHaveLength(4);
    sim.database.holdBatches('a');
    const pairs = [onA, ...held].flatMap((key) => [key, 'new']);
    const mset = track(sim.client('a').send('MSET', ...pairs));
    const e = sim.node('e').life;
    await sim.run(10);
    expect(e.learning).toBeGreaterThan(0);
    await sim.until(() => e.learning === 0, 3000, 'e has everything');
    // If the next view came now, what e has of them would be dropped, and not be taken for the truth.
    for (const key of held) {
      expect([key, e.keyspace.find(slotOf(key), 0, key)?.dirty ?? 0]).not.toEqual([key, 0]);
    }
    sim.database.releaseBatches('a');
    await sim.until(() => mset.done, 1000, 'it is acknowledged');
    await sim.settle('a', 'b', 'c', 'e');
    for (const key of held) {
      expect(await sim.wait(sim.client('e').send('GET', key))).toBe('$3 new');
    }
  });

  test('the other way round at the same time deadlocks with nobody', async () => {
    const { sim, onA, onB } = await threeNodes();
    const onC = sim.keyOn('c');
    const keys = [onA, onB, onC];
    const random = new SeededRandom(7);
    const clients = ['a', 'b', 'c', 'a', 'b', 'c'].map((name) => sim.client(name));
    const all = clients.map(async (client, i) => {
      const replies: string[] = [];
      for (let n = 0; n < 15; n++) {
        const order = [...keys].sort(() => random.float() - 0.5).slice(0, 2 + random.below(2));
        replies.push(await client.send('MSET', ...order.flatMap((key) => [key, `${i}.${n}`])));
      }
      return replies;
    });
    const replies = (await sim.wait(Promise.all(all))).flat();
    expect(new Set(replies)).toEqual(new Set(['+OK']));
  });

  test('meeting FLUSHALL leaves memory and table in agreement', async () => {
    const { sim, onA, onB } = await threeNodes();
    for (let i = 0; i < 12; i++) {
      await sim.wait(sim.client('c').send('MSET', onA, `v${i}`, onB, 'x'));
      const rename = track(sim.client('c').send('RENAME', onA, onB));
      await sim.run(i);
      const flush = track(
        sim
          .node('b')
          .cluster.flush(null)
          .then(() => 'done'),
      );
      await sim.until(() => rename.done && flush.done, 6000, 'both are answered');
      await sim.run(50);
      const expected = [onA, onB].map((key) => sim.database.valueOf(key));
      const line = expected
        .map((value) => (value === undefined ? '$-1' : `$${value.length} ${value}`))
        .join(' ');
      for (const name of ['a', 'b', 'c']) {
        expect(await sim.wait(sim.client(name).send('MGET', onA, onB))).toBe(`*2 ${line}`);
      }
    }
  });
});
