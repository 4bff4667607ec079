/** Schedules of leases, clocks and the database: who may answer, and who is removed. */
import { expect, it } from 'vitest';
import { Sim } from '../../../../chaos/sim/cluster.ts';
import { DATABASE } from '../../../../chaos/sim/ground.ts';
import {
  batchHeld,
  expectEverywhere,
  justRenewed,
  schedule,
  threeNodes,
  track,
} from './support.ts';

const ABC = ['a', 'b', 'c'];

schedule(
  'renewal-in-flight',
  'a renewal that is heard of after the removal gives no right',
  async () => {
    // The answer is waited for longer than the removal takes: only the lease itself protects.
    const options = { readsWithoutStore: 'refuse', answerMarginMs: 20_000 } as const;
    const { sim, onA: key } = await threeNodes(options);
    await sim.wait(sim.client('b').send('SET', key, 'old'));
    sim.database.holdAnswers('a', 'lease');
    await sim.until(() => sim.database.heldAnswers('a', 'lease') > 0, 1000, 'a renews');
    for (const other of ['b', 'c']) sim.network.cut('a', other);
    sim.database.cutSession('a', 'control');
    await sim.settle('b', 'c');
    expect(await sim.wait(sim.client('b').send('SET', key, 'new'))).toBe('+OK');
    sim.database.releaseAnswers('a', 'lease');
    for (let i = 0; i < 40; i++) {
      const read = track(sim.client('a').send('GET', key));
      await sim.run(10);
      expect(read.value ?? 'no answer').not.toBe('$3 old');
    }
  },
);

schedule('renewal-in-flight', 'a removal that a renewal overtook is refused', async () => {
  const { sim } = await threeNodes();
  const { self, membership } = sim.node('c').life;
  const view = membership.view!;
  const counter = sim.database.counterOf(self)!;
  await justRenewed(sim, 'c');
  const without = {
    ...view,
    epoch: view.epoch + 1,
    previous: view.epoch,
    id: 'x',
    removed: [self],
    coming: [],
  };
  expect(() => sim.database.propose({ view: without, removals: [{ ref: self, counter }] })).toThrow(
    'has renewed its lease',
  );
});

for (const [stepMs, direction] of [
  [3000, 'ahead'],
  [-3000, 'back'],
] as const) {
  schedule('database-clock-steps', `three seconds ${direction} remove nobody`, async () => {
    const { sim } = await threeNodes();
    const { epoch } = sim.node('a').cluster;
    // The others have seen the same counter before and after the step, while the lease runs on.
    await justRenewed(sim, 'c');
    sim.database.cutSession('c', 'lease');
    await sim.run(600);
    sim.database.wallOffsetMs = stepMs;
    await sim.run(600);
    expect(sim.node('c').life.lease.valid).toBe(true);
    sim.database.healSession('c', 'lease');
    await sim.run(2000);
    expect(sim.node('a').cluster.epoch).toBe(epoch);
  });
}

it('a database that is far away costs nobody its place', async () => {
  const { sim } = await threeNodes({ leaseMs: 1200, storeTimeoutMs: 2000, answerMarginMs: 1000 });
  const { epoch } = sim.node('a').cluster;
  // Each renewal takes longer than is waited for before the next one is begun on another session.
  for (const [from, to] of [
    ['c', DATABASE],
    [DATABASE, 'c'],
  ] as const)
    sim.network.delay(from, to, 330);
  await sim.run(15_000);
  expect(sim.node('a').cluster.epoch).toBe(epoch);
});

schedule('renewals-lost', 'counters that stand lower after a crash remove nobody', async () => {
  const { sim } = await threeNodes();
  await sim.run(6000);
  const { epoch } = sim.node('a').cluster;
  sim.database.crash();
  await sim.run(300);
  sim.database.loseRenewals(10);
  sim.database.restart();
  await sim.run(4000);
  expect(sim.node('a').cluster.epoch).toBe(epoch);
  await sim.settle(...ABC);
});

schedule('renewals-lost', 'lost renewals that nobody else saw remove nobody', async () => {
  const { sim } = await threeNodes();
  const { epoch } = sim.node('a').cluster;
  const { self, lease } = sim.node('c').life;
  await justRenewed(sim, 'c');
  const seen = sim.database.counterOf(self)!;
  for (const name of ['a', 'b']) sim.node(name).life.membership.renewNow();
  for (const name of ['a', 'b']) await justRenewed(sim, name);
  for (const name of ['a', 'b']) sim.database.cutSession(name, 'lease');
  await justRenewed(sim, 'c');
  sim.database.crash();
  sim.database.loseRenewals(sim.database.counterOf(self)! - seen);
  sim.database.restart();
  for (const name of ['a', 'b']) sim.database.healSession(name, 'lease');
  // What the others see of it stands still since before those renewals, which hold all the same.
  sim.database.cutSession('c', 'lease');
  while (lease.valid) {
    expect(sim.node('a').cluster.epoch).toBe(epoch);
    await sim.run(5);
  }
  sim.database.healSession('c', 'lease');
  await sim.settle(...ABC);
});

schedule('database-restart-longer-than-lease', 'everybody gets the time to renew', async () => {
  const { sim, onA: key } = await threeNodes();
  await sim.wait(sim.client('a').send('SET', key, 'v'));
  await sim.run(500);
  const { epoch } = sim.node('a').cluster;
  // `a` has seen the counters of the others as they are when the database goes away.
  for (const name of ['b', 'c']) sim.database.cutSession(name, 'lease');
  await sim.run(600);
  sim.database.down = true;
  await sim.run(4500);
  // Everybody is without a lease, and everybody says so: cached keys are read on.
  await expectEverywhere(sim, ABC, ['GET', key], '$1 v');
  expect(await sim.wait(sim.client('b').send('SET', key, 'w'))).toMatch(/^-(STOREDOWN|NOTDONE)/);
  // One of them finds it first.
  sim.database.down = false;
  await sim.until(() => sim.node('a').life.lease.valid, 1000, 'a has renewed');
  await sim.run(600);
  for (const name of ['b', 'c']) sim.database.healSession(name, 'lease');
  await sim.settle(...ABC);
  expect(sim.node('a').cluster.epoch).toBe(epoch);
  await expectEverywhere(sim, ['b'], ['SET', key, 'w'], '+OK');
});

schedule(
  'minority-with-database',
  'told to refuse, those without the database answer nothing',
  async () => {
    const sim = new Sim({ readsWithoutStore: 'refuse' });
    await sim.startAll('a', 'b', 'c', 'd', 'e');
    await shutOut(sim, ['a', 'b', 'c'], ['d', 'e']);
  },
);

schedule(
  'minority-with-database',
  'by default, only a majority goes on reading, and says so',
  async () => {
    const sim = new Sim({});
    await sim.startAll('a', 'b', 'c', 'd', 'e');
    const key = sim.keyOn('a');
    await sim.wait(sim.client('a').send('SET', key, 'old'));
    await shutOut(sim, ['a', 'b'], ['c', 'd', 'e']);
  },
);

schedule('minority-with-database', 'a majority without leases reads on and is marked', async () => {
  const sim = new Sim({});
  const inside = ['a', 'b', 'c'];
  await sim.startAll(...inside, 'd', 'e');
  const key = sim.keyOn('a');
  await sim.wait(sim.client('a').send('SET', key, 'v'));
  await sim.run(20);
  const owners = sim.ownersOf(key).filter((name) => inside.includes(name));
  for (const name of inside) {
    sim.database.unreachableFor.add(name);
    for (const other of ['d', 'e']) sim.network.cut(name, other);
  }
  await sim.run(1800);
  for (const name of owners) {
    await expectEverywhere(sim, [name], ['GET', key], '$1 v');
    const { blocking } = sim.node(name).cluster.problems();
    expect(blocking.join(), name).toContain('serving reads of cached keys only');
    const write = await sim.wait(sim.client(name).send('SET', key, 'w'));
    expect(write).toMatch(/^-(STOREDOWN|NOTDONE)/);
  }
});

/** Cuts `out` from the others, which have the database: whoever is out answers nothing from then on. */
async function shutOut(sim: Sim, out: readonly string[], rest: readonly string[]): Promise<void> {
  const key = sim.keyOn('a', 'shut');
  expect(await sim.wait(sim.client('a').send('SET', key, 'old'))).toBe('+OK');
  for (const name of out) {
    sim.database.unreachableFor.add(name);
    for (const other of rest) sim.network.cut(name, other);
  }
  await sim.settle(...rest);
  await expectEverywhere(sim, [rest[0]!], ['SET', key, 'new'], '+OK');
  const reads = out.map((name) => track(sim.client(name).send('GET', key)));
  await sim.until(() => reads.every(({ done }) => done), 6000, 'reads are answered');
  for (const read of reads) expect(read.value).toMatch(/^-/);
}

schedule('suspend', 'a machine that slept answers nothing from before', async () => {
  const { sim, onA: key } = await threeNodes();
  await sim.wait(sim.client('a').send('SET', key, 'old'));
  await justRenewed(sim, 'a');
  sim.node('a').host.suspend();
  await sim.run(7000);
  await sim.settle('b', 'c');
  expect(await sim.wait(sim.client('b').send('SET', key, 'new'))).toBe('+OK');
  await sim.run(3000);
  sim.node('a').host.resume();
  const reads = [track(sim.client('a').send('GET', key))];
  for (let i = 0; i < 50; i++) {
    await sim.run(2);
    reads.push(track(sim.client('a').send('GET', key)));
  }
  await sim.settle(...ABC);
  for (const read of reads) expect(read.value).not.toBe('$3 old');
  await expectEverywhere(sim, ['a'], ['GET', key], '$3 new');
});

schedule(
  'restart-same-id',
  'the old process neither renews, nor writes, nor speaks to anybody',
  async () => {
    const { sim, onA: key } = await threeNodes();
    sim.database.holdBatches('a');
    const old = sim.node('a');
    void sim.client('a').send('SET', key, 'old');
    await batchHeld(sim);
    old.host.pause();
    const fresh = sim.startNode('a');
    await sim.until(() => fresh.cluster.life !== null, 2000, 'it lives');
    sim.database.releaseBatches('a');
    await sim.settle(...ABC);
    const { incarnation } = fresh.life.self;
    await sim.wait(sim.client('b').send('SET', key, 'new'));
    old.host.wake();
    await sim.run(3000);
    expect(old.cluster.expulsions).toBe(1);
    expect(fresh.cluster.expulsions).toBe(0);
    expect(fresh.life.self.incarnation).toBe(incarnation);
    const members = sim.database.views.at(-1)!.settled.map((member) => member.incarnation);
    expect(members).toContain(incarnation);
    await expectEverywhere(sim, ABC, ['GET', key], '$3 new');
    expect(sim.database.valueOf(key)).toBe('new');
  },
);

schedule('stopped-inside-batch', 'the view change ends its batch and goes on', async () => {
  const { sim, onA: key, onB } = await threeNodes();
  await sim.wait(sim.client('b').send('SET', key, 'old'));
  sim.database.holdCommits('a');
  void sim.client('a').send('SET', key, 'late');
  await sim.until(() => sim.database.isHeld('commit a'), 200, 'the batch has its locks');
  sim.node('a').host.pause();
  const paused = sim.time.monotonicMs();
  await sim.settle('b', 'c');
  // A lease until it counts as dead, and the bound of a batch; no timeout of the server is as short.
  expect(sim.time.monotonicMs() - paused).toBeLessThan(3000);
  await expectEverywhere(sim, ['b'], ['SET', onB, 'v'], '+OK');
  await expectEverywhere(sim, ['b', 'c'], ['GET', key], '$3 old');
  sim.database.releaseCommits('a');
  await sim.run(20);
  expect(sim.database.valueOf(key)).toBe('old');
  sim.node('a').host.wake();
  await sim.settle(...ABC);
  await expectEverywhere(sim, ABC, ['GET', key], '$3 old');
});

schedule('half-cut-live-node', 'the node ends its old backend, and writes on', async () => {
  const { sim, onA: key, onB } = await threeNodes();
  sim.database.holdCommits('a');
  const write = track(sim.client('b').send('SET', key, 'v'));
  await sim.until(() => sim.database.isHeld('commit a'), 200, 'the batch has its locks');
  // The node sees its connection break; the backend goes on holding its lock.
  sim.database.breakLane('a');
  await expectEverywhere(sim, ['c'], ['SET', onB, 'v'], '+OK');
  sim.startNode('d');
  // No timeout of the server is as short.
  const coming = (): number => sim.database.views.at(-1)!.coming.length;
  await sim.until(() => coming() === 4, 2500, 'd is in a view');
  sim.database.releaseCommits('a');
  await sim.until(() => write.done, 2000, 'it is answered');
  expect(write.value).toMatch(/^\+OK|^-UNKNOWN/);
  await sim.settle(...ABC, 'd');
  await expectEverywhere(sim, ['b'], ['SET', key, 'w'], '+OK');
  expect(sim.node('a').cluster.expulsions).toBe(0);
  await expectEverywhere(sim, ['d'], ['GET', key], '$1 w');
});

schedule('other-database', 'nodes notice, drop, and start above the highest epoch', async () => {
  const { sim, onA: key } = await threeNodes();
  await sim.wait(sim.client('b').send('SET', key, 'kept'));
  const standby = sim.database.snapshot();
  sim.startNode('d');
  await sim.settle(...ABC, 'd');
  await expectEverywhere(sim, ['d'], ['SET', key, 'lost'], '+OK');
  const { epoch } = sim.node('a').cluster;
  sim.database.failOver(standby);
  await sim.settle(...ABC, 'd');
  const fresh = sim.database.views.slice(standby.views.length);
  expect(Math.min(...fresh.map((view) => view.epoch))).toBeGreaterThan(epoch);
  await expectEverywhere(sim, [...ABC, 'd'], ['GET', key], '$4 kept');
  await expectEverywhere(sim, ['c'], ['SET', key, 'new'], '+OK');
  expect(sim.database.valueOf(key)).toBe('new');
});
