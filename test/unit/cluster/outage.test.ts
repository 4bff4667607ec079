import { describe, expect, test } from 'vitest';
import { VirtualTime } from '../../../chaos/sim/time.ts';
import { Lease } from '../../../src/cluster/lease.ts';
import { Outage } from '../../../src/cluster/outage.ts';
import type { Peers } from '../../../src/cluster/peers.ts';

const LEASE_MS = 1500;

interface Heard {
  leaseless: boolean;
  heardAtMs: number;
}

/** A node that has lost its lease, and what it hears of `peers` in a view of `members`. */
function setUp(members: number, options: { mode?: 'serve' | 'refuse'; away?: boolean } = {}) {
  const time = new VirtualTime();
  const peers: Heard[] = [];
  const outage = new Outage({
    clock: time,
    lease: new Lease(time, { leaseMs: LEASE_MS, marginMs: 100 }),
    peers: { all: () => peers.values() } as unknown as Peers,
    leaseMs: LEASE_MS,
    mode: options.mode ?? 'serve',
    members: () => members,
    storeUnreachable: () => options.away ?? true,
  });
  const hear = (leaseless: boolean, agoMs = 0): Heard => {
    const heard = { leaseless, heardAtMs: time.monotonicMs() - agoMs };
    peers.push(heard);
    return heard;
  };
  return { time, outage, hear };
}

describe('a node without a lease, while the database cannot be asked', () => {
  test.each([
    [1, 0, true],
    [2, 0, false],
    [2, 1, true],
    [3, 1, true],
    [4, 1, false],
    [4, 2, true],
    [5, 2, true],
  ])(
    'of %d members, with %d others that have none either: reads are %s',
    (members, others, reads) => {
      const { outage, hear } = setUp(members);
      for (let i = 0; i < others; i++) hear(true);
      expect(outage.readsWithoutLease()).toBe(reads);
    },
  );

  test('answers nothing while one that it hears has a lease', () => {
    const { outage, hear } = setUp(5);
    for (let i = 0; i < 3; i++) hear(true);
    hear(false);
    expect(outage.readsWithoutLease()).toBe(false);
  });

  test('counts only what it heard within a third of a lease', () => {
    const { outage, hear } = setUp(3);
    hear(true, LEASE_MS / 3 + 1);
    hear(false, LEASE_MS / 3 + 1);
    expect(outage.readsWithoutLease()).toBe(false);
  });

  test('stops when the others fall silent', () => {
    const { time, outage, hear } = setUp(3);
    hear(true);
    expect(outage.readsWithoutLease()).toBe(true);
    time.advance(LEASE_MS / 3 + 1);
    expect(outage.readsWithoutLease()).toBe(false);
  });

  test('stops soon after it hears of a lease', () => {
    const { time, outage, hear } = setUp(3);
    const peer = hear(true);
    expect(outage.readsWithoutLease()).toBe(true);
    peer.leaseless = false;
    time.advance(25);
    expect(outage.readsWithoutLease()).toBe(false);
  });

  test('answers nothing when told to refuse', () => {
    const { outage, hear } = setUp(3, { mode: 'refuse' });
    hear(true);
    expect(outage.readsWithoutLease()).toBe(false);
  });
});

test('a node that lost its lease although the database answers reads nothing', () => {
  const { outage, hear } = setUp(3, { away: false });
  hear(true);
  hear(true);
  expect(outage.readsWithoutLease()).toBe(false);
});
