import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Lease } from '../../../src/cluster/lease.ts';
import { slotOf, slotOfBytes } from '../../../src/cluster/slot.ts';
import { ClusterTime } from '../../../src/cluster/time.ts';
import { VirtualTime } from '../../../chaos/sim/time.ts';

describe('the slot of a key', () => {
  // The first is the check value of the CRC in the Redis Cluster specification, modulo 16384.
  test.each([
    ['123456789', 0x31c3],
    ['', 0],
    ['foo', 12182],
    ['{foo}bar', 12182],
    ['x{foo}{bar}', 12182],
  ])('%j is %i', (key, slot) => {
    expect(slotOf(key)).toBe(slot);
  });

  test('of an empty tag is that of the whole key', () => {
    expect(slotOf('{}foo')).not.toBe(slotOf('foo'));
    expect(slotOf('foo{')).not.toBe(slotOf('foo'));
  });

  test('is the same when the key is given as bytes', () => {
    const part = fc.oneof(
      fc.constantFrom('{', '}', 'foo'),
      fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), fc.nat(9), (parts, offset) => {
        const key = parts.join('');
        const bytes = Buffer.from(`${'{'.repeat(offset)}${key}}`, 'latin1');
        expect(slotOfBytes(bytes, offset, offset + key.length)).toBe(slotOf(key));
      }),
    );
  });
});

describe('the lease', () => {
  const setUp = (): { time: VirtualTime; lease: Lease } => {
    const time = new VirtualTime();
    return { time, lease: new Lease(time, { leaseMs: 1500, marginMs: 100 }) };
  };

  test('holds from the moment the renewal was sent, less the margin', () => {
    const { time, lease } = setUp();
    const stamp = lease.stamp();
    expect(lease.valid).toBe(false);
    time.advance(400);
    lease.grant(stamp);
    expect(lease.valid).toBe(true);
    time.advance(999);
    expect(lease.valid).toBe(true);
    time.advance(1);
    expect(lease.valid).toBe(false);
  });

  test('ends when the machine slept, for good (suspend)', () => {
    const { time, lease } = setUp();
    lease.grant(lease.stamp());
    time.suspend(10_000);
    expect(lease.valid).toBe(false);
    lease.grant(lease.stamp());
    expect(lease.valid).toBe(true);
  });

  test('ends when it is given up', () => {
    const { lease } = setUp();
    lease.grant(lease.stamp());
    lease.end();
    expect(lease.valid).toBe(false);
  });
});

describe('cluster time', () => {
  test('takes over the clock of the database at once, then follows it slowly', () => {
    const time = new VirtualTime();
    const cluster = new ClusterTime(time);
    const database = time.wallMs() + 5000;
    cluster.sample(database, time.monotonicMs(), time.monotonicMs());
    expect(cluster.nowMs()).toBe(database);
    cluster.sample(database + 100, time.monotonicMs(), time.monotonicMs());
    expect(cluster.nowMs()).toBe(database);
    time.advance(1000);
    expect(cluster.nowMs()).toBe(database + 1010);
    time.advance(100_000);
    expect(cluster.nowMs()).toBe(database + 101_100);
  });

  test('makes up at once for what the machine slept, and for nothing else', () => {
    const time = new VirtualTime();
    const cluster = new ClusterTime(time);
    const sample = (): void =>
      cluster.sample(time.wallMs(), time.monotonicMs(), time.monotonicMs() + 1);
    sample();
    time.advance(1000);
    time.suspend(1200);
    expect(time.wallMs() - cluster.nowMs()).toBeGreaterThan(1000);
    sample();
    expect(Math.abs(cluster.nowMs() - time.wallMs())).toBeLessThanOrEqual(1);
    time.advance(1000);
    sample();
    expect(Math.abs(cluster.nowMs() - time.wallMs())).toBeLessThanOrEqual(1);
  });

  test('never goes back, and never runs away by more than a hundredth', () => {
    const step = fc.record({
      pass: fc.integer({ min: 0, max: 500 }),
      jump: fc.integer({ min: -10_000, max: 10_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const time = new VirtualTime();
        const cluster = new ClusterTime(time);
        cluster.sample(time.wallMs(), time.monotonicMs(), time.monotonicMs());
        for (const { pass, jump } of steps) {
          const before = cluster.nowMs();
          cluster.sample(time.wallMs() + jump, time.monotonicMs(), time.monotonicMs() + 1);
          time.advance(pass);
          const passed = cluster.nowMs() - before;
          expect(passed).toBeGreaterThanOrEqual(Math.max(0, Math.floor(pass * 0.99) - 1));
          expect(passed).toBeLessThanOrEqual(Math.ceil(pass * 1.01) + 1);
        }
      }),
      { numRuns: 200, seed: 9 },
    );
  });
});
