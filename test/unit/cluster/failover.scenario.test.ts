/** Schedules around changes of view, with a forced order, on a whole cluster in virtual time. */
import { describe, expect, test } from 'vitest';
import { slotOf } from '../../../src/cluster/slot.ts';
import { hasRef, participants } from '../../../src/cluster/view.ts';
import { NONE_PREFIX, Sim, type SimOptions } from '../../../chaos/sim/cluster.ts';
import { DATABASE } from '../../../chaos/sim/ground.ts';

async function threeNodes(options: SimOptions = {}): Promise<{ sim: Sim; key: string }> {
  const sim = new Sim(options);
  await sim.startAll('a', 'b', 'c');
  return { sim, key: sim.keyOn('a') };
}

function track<T>(promise: Promise<T>): { readonly done: boolean; readonly value: T | undefined } {
  const state: { done: boolean; value: T | undefined } = { done: false, value: undefined };
  void promise.then((value) => {
    state.done = true;
    state.value = value;
  });
  return state;
}

describe('when a primary dies', () => {
  test('another node serves what was acknowledged within two leases', async () => {
    const { sim, key } = await threeNodes();
    await sim.wait(sim.client('b').send('SET', key, '41'));
    sim.kill('a');
    const started = sim.time.monotonicMs();
    expect(await sim.wait(sim.client('b').send('INCR', key))).toMatch(/^(:42|-UNKNOWN)/);
    expect(sim.time.monotonicMs() - started).toBeLessThan(2 * 1500 + 700);
    await sim.settle('b', 'c');
    expect(['41', '42']).toContain(sim.database.valueOf(key));
    expect(await sim.wait(sim.client('c').send('INCR', key))).toMatch(/^:4[23]$/);
  });

  test('it is removed when its lease must be over, not at the next renewal after that', async () => {
    const { sim } = await threeNodes();
    // Just after all of them have renewed: the next but three renewals of the others come too early for
    // a removal, and the one after that 400 ms later than need be.
    await sim.run(1000);
    const dead = sim.node('a').life.self;
    sim.kill('a');
    const killedMs = sim.time.monotonicMs();
    const removed = (): boolean => !hasRef(participants(sim.node('b').life.view!), dead);
    await sim.until(removed, 4000, 'the dead node is removed');
    expect(sim.time.monotonicMs() - killedMs).toBeLessThan(1500 + 100 + 50);
  });

  test('with a batch committed and its watermark lost, nobody answers the old value (db-ahead-of-replica)', async () => {
    const { sim, key } = await threeNodes();
    await sim.wait(sim.client('a').send('SET', key, '1'));
    await sim.run(20);
    sim.database.holdBatches('a');
    void sim.client('a').send('SET', key, '2');
    await sim.until(() => sim.database.heldBatches > 0, 100, 'the batch is sent');
    sim.database.releaseBatches('a');
    sim.kill('a');
    expect(sim.database.valueOf(key)).toBe('2');
    for (const name of ['b', 'c'])
      expect(await sim.wait(sim.client(name).send('GET', key))).toBe('$1 2');
  });

  test('with a batch not committed, nobody answers the new value', async () => {
    const { sim, key } = await threeNodes();
    await sim.wait(sim.client('a').send('SET', key, '1'));
    sim.database.holdBatches('a');
    void sim.client('a').send('SET', key, '2');
    await sim.until(() => sim.database.heldBatches > 0, 100, 'the batch is sent');
    sim.kill('a');
    await sim.settle('b', 'c');
    sim.database.releaseBatches('a');
    expect(sim.database.valueOf(key)).toBe('1');
    for (const name of ['b', 'c'])
      expect(await sim.wait(sim.client(name).send('GET', key))).toBe('$1 1');
  });

  test('a `none` write that reached one replica has one answer for ever (unsettled-copies)', async () => {
    const { sim } = await threeNodes();
    const key = sim.keyOn('a', 'none:');
    await sim.wait(sim.client('a').send('SET', key, 'old'));
    await sim.run(20);
    sim.network.cutOneWay('a', 'c');
    void sim.client('a').send('SET', key, 'new');
    await sim.run(20);
    sim.kill('a');
    await sim.settle('b', 'c');
    const answers = new Set<string>();
    for (const name of ['b', 'c', 'b', 'c'])
      answers.add(await sim.wait(sim.client(name).send('GET', key)));
    expect(answers.size).toBe(1);
  });
});

test('a `none` write that was under way when its slot lost owners is not acknowledged while one of them may answer the old value', async () => {
  const { sim } = await threeNodes({ replicas: 3 });
  const key = sim.keyOn('a', 'none:');
  await sim.wait(sim.client('a').send('SET', key, 'old'));
  await sim.run(50);
  sim.network.delay('a', 'c', 300);
  const write = track(sim.client('a').send('SET', key, 'new'));
  await sim.run(2);
  void sim.node('a').cluster.grant({ kind: 'replicas', replicas: 1 });
  await sim.until(
    () => sim.node('a').cluster.epoch > sim.node('c').cluster.epoch,
    100,
    'a is ahead',
  );
  const read = await sim.wait(sim.client('c').send('GET', key));
  expect([read, write.done]).toEqual(['$3 old', false]);
  await sim.until(() => write.done, 2000, 'the write ends');
  expect(write.value).toBe('+OK');
  expect(await sim.wait(sim.client('c').send('GET', key))).toBe('$3 new');
});

describe('a life that ends', () => {
  test('tells no replica that its undecided writes are settled', async () => {
    const { sim, key } = await threeNodes();
    sim.database.holdBatches('a');
    void sim.client('a').send('SET', key, 'undecided');
    await sim.until(() => sim.database.heldBatches > 0, 100, 'the batch is sent');
    // A confirmation that comes while the life ends makes it look how far its watermarks may go.
    sim.network.cutOneWay('c', 'a');
    void sim.client('a').send('SET', sim.keyOn('a', 'other'), 'unconfirmed');
    await sim.run(10);
    // Not gently: as after an expulsion. The links stand until its lane has its answer.
    void sim.node('a').life.stop(false);
    await sim.run(5);
    sim.network.heal('a', 'c');
    await sim.run(100);
    for (const name of ['b', 'c'])
      expect(sim.node(name).life.keyspace.find(slotOf(key), 0, key)?.dirty).not.toBe(0);
    sim.kill('a');
    await sim.settle('b', 'c');
    for (const name of ['b', 'c'])
      expect(await sim.wait(sim.client(name).send('GET', key))).toBe('$-1');
  });
});

describe('a paused node', () => {
  test('answers nothing from before its pause, and joins anew', async () => {
    const { sim, key } = await threeNodes();
    await sim.wait(sim.client('a').send('SET', key, 'old'));
    sim.node('a').host.pause();
    const writer = sim.client('b');
    expect(await sim.wait(writer.send('SET', key, 'new'))).toMatch(/OK|UNKNOWN/);
    expect(await sim.wait(writer.send('SET', key, 'newer'))).toBe('+OK');
    sim.node('a').host.wake();
    const read = track(sim.client('a').send('GET', key));
    await sim.settle('a', 'b', 'c');
    await sim.run(200);
    expect(read.value).not.toBe('$3 old');
    expect(sim.node('a').cluster.expulsions).toBe(1);
    expect(await sim.wait(sim.client('a').send('GET', key))).toBe('$5 newer');
  });

  test('whose batch arrives after it was removed writes nothing', async () => {
    const { sim, key } = await threeNodes();
    sim.database.holdBatches('a');
    void sim.client('a').send('SET', key, 'late');
    await sim.until(() => sim.database.heldBatches > 0, 100, 'the batch is sent');
    sim.node('a').host.pause();
    await sim.settle('b', 'c');
    expect(await sim.wait(sim.client('b').send('SET', key, 'new'))).toBe('+OK');
    sim.database.releaseBatches('a');
    expect(sim.database.valueOf(key)).toBe('new');
  });

  test('that another process replaced under its name neither writes nor joins again (restart-same-id)', async () => {
    const { sim, key } = await threeNodes();
    const old = sim.node('a');
    old.host.pause();
    const fresh = sim.startNode('a');
    await sim.settle('a', 'b', 'c');
    const incarnation = fresh.life.self.incarnation;
    await sim.wait(sim.client('b').send('SET', key, 'v'));
    old.host.wake();
    await sim.run(3000);
    expect(old.cluster.expulsions).toBe(1);
    expect(fresh.cluster.expulsions).toBe(0);
    expect(fresh.life.self.incarnation).toBe(incarnation);
    expect(sim.database.views.at(-1)!.settled.map((member) => member.incarnation)).toContain(
      incarnation,
    );
    for (const name of ['b', 'c'])
      expect(await sim.wait(sim.client(name).send('GET', key))).toBe('$1 v');
  });
});

describe('the database', () => {
  test('away for three leases and back removes nobody (database-restart-longer-than-lease)', async () => {
    const { sim, key } = await threeNodes();
    await sim.wait(sim.client('a').send('SET', key, 'v'));
    await sim.run(500);
    const { epoch } = sim.node('a').cluster;
    sim.database.down = true;
    await sim.run(4500);
    // Everybody is without a lease, and everybody says so: cached keys are read on.
    for (const name of ['a', 'b', 'c'])
      expect(await sim.wait(sim.client(name).send('GET', key))).toBe('$1 v');
    expect(await sim.wait(sim.client('b').send('SET', key, 'w'))).toMatch(/^-(STOREDOWN|NOTDONE)/);
    sim.database.down = false;
    await sim.settle('a', 'b', 'c');
    expect(sim.node('a').cluster.epoch).toBe(epoch);
    expect(await sim.wait(sim.client('b').send('SET', key, 'w'))).toBe('+OK');
  });

  test('whose clock steps removes nobody with a running lease (database-clock-steps)', async () => {
    const { sim } = await threeNodes();
    const { epoch } = sim.node('a').cluster;
    sim.database.wallOffsetMs = 3000;
    await sim.run(2000);
    sim.database.wallOffsetMs = -3000;
    await sim.run(2000);
    expect(sim.node('a').cluster.epoch).toBe(epoch);
  });

  test('that loses a connection while a renewal is answered costs that node nothing', async () => {
    const sim = new Sim({ storeTimeoutMs: 1000, answerMarginMs: 1000 });
    await sim.startAll('a', 'b', 'c');
    const { lease, membership } = sim.node('a').life;
    const { epoch } = sim.node('a').cluster;
    const { flushMs } = sim.database;
    await sim.run(1000);
    sim.database.flushMs = () => 50;
    membership.renewNow();
    // It has arrived, and its answer waits for the commit.
    await sim.run(20);
    sim.network.breakUnnoticed(DATABASE, 'a');
    sim.database.flushMs = flushMs;
    for (let i = 0; i < 4000; i++) {
      await sim.run(1);
      expect(lease.valid).toBe(true);
    }
    expect(sim.node('a').cluster.epoch).toBe(epoch);
  });

  test('cut from one node takes this one out and keeps its batch away', async () => {
    const { sim, key } = await threeNodes();
    sim.database.unreachableFor.add('a');
    const write = track(sim.client('a').send('SET', key, 'mine'));
    await sim.settle('b', 'c');
    expect(await sim.wait(sim.client('b').send('SET', key, 'theirs'))).toBe('+OK');
    sim.database.unreachableFor.clear();
    await sim.settle('a', 'b', 'c');
    await sim.run(3000);
    expect(write.value).toMatch(/^-/);
    expect(sim.database.valueOf(key)).toBe('theirs');
    for (const name of ['a', 'b', 'c'])
      expect(await sim.wait(sim.client(name).send('GET', key))).toBe('$6 theirs');
  });

  test('cut from a minority: its nodes refuse reads when told to (minority-with-database)', async () => {
    const sim = new Sim({ readsWithoutStore: 'refuse' });
    await sim.startAll('a', 'b', 'c');
    const key = sim.keyOn('a');
    await sim.wait(sim.client('a').send('SET', key, 'old'));
    for (const name of ['a', 'b']) sim.database.unreachableFor.add(name);
    for (const name of ['a', 'b']) sim.network.cut(name, 'c');
    await sim.settle('c');
    expect(await sim.wait(sim.client('c').send('SET', key, 'new'))).toBe('+OK');
    for (const name of ['a', 'b'])
      expect(await sim.wait(sim.client(name).send('GET', key))).toMatch(/^-/);
  });
});

describe('a standby that takes over from the database (other-database)', () => {
  test('without the last commits: what memory had of them is dropped, and no version comes twice', async () => {
    const { sim, key } = await threeNodes();
    await sim.wait(sim.client('b').send('SET', key, 'kept'));
    const standby = sim.database.snapshot();
    await sim.wait(sim.client('b').send('SET', key, 'lost'));
    const { epoch } = sim.node('a').cluster;
    sim.database.failOver(standby);
    await sim.until(() => sim.node('a').cluster.epoch > epoch, 5000, 'a view of the new server');
    await sim.settle('a', 'b', 'c');
    for (const name of ['a', 'b', 'c']) {
      expect(sim.node(name).cluster.expulsions).toBe(1);
      expect(await sim.wait(sim.client(name).send('GET', key))).toBe('$4 kept');
    }
    expect(await sim.wait(sim.client('c').send('SET', key, 'new'))).toBe('+OK');
    expect(sim.database.valueOf(key)).toBe('new');
  });

  test('without the last views: the next one is above every epoch that a node has seen', async () => {
    const { sim, key } = await threeNodes();
    await sim.wait(sim.client('b').send('SET', key, 'kept'));
    const standby = sim.database.snapshot();
    sim.startNode('d');
    await sim.settle('a', 'b', 'c', 'd');
    await sim.wait(sim.client('d').send('SET', key, 'lost'));
    const { epoch } = sim.node('a').cluster;
    expect(epoch).toBeGreaterThan(standby.views.at(-1)!.epoch + 1);
    sim.database.failOver(standby);
    await sim.settle('a', 'b', 'c', 'd');
    const fresh = sim.database.views.slice(standby.views.length);
    expect(Math.min(...fresh.map((view) => view.epoch))).toBeGreaterThan(epoch);
    for (const name of ['a', 'b', 'c', 'd'])
      expect(await sim.wait(sim.client(name).send('GET', key))).toBe('$4 kept');
  });

  test('as long as a node has not noticed, it commits nothing and acknowledges nothing', async () => {
    const { sim, key } = await threeNodes();
    await sim.wait(sim.client('a').send('SET', key, 'kept'));
    const standby = sim.database.snapshot();
    sim.database.holdBatches('a');
    const write = track(sim.client('a').send('SET', key, 'under way'));
    await sim.until(() => sim.database.heldBatches > 0, 100, 'the batch is sent');
    sim.database.failOver(standby);
    await sim.settle('a', 'b', 'c');
    await sim.until(() => write.done, 6000, 'the write ends');
    expect(write.value).toMatch(/^-UNKNOWN/);
    expect(sim.database.valueOf(key)).toBe('kept');
  });

  test('with nothing but an older table: views begin above what was seen, and the keys come from it', async () => {
    const { sim, key } = await threeNodes();
    const empty = sim.database.snapshot();
    await sim.wait(sim.client('a').send('SET', key, 'lost'));
    const { epoch } = sim.node('a').cluster;
    sim.database.failOver({ ...empty, views: [], lanes: new Map(), leases: new Map() });
    await sim.settle('a', 'b', 'c');
    expect(sim.database.views[0]!.epoch).toBeGreaterThan(epoch);
    expect(await sim.wait(sim.client('b').send('GET', key))).toBe('$-1');
  });
});

describe('a node that joins', () => {
  test('while every node has batches in flight, lets no client see an error (join-fences-everyone)', async () => {
    const { sim } = await threeNodes();
    const keys = ['a', 'b', 'c'].map((name) => sim.keyOn(name));
    for (const name of ['a', 'b', 'c']) sim.database.holdBatches(name);
    const { epoch } = sim.node('a').cluster;
    const writes = keys.map((key, i) => sim.client(['b', 'c', 'a'][i]!).send('INCR', key));
    await sim.run(20);
    expect(sim.database.heldBatches).toBe(3);
    sim.startNode('d');
    await sim.until(() => sim.database.views.at(-1)!.epoch > epoch, 5000, 'd is in a view');
    for (const name of ['a', 'b', 'c']) sim.database.releaseBatches(name);
    expect(await sim.wait(Promise.all(writes))).toEqual([':1', ':1', ':1']);
    await sim.settle('a', 'b', 'c', 'd');
    expect(await sim.wait(sim.client('d').send('MGET', ...keys))).toBe('*3 $1 1 $1 1 $1 1');
  });

  test('gets the `none` keys of the slots that it takes over', async () => {
    const { sim } = await threeNodes({ replicas: 2 });
    const client = sim.client('b');
    for (let i = 0; i < 60; i++) await sim.wait(client.send('SET', `none:${i}`, String(i)));
    sim.startNode('d');
    await sim.settle('a', 'b', 'c', 'd');
    await sim.run(50);
    for (let i = 0; i < 60; i++) {
      expect(await sim.wait(sim.client('d').send('GET', `none:${i}`))).toBe(
        `$${String(i).length} ${i}`,
      );
    }
    const owned = Array.from({ length: 60 }, (_, i) => `none:${i}`).filter((key) =>
      sim.ownersOf(key).includes('d'),
    );
    expect(owned.length).toBeGreaterThan(0);
    for (const key of owned)
      expect(sim.node('d').life.keyspace.find(slotOf(key), 0, key)?.value).toBeDefined();
  });
});

describe('nodes that join and lose whom they learn from', () => {
  test('have the same answers, though only some of them had got a `none` key', async () => {
    const sim = new Sim();
    await sim.startAll('a');
    const keys = Array.from({ length: 12 }, (_, i) => `${NONE_PREFIX}${i}`);
    const client = sim.client('a');
    await sim.wait(Promise.all(keys.map((key) => client.send('SET', key, 'v'))));
    sim.startNode('b');
    sim.startNode('c');
    const areComing = (): boolean => sim.database.views.at(-1)!.coming.length === 3;
    await sim.until(areComing, 2000, 'b and c join');
    // b learns, and c cannot, so neither becomes an owner.
    sim.network.cut('a', 'c');
    const has = (name: string, key: string): boolean =>
      sim.node(name).life.keyspace.find(slotOf(key), 0, key) !== undefined;
    await sim.until(() => keys.every((key) => has('b', key)), 2000, 'b has learned');
    expect(keys.some((key) => has('c', key))).toBe(false);
    sim.kill('a');
    await sim.settle('b', 'c');
    for (const key of keys) {
      const asked = ['b', 'c'].map((name) => sim.wait(sim.client(name).send('GET', key)));
      const [fromB, fromC] = await Promise.all(asked);
      expect([key, fromB]).toEqual([key, fromC]);
      expect(has('b', key)).toBe(has('c', key));
    }
  });
});

describe('a cluster of which every node died', () => {
  test('has everything that was acknowledged after its cold start', async () => {
    const { sim } = await threeNodes({ warmUp: true });
    const client = sim.client('b');
    for (let i = 0; i < 20; i++) await sim.wait(client.send('SET', `k${i}`, String(i)));
    for (const name of ['a', 'b', 'c']) sim.kill(name);
    await sim.startAll('a', 'b', 'c');
    for (let i = 0; i < 20; i++) {
      expect(await sim.wait(sim.client('c').send('GET', `k${i}`))).toBe(
        `$${String(i).length} ${i}`,
      );
    }
  });
});

describe('a link that is cut', () => {
  test('between two nodes for a moment delays writes and loses none', async () => {
    const { sim, key } = await threeNodes();
    sim.network.cut('a', 'b');
    const write = track(sim.client('a').send('SET', key, 'v'));
    await sim.run(800);
    expect(write.done).toBe(false);
    sim.network.heal('a', 'b');
    await sim.run(300);
    expect(write.value).toBe('+OK');
    expect(sim.node('b').life.keyspace.find(slotOf(key), 0, key)).toMatchObject({
      value: 'v',
      dirty: 0,
    });
  });
});
