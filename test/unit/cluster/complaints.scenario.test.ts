/** Nodes that reach the database and not each other, on a whole cluster in virtual time. */
import { describe, expect, test } from 'vitest';
import { Sim, type SimOptions } from '../../../chaos/sim/cluster.ts';

const LEASE_MS = 1500;

async function cluster(names: readonly string[], options: SimOptions = {}): Promise<Sim> {
  const sim = new Sim(options);
  await sim.startAll(...names);
  await sim.run(300);
  return sim;
}

/** How long a write takes whose effects cannot reach one of the owners. */
async function timeOfWrite(sim: Sim, at: string, key: string): Promise<number> {
  const started = sim.time.monotonicMs();
  expect(await sim.wait(sim.client(at).send('SET', key, 'v'))).toBe('+OK');
  return sim.time.monotonicMs() - started;
}

function losers(sim: Sim): string[] {
  return sim.database.settlements.map(({ loser }) => loser.node);
}

describe('the link between two of three nodes', () => {
  test.each([
    ['both ways', (sim: Sim) => sim.network.cut('a', 'b')],
    ['one way', (sim: Sim) => sim.network.cutOneWay('a', 'b')],
    ['the other way', (sim: Sim) => sim.network.cutOneWay('b', 'a')],
  ])(
    'cut %s: the one with the higher id goes, and writes go on within two leases (one-cut-link)',
    async (_how, cut) => {
      const sim = await cluster(['a', 'b', 'c']);
      const key = sim.keyOn('a');
      cut(sim);
      expect(await timeOfWrite(sim, 'c', key)).toBeLessThan(2 * LEASE_MS);
      expect(losers(sim)).toEqual(['b']);
      expect(sim.ownersOf(key)).toEqual(['a', 'c']);
    },
  );

  test('cut for long: the loser stays out and says why, and comes back when it is mended', async () => {
    const sim = await cluster(['a', 'b', 'c']);
    sim.network.cut('a', 'b');
    await sim.settle('a', 'c');
    const { epoch } = sim.node('a').cluster;
    await sim.run(20_000);
    expect(sim.node('a').cluster.epoch).toBe(epoch);
    const { blocking } = sim.node('b').cluster.problems();
    expect(blocking.join()).toMatch(/^joining: no link to a .*no working link between b and a/);
    sim.network.heal('a', 'b');
    await sim.settle('a', 'b', 'c');
    expect(losers(sim)).toEqual(['b']);
    expect(sim.node('b').cluster.expulsions).toBe(1);
  });

  test('cut for less than half a lease removes nobody', async () => {
    const sim = await cluster(['a', 'b', 'c']);
    const { epoch } = sim.node('a').cluster;
    sim.network.cut('a', 'b');
    await sim.run(LEASE_MS / 2 - 100);
    sim.network.heal('a', 'b');
    await sim.run(3 * LEASE_MS);
    expect(sim.node('a').cluster.epoch).toBe(epoch);
    expect(sim.database.settlements).toEqual([]);
  });
});

describe('a node whose links stand still while it renews its lease (stuck-but-renewing)', () => {
  test('goes, also when it has the lowest id, and no other goes', async () => {
    const sim = await cluster(['a', 'b', 'c']);
    const key = sim.keyOn('b');
    for (const other of ['b', 'c']) sim.network.cut('a', other);
    expect(await timeOfWrite(sim, 'c', key)).toBeLessThan(2 * LEASE_MS);
    await sim.run(5 * LEASE_MS);
    expect(losers(sim)).toEqual(['a']);
    await sim.settle('b', 'c');
  });

  test('goes before a settled one when it is a learner', async () => {
    const sim = await cluster(['b', 'c', 'd']);
    sim.startNode('a');
    await sim.until(() => sim.database.views.at(-1)!.coming.length === 4, 5000, 'a learns');
    sim.network.cut('a', 'd');
    await sim.until(() => losers(sim).length > 0, 2 * LEASE_MS, 'it is settled');
    await sim.settle('b', 'c', 'd');
    expect(losers(sim)).toEqual(['a']);
  });

  test('and whose own renewals stop after the settlement is removed when its lease is over', async () => {
    const sim = await cluster(['a', 'b', 'c']);
    const key = sim.keyOn('a');
    sim.network.cut('a', 'b');
    const started = sim.time.monotonicMs();
    const write = sim.client('c').send('SET', key, 'v');
    await sim.until(() => sim.database.settlements.length === 1, 3000, 'it is settled');
    sim.node('b').host.pause();
    expect(await sim.wait(write)).toBe('+OK');
    expect(sim.time.monotonicMs() - started).toBeLessThan(2.25 * LEASE_MS);
  });
});

describe('a cluster cut into two parts that both reach the database', () => {
  test.each([
    [
      ['a', 'b'],
      ['c', 'd', 'e'],
      ['c', 'd', 'e'],
    ],
    [
      ['a', 'e'],
      ['b', 'c', 'd'],
      ['b', 'c', 'd'],
    ],
    [
      ['a', 'd'],
      ['b', 'c'],
      ['a', 'd'],
    ],
    [['b'], ['a'], ['a']],
  ])('%j and %j: %j stay', async (left, right, staying) => {
    const sim = await cluster([...left, ...right].sort());
    for (const a of left) for (const b of right) sim.network.cut(a, b);
    await sim.settle(...staying);
    await sim.run(4 * LEASE_MS);
    const view = sim.database.views.at(-1)!;
    expect(view.coming.map(({ node }) => node)).toEqual(staying);
    const gone = [...left, ...right].filter((node) => !staying.includes(node)).sort();
    expect(losers(sim).sort()).toEqual(gone);
  });
});

describe('nobody is complained of', () => {
  test.each([800, 900, 1000, 1050])('for a pause of %d ms', async (pauseMs) => {
    const sim = await cluster(['a', 'b', 'c']);
    const { epoch } = sim.node('a').cluster;
    sim.node('b').host.pause();
    await sim.run(pauseMs);
    sim.node('b').host.wake();
    await sim.run(3 * LEASE_MS);
    expect(sim.database.settlements).toEqual([]);
    expect(sim.node('a').cluster.epoch).toBe(epoch);
  });

  test('while the database is away', async () => {
    const sim = await cluster(['a', 'b', 'c']);
    sim.database.down = true;
    sim.network.cut('a', 'b');
    await sim.run(3 * LEASE_MS);
    sim.network.heal('a', 'b');
    await sim.run(100);
    sim.database.down = false;
    await sim.settle('a', 'b', 'c');
    expect(sim.database.settlements).toEqual([]);
  });
});

test('one replica that does not confirm holds up only slots that it owns (dead-replica-one-slot)', async () => {
  const sim = await cluster(['a', 'b', 'c', 'd'], { replicas: 2 });
  const keys = Array.from({ length: 500 }, (_, i) => `k${i}`);
  const key = keys.find((candidate) => !sim.ownersOf(candidate).includes('d'))!;
  for (const other of ['a', 'b', 'c']) sim.network.cut('d', other);
  await sim.run(50);
  const [primary] = sim.ownersOf(key);
  for (let i = 0; i < 20; i++) expect(await timeOfWrite(sim, primary!, key)).toBeLessThan(30);
});
