/** Schedules of writes and reads with a forced order, on a whole cluster in virtual time. */
import { describe, expect, test } from 'vitest';
import { slotOf } from '../../../src/cluster/slot.ts';
import { NONE_PREFIX, Sim } from '../../../chaos/sim/cluster.ts';

/** Three nodes; every node owns every slot. `key` has the primary `a`. */
async function threeNodes(): Promise<{ sim: Sim; key: string }> {
  const sim = new Sim();
  await sim.startAll('a', 'b', 'c');
  return { sim, key: sim.keyOn('a') };
}

function valueOn(sim: Sim, node: string, key: string): string | null | undefined {
  return sim.node(node).life.keyspace.find(slotOf(key), 0, key)?.value;
}

/** Fails when a settled promise settles later than it may. */
function track<T>(promise: Promise<T>): { readonly done: boolean; readonly value: T | undefined } {
  const state: { done: boolean; value: T | undefined } = { done: false, value: undefined };
  void promise.then((value) => {
    state.done = true;
    state.value = value;
  });
  return state;
}

describe('a write', () => {
  test('is in the table and on every owner when it is acknowledged (db-ahead-of-replica)', async () => {
    const { sim, key } = await threeNodes();
    sim.network.cut('a', 'c');
    const write = track(sim.client('a').send('SET', key, 'new'));
    await sim.run(200);
    expect(write.done).toBe(false);
    expect(sim.database.valueOf(key)).toBeUndefined();
    sim.network.heal('a', 'c');
    await sim.run(200);
    expect(write.value).toBe('+OK');
    expect(sim.database.valueOf(key)).toBe('new');
    for (const name of ['b', 'c']) {
      expect(sim.node(name).life.keyspace.find(slotOf(key), 0, key)?.value).toBe('new');
    }
  });

  test('leaves clean keys on idle replicas, also over a broken link (watermark-lost)', async () => {
    const { sim, key } = await threeNodes();
    sim.database.holdBatches('a');
    const write = sim.client('a').send('SET', key, '1');
    await sim.until(() => sim.database.heldBatches > 0, 100, 'the batch is sent');
    sim.network.break('a', 'b');
    sim.database.releaseBatches('a');
    expect(await sim.wait(write)).toBe('+OK');
    await sim.run(1000);
    for (const name of ['a', 'b', 'c']) {
      expect(sim.node(name).life.keyspace.find(slotOf(key), 0, key)?.dirty).toBe(0);
    }
  });

  test('is known to be done or not after the connection died (zombie-commit)', async () => {
    const { sim, key } = await threeNodes();
    const client = sim.client('a');
    await sim.wait(client.send('SET', key, 'old'));
    sim.database.holdBatches('a');
    const write = sim
      .client('a')
      .send('INCRBY', `${key}`.replace(key, key), '1')
      .catch(() => '');
    expect(await sim.wait(write)).toContain('not an integer');
    const set = track(sim.client('a').send('SET', key, 'new'));
    await sim.until(() => sim.database.heldBatches > 0, 100, 'the batch is sent');
    sim.database.breakLane('a');
    const read = track(sim.client('b').send('GET', key));
    await sim.run(50);
    // The old backend comes too late: the lane's generation is higher by now.
    sim.database.releaseBatches('a');
    await sim.run(500);
    expect(set.value).toBe('+OK');
    expect(read.value).toBe('$3 new');
    expect(sim.database.valueOf(key)).toBe('new');
    expect(
      sim.database.committed.filter(({ batch }) => batch.rows.some((row) => row.value === 'new')),
    ).toHaveLength(1);
  });

  test('that was committed before its connection died is not committed twice', async () => {
    const { sim, key } = await threeNodes();
    await sim.wait(sim.client('a').send('SET', key, '10'));
    sim.database.holdBatches('a');
    const incr = track(sim.client('a').send('INCR', key));
    await sim.until(() => sim.database.heldBatches > 0, 100, 'the batch is sent');
    sim.database.releaseBatches('a');
    sim.database.breakLane('a');
    await sim.run(500);
    expect(incr.value).toBe(':11');
    expect(sim.database.valueOf(key)).toBe('11');
    expect(await sim.wait(sim.client('c').send('INCR', key))).toBe(':12');
  });

  test('pipelined before a read of the same key on a replica is seen by it (pipelined-read-own-write)', async () => {
    const { sim, key } = await threeNodes();
    await sim.wait(sim.client('b').send('SET', key, 'old'));
    await sim.run(20);
    const client = sim.client('b');
    const both = [client.send('SET', key, 'new'), client.send('GET', key)];
    expect(await sim.wait(Promise.all(both))).toEqual(['+OK', '$3 new']);
  });

  test('refused by the database fails what was built on it, and nothing else (derived-from-nothing)', async () => {
    const { sim, key } = await threeNodes();
    const other = `{${key}}other`;
    await sim.wait(sim.client('a').send('SET', key, '1'));
    sim.database.refuse = (batch) =>
      batch.rows.some((row) => row.value === 'bad') ? 'no space left' : null;
    sim.database.holdBatches('a');
    const c1 = sim.client('a');
    const c2 = sim.client('b');
    const c3 = sim.client('a');
    const bad = c1.send('SET', key, 'bad');
    await sim.run(5);
    const derived = c2.send('APPEND', key, 'x');
    const read = c2.send('GET', key);
    const fine = c3.send('SET', other, 'fine');
    await sim.run(10);
    sim.database.releaseBatches('a');
    const replies = await sim.wait(Promise.all([bad, derived, read, fine]));
    expect(replies[0]).toContain('-STOREFAIL');
    expect(replies[1]).toContain('-STOREFAIL');
    expect(replies[2]).toBe('$1 1');
    expect(replies[3]).toBe('+OK');
    expect(sim.database.valueOf(key)).toBe('1');
    for (const name of ['a', 'b', 'c'])
      expect(await sim.wait(sim.client(name).send('GET', key))).toBe('$1 1');
  });

  test('that is refused leaves a read behind it before what its client has sent later', async () => {
    const { sim, key } = await threeNodes();
    await sim.wait(sim.client('a').send('SET', key, 'old'));
    sim.database.refuse = (batch) =>
      batch.rows.some((row) => row.value === 'bad') ? 'no space left' : null;
    sim.database.workMs = () => 20;
    const client = sim.client('a');
    const bad = client.send('SET', key, 'bad');
    // It has read what is refused, and is to be read again: the table takes a while to answer.
    const read = client.send('GET', key);
    expect(await sim.wait(bad)).toContain('-STOREFAIL');
    const later = client.send('SET', key, 'later');
    expect(await sim.wait(Promise.all([read, later]))).toEqual(['$3 old', '+OK']);
    expect(await sim.wait(client.send('GET', key))).toBe('$5 later');
  });

  test('that is refused makes a read of several keys fail rather than see what its client has sent later', async () => {
    const { sim, key } = await threeNodes();
    const other = `{${key}}other`;
    sim.database.refuse = (batch) =>
      batch.rows.some((row) => row.value === 'bad') ? 'no space left' : null;
    sim.database.workMs = () => 20;
    const client = sim.client('a');
    const bad = client.send('SET', key, 'bad');
    const read = client.send('MGET', key, other);
    const later = client.send('SET', other, 'later');
    expect(await sim.wait(bad)).toContain('-STOREFAIL');
    expect(await sim.wait(read)).toContain('-STOREFAIL');
    expect(await sim.wait(later)).toBe('+OK');
    expect(await sim.wait(client.send('MGET', key, other))).toBe('*2 $-1 $5 later');
  });

  test('that fails leaves no replica believing that it has everything (dropped-then-complete)', async () => {
    const sim = new Sim({ warmUp: true });
    await sim.startAll('a', 'b', 'c');
    const key = sim.keyOn('a');
    await sim.wait(sim.client('a').send('SET', key, 'old'));
    await sim.run(3000);
    expect(sim.node('a').life.slots.isComplete(slotOf(key))).toBe(true);
    sim.database.refuse = (batch) =>
      batch.rows.some((row) => row.value === 'bad') ? 'refused' : null;
    expect(await sim.wait(sim.client('a').send('SET', key, 'bad'))).toContain('-STOREFAIL');
    await sim.run(10);
    expect(sim.node('b').life.slots.isComplete(slotOf(key))).toBe(false);
    for (const name of ['a', 'b', 'c'])
      expect(await sim.wait(sim.client(name).send('GET', key))).toBe('$3 old');
    sim.kill('a');
    await sim.settle('b', 'c');
    for (const name of ['b', 'c'])
      expect(await sim.wait(sim.client(name).send('GET', key))).toBe('$3 old');
  });
});

describe('writes in memory only', () => {
  test('reach an owner in their order when one is answered by the making of a new link', async () => {
    const sim = new Sim();
    await sim.startAll('a', 'b');
    const [arrived, lost, last, other] = ['1:', '2:', '3:', '4:'].map((part) =>
      sim.keyOn('a', NONE_PREFIX + part),
    ) as [string, string, string, string];
    const client = sim.client('a');
    // The first one arrives at b, and what b says about it does not arrive at a.
    sim.network.cutOneWay('b', 'a');
    const first = client.send('SET', arrived, '1');
    // Over several slots: it waits for what the client sent before.
    const next = client.send('MSET', last, '3', other, '4');
    await sim.until(() => valueOn(sim, 'b', arrived) === '1', 50, 'the first one arrives');
    sim.network.cutOneWay('a', 'b');
    const second = sim.client('a').send('SET', lost, '2');
    await sim.turn();
    sim.network.break('a', 'b');
    sim.network.heal('a', 'b');
    for (const write of [first, second, next]) expect(await sim.wait(write)).toBe('+OK');
    expect([arrived, lost, last, other].map((key) => valueOn(sim, 'b', key))).toEqual([
      '1',
      '2',
      '3',
      '4',
    ]);
  });
});

describe('a reply', () => {
  test('of a command without effects waits for what it read (effect-free-reply)', async () => {
    const { sim, key } = await threeNodes();
    sim.database.holdBatches('a');
    const set = track(sim.client('a').send('SET', key, 'v'));
    await sim.run(10);
    const setnx = track(sim.client('b').send('SETNX', key, 'w'));
    const get = track(sim.client('c').send('GET', key));
    await sim.run(100);
    expect([set.done, setnx.done, get.done]).toEqual([false, false, false]);
    sim.database.releaseBatches('a');
    await sim.run(20);
    expect([set.value, setnx.value, get.value]).toEqual(['+OK', ':0', '$1 v']);
  });

  test('to a read comes after one commit, however often the key is written (endless-dirty-read)', async () => {
    const { sim, key } = await threeNodes();
    const writer = sim.client('a');
    let writing = true;
    const write = async (): Promise<void> => {
      for (let i = 0; writing; i++) await writer.send('SET', key, String(i));
    };
    const writers = [write(), write(), write()];
    await sim.run(20);
    const read = track(sim.client('b').send('GET', key));
    await sim.run(30);
    expect(read.done).toBe(true);
    writing = false;
    await sim.wait(Promise.all(writers));
  });

  test('to a read held by a batch without an answer comes within the time of a request', async () => {
    const { sim, key } = await threeNodes();
    sim.database.holdBatches('a');
    const set = track(sim.client('a').send('SET', key, 'v'));
    await sim.run(10);
    const reads = [
      track(sim.client('a').send('GET', key)),
      track(sim.client('b').send('GET', key)),
    ];
    await sim.run(5_500);
    expect(set.value).toContain('-UNKNOWN');
    for (const read of reads) expect(read.value).toContain('-NOTDONE');
    sim.database.releaseBatches('a');
    await sim.run(100);
    expect(await sim.wait(sim.client('c').send('GET', key))).toBe('$1 v');
  });

  test('of a long pipeline behind a load is in order and does not exhaust the stack', async () => {
    const { sim, key } = await threeNodes();
    sim.database.seed(key, '0');
    const client = sim.client('a');
    const count = 5_000;
    const replies = [client.send('INCR', key)];
    for (let i = 1; i < count; i++) replies.push(client.send('GET', key));
    await sim.run(50);
    const [first, ...rest] = await sim.wait(Promise.all(replies));
    expect(first).toBe(':1');
    expect(new Set(rest)).toEqual(new Set(['$1 1']));
  });
});

describe('a load', () => {
  test('that a DEL overtakes does not bring the key back (fetch-meets-delete)', async () => {
    const { sim } = await threeNodes();
    const key = sim.keyOn('a', 'legacy:');
    sim.legacy.values.set(key, 'old');
    sim.legacy.delayMs = 50;
    const read = track(sim.client('b').send('GET', key));
    await sim.run(20);
    await sim.wait(sim.client('c').send('SET', key, 'x'));
    await sim.wait(sim.client('c').send('DEL', key));
    await sim.run(200);
    expect(read.done).toBe(true);
    expect(await sim.wait(sim.client('a').send('GET', key))).toBe('$-1');
    expect(sim.database.valueOf(key)).toBeUndefined();
  });

  test('after a DEL does not ask the legacy source again (delete-then-hydrate)', async () => {
    const { sim } = await threeNodes();
    const key = sim.keyOn('a', 'legacy:');
    sim.legacy.values.set(key, 'old');
    expect(await sim.wait(sim.client('b').send('GET', key))).toBe('$3 old');
    expect(sim.legacy.fetches).toBe(1);
    expect(sim.database.valueOf(key)).toBe('old');
    expect(await sim.wait(sim.client('b').send('DEL', key))).toBe(':1');
    expect(await sim.wait(sim.client('c').send('GET', key))).toBe('$-1');
    expect(sim.legacy.fetches).toBe(1);
  });

  test('is one for all who wait (single flight)', async () => {
    const { sim, key } = await threeNodes();
    sim.database.seed(key, 'v');
    const reads = ['a', 'b', 'c', 'a', 'b'].map((name) => sim.client(name).send('GET', key));
    expect(await sim.wait(Promise.all(reads))).toEqual(new Array(5).fill('$1 v'));
    expect(sim.database.loads).toBe(1);
  });
});

describe('expiry', () => {
  test('is declared by the primary, and a row made persistent in time stays (reaper-meets-persist)', async () => {
    const { sim, key } = await threeNodes();
    const now = sim.node('a').life.time.nowMs();
    sim.database.seed(key, 'v', now + 200);
    expect(await sim.wait(sim.client('b').send('PERSIST', key))).toBe(':1');
    await sim.run(8000);
    expect(sim.database.valueOf(key)).toBe('v');
    expect(await sim.wait(sim.client('c').send('GET', key))).toBe('$1 v');
  });

  test('removes the row too', async () => {
    const { sim, key } = await threeNodes();
    await sim.wait(sim.client('b').send('SET', key, 'v', 'PX', '300'));
    expect(sim.database.valueOf(key)).toBe('v');
    await sim.run(1000);
    expect(sim.database.valueOf(key)).toBeUndefined();
    for (const name of ['a', 'b', 'c'])
      expect(await sim.wait(sim.client(name).send('GET', key))).toBe('$-1');
  });
});

describe('FLUSHALL', () => {
  test('leaves nothing in memory or the table, and writes after it count', async () => {
    const { sim, key } = await threeNodes();
    const other = sim.keyOn('b');
    await sim.wait(sim.client('a').send('MSET', key, '1', other, '2'));
    await sim.wait(sim.node('c').cluster.flush(null));
    expect(await sim.wait(sim.client('b').send('MGET', key, other))).toBe('*2 $-1 $-1');
    expect(sim.database.valueOf(key)).toBeUndefined();
    await sim.wait(sim.client('b').send('SET', key, 'after'));
    expect(sim.database.valueOf(key)).toBe('after');
    expect(await sim.wait(sim.node('a').cluster.dbsize(0))).toBe(1);
  });
});
