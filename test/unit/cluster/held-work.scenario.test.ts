/** What runs on held keys besides one command: blocks, and functions that find out their keys while they run. */
import { describe, expect, test } from 'vitest';
import { Sim } from '../../../chaos/sim/cluster.ts';
import { MANY_SLOTS, type Outcome, type Prepared } from '../../../src/cluster/execute.ts';
import { Task } from '../../../src/cluster/task.ts';
import { HELD_KEYS_MAX, ROUNDS_MAX } from '../../../src/cluster/transaction.ts';
import type { WorkingSet } from '../../../src/storage/memory/working-set.ts';

const NAMES = ['a', 'b', 'c'];

class Work extends Task {
  readonly #answer: (reply: string) => void;

  constructor(prepared: Prepared, deadlineMs: number, answer: (reply: string) => void) {
    super(prepared, deadlineMs);
    this.#answer = answer;
  }

  override onExecuted(): void {
    // Nobody waits behind it.
  }
  override onReply(reply: string): void {
    this.#answer(reply.trimEnd());
  }
  override onNotDone(): void {
    this.#answer('not done');
  }
}

function prepared(keys: readonly string[], run: (set: WorkingSet) => Outcome): Prepared {
  const refuse = (): never => {
    throw new Error('it has no parts');
  };
  return {
    name: 'BLOCK',
    args: ['BLOCK', ...keys],
    db: 0,
    protocol: 2,
    noTouch: false,
    keys,
    refs: undefined,
    slot: MANY_SLOTS,
    writes: true,
    needsMemory: false,
    blind: false,
    spread: 'transaction',
    run,
    part: refuse,
    merge: refuse,
  };
}

/** Runs `run` on the node of the first key, with holds on all of them. */
function lead(
  sim: Sim,
  keys: readonly string[],
  run: (set: WorkingSet) => Outcome,
): Promise<string> {
  return new Promise((resolve) => {
    const deadlineMs = sim.time.monotonicMs() + 4000;
    sim.primaryOf(keys[0]!).life.engine.submit(new Work(prepared(keys, run), deadlineMs, resolve));
  });
}

interface Setup {
  readonly sim: Sim;
  readonly onA: string;
  readonly onB: string;
  readonly onC: string;
}

async function setUp(options = {}): Promise<Setup> {
  const sim = new Sim(options);
  await sim.startAll(...NAMES);
  return { sim, onA: sim.keyOn('a'), onB: sim.keyOn('b'), onC: sim.keyOn('c') };
}

function expectNothingHeld(sim: Sim): void {
  for (const name of NAMES) expect(sim.node(name).life.engine.gates.empty).toBe(true);
}

describe('a block of commands on keys of several primaries', () => {
  test('is committed in one batch, without what one of them did before it failed', async () => {
    const { sim, onA, onB } = await setUp();
    await sim.wait(sim.client('a').send('MSET', onA, '1', onB, 'text'));
    const block = [
      ['INCR', onA],
      ['INCR', onB],
      ['APPEND', onA, '0'],
      ['COPY', onA, onB, 'REPLACE'],
    ].map((args) => sim.prepare(args));
    const replies: string[] = [];
    const before = sim.database.committed.length;
    const reply = await sim.wait(
      lead(sim, [onA, onB], (set) => {
        for (const command of block) replies.push(set.attempt(() => command.run(set)).reply);
        return { reply: '+EXEC\r\n', failed: false };
      }),
    );
    expect(reply).toBe('+EXEC');
    expect(replies.map((line) => line.split(' ')[0]!.trim())).toEqual([':2', '-ERR', ':2', ':1']);
    expect(sim.database.committed.length).toBe(before + 1);
    for (const name of NAMES) {
      expect(await sim.wait(sim.client(name).send('MGET', onA, onB))).toBe('*2 $2 20 $2 20');
    }
  });
});

describe('a function that touches a key that it did not name', () => {
  test('runs again with that key held, and nothing of the first run is seen', async () => {
    const { sim, onA, onB, onC } = await setUp();
    await sim.wait(sim.client('a').send('MSET', onA, '5', onB, '1', onC, '2'));
    let runs = 0;
    const sum = lead(sim, [onC, onB], (set) => {
      runs++;
      set.put(0, onC, `run ${runs}`, 0);
      const total = Number(set.get(0, onA)) + Number(set.get(0, onB));
      set.put(0, onB, String(total), 0);
      return { reply: `:${total}\r\n`, failed: false };
    });
    // The other way round, all the while.
    const rivals = Array.from({ length: 5 }, (_, i) =>
      sim.client('b').send('MSET', onA, `${i}`, onC, `${i}`),
    );
    const [reply] = await sim.wait(Promise.all([sum, ...rivals]));
    expect(runs).toBe(2);
    expect(reply).toMatch(/^:[0-6]$/);
    await sim.run(20);
    expect(sim.database.valueOf(onB)).toBe(reply.slice(1));
    expectNothingHeld(sim);
  });

  test('again and again, gets an error after so many rounds, and nothing is changed', async () => {
    const { sim, onA, onB } = await setUp();
    let runs = 0;
    const reply = await sim.wait(
      lead(sim, [onA, onB], (set) => {
        set.put(0, onA, 'x', 0);
        set.get(0, `other${++runs}`);
        for (let i = 1; i < runs; i++) set.get(0, `other${i}`);
        return { reply: '+OK\r\n', failed: false };
      }),
    );
    expect(reply).toMatch(/^-ERR .*did not name.*nothing was changed$/);
    expect(runs).toBe(ROUNDS_MAX);
    await sim.run(20);
    expect(sim.database.valueOf(onA)).toBeUndefined();
    expectNothingHeld(sim);
  });
});

describe('a command over several primaries', () => {
  test('that names too many keys is refused, and changes nothing', async () => {
    const { sim, onA, onB } = await setUp();
    const more = Array.from({ length: HELD_KEYS_MAX - 1 }, (_, i) => `more${i}`);
    const args = [onA, onB, ...more].flatMap((key) => [key, 'v']);
    const reply = await sim.wait(sim.client('c').send('MSET', ...args));
    expect(reply).toMatch(/^-ERR .*at most 50000 keys; nothing was changed$/);
    expect(sim.database.valueOf(onA)).toBeUndefined();
    expectNothingHeld(sim);
  });

  test('that waits too long for its holds is not done, and later ones are', async () => {
    const { sim, onA, onB } = await setUp({ requestTimeoutMs: 500 });
    sim.database.holdBatches('b');
    const stuck = sim.client('b').send('SET', onB, 'stuck');
    for (const first of [onA, onB]) {
      const second = first === onA ? onB : onA;
      const reply = await sim.wait(sim.client('c').send('MSET', first, 'x', second, 'x'));
      expect(reply).toMatch(/^-NOTDONE .*nothing was changed$/);
    }
    sim.database.releaseBatches('b');
    await sim.wait(stuck);
    await sim.run(300);
    expectNothingHeld(sim);
    expect(await sim.wait(sim.client('c').send('MSET', onA, 'y', onB, 'y'))).toBe('+OK');
  });

  test('is refused at once while there is no database', async () => {
    const { sim, onA, onB } = await setUp();
    sim.database.down = true;
    // Until it tries to write, a node does not notice.
    for (const key of [onA, onB]) await sim.wait(sim.client('c').send('SET', key, 'x'));
    await sim.run(4000);
    const startedMs = sim.time.monotonicMs();
    const reply = await sim.wait(sim.client('c').send('MSET', onA, 'x', onB, 'x'));
    expect(reply).toMatch(/^-STOREDOWN .*nothing was changed$/);
    expect(sim.time.monotonicMs() - startedMs).toBeLessThan(50);
  });
});
