/** What nodes say in CLUSTER STATUS about what they serve, against what they are. */
import { expect, test } from 'vitest';
import { onePrimary } from '../../../chaos/checkers/one-primary.ts';
import { History } from '../../../chaos/history.ts';
import { ServiceTracker } from '../../../chaos/live/primary-watch.ts';
import { Sim } from '../../../chaos/sim/cluster.ts';
import { SLOT_COUNT, slotOf } from '../../../src/cluster/slot.ts';
import type { Status } from '../../../src/cluster/status.ts';

const LEASE_MS = 1500;

async function cluster(): Promise<Sim> {
  const sim = new Sim();
  await sim.startAll('a', 'b', 'c');
  return sim;
}

function slotsOf({ serving }: Status): number[] {
  return serving.flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, i) => first + i),
  );
}

test('each slot is served by one node, by the one that is its primary', async () => {
  const sim = await cluster();
  const statuses = ['a', 'b', 'c'].map((name) => sim.node(name).cluster.status());
  const served = statuses.flatMap(slotsOf).sort((a, b) => a - b);
  expect(served).toEqual(Array.from({ length: SLOT_COUNT }, (_, slot) => slot));
  const key = sim.keyOn('b');
  expect(slotsOf(statuses[1]!)).toContain(slotOf(key));
  for (const { node, nodes, serving } of statuses) {
    const own = nodes.find(({ name }) => name === node)!;
    expect(serving.reduce((sum, [first, last]) => sum + last - first + 1, 0)).toBe(
      own.primarySlots,
    );
  }
});

test('a node without a lease serves nothing, and when it has one again, the gap is seen', async () => {
  const sim = await cluster();
  const before = sim.node('b').cluster.status();
  sim.database.down = true;
  await sim.run(2 * LEASE_MS);
  expect(sim.node('b').cluster.status()).toMatchObject({ lease: null, serving: [] });
  sim.database.down = false;
  await sim.settle('a', 'b', 'c');
  const after = sim.node('b').cluster.status();
  expect(after.incarnation).toBe(before.incarnation);
  expect(after.epoch).toBe(before.epoch);
  expect(after.lease!.sinceMs).toBeGreaterThan(before.lease!.untilMs);
});

test('a node that the others have replaced says so, and never serves what they serve', async () => {
  const sim = await cluster();
  const history = new History({ title: 'test', settings: {} });
  const trackers = ['a', 'b', 'c'].map(
    (name) => [name, new ServiceTracker(name, history)] as const,
  );
  sim.time.every(10, () => {
    const nowMs = sim.time.monotonicMs();
    for (const [name, tracker] of trackers) {
      const { host, cluster: asked } = sim.node(name);
      if (host.paused) continue;
      tracker.add({ askedAtMs: nowMs, answeredAtMs: nowMs, status: asked.status() });
    }
  });
  await sim.run(300);
  const { incarnation } = sim.node('b').cluster.status();
  sim.node('b').host.pause();
  await sim.run(3 * LEASE_MS);
  sim.node('b').host.wake();
  await sim.settle('a', 'b', 'c');
  await sim.run(LEASE_MS);
  for (const [, tracker] of trackers) tracker.end();
  const lives = new Set(history.primaries.map((span) => span.incarnation));
  expect(lives.size).toBe(4);
  expect(lives).toContain(incarnation);
  expect(onePrimary.check(history).status).toBe('holds');
});
