import { describe, expect, test } from 'vitest';
import { QuietLog } from '../../../chaos/sim/log.ts';
import { SeededRandom } from '../../../chaos/sim/random.ts';
import { VirtualTime } from '../../../chaos/sim/time.ts';
import { decodeEffects, type OwnerEffect } from '../../../src/cluster/effects.ts';
import type { Engine } from '../../../src/cluster/engine.ts';
import { Fill } from '../../../src/cluster/fill.ts';
import { FlushPoints } from '../../../src/cluster/flush-points.ts';
import type { Holds } from '../../../src/cluster/holds.ts';
import type { Cause } from '../../../src/cluster/pressure.ts';
import { SLOT_COUNT } from '../../../src/cluster/slot.ts';
import { SlotTable } from '../../../src/cluster/slots.ts';
import { FrameSplitter, FrameType, FrameWriter } from '../../../src/cluster/wire.ts';
import { Keyspace } from '../../../src/storage/memory/keyspace.ts';
import { member, settledView } from './members.ts';
import { put } from '../../support/keyspace.ts';

const [a, b] = [member('a'), member('b')];

function effectsIn(payload: Buffer): OwnerEffect[] {
  const writer = new FrameWriter();
  writer.begin(FrameType.Effects, 1);
  writer.raw(payload);
  writer.end();
  let effects: OwnerEffect[] = [];
  new FrameSplitter().push(writer.take(), (frame) => (effects = decodeEffects(frame)));
  return effects;
}

/** Node a owns everything, b learns it; what a sends is decoded and kept. */
function setUp() {
  const time = new VirtualTime();
  const keyspace = new Keyspace({ random: new SeededRandom(1), nowMs: () => time.wallMs() });
  const slots = new SlotTable(a);
  slots.adopt({ ...settledView(2, [a]), coming: [a, b] });
  slots.confirm(b);
  const sent: { effects: OwnerEffect[]; bytes: number }[] = [];
  const stream = {
    confirmedSeq: 0,
    congested: false,
    send: (_op: null, payload: Buffer) =>
      sent.push({ effects: effectsIn(payload), bytes: payload.length }),
  };
  const engine = { operations: { streamTo: () => stream } } as unknown as Engine;
  const state = { cause: null as Cause | null };
  const pressure = (): Cause | null => state.cause;
  const log = new QuietLog();
  const holds = { markedIn: () => [] } as unknown as Holds;
  const flushPoints = new FlushPoints();
  const shared = { clock: time, timers: time, log, keyspace, slots, flushPoints };
  const env = { ...shared, engine, holds, pressure };
  const fill = new Fill(env);
  fill.restart();
  const all = (): OwnerEffect[] => sent.flatMap(({ effects }) => effects);
  /** Lets time pass; the learner confirms everything at once, or nothing. */
  const pass = (ms: number, confirms = true): void => {
    for (let i = 0; i < ms; i++) {
      time.advance(1);
      if (confirms) stream.confirmedSeq = sent.length;
    }
  };
  return { time, keyspace, slots, flushPoints, fill, stream, state, sent, all, pass, log };
}

const none = (): boolean => false;

describe('a hand-over', () => {
  test('counts what the learner owns by the next view, which may come before its last confirmation', () => {
    const { slots, fill, pass } = setUp();
    fill.begin(b, none);
    pass(10_000, false);
    expect(fill.filledSlots).toBe(0);
    slots.adopt(settledView(3, [a, b]));
    fill.restart();
    expect(fill.filledSlots).toBe(SLOT_COUNT);
  });

  test('begins when the learner has confirmed the view, and brings every slot with its keys', () => {
    const { keyspace, fill, all, pass, sent } = setUp();
    put(keyspace, 5, 0, 'k', 'v', 0);
    pass(100);
    expect(sent).toEqual([]);
    expect(fill.progress()).toMatchObject([
      { to: 'b', slots: SLOT_COUNT, slowedBy: 'unconfirmed' },
    ]);
    fill.begin(b, none);
    pass(1000);
    const ofFive = all().filter(({ slot }) => slot === 5);
    expect(ofFive).toMatchObject([
      { kind: 'begin' },
      { kind: 'fill', key: 'k', value: 'v' },
      { kind: 'filled', complete: false },
    ]);
    expect(all().filter(({ kind }) => kind === 'filled')).toHaveLength(SLOT_COUNT);
    expect([fill.left, fill.progress(), fill.filledSlots]).toEqual([0, [], SLOT_COUNT]);
  });

  test('says what flush the slot has seen last', () => {
    const { fill, flushPoints, all, pass } = setUp();
    const point = { epoch: 1, seq: 8, db: 3 };
    flushPoints.reach(5, point);
    fill.begin(b, none);
    pass(1000);
    const begins = all().filter(({ kind }) => kind === 'begin');
    expect(begins.slice(4, 7)).toMatchObject([
      { point: null },
      { slot: 5, point },
      { point: null },
    ]);
  });

  test('brings a delete that is not committed, as the beginning made the learner forget it', () => {
    const { keyspace, fill, all, pass } = setUp();
    keyspace.mark(5, 0, 'k', 7);
    fill.begin(b, none);
    pass(1000);
    expect(all().filter(({ slot }) => slot === 5)).toMatchObject([
      { kind: 'begin' },
      { kind: 'fill', key: 'k', value: null, dirty: true },
      { kind: 'filled' },
    ]);
  });

  test('leaves out what the learner has already, and hears it only once', () => {
    const { fill, all, pass } = setUp();
    fill.begin(b, (slot) => slot !== 7);
    fill.begin(b, none);
    pass(100);
    expect(all().map(({ slot }) => slot)).toEqual([7, 7]);
  });

  test('has at most a megabyte unconfirmed, and says how far it is', () => {
    const { keyspace, fill, stream, sent, pass } = setUp();
    for (let slot = 0; slot < 200; slot++) put(keyspace, slot, 0, 'k', 'x'.repeat(100_000), 0);
    const bytesFrom = (first: number): number =>
      sent.slice(first).reduce((sum, chunk) => sum + chunk.bytes, 0);
    fill.begin(b, none);
    pass(100);
    // It confirms everything at once, and then nothing any more.
    const before = sent.length;
    pass(2000, false);
    expect(bytesFrom(before)).toBeGreaterThan(1_000_000);
    expect(bytesFrom(before)).toBeLessThan(1_300_000);
    const [stuck] = fill.progress();
    expect(stuck).toMatchObject({ bytesPerSecond: 0 });
    expect(stuck!.unconfirmedBytes).toBeGreaterThan(1_000_000);
    expect(stuck!.unconfirmedBytes).toBeLessThan(1_300_000);
    stream.confirmedSeq = sent.length;
    pass(6, false);
    expect(fill.progress()[0]!.filled).toBeGreaterThan(stuck!.filled + 5);
    expect(fill.progress()[0]!.bytes).toBeGreaterThan(stuck!.bytes);
    stream.confirmedSeq = sent.length;
    pass(6, false);
    expect(fill.progress()[0]!.unconfirmedBytes).toBeLessThan(stuck!.unconfirmedBytes);
  });

  test('gives a learner that confirms late one chunk at a time, and a quick one more and more', () => {
    const { keyspace, fill, stream, sent, pass } = setUp();
    for (let slot = 0; slot < 1000; slot++) put(keyspace, slot, 0, 'k', 'x'.repeat(10_000), 0);
    fill.begin(b, none);
    const unconfirmed: number[] = [];
    for (let round = 0; round < 10; round++) {
      pass(60, false);
      unconfirmed.push(sent.length - stream.confirmedSeq);
      stream.confirmedSeq = sent.length;
    }
    expect(unconfirmed).toEqual(new Array(10).fill(1));
    pass(50);
    const before = sent.length;
    pass(5, false);
    expect(sent.length - before).toBeGreaterThan(4);
  });

  test('goes on at a trickle while clients or the database suffer, and says why', () => {
    const { keyspace, fill, state, sent, pass, log } = setUp();
    for (let slot = 0; slot < 1000; slot++) put(keyspace, slot, 0, 'k', 'x'.repeat(100_000), 0);
    state.cause = 'database-slow';
    fill.begin(b, none);
    pass(1000);
    expect(sent.length).toBeGreaterThanOrEqual(8);
    expect(sent.length).toBeLessThanOrEqual(11);
    expect(fill.progress()[0]!.slowedBy).toBe('database-slow');
    expect(fill.slowedTicks).toBeGreaterThan(100);
    expect(log.lines.map(({ message }) => message)).toContain('handing over');
    state.cause = null;
    const before = sent.length;
    pass(1000);
    expect(sent.length - before).toBeGreaterThan(300);
    expect(fill.progress()[0]).toMatchObject({ slowedBy: null });
    expect(fill.progress()[0]!.bytesPerSecond).toBeGreaterThan(10_000_000);
  });

  test.each([
    ['complete all the time', true, [], true],
    ['complete only since it began, by loads that the learner was spared', false, [true], false],
    ['evicted from and read again meanwhile', true, [false, true], false],
  ])('tells whether a slot is complete that was %s', (_what, before, meanwhile, complete) => {
    const { keyspace, slots, fill, all, pass } = setUp();
    for (let i = 0; i < 40; i++) put(keyspace, 1, 0, `k${i}`, 'x'.repeat(10_000), 0);
    slots.setComplete(1, before);
    fill.begin(b, (slot) => slot !== 1);
    pass(6);
    // More than one tick's budget: it has begun, and is not through.
    expect(all().filter(({ kind }) => kind !== 'fill')).toMatchObject([{ kind: 'begin' }]);
    for (const now of meanwhile) slots.setComplete(1, now);
    pass(100);
    expect(all().at(-1)).toMatchObject({ kind: 'filled', slot: 1, complete });
  });

  test('waits for slots that are not active yet', () => {
    const { slots, fill, all, pass } = setUp();
    slots.adopt({ ...settledView(3, [a, member('c')]), coming: [a, b, member('c')] });
    slots.adopt({ ...settledView(4, [a]), coming: [a, b] });
    fill.restart();
    fill.begin(b, none);
    pass(200);
    expect(all()).toEqual([]);
    slots.expireHolders();
    pass(1000);
    expect(all().filter(({ kind }) => kind === 'filled')).toHaveLength(SLOT_COUNT);
  });
});
