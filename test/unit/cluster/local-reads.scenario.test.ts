/**
 * Reads that copy values from memory. That they never say anything else than the ordinary way at the same moment is
 * checked by the simulated client in every scenario; here is when they answer, and when they leave it to the other.
 */
import { describe, expect, test } from 'vitest';
import type { SimClient } from '../../../chaos/sim/client.ts';
import { Sim } from '../../../chaos/sim/cluster.ts';

async function threeNodes(replicas: number): Promise<Sim> {
  const sim = new Sim({ replicas });
  await sim.startAll('a', 'b', 'c');
  return sim;
}

/** Writes through a client of its own, and lets the change settle everywhere. */
async function write(sim: Sim, ...args: string[]): Promise<void> {
  expect(await sim.wait(sim.client('a').send(...args))).toBe('+OK');
  await sim.run(100);
}

const hits = (sim: Sim, name: string): number => sim.node(name).life.keyspace.hits;

describe('a direct read', () => {
  test('is answered by every owner, and counts as a hit for each key', async () => {
    const sim = await threeNodes(3);
    const [one, two] = [sim.keyOn('a'), sim.keyOn('b')];
    await write(sim, 'MSET', one, '1', two, '22');
    for (const name of ['a', 'b', 'c']) {
      const client = sim.client(name);
      const before = hits(sim, name);
      expect(client.readDirectly(['GET', two])).toBe('$2\r\n22\r\n');
      expect(client.readDirectly(['MGET', two, one, two])).toBe(
        '*3\r\n$2\r\n22\r\n$1\r\n1\r\n$2\r\n22\r\n',
      );
      expect(hits(sim, name)).toBe(before + 4);
    }
  });

  test('of which one key is missing or of another node is left, and counts nothing', async () => {
    const sim = await threeNodes(1);
    const [own, other] = [sim.keyOn('a'), sim.keyOn('b')];
    await write(sim, 'MSET', own, '1', other, '2');
    const client = sim.client('a');
    const before = hits(sim, 'a');
    expect(client.readDirectly(['GET', other])).toBeUndefined();
    expect(client.readDirectly(['MGET', own, other])).toBeUndefined();
    expect(client.readDirectly(['MGET', own, sim.keyOn('a', 'missing')])).toBeUndefined();
    expect(hits(sim, 'a')).toBe(before);
    expect(client.readDirectly(['GET', own])).toBe('$1\r\n1\r\n');
  });

  test('of a key with a change that is not committed is left, on every owner', async () => {
    const sim = await threeNodes(3);
    const key = sim.keyOn('b');
    await write(sim, 'SET', key, 'old');
    const readers = ['a', 'b', 'c'].map((name) => sim.client(name));
    const direct = (client: SimClient): string | undefined => client.readDirectly(['GET', key]);
    const written = sim.client('b').send('SET', key, 'new');
    expect(direct(readers[1]!)).toBeUndefined();
    expect(await sim.wait(written)).toBe('+OK');
    await sim.run(100);
    expect(readers.map(direct)).toEqual(readers.map(() => '$3\r\nnew\r\n'));
  });

  test('behind an open command of its own client is left', async () => {
    const sim = await threeNodes(3);
    const [key, other] = [sim.keyOn('b'), sim.keyOn('a')];
    await write(sim, 'SET', key, 'v');
    const client = sim.client('b');
    const written = client.send('SET', other, 'x');
    expect(client.readDirectly(['GET', key])).toBeUndefined();
    expect(sim.client('b').readDirectly(['GET', key])).toBe('$1\r\nv\r\n');
    await sim.wait(written);
    expect(client.readDirectly(['GET', key])).toBe('$1\r\nv\r\n');
  });

  test('without a lease is left', async () => {
    const sim = await threeNodes(3);
    const key = sim.keyOn('b');
    await write(sim, 'SET', key, 'v');
    const client = sim.client('a');
    expect(client.readDirectly(['GET', key])).toBe('$1\r\nv\r\n');
    sim.node('a').life.lease.end();
    expect(client.readDirectly(['GET', key])).toBeUndefined();
  });

  test('of a key near its expiry, or of a long value, is left', async () => {
    const sim = await threeNodes(3);
    const key = sim.keyOn('b');
    await write(sim, 'SET', key, 'v', 'PX', '10000');
    const client = sim.client('a');
    expect(client.readDirectly(['GET', key])).toBe('$1\r\nv\r\n');
    await sim.run(9890);
    expect(client.readDirectly(['GET', key])).toBeUndefined();
    await write(sim, 'SET', key, 'x'.repeat(70_000));
    expect(client.readDirectly(['GET', key])).toBeUndefined();
    await write(sim, 'SET', key, 'x'.repeat(60_000));
    expect(client.readDirectly(['GET', key])).toHaveLength(60_010);
    // Their replies together have no room.
    expect(client.readDirectly(['MGET', key, key])).toBeUndefined();
  });
});
