import { describe, expect, test } from 'vitest';
import { compare, describeScenario, missedFloors } from '../../../bench/load/report.ts';
import { type ContenderResult, medians, type Round } from '../../../bench/load/rounds.ts';
import type { Scenario } from '../../../bench/load/scenarios.ts';

const scenario: Scenario = {
  id: 'get',
  title: 'GET, 50 connections',
  load: { command: 'get', prefix: 'key:', connections: 50, pipeline: 1 },
  peers: ['redis'],
  floor: { peer: 'redis', ratio: 0.7 },
};

function round(opsPerSecond: number, byProcess: Record<string, number>): Round {
  const total = Object.values(byProcess).reduce((sum, us) => sum + us, 0);
  return {
    operations: 1000,
    opsPerSecond,
    p50Ms: 0.5,
    p99Ms: 1.25,
    window: [0, 1],
    processorUs: { total, byProcess, client: 8 },
    disturbance: 0,
  };
}

function contender(id: string, rounds: Round[]): ContenderResult {
  return { id, label: id, rounds, median: medians(rounds) };
}

const redis = contender('redis', [
  round(50_000, { redis: 10 }),
  round(60_000, { redis: 12 }),
  round(40_000, { redis: 11 }),
]);
const ours = (factor: number): ContenderResult =>
  contender(
    'ringfence',
    [50_000, 60_000, 40_000].map((ops) => round(ops * factor, { 'node-1': 15, postgres: 1 })),
  );

describe('report of the bench', () => {
  test('the ratio is that of the medians, and its floor is judged', () => {
    const { ratios } = compare(scenario, ours(0.8), [redis]);
    expect(ratios).toHaveLength(1);
    expect(ratios[0]).toMatchObject({ peer: 'redis', floor: 0.7, passed: true });
    expect(ratios[0]?.ratio).toBeCloseTo(0.8);
  });

  test('a missed floor is named with what came out', () => {
    const missed = missedFloors([compare(scenario, ours(0.5), [redis])]);
    expect(missed).toEqual(['GET, 50 connections: 0.50 × redis, floor 0.7']);
  });

  test('a peer without a floor passes and misses nothing', () => {
    const { floor: _, ...withoutFloor } = scenario;
    expect(missedFloors([compare(withoutFloor, ours(0.1), [redis])])).toEqual([]);
  });

  test('lines show throughput, latency and processor time by process', () => {
    expect(describeScenario(compare(scenario, ours(0.5), [redis]))).toEqual([
      'GET, 50 connections',
      '  redis        50000/s  p50 0.50 ms  p99 1.25 ms  processor 11.0 µs/op (client besides 8.0)',
      '  ringfence    25000/s  p50 0.50 ms  p99 1.25 ms  processor 16.0 µs/op (node-1 15.0, postgres 1.0, client besides 8.0)',
      '  = 0.50 × redis (rounds 0.50 to 0.50); floor 0.7: MISS',
    ]);
  });

  test('what else used the processors is mentioned when it was much', () => {
    const disturbed = contender(
      'ringfence',
      [1, 2, 3].map(() => ({ ...round(50_000, { 'node-1': 15 }), disturbance: 0.25 })),
    );
    const lines = describeScenario(compare(scenario, disturbed, [redis]));
    expect(lines).toContain('    (other programs used 25% of the processors)');
  });
});
