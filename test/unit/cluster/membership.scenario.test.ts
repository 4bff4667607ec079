/**
 * Planned changes of membership under load, on a whole cluster in virtual time: nobody sees an error,
 * nothing is lost or stale, and every owner has its keys in memory afterwards.
 */
import { describe, expect, test } from 'vitest';
import { Sim, type SimOptions } from '../../../chaos/sim/cluster.ts';
import { SLOT_COUNT, slotOf } from '../../../src/cluster/slot.ts';
import { forceView } from './schedules/support.ts';
import { type LoadOptions, SteadyLoad } from './steady-load.ts';

/** A cluster with some keys of both kinds, and clients at work on `busy`. */
async function underLoad(
  names: readonly string[],
  busy: readonly string[],
  { sim: simOptions = {}, load = {} }: { sim?: SimOptions; load?: LoadOptions } = {},
): Promise<{ sim: Sim; load: SteadyLoad }> {
  const sim = new Sim(simOptions);
  await sim.startAll(...names);
  const client = sim.client(names[0]!);
  for (let i = 0; i < KEYS; i++) {
    for (const prefix of PREFIXES) await sim.wait(client.send('SET', `${prefix}${i}`, String(i)));
  }
  const steady = new SteadyLoad(sim, busy, { withNone: true, ...load });
  await sim.run(50);
  return { sim, load: steady };
}

const KEYS = 60;
const PREFIXES = ['k', 'none:k'];

/** After the change: no failure, and every owner of every key has it in its own memory. */
async function expectUnharmed(sim: Sim, load: SteadyLoad): Promise<void> {
  await sim.run(50);
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(load.replies).toBeGreaterThan(100);
  const missing: string[] = [];
  for (let i = 0; i < KEYS; i++) {
    for (const prefix of PREFIXES) {
      const key = `${prefix}${i}`;
      for (const owner of sim.ownersOf(key)) {
        const entry = sim.node(owner).life.keyspace.find(slotOf(key), 0, key);
        if (entry?.value !== String(i)) missing.push(`${key} on ${owner}`);
      }
    }
  }
  expect(missing).toEqual([]);
}

/** Waits until a node has some of the slots that it learns, and not all. */
function halfFilled(sim: Sim, name: string): Promise<void> {
  const isHalf = (): boolean => {
    const { life } = sim.node(name).cluster;
    return life !== null && life.learning > 0 && life.learning < life.toLearn;
  };
  return sim.until(isHalf, 5000, `${name} is half filled`);
}

/** As `main.ts` ends a process, and the next one with its name. */
async function restart(sim: Sim, name: string): Promise<void> {
  await sim.wait(sim.node(name).cluster.drain(2000));
  await sim.wait(sim.node(name).cluster.stop());
  sim.startNode(name);
}

const membersOf = (sim: Sim): string[] => sim.database.views.at(-1)!.settled.map((m) => m.node);

describe('under load, no request fails and nothing is lost when', () => {
  test('a node joins', async () => {
    const { sim, load } = await underLoad(['a', 'b', 'c'], ['a', 'b', 'c']);
    sim.startNode('d');
    await sim.settle('a', 'b', 'c', 'd');
    await expectUnharmed(sim, load);
  });

  test('two nodes join at once', async () => {
    const { sim, load } = await underLoad(['a', 'b', 'c'], ['a', 'b', 'c']);
    sim.startNode('d');
    sim.startNode('e');
    await sim.settle('a', 'b', 'c', 'd', 'e');
    await expectUnharmed(sim, load);
  });

  test('a node leaves, and its own clients go on until it is stopped', async () => {
    const { sim, load } = await underLoad(['a', 'b', 'c', 'd'], ['a', 'b', 'c', 'd']);
    await sim.wait(sim.node('d').cluster.leave());
    expect(membersOf(sim)).toEqual(['a', 'b', 'c']);
    expect(sim.node('d').life.holdsNothing).toBe(true);
    expect(sim.node('d').life.keyspace.dbKeyCount(0)).toBe(0);
    await sim.run(2000);
    await expectUnharmed(sim, load);
    await sim.wait(sim.node('d').cluster.stop());
    const { epoch } = sim.node('a').cluster;
    await sim.until(() => sim.node('a').cluster.epoch > epoch, 2000, 'd is in no view any more');
    // Nobody waits for one that had nothing.
    for (const name of ['a', 'b', 'c']) expect(sim.node(name).cluster.healthy).toBe(true);
  });

  test('a node leaves of a cluster that has just as many as there are replicas', async () => {
    const { sim, load } = await underLoad(['a', 'b', 'c'], ['a', 'b', 'c']);
    await sim.wait(sim.node('b').cluster.grant({ kind: 'leave', node: 'a' }));
    await sim.settle('b', 'c');
    await expectUnharmed(sim, load);
  });

  test('a node takes over from one that leaves', async () => {
    const { sim, load } = await underLoad(['a', 'b', 'c'], ['b', 'c']);
    sim.startNode('d');
    await sim.wait(sim.node('a').cluster.leave());
    await sim.settle('b', 'c', 'd');
    await expectUnharmed(sim, load);
  });

  test.each([
    [3, 2],
    [2, 3],
    [1, 3],
    [3, 1],
  ])('the number of replicas goes from %i to %i and back', async (from, to) => {
    const names = ['a', 'b', 'c', 'd'];
    const { sim, load } = await underLoad(names, names, { sim: { replicas: from } });
    for (const replicas of [to, from]) {
      await sim.wait(sim.node('c').cluster.grant({ kind: 'replicas', replicas }));
      await sim.until(
        () => sim.database.views.at(-1)!.replicas === replicas,
        10_000,
        `${replicas} replicas`,
      );
      await sim.settle(...names);
      expect(sim.ownersOf('k1')).toHaveLength(replicas);
    }
    await expectUnharmed(sim, load);
  });

  test('one node leads, then another one, then the ring decides', async () => {
    const names = ['a', 'b', 'c', 'd'];
    const { sim, load } = await underLoad(names, names, { sim: { replicas: 4 } });
    for (const node of ['b', 'd', null]) {
      await sim.wait(sim.node('c').cluster.grant({ kind: 'lead', node }));
      await sim.settle(...names);
      const primaries = new Set(
        ['k1', 'k2', 'k3', 'k4', 'k5', 'k6'].map((key) => sim.ownersOf(key)[0]),
      );
      if (node === null) expect(primaries.size).toBeGreaterThan(1);
      else expect(primaries).toEqual(new Set([node]));
    }
    await expectUnharmed(sim, load);
  });

  test('a node that forwards only cannot lead, and asking is refused at once', async () => {
    const { sim, load } = await underLoad(['a', 'b', 'c', 'd'], ['a', 'b', 'c']);
    await sim.wait(sim.node('d').cluster.leave());
    const { epoch } = sim.node('a').cluster;
    await expect(
      sim.wait(sim.node('a').cluster.grant({ kind: 'lead', node: 'd' })),
    ).rejects.toThrow('can lead');
    expect(sim.node('a').cluster.epoch).toBe(epoch);
    await expectUnharmed(sim, load);
  });

  test('a lead that is lost is followed by another one, and comes back as any node', async () => {
    const sim = new Sim({ primaries: 'one' });
    await sim.startAll('a', 'b', 'c');
    const lead = (): string | null => sim.database.views.at(-1)!.lead;
    const first = lead()!;
    const others = ['a', 'b', 'c'].filter((name) => name !== first);
    for (const name of others) {
      expect(sim.ownersOf(name)[0]).toBe(first);
      expect(await sim.wait(sim.client(name).send('SET', name, 'v'))).toBe('+OK');
    }
    sim.kill(first);
    await sim.settle(...others);
    expect(lead()).toBe(others[0]);
    for (const name of others) {
      expect(await sim.wait(sim.client(name).send('GET', name))).toBe('$1 v');
      expect(await sim.wait(sim.client(name).send('SET', name, 'w'))).toBe('+OK');
    }
    sim.startNode(first);
    await sim.settle('a', 'b', 'c');
    expect(lead()).toBe(others[0]);
    expect(await sim.wait(sim.client(first).send('GET', others[1]!))).toBe('$1 w');
  });

  test('a node gets another weight, which its next life keeps', async () => {
    const names = ['a', 'b', 'c', 'd'];
    const { sim, load } = await underLoad(names, ['a', 'b', 'c'], { sim: { replicas: 2 } });
    const slotsOf = (name: string): number =>
      sim
        .node('a')
        .cluster.slotRanges()
        .filter(({ owners }) => owners[0]?.name === name)
        .reduce((sum, { from, to }) => sum + to - from + 1, 0);
    const before = slotsOf('d');
    await sim.wait(sim.node('a').cluster.grant({ kind: 'weight', node: 'd', tokens: 24 }));
    await sim.settle(...names);
    expect(slotsOf('d')).toBeGreaterThan(before);
    const grown = slotsOf('d');
    await restart(sim, 'd');
    await sim.settle(...names);
    expect(slotsOf('d')).toBe(grown);
    await expectUnharmed(sim, load);
  });

  test('a node comes back in another zone', async () => {
    const zones: Record<string, string> = { a: 'z1', b: 'z1', c: 'z2', d: 'z2' };
    const names = ['a', 'b', 'c', 'd'];
    const { sim, load } = await underLoad(names, ['a', 'b', 'c'], { sim: { replicas: 2, zones } });
    const zonesOf = (key: string): string[] =>
      sim.ownersOf(key).map((name) => sim.node(name).life.self.zone);
    for (let i = 0; i < KEYS; i++) expect(zonesOf(`k${i}`).sort()).toEqual(['z1', 'z2']);
    await sim.wait(sim.node('d').cluster.leave());
    zones.d = 'z3';
    await restart(sim, 'd');
    await sim.settle(...names);
    for (let i = 0; i < KEYS; i++) expect(new Set(zonesOf(`k${i}`)).size).toBe(2);
    expect(sim.node('d').life.self.zone).toBe('z3');
    await expectUnharmed(sim, load);
  });
});

describe('under load, nothing is lost or stale when', () => {
  /** Clients where nobody dies; a write that ran on the dead node may be unknown. */
  const unknown = { load: { mayBeUnknown: true } };

  test('the node that joins dies half-way: nobody sees even an error', async () => {
    const { sim, load } = await underLoad(['a', 'b', 'c'], ['a', 'b', 'c']);
    sim.startNode('d');
    await halfFilled(sim, 'd');
    sim.kill('d');
    await sim.settle('a', 'b', 'c');
    await expectUnharmed(sim, load);
  });

  test('a node that hands over dies: the learner keeps what it has in full, and gets the rest', async () => {
    const { sim, load } = await underLoad(['a', 'b', 'c'], ['a', 'b'], unknown);
    sim.startNode('d');
    await halfFilled(sim, 'd');
    const { slots } = sim.node('d').life;
    const had = Array.from({ length: SLOT_COUNT }, (_, i) => i).filter((i) => slots.isHeld(i));
    expect(had.length).toBeGreaterThan(100);
    sim.kill('c');
    await sim.until(() => sim.node('d').life.view!.removed.length > 0, 5000, 'c is removed');
    expect(had.filter((slot) => !slots.isHeld(slot))).toEqual([]);
    await sim.settle('a', 'b', 'd');
    await expectUnharmed(sim, load);
  });

  test('who proposed the leave of another dies before it told anybody', async () => {
    const names = ['a', 'b', 'c', 'd'];
    const { sim, load } = await underLoad(names, ['b', 'c', 'd'], unknown);
    void sim.node('a').cluster.grant({ kind: 'leave', node: 'd' });
    await sim.until(() => sim.database.views.at(-1)!.leaving.length > 0, 1000, 'the view is made');
    expect(sim.node('a').life.view!.leaving).toEqual([]);
    sim.kill('a');
    await sim.settle('b', 'c');
    expect(sim.node('d').life.holdsNothing).toBe(true);
    await expectUnharmed(sim, load);
  });

  test('a node leaves while another dies', async () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    const { sim, load } = await underLoad(names, ['a', 'b', 'd'], unknown);
    const left = sim.node('d').cluster.leave();
    await sim.until(() => sim.node('d').life.leaving, 1000, 'd leaves');
    sim.kill('c');
    await sim.wait(left);
    await sim.settle('a', 'b', 'e');
    await expectUnharmed(sim, load);
  });

  test('the node that leaves dies half-way', async () => {
    const names = ['a', 'b', 'c', 'd'];
    const { sim, load } = await underLoad(names, ['a', 'b', 'c'], unknown);
    void sim.node('a').cluster.grant({ kind: 'leave', node: 'd' });
    await sim.until(() => sim.node('a').life.view!.leaving.length > 0, 1000, 'd leaves');
    sim.kill('d');
    await sim.settle('a', 'b', 'c');
    await expectUnharmed(sim, load);
  });

  test('two nodes join while a third one dies', async () => {
    const { sim, load } = await underLoad(['a', 'b', 'c'], ['a', 'b'], unknown);
    sim.startNode('d');
    sim.startNode('e');
    await halfFilled(sim, 'd');
    sim.kill('c');
    await sim.settle('a', 'b', 'd', 'e');
    await expectUnharmed(sim, load);
  });
});

describe('a view that removes one node and adds another', () => {
  test('does not keep what a client had sent behind a lost write from the new one', async () => {
    const sim = new Sim();
    await sim.startAll('a', 'b');
    // The newcomer is linked to a, and the cut keeps it from joining by itself.
    sim.network.cut('b', 'c');
    sim.startNode('c');
    const linked = (): boolean =>
      sim.node('c').cluster.life?.peers.missingLink(sim.node('a').life.self) === null;
    await sim.until(linked, 500, 'the newcomer and a are linked');
    const key = sim.keyOn('b');
    const client = sim.client('a');
    sim.network.cutOneWay('b', 'a');
    const lost = client.send('SET', key, '1');
    await sim.run(5);
    const next = client.send('SET', key, '2');
    await sim.turn();
    forceView(sim, { settled: ['a'], coming: ['a', 'c'], heardBy: ['a', 'c'] });
    expect(await sim.wait(lost, 50)).toMatch(/^-UNKNOWN/);
    expect(await sim.wait(next, 100)).toBe('+OK');
  });
});

describe('a node that was told to leave', () => {
  test('takes no data in a later life either, and still serves its clients', async () => {
    const sim = new Sim();
    await sim.startAll('a', 'b', 'c', 'd');
    await sim.wait(sim.node('d').cluster.leave());
    sim.node('d').host.pause();
    await sim.until(() => sim.database.views.at(-1)!.leaving.length === 0, 10_000, 'd is removed');
    sim.node('d').host.wake();
    await sim.until(() => sim.database.views.at(-1)!.leaving.length === 1, 10_000, 'd is back');
    await sim.settle('a', 'b', 'c');
    expect(membersOf(sim)).toEqual(['a', 'b', 'c']);
    expect(await sim.wait(sim.client('d').send('INCR', 'n'))).toBe(':1');
  });

  test('as the only one is refused, and stays', async () => {
    const sim = new Sim();
    await sim.startAll('a');
    await expect(sim.wait(sim.node('a').cluster.leave())).rejects.toThrow('no node would be left');
    expect(await sim.wait(sim.client('a').send('SET', 'k', 'v'))).toBe('+OK');
  });

  test('holds the data when all others die before it is through', async () => {
    const { sim, load } = await underLoad(['a', 'b'], ['a'], {
      sim: { replicas: 1 },
      load: { mayBeUnknown: true, withNone: false },
    });
    await sim.wait(sim.node('b').cluster.grant({ kind: 'leave', node: 'a' }));
    sim.kill('b');
    await sim.settle('a');
    expect(membersOf(sim)).toEqual(['a']);
    await load.stop();
    expect(load.failures).toEqual([]);
  });
});
