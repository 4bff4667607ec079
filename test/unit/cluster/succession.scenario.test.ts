/** Writes of keys that no database has, under way when their slot gets another primary by plan. */
import { expect, test } from 'vitest';
import { NONE_PREFIX, Sim } from '../../../chaos/sim/cluster.ts';
import { track } from './schedules/support.ts';

/** The next primary has the effect of the command, and its confirmation comes later than the view. */
async function overtaken(
  command: (key: string) => string[],
): Promise<{ reply: string; after: string }> {
  const sim = new Sim();
  await sim.startAll('a', 'b');
  const key = sim.keyOn('a', NONE_PREFIX);
  await sim.wait(sim.client('a').send('SET', key, 'v'));
  await sim.run(20);
  sim.network.delay('b', 'a', 700);
  const write = track(sim.client('a').send(...command(key)));
  await sim.run(5);
  await sim.wait(sim.node('b').cluster.grant({ kind: 'leave', node: 'a' }));
  expect(write.done).toBe(false);
  await sim.until(() => write.done, 4000, 'the write is answered');
  return { reply: write.value!, after: await sim.wait(sim.client('b').send('GET', key)) };
}

test.each([
  ['SET', (key: string) => ['SET', key, 'w'], '+OK', '$1 w'],
  ['APPEND', (key: string) => ['APPEND', key, 'w'], ':2', '$2 vw'],
  ['DEL', (key: string) => ['DEL', key], ':1', '$-1'],
  ['GETDEL', (key: string) => ['GETDEL', key], '$1 v', '$-1'],
])(
  '%s that the next primary has is done once, and answered as such',
  async (_, command, reply, after) => {
    expect(await overtaken(command)).toEqual({ reply, after });
  },
);
