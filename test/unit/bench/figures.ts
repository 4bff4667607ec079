/** Results made up for tests. */
import { goal, type Demand, type Metric } from '../../../bench/load/goals.ts';
import type { BenchResult, ScenarioResult } from '../../../bench/load/report.ts';
import { resultOf } from '../../../bench/load/report.ts';
import { type Round, type SideResult, sideResult } from '../../../bench/load/rounds.ts';
import { OPERATIONS, type Scenario } from '../../../bench/load/scenario.ts';

export const MILLISECONDS: Metric = { name: 'pause', unit: 'ms', better: 'less', digits: 1 };

export function round(value: number, byProcess: Record<string, number>): Round {
  const total = Object.values(byProcess).reduce((sum, us) => sum + us, 0);
  return {
    value,
    latency: { p50Ms: 0.5, p99Ms: 1.25 },
    window: [0, 1],
    processorUs: { total, byProcess, client: 8 },
    disturbance: 0,
  };
}

/** A side with these figures in its rounds. */
export function side(id: string, values: readonly number[]): SideResult {
  return sideResult(
    id,
    id,
    values.map((value) => round(value, { [id]: 10, postgres: 1 })),
  );
}

export function scenario(demands: readonly Demand[], metric: Metric = OPERATIONS): Scenario {
  return {
    id: 'get',
    title: 'GET, 50 connections',
    group: 'reads',
    metric,
    demands,
    targets: [],
    measure: () => Promise.reject(new Error('not measured in a test')),
  };
}

export function getResult(ours: readonly number[], wanted = 1): ScenarioResult {
  const figures = { ours: side('ringfence', ours), peers: [side('redis', [50_000])] };
  return resultOf(scenario([goal(wanted, 'redis')]), figures, 0);
}

export function runOf(startedAt: string, scenarios: readonly ScenarioResult[]): BenchResult {
  return {
    format: 2,
    startedAt,
    commit: 'abc1234',
    flags: ['--quick'],
    machine: {
      cpu: 'a processor',
      cores: 2,
      memoryGb: 24,
      system: 'Linux',
      fileSystem: 'ext4',
      syncUs: 120,
      versions: { node: '20.0.0' },
    },
    scenarios,
  };
}
