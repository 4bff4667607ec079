/** What commands cost in frames between nodes and batches to the database, on a cluster of three in virtual time. */
import { describe, expect, test } from 'vitest';
import { Sim } from '../../../chaos/sim/cluster.ts';
import { FRAME_BYTES_MAX, FrameSplitter, FrameType } from '../../../src/cluster/wire.ts';

const NAME_OF = new Map(Object.entries(FrameType).map(([name, type]) => [type as number, name]));

interface Cost {
  readonly frames: Readonly<Record<string, number>>;
  readonly batches: number;
}

/** Frames that arrive anywhere from the command to the last watermark; heartbeats are not its doing. */
async function costOf(sim: Sim, node: string, command: readonly string[]): Promise<Cost> {
  const { network, database } = sim;
  const frames: Record<string, number> = {};
  const note = network.note.bind(network);
  network.note = (bytes) => {
    note(bytes);
    new FrameSplitter(FRAME_BYTES_MAX).push(Buffer.from(bytes), ({ type }) => {
      const name = NAME_OF.get(type)!;
      if (name !== 'Heartbeat') frames[name] = (frames[name] ?? 0) + 1;
    });
  };
  const before = database.committed.length;
  expect(await sim.wait(sim.client(node).send(...command))).not.toMatch(/^-/);
  await sim.run(30);
  network.note = note;
  return { frames, batches: database.committed.length - before };
}

describe('MSET at the primary of its first key', () => {
  test('costs each other owner one frame of effects, its confirmation and a watermark', async () => {
    const sim = new Sim();
    await sim.startAll('a', 'b', 'c');
    const tag = sim.keyOn('a');
    expect(await costOf(sim, 'a', ['MSET', `{${tag}}1`, 'v', `{${tag}}2`, 'v'])).toEqual({
      frames: { Effects: 2, EffectsAck: 2, Watermark: 2 },
      batches: 1,
    });
  });

  test('over two primaries costs a hold, marks, a second part, and no second batch', async () => {
    const sim = new Sim();
    await sim.startAll('a', 'b', 'c');
    const [onA, onB] = [sim.keyOn('a'), sim.keyOn('b')];
    expect(await costOf(sim, 'a', ['MSET', onA, 'v', onB, 'v'])).toEqual({
      // Hold and apply; a's effects, b's marks, b's effects; one watermark for both of b's.
      frames: { Call: 2, CallReply: 2, Effects: 6, EffectsAck: 6, Watermark: 4 },
      batches: 1,
    });
  });
});
