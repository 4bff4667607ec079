import { describe, expect, test } from 'vitest';
import { VirtualTime } from '../../../chaos/sim/time.ts';
import { Pressure } from '../../../src/cluster/pressure.ts';

/** A node on which `perMs` writes begin each millisecond and take `waitMs`. */
function setUp() {
  const time = new VirtualTime();
  const operations = { begunCount: 0, pendingCount: 0 };
  const lane = { down: false, length: 0, underWay: 0 };
  const pressure = new Pressure({ clock: time, operations, lane, pendingMax: () => 10_000 });
  const run = (ms: number, { perMs, waitMs }: { perMs: number; waitMs: number }): void => {
    for (let i = 0; i < ms; i++) {
      time.advance(1);
      operations.begunCount += perMs;
      operations.pendingCount = perMs * waitMs;
      pressure.cause();
    }
  };
  pressure.cause();
  return { time, operations, lane, pressure, run };
}

describe('pressure', () => {
  test('is none while writes are quick, however many there are, or while there are none', () => {
    const { pressure, run } = setUp();
    run(200, { perMs: 20, waitMs: 10 });
    expect(pressure.cause()).toBeNull();
    run(200, { perMs: 0, waitMs: 0 });
    expect(pressure.cause()).toBeNull();
  });

  test('names the database when writes take long in the lane, and ends when they do not', () => {
    const { lane, pressure, run } = setUp();
    lane.length = 150;
    run(300, { perMs: 2, waitMs: 100 });
    expect(pressure.cause()).toBe('database-slow');
    lane.length = 0;
    run(200, { perMs: 2, waitMs: 5 });
    expect(pressure.cause()).toBeNull();
  });

  test('names the other owners when writes wait for their confirmation', () => {
    const { pressure, run } = setUp();
    run(300, { perMs: 2, waitMs: 100 });
    expect(pressure.cause()).toBe('owners-slow');
  });

  test('notices that nothing is settled at all', () => {
    const { operations, pressure, time } = setUp();
    operations.begunCount = operations.pendingCount = 3;
    for (let i = 0; i < 200; i++) {
      time.advance(1);
      pressure.cause();
    }
    expect(pressure.cause()).toBe('owners-slow');
  });

  test('names a database that is away, and very many writes', () => {
    const { lane, pressure, run } = setUp();
    lane.down = true;
    run(60, { perMs: 1, waitMs: 1 });
    expect(pressure.cause()).toBe('database-away');
    lane.down = false;
    run(200, { perMs: 100, waitMs: 40 });
    expect(pressure.cause()).toBe('many-writes');
  });
});
