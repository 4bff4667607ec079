import { describe, expect, test } from 'vitest';
import { absolute, floor, goal } from '../../../bench/load/goals.ts';
import { describeScenario, missed, resultOf } from '../../../bench/load/report.ts';
import { sideResult } from '../../../bench/load/rounds.ts';
import { getResult, MILLISECONDS, round, scenario, side } from './figures.ts';

describe('report of the bench', () => {
  test('a missed goal is named with what came out', () => {
    expect(missed([getResult([25_000])], 'goal')).toEqual([
      'GET, 50 connections: 0.50, goal ≥ 1 × redis',
    ]);
  });

  test('floors and goals are told apart', () => {
    const demands = [goal(1, 'redis'), floor(0.7, 'redis')];
    const figures = { ours: side('ringfence', [40_000]), peers: [side('redis', [50_000])] };
    const results = [resultOf(scenario(demands), figures, 0)];
    expect(missed(results, 'goal')).toHaveLength(1);
    expect(missed(results, 'floor')).toEqual([]);
  });

  test('lines show throughput, latency and processor time by process', () => {
    expect(describeScenario(getResult([25_000]))).toEqual([
      'GET, 50 connections',
      '  redis        50000/s  p50 0.50 ms  p99 1.25 ms  processor 11.0 µs/op (redis 10.0, postgres 1.0, client besides 8.0)',
      '  ringfence    25000/s  p50 0.50 ms  p99 1.25 ms  processor 11.0 µs/op (ringfence 10.0, postgres 1.0, client besides 8.0)',
      '  = 0.50 × redis (rounds 0.50 to 0.50); goal ≥ 1: MISS',
    ]);
  });

  test('a figure without a peer is shown in its unit, with its notes', () => {
    const ours = sideResult('ringfence', 'one node', [{ value: 12.25 }, { value: 30 }]);
    const figures = { ours, peers: [], notes: ['5 keys'] };
    const result = resultOf(scenario([absolute('≤', 20)], MILLISECONDS), figures, 0);
    expect(describeScenario(result)).toEqual([
      'GET, 50 connections',
      '  one node    21.1 ms',
      '  = 21.1 ms (rounds 12.3 to 30.0); goal ≤ 20: MISS',
      '  5 keys',
    ]);
  });

  test('a slower disk is part of the title', () => {
    const figures = { ours: side('ringfence', [1]), peers: [] };
    const lines = describeScenario(resultOf(scenario([]), figures, 1));
    expect(lines[0]).toBe('GET, 50 connections (a flush of the log takes 1 ms more)');
  });

  test('what else used the processors is mentioned when it was much', () => {
    const rounds = [1, 2, 3].map(() => ({ ...round(50_000, { node: 15 }), disturbance: 0.25 }));
    const figures = { ours: sideResult('ringfence', 'ringfence', rounds), peers: [] };
    expect(describeScenario(resultOf(scenario([]), figures, 0))).toContain(
      '    (other programs used 25% of the processors)',
    );
  });
});
