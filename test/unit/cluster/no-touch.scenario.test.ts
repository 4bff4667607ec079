/** CLIENT NO-TOUCH over several nodes: what is read is not used, on whichever node it is read. */
import { expect, test } from 'vitest';
import { Sim } from '../../../chaos/sim/cluster.ts';
import { slotOf } from '../../../src/cluster/slot.ts';

// The client is at node a. Of each key: its primary, and the node that reads it.
test.each([
  { how: 'forwarded to the primary', replicas: 1, keys: [['b', 'b']], command: 'GET' },
  {
    how: 'collected from several primaries',
    replicas: 1,
    keys: [
      ['b', 'b'],
      ['c', 'c'],
    ],
    command: 'MGET',
  },
  { how: 'answered by a replica', replicas: 3, keys: [['b', 'a']], command: 'GET' },
] as const)(
  'a read that is $how is no use of its keys, and one of another client is',
  async ({ replicas, keys, command }) => {
    const sim = new Sim({ replicas });
    await sim.startAll('a', 'b', 'c');
    const read = keys.map(([primary, reader]) => ({ key: sim.keyOn(primary), reader }));
    const idleSeconds = (): number[] =>
      read.map(({ key, reader }) => {
        const { keyspace } = sim.node(reader).life;
        return keyspace.idleSeconds(keyspace.find(slotOf(key), 0, key)!);
      });
    const client = sim.client('a');
    const names = read.map(({ key }) => key);
    for (const key of names) await sim.wait(client.send('SET', key, 'x'));
    await sim.run(10_000);
    client.noTouch = true;
    await sim.wait(client.send(command, ...names));
    expect(Math.min(...idleSeconds())).toBeGreaterThanOrEqual(9);
    client.noTouch = false;
    await sim.wait(client.send(command, ...names));
    expect(idleSeconds()).toEqual(names.map(() => 0));
  },
);
