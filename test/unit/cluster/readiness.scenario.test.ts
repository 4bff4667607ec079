/** What a node says of itself (`/readyz`), and whether its answers bear it out, in virtual time. */
import { describe, expect, test } from 'vitest';
import { Sim } from '../../../chaos/sim/cluster.ts';

const LEASE_MS = 1500;
const NODES = ['a', 'b', 'c'];

async function cluster(): Promise<Sim> {
  const sim = new Sim();
  await sim.startAll(...NODES);
  await sim.run(300);
  return sim;
}

function isReady(sim: Sim, name: string): boolean {
  return sim.node(name).cluster.problems().blocking.length === 0;
}

interface Watch {
  /** Nodes that answered LOADING in the very moment in which they said that they are ready. */
  readonly liars: Set<string>;
  /** How often a node was asked while it was ready, and while it answered LOADING: both must have been. */
  readonly asked: { ready: number; loading: number };
}

/** Asks every living node every millisecond from now on. */
function watch(sim: Sim): Watch {
  const liars = new Set<string>();
  const asked = { ready: 0, loading: 0 };
  const ask = (name: string): void => {
    const { cluster } = sim.node(name);
    const ready = isReady(sim, name);
    const reply = cluster.submit({
      prepared: sim.prepare(['GET', 'k']),
      order: cluster.openClient(),
      done: () => undefined,
    });
    const loading = reply?.startsWith('-LOADING') === true;
    if (ready) asked.ready++;
    if (loading) asked.loading++;
    if (ready && loading) liars.add(name);
  };
  sim.time.every(1, () => {
    for (const [name, { host }] of sim.nodes) if (!host.dead && !host.paused) ask(name);
  });
  return { liars, asked };
}

describe('a node that says it is ready does not answer LOADING', () => {
  test.each<[string, (sim: Sim) => Promise<void>]>([
    [
      'when it wakes up replaced',
      async (sim) => {
        sim.node('b').host.pause();
        await sim.run(3 * LEASE_MS);
        sim.node('b').host.wake();
      },
    ],
    [
      'when it has lost its place by a complaint',
      async (sim) => {
        sim.network.cut('a', 'b');
        await sim.until(() => sim.node('b').cluster.expulsions > 0, 3 * LEASE_MS, 'b goes');
        await sim.run(LEASE_MS);
        sim.network.heal('a', 'b');
      },
    ],
    [
      'when it was cut off from the database and is let in again',
      async (sim) => {
        sim.database.unreachableFor.add('b');
        await sim.run(3 * LEASE_MS);
        sim.database.unreachableFor.delete('b');
      },
    ],
    [
      'when its process is started again',
      async (sim) => {
        sim.kill('b');
        await sim.run(2 * LEASE_MS);
        sim.startNode('b');
      },
    ],
  ])('%s', async (_when, breakIt) => {
    const sim = await cluster();
    const { liars, asked } = watch(sim);
    await breakIt(sim);
    await sim.run(LEASE_MS);
    await sim.settle(...NODES);
    await sim.run(300);
    expect([...liars]).toEqual([]);
    expect(asked.ready).toBeGreaterThan(1000);
    expect(asked.loading).toBeGreaterThan(10);
  });
});

test('the loser of a complaint goes on saying that it is ready for a third of a lease at most', async () => {
  const sim = await cluster();
  sim.network.cut('a', 'b');
  await sim.until(() => sim.database.settlements.length > 0, 3 * LEASE_MS, 'it is settled');
  expect(isReady(sim, 'b')).toBe(true);
  await sim.until(() => !isReady(sim, 'b'), LEASE_MS / 3 + 10, 'b says that it is not ready');
});

test('a node that is being stopped says so from the beginning, while it still answers its clients', async () => {
  const sim = await cluster();
  const key = sim.keyOn('b');
  await sim.wait(sim.client('b').send('SET', key, 'v'));
  const stopped = sim.node('b').parts.stop();
  expect(sim.node('b').cluster.problems().blocking).toEqual(['stopping']);
  expect(await sim.wait(sim.client('b').send('GET', key))).toBe('$1 v');
  await sim.wait(stopped);
  expect(sim.node('b').cluster.problems().blocking).toEqual(['stopping']);
});
