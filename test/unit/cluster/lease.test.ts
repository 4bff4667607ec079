import { describe, expect, test } from 'vitest';
import { VirtualTime } from '../../../chaos/sim/time.ts';
import { Lease } from '../../../src/cluster/lease.ts';
import type { Clock } from '../../../src/platform/clock.ts';

const TIMES = { leaseMs: 1500, marginMs: 100 };

/** A clock whose three readings the test moves one by one. */
class Clocks implements Clock {
  monotonic = 1000;
  wall = 1_700_000_000_000;
  uptime = 5000;
  uptimeReads = 0;

  monotonicMs(): number {
    return this.monotonic;
  }
  wallMs(): number {
    return this.wall;
  }
  uptimeMs(): number {
    this.uptimeReads++;
    return this.uptime;
  }
  pass(ms: number): void {
    this.monotonic += ms;
    this.wall += ms;
    this.uptime += ms;
  }
  /** The machine sleeps: the monotonic clock does not see it. */
  sleep(ms: number): void {
    this.wall += ms;
    this.uptime += ms;
  }
}

function granted(): { clocks: Clocks; lease: Lease } {
  const clocks = new Clocks();
  const lease = new Lease(clocks, TIMES);
  lease.grant(lease.stamp());
  return { clocks, lease };
}

describe('a lease', () => {
  test('reports since when it has held without a gap, and nothing when it has run out', () => {
    const { clocks, lease } = granted();
    expect(lease.report()).toEqual({ nowMs: 1000, sinceMs: 1000, untilMs: 2400 });
    clocks.pass(1000);
    lease.grant(lease.stamp());
    expect(lease.report()).toEqual({ nowMs: 2000, sinceMs: 1000, untilMs: 3400 });
    clocks.pass(1400);
    expect(lease.report()).toBeNull();
    lease.grant(lease.stamp());
    expect(lease.report()).toEqual({ nowMs: 3400, sinceMs: 3400, untilMs: 4800 });
  });

  test('is none before the first renewal', () => {
    expect(new Lease(new VirtualTime(), TIMES).valid).toBe(false);
  });

  test('holds from the moment the renewal was sent, however late its answer, less the margin', () => {
    const clocks = new Clocks();
    const lease = new Lease(clocks, TIMES);
    const stamp = lease.stamp();
    clocks.pass(1000);
    lease.grant(stamp);
    expect(lease.valid).toBe(true);
    clocks.pass(399);
    expect(lease.valid).toBe(true);
    clocks.pass(1);
    expect(lease.valid).toBe(false);
  });

  test('ends when the machine has slept, at the first look after it (suspend)', () => {
    const { clocks, lease } = granted();
    clocks.pass(200);
    clocks.sleep(10_000);
    expect(lease.valid).toBe(false);
    clocks.pass(1);
    expect(lease.valid).toBe(false);
  });

  test('ends also when the wall clock is set back before anybody looks', () => {
    const { clocks, lease } = granted();
    clocks.sleep(10_000);
    clocks.wall -= 10_200;
    expect(lease.valid).toBe(false);
  });

  test('that was asked for before the machine slept is none after it', () => {
    const clocks = new Clocks();
    const lease = new Lease(clocks, TIMES);
    const stamp = lease.stamp();
    clocks.sleep(10_000);
    lease.grant(stamp);
    expect(lease.valid).toBe(false);
  });

  test.each([3_600_000, -3_600_000])('does not end when the wall clock jumps by %d ms', (ms) => {
    const { clocks, lease } = granted();
    clocks.wall += ms;
    expect(lease.valid).toBe(true);
    // Once it is known to be a jump, the slow clock is not asked again.
    const { uptimeReads } = clocks;
    expect(lease.valid).toBe(true);
    expect(clocks.uptimeReads).toBe(uptimeReads);
    clocks.pass(1400);
    expect(lease.valid).toBe(false);
  });

  test('that was given up stays over', () => {
    const { lease } = granted();
    lease.end();
    expect(lease.valid).toBe(false);
  });
});
