import { describe, expect, test } from 'vitest';
import { QuietLog } from '../../../chaos/sim/log.ts';
import { SeededRandom } from '../../../chaos/sim/random.ts';
import { VirtualTime } from '../../../chaos/sim/time.ts';
import type { Engine } from '../../../src/cluster/engine.ts';
import type { Cause } from '../../../src/cluster/pressure.ts';
import { SlotTable } from '../../../src/cluster/slots.ts';
import { WarmUp } from '../../../src/cluster/warm-up.ts';
import { Keyspace } from '../../../src/storage/memory/keyspace.ts';
import { type LoadPool, type Row, RowType } from '../../../src/storage/postgres/store.ts';
import { member, settledView } from './members.ts';

const self = member('a');
const PAGE_ROWS = 2000;

type Range = Parameters<LoadPool['scan']>[0];
interface Asked {
  readonly range: Range;
  answer(rows: Row[]): void;
}

/** `count` rows from number `first` on, a hundred in each slot. */
function rows(first: number, count: number): Row[] {
  return Array.from({ length: count }, (_, i) => {
    const number = first + i;
    const key = `k${number}`;
    const at = { slot: Math.floor(number / 100), db: 0, key };
    return { ...at, type: RowType.String, value: `v${number}`, expiresAtMs: 0, epoch: 1, seq: 1 };
  });
}

/** A node that is primary of everything and holds nothing; its scans are answered by the test. */
function setUp() {
  const time = new VirtualTime();
  const keyspace = new Keyspace({ random: new SeededRandom(1), nowMs: () => time.wallMs() });
  const slots = new SlotTable(self);
  slots.adopt(settledView(1, [self]));
  const asked: Asked[] = [];
  const filled: string[] = [];
  const operations = {
    onChange: null as ((slot: number, db: number, key: string) => void) | null,
    pendingOps: () => [],
    fill: (taken: readonly Row[]) => filled.push(...taken.map(({ key }) => key)),
  };
  const state = { cause: null as Cause | null, room: true, epoch: 1 };
  const warmUp = new WarmUp({
    timers: time,
    log: new QuietLog(),
    keyspace,
    slots,
    engine: { operations, flushes: { underWay: false } } as unknown as Engine,
    loads: {
      scan: (range: Range) =>
        new Promise<Row[]>((resolve) => asked.push({ range, answer: resolve })),
    } as Partial<LoadPool> as LoadPool,
    epoch: () => state.epoch,
    pressure: () => state.cause,
    hasRoom: () => state.room,
  });
  warmUp.start();
  /** Lets everything happen that is due within so many milliseconds. */
  const pass = async (ms: number): Promise<void> => {
    for (let i = 0; i <= ms; i++) {
      for (let turn = 0; turn < 100; turn++) {
        await Promise.resolve();
        time.endTurn();
      }
      time.advance(1);
    }
  };
  return { keyspace, slots, asked, filled, operations, state, pass };
}

describe('warm-up', () => {
  test('asks for the next page before it takes one over, and knows the last one by its size', async () => {
    const { keyspace, slots, asked, filled, pass } = setUp();
    await pass(1);
    expect(asked.map(({ range }) => [range.from, range.to, range.after])).toEqual([
      [0, 16_383, null],
    ]);
    asked[0]!.answer(rows(0, PAGE_ROWS));
    await Promise.resolve();
    await Promise.resolve();
    expect(asked[1]?.range.after).toMatchObject({ slot: 19, key: 'k1999' });
    expect(keyspace.keyCount).toBeLessThan(PAGE_ROWS);
    await pass(1);
    expect(keyspace.keyCount).toBe(PAGE_ROWS);
    expect([slots.isComplete(18), slots.isComplete(19)]).toEqual([true, false]);
    asked[1]!.answer(rows(PAGE_ROWS, 50));
    await pass(1);
    expect(asked).toHaveLength(2);
    expect(filled).toHaveLength(PAGE_ROWS + 50);
    expect([slots.isComplete(19), slots.isComplete(16_383)]).toEqual([true, true]);
    expect(keyspace.find(20, 0, 'k2049')?.value).toBe('v2049');
  });

  test('leaves out what changed since its page was asked for, also while another page is taken over', async () => {
    const { keyspace, slots, asked, operations, pass } = setUp();
    await pass(1);
    operations.onChange!(3, 0, 'k300');
    asked[0]!.answer(rows(0, PAGE_ROWS));
    await Promise.resolve();
    await Promise.resolve();
    operations.onChange!(19, 0, 'k1950');
    operations.onChange!(20, 0, 'k2010');
    await pass(1);
    asked[1]!.answer(rows(PAGE_ROWS, 50));
    await pass(1);
    for (const [slot, key] of [
      [3, 'k300'],
      [19, 'k1950'],
      [20, 'k2010'],
    ] as const) {
      expect(keyspace.has(slot, 0, key), key).toBe(false);
      // Nobody knows what became of them, so the table has to be asked.
      expect(slots.isComplete(slot), key).toBe(false);
    }
    expect(keyspace.keyCount).toBe(PAGE_ROWS + 50 - 3);
    expect(slots.isComplete(4)).toBe(true);
    expect(operations.onChange).toBeNull();
  });

  test('while clients or the database suffer, waits before it asks for the next page', async () => {
    const { keyspace, asked, state, pass } = setUp();
    await pass(1);
    state.cause = 'database-slow';
    asked[0]!.answer(rows(0, PAGE_ROWS));
    await pass(100);
    expect(keyspace.keyCount).toBe(PAGE_ROWS);
    expect(asked).toHaveLength(1);
    await pass(200);
    expect(asked).toHaveLength(2);
  });

  test('a new view ends it at once, with the page that is on its way', async () => {
    const { keyspace, slots, asked, operations, state, pass } = setUp();
    await pass(1);
    asked[0]!.answer(rows(0, PAGE_ROWS));
    await Promise.resolve();
    await Promise.resolve();
    const taken = keyspace.keyCount;
    state.epoch = 2;
    await pass(1);
    expect(keyspace.keyCount).toBe(taken);
    expect(operations.onChange).toBeNull();
    expect(slots.isComplete(0)).toBe(false);
    asked[1]!.answer(rows(PAGE_ROWS, 50));
    await pass(1);
    expect(keyspace.keyCount).toBe(taken);
  });

  test('stops when memory is full, and says nothing of what it has not read', async () => {
    const { slots, asked, state, pass } = setUp();
    await pass(1);
    state.room = false;
    asked[0]!.answer(rows(0, PAGE_ROWS));
    await pass(1);
    expect(asked).toHaveLength(1);
    expect([slots.isComplete(18), slots.isComplete(19), slots.isComplete(30)]).toEqual([
      true,
      false,
      false,
    ]);
  });
});
