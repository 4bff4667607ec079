import { expect, test } from 'vitest';
import { SimDatabase } from '../../../../chaos/sim/database/database.ts';
import { SimNetwork } from '../../../../chaos/sim/network.ts';
import { AIMED_FAULTS } from '../../../../chaos/sim/faults/index.ts';
import { planOf } from '../../../../chaos/sim/plan.ts';
import { restoredBy } from '../../../../chaos/sim/restored.ts';
import { VirtualTime } from '../../../../chaos/sim/time.ts';
import { AIMED_WORKLOADS, MEMORY_WORKLOADS } from '../../../../chaos/sim/workloads.ts';

const SEEDS = Array.from({ length: 300 }, (_, i) => i + 1);
const PLANS = SEEDS.map((seed) => planOf(seed));

test('no workload is at work that a fault of the schedule asks too much of', () => {
  for (const { faults, workloads } of PLANS) {
    const broken = faults.flatMap(({ fault }) => fault.breaks ?? []);
    expect(workloads.length).toBeGreaterThan(0);
    const judging = workloads.flatMap(({ checkers }) => checkers);
    expect(judging.filter((name) => broken.includes(name))).toEqual([]);
  }
});

test('a fault that some workloads are needed for has one of them', () => {
  let count = 0;
  for (const { faults, workloads } of PLANS) {
    for (const { fault } of faults) {
      if (fault.workloads === undefined) continue;
      count++;
      expect(workloads.some(({ name }) => fault.workloads!.includes(name))).toBe(true);
    }
  }
  expect(count).toBeGreaterThan(0);
});

test('keys that no database has are not evicted', () => {
  const inMemory = PLANS.filter(({ workloads }) =>
    workloads.some((w) => MEMORY_WORKLOADS.includes(w)),
  );
  expect(inMemory.length).toBeGreaterThan(0);
  for (const { options } of inMemory) expect(options.maxmemory).toBeUndefined();
  const only = SEEDS.map((seed) => planOf(seed, { workloads: [MEMORY_WORKLOADS[0]!.name] }));
  for (const { options } of only) expect(options.maxmemory).toBeUndefined();
});

test('what is aimed at one moment comes where a focus names it, and nowhere else', () => {
  const faults = AIMED_FAULTS.map(({ name }) => name);
  const workloads = AIMED_WORKLOADS.map(({ name }) => name);
  for (const plan of PLANS) {
    for (const { fault } of plan.faults) expect(AIMED_FAULTS).not.toContain(fault);
    for (const workload of plan.workloads) expect(AIMED_WORKLOADS).not.toContain(workload);
    expect(plan.pace.gapMsMax).toBe(0);
  }
  const plan = planOf(1, { faults, workloads });
  expect(plan.workloads).toEqual(AIMED_WORKLOADS);
  for (const { fault } of plan.faults) expect(AIMED_FAULTS).toContain(fault);
});

test('a standby that lacks commits makes every key what it has, before all leases are over', () => {
  const database = new SimDatabase(new SimNetwork(new VirtualTime()));
  database.seed('row', 'v');
  database.seed('ends', 'w', 9_000);
  const content = database.snapshot();
  database.seed('row', 'newer');
  database.seed('late', 'x');
  const keys = ['row', 'ends', 'late', 'legacy'];
  const inLegacy = (key: string): string | null => (key === 'legacy' ? 'old' : null);
  const event = restoredBy({ content, atMs: 500 }, { keys, leaseMs: 1000, inLegacy });
  expect([...event.values]).toEqual([
    ['row', 'v'],
    ['ends', 'w'],
    ['late', null],
    ['legacy', 'old'],
  ]);
  expect([...event.expiresAtMs!]).toEqual([['ends', 9_000]]);
  expect(event.startedAtMs).toBe(500);
  expect(event.endedAtMs).toBeCloseTo(1520);
});
