import { describe, expect, test } from 'vitest';
import { keyNumbers, requestMaker } from '../../../bench/load/generator/keys.ts';
import { Pacer } from '../../../bench/load/generator/pacer.ts';
import { LatencyRecorder } from '../../../bench/load/generator/recorder.ts';
import { ReplyCounter } from '../../../bench/load/generator/reply-counter.ts';
import { parseSlots, type SlotRange, targetsOf } from '../../../bench/load/generator/routes.ts';
import { keyName } from '../../../bench/load/load.ts';
import { slotOf } from '../../../src/cluster/slot.ts';

describe('recorder of latencies', () => {
  test('quantiles are right to one percent over five decades', () => {
    const recorder = new LatencyRecorder();
    for (let i = 1; i <= 10_000; i++) recorder.record(i / 100);
    for (const [fraction, exact] of [
      [0.5, 50],
      [0.99, 99],
      [0.999, 99.9],
      [0.0001, 0.01],
    ] as const) {
      expect(Math.abs(recorder.quantile(fraction) / exact - 1)).toBeLessThan(0.01);
    }
    expect(recorder).toMatchObject({ count: 10_000, maxMs: 100 });
  });

  test('what is out of range is in the outermost bucket, and the slowest is exact', () => {
    const recorder = new LatencyRecorder();
    recorder.record(0);
    recorder.record(1e9);
    expect(recorder.quantile(0.5)).toBeLessThan(0.01);
    expect(recorder.maxMs).toBe(1e9);
    expect(recorder.quantile(1)).toBeGreaterThan(90_000);
  });

  test('a quantile of nothing is an error', () => {
    expect(() => new LatencyRecorder().quantile(0.5)).toThrow(RangeError);
  });
});

describe('pace of an open loop', () => {
  const dueAt = (pacer: Pacer, nowMs: number): number[] => {
    const due: number[] = [];
    for (let at = pacer.next(nowMs); at !== undefined; at = pacer.next(nowMs)) due.push(at);
    return due;
  };

  test('commands are due at equal distances from the start', () => {
    const pacer = new Pacer({ ratePerSecond: 2000, startMs: 100, total: 5 });
    expect(dueAt(pacer, 99)).toEqual([]);
    expect(dueAt(pacer, 101)).toEqual([100, 100.5, 101]);
    expect(pacer.done).toBe(false);
  });

  test('after a stall, those that were missed count from when they were due', () => {
    const pacer = new Pacer({ ratePerSecond: 1000, startMs: 0, total: 4 });
    expect(dueAt(pacer, 0)).toEqual([0]);
    expect(dueAt(pacer, 500)).toEqual([1, 2, 3]);
    expect(pacer.done).toBe(true);
    expect(dueAt(pacer, 1000)).toEqual([]);
  });

  test.each([0, -1, Number.NaN])('a rate of %d is refused', (ratePerSecond) => {
    expect(() => new Pacer({ ratePerSecond, startMs: 0, total: 1 })).toThrow(RangeError);
  });
});

describe('counter of replies', () => {
  const REPLIES =
    '+OK\r\n$5\r\nab\r\nc\r\n:12\r\n$-1\r\n*2\r\n$1\r\na\r\n*1\r\n:-3\r\n*0\r\n:7\r\n';

  const count = (pieces: readonly string[]): { integers: number[]; nulls: number } => {
    const integers: number[] = [];
    const counter = new ReplyCounter((integer) => integers.push(integer));
    for (const piece of pieces) counter.push(Buffer.from(piece, 'latin1'));
    return { integers, nulls: counter.nulls };
  };

  test.each([
    ['whole', [REPLIES]],
    ['byte by byte', [...REPLIES]],
  ])('every kind of reply counts once, %s', (_, pieces) => {
    expect(count(pieces)).toEqual({ integers: [0, 0, 12, 0, -3, 0, 7], nulls: 1 });
  });

  test('an error reply is thrown with its text', () => {
    expect(() => count(['+OK\r\n-BUSY come la', 'ter\r\n'])).toThrow(/BUSY come later/);
  });
});

describe('keys of the generator', () => {
  test('only keys of the slots are picked, and all of them', () => {
    const slots = [[0, 8000]] as const;
    const numbers = keyNumbers({ port: 1, slots }, { prefix: 'key:', keySpace: 200 });
    const expected = Array.from({ length: 200 }, (_, i) => i).filter(
      (i) => slotOf(keyName('key:', i)) <= 8000,
    );
    expect([...numbers]).toEqual(expected);
    expect(numbers.length).toBeGreaterThan(50);
  });

  test('slots without a key are an error', () => {
    const at = { prefix: 'key:', keySpace: 1 };
    const other = slotOf(keyName('key:', 0)) === 0 ? 1 : 0;
    expect(() => keyNumbers({ port: 1, slots: [[other, other]] }, at)).toThrow(RangeError);
  });

  test('a write that waits for replicas is two commands with two replies', () => {
    const { replies, make } = requestMaker({ command: 'set', prefix: 'k', waitFor: 1 });
    expect(replies).toBe(2);
    expect(make('k1')).toMatch(
      /^\*3\r\n\$3\r\nSET\r\n\$2\r\nk1\r\n\$64\r\nv{64}\r\n\*3\r\n\$4\r\nWAIT\r\n\$1\r\n1\r\n/,
    );
    expect(requestMaker({ command: 'get', prefix: 'k' }).make('k1')).toBe(
      '*2\r\n$3\r\nGET\r\n$2\r\nk1\r\n',
    );
  });
});

describe('routes of the generator', () => {
  const RANGES: SlotRange[] = [
    { from: 0, to: 9, owners: [1, 2] },
    { from: 10, to: 19, owners: [2, 3] },
    { from: 20, to: 29, owners: [3, 1] },
  ];
  const PORTS = [1, 2, 3];

  test('each route sends to the nodes and slots of its name', () => {
    expect(targetsOf('any', PORTS, [])).toEqual([{ port: 1 }]);
    expect(targetsOf('everywhere', PORTS, [])).toEqual(PORTS.map((port) => ({ port })));
    expect(targetsOf('primaries', PORTS, RANGES)).toEqual([
      { port: 1, slots: [[0, 9]] },
      { port: 2, slots: [[10, 19]] },
      { port: 3, slots: [[20, 29]] },
    ]);
    const owned = [
      [0, 9],
      [20, 29],
    ];
    expect(targetsOf('owned', PORTS, RANGES)).toEqual([{ port: 1, slots: owned }]);
    expect(targetsOf('not-owned', PORTS, RANGES)).toEqual([{ port: 1, slots: [[10, 19]] }]);
  });

  test('a route without slots is an error, not a load of nothing', () => {
    expect(() => targetsOf('not-owned', [1], RANGES.slice(0, 1))).toThrow(/no slot/);
  });

  test('CLUSTER SLOTS is read with the primary first', () => {
    const reply = [[0, 16_383, ['127.0.0.1', 7001, 'a', []], ['127.0.0.1', 7002, 'b', []]]];
    expect(parseSlots(reply)).toEqual([{ from: 0, to: 16_383, owners: [7001, 7002] }]);
  });
});
