/** Many commands over several primaries at once, among everything else that goes on in a cluster. */
import { describe, expect, test } from 'vitest';
import { Sim } from '../../../chaos/sim/cluster.ts';
import { LEGACY_PREFIX } from '../../../chaos/sim/legacy.ts';
import { SeededRandom } from '../../../chaos/sim/random.ts';
import { slotOf } from '../../../src/cluster/slot.ts';
import { sleep } from '../../../src/platform/clock.ts';

const NAMES = ['a', 'b', 'c'];

/** Two keys of each node. */
function keysOf(sim: Sim): string[] {
  return NAMES.flatMap((name) => [sim.keyOn(name, 'x'), sim.keyOn(name, 'y')]);
}

function shuffled<T>(items: readonly T[], random: SeededRandom): T[] {
  return items
    .map((item) => ({ item, rank: random.float() }))
    .sort((x, y) => x.rank - y.rank)
    .map(({ item }) => item);
}

async function expectAgreement(sim: Sim, keys: readonly string[]): Promise<void> {
  const values = keys.map((key) => sim.database.valueOf(key));
  const bulks = values.map((value) => (value === undefined ? '$-1' : `$${value.length} ${value}`));
  for (const name of NAMES) {
    const line = await sim.wait(sim.client(name).send('MGET', ...keys));
    expect([name, line]).toEqual([name, `*${keys.length} ${bulks.join(' ')}`]);
    const { engine } = sim.node(name).life;
    expect([engine.gates.empty, engine.operations.pendingCount]).toEqual([true, 0]);
  }
}

describe('commands over the same keys in all orders', () => {
  test.each([1, 2, 3])('wait for nobody in a circle, whatever goes on (seed %i)', async (seed) => {
    const sim = new Sim({ seed });
    await sim.startAll(...NAMES);
    const keys = keysOf(sim);
    const random = new SeededRandom(seed);
    const background = { on: true };
    const repeat = async (everyMs: number, what: () => unknown): Promise<void> => {
      while (background.on) {
        await what();
        await sleep(sim.time, everyMs);
      }
    };
    const { cluster } = sim.node('b');
    const evict = (): void => {
      for (const name of NAMES) {
        const { keyspace, slots } = sim.node(name).life;
        for (const key of keys) {
          if (keyspace.find(slotOf(key), 0, key)?.dirty !== 0) continue;
          keyspace.remove(slotOf(key), 0, key);
          slots.setComplete(slotOf(key), false);
        }
      }
    };
    const others = [
      repeat(17, () => cluster.flush(null)),
      repeat(5, () => cluster.keys(0, '*')),
      repeat(7, () => cluster.dbsize(0)),
      repeat(11, evict),
      repeat(3, () => sim.client('c').send('SET', keys[0]!, 'soon gone', 'PX', '4')),
    ];
    const replies = [...NAMES, ...NAMES].map(async (name, i) => {
      const client = sim.client(name);
      const all: string[] = [];
      for (let n = 0; n < 12; n++) {
        const some = shuffled(keys, random).slice(0, 2 + random.below(3));
        const pairs = some.flatMap((key) => [key, `${i}.${n}`]);
        const commands = [
          ['MSET', ...pairs],
          ['MSETNX', ...pairs],
          ['DEL', ...some],
          ['COPY', some[0]!, some[1]!, 'REPLACE'],
          ['RENAME', some[0]!, some[1]!],
        ];
        all.push(await client.send(...commands[random.below(commands.length)]!));
      }
      return all;
    });
    const answered = (await sim.wait(Promise.all(replies))).flat();
    background.on = false;
    await sim.wait(Promise.all(others));
    const wrong = answered.filter((reply) => !/^(\+OK|:\d|-ERR no such key)$/.test(reply));
    expect(wrong).toEqual([]);
    await sim.run(200);
    await expectAgreement(sim, keys);
  });
});

describe('reads of several keys', () => {
  test.each([
    ['MGET', (keys: string[]) => ['MGET', ...keys], ['*2 $-1 $-1', '*2 $1 v $1 v']],
    ['EXISTS', (keys: string[]) => ['EXISTS', ...keys], [':0', ':2']],
    ['TOUCH', (keys: string[]) => ['TOUCH', ...keys], [':0', ':2']],
  ])('see no half while %s meets writes without pause, and end', async (_name, read, whole) => {
    const sim = new Sim();
    await sim.startAll(...NAMES);
    const keys = [sim.keyOn('a'), sim.keyOn('b')];
    const writing = { on: true };
    const writers = ['a', 'c'].map(async (name) => {
      const client = sim.client(name);
      while (writing.on) {
        await client.send('MSET', keys[0]!, 'v', keys[1]!, 'v');
        await client.send('DEL', ...keys);
      }
    });
    const seen = new Set<string>();
    const readers = NAMES.map(async (name, i) => {
      const order = i === 1 ? [...keys].reverse() : keys;
      for (let n = 0; n < 20; n++) {
        seen.add(await sim.client(name).send(...read(order)));
        await sleep(sim.time, 1);
      }
    });
    await sim.wait(Promise.all(readers), 5000);
    writing.on = false;
    await sim.wait(Promise.all(writers));
    expect([...seen].sort()).toEqual(whole);
  });
});

describe('a fetch from the legacy source that is under way', () => {
  test.each([
    ['MSET', ['v', 'v'], '$1 v'],
    ['DEL', [], '$-1'],
  ])(
    'never wins over %s on several primaries (fetch-meets-delete)',
    async (name, values, after) => {
      const sim = new Sim();
      await sim.startAll(...NAMES);
      sim.legacy.delayMs = 40;
      for (let wait = 0; wait < 60; wait += 6) {
        const keys = [sim.keyOn('a', `plain${wait}:`), sim.keyOn('b', `${LEGACY_PREFIX}${wait}:`)];
        sim.legacy.values.set(keys[1]!, 'legacy');
        const first = sim.client('c').send('GET', keys[1]!);
        await sim.run(wait);
        const args = keys.flatMap((key, i) => [key, ...values.slice(i, i + 1)]);
        const reply = await sim.wait(sim.client('a').send(name, ...args));
        expect(reply).toMatch(/^(\+OK|:1)$/);
        for (const node of NAMES) {
          expect([wait, await sim.wait(sim.client(node).send('GET', keys[1]!))]).toEqual([
            wait,
            after,
          ]);
        }
        await sim.wait(first);
        await sim.run(60);
        expect(await sim.wait(sim.client('b').send('GET', keys[1]!))).toBe(after);
        expect(sim.database.valueOf(keys[1]!)).toBe(values[1]);
      }
    },
  );
});

describe('a hold', () => {
  test('comes in bounded time on keys that are written without pause on all nodes (hot-key-hold)', async () => {
    const sim = new Sim();
    await sim.startAll(...NAMES);
    const keys = NAMES.map((name) => sim.keyOn(name));
    const writing = { on: true };
    const writers = NAMES.flatMap((name) =>
      keys.map(async (key) => {
        const client = sim.client(name);
        while (writing.on) await client.send('APPEND', key, '.');
      }),
    );
    await sim.run(20);
    for (let i = 0; i < 10; i++) {
      const startedMs = sim.time.monotonicMs();
      expect(await sim.wait(sim.client('c').send('DEL', ...keys))).toBe(':3');
      // Each key: the operation under way, then marks; then one batch. All in single milliseconds.
      expect(sim.time.monotonicMs() - startedMs).toBeLessThan(60);
      await sim.run(20);
    }
    writing.on = false;
    await sim.wait(Promise.all(writers));
  });

  test('gets its turn between flushes without pause', async () => {
    const sim = new Sim();
    await sim.startAll(...NAMES);
    const [onA, onB] = [sim.keyOn('a'), sim.keyOn('b')];
    const flushing = { on: true };
    const flushes = NAMES.map(async (name) => {
      while (flushing.on) await sim.node(name).cluster.flush(null);
    });
    await sim.run(30);
    expect(await sim.wait(sim.client('c').send('MSET', onA, 'v', onB, 'v'), 1000)).toBe('+OK');
    flushing.on = false;
    await sim.wait(Promise.all(flushes));
  });
});
