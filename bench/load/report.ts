/** From figures to lines that people read. Pure. */
import { describeDemand, judge, type Metric, type Verdict } from './goals.ts';
import type { Machine } from './machine.ts';
import type { ProcessorTime, SideResult } from './rounds.ts';
import type { Group, Scenario } from './scenario.ts';

/** What else ran is mentioned when it took more of the processors than this, 0 to 1. */
const DISTURBANCE_SHOWN = 0.1;

export interface ScenarioResult {
  readonly id: string;
  readonly title: string;
  readonly group: Group;
  readonly metric: Metric;
  /** How much longer a flush of PostgreSQL's log was made, milliseconds. */
  readonly syncDelayMs: number;
  readonly ours: SideResult;
  readonly peers: readonly SideResult[];
  readonly verdicts: readonly Verdict[];
  /** What the reader has to know about these figures. */
  readonly notes: readonly string[];
}

/** The content of a result file. `format` goes up when a field changes its meaning. */
export interface BenchResult {
  readonly format: 2;
  readonly startedAt: string;
  readonly commit: string;
  readonly flags: readonly string[];
  readonly machine: Machine;
  readonly scenarios: readonly ScenarioResult[];
}

/** What measuring a scenario gives. */
export interface Figures {
  readonly ours: SideResult;
  readonly peers: readonly SideResult[];
  readonly notes?: readonly string[];
}

export function resultOf(
  { id, title, group, metric, demands }: Scenario,
  { ours, peers, notes = [] }: Figures,
  syncDelayMs: number,
): ScenarioResult {
  const verdicts = judge(demands, ours, peers);
  return { id, title, group, metric, syncDelayMs, ours, peers, verdicts, notes };
}

/** Demands of this kind that were not met, as lines. */
export function missed(results: readonly ScenarioResult[], kind: 'goal' | 'floor'): string[] {
  return results.flatMap(({ title, metric, verdicts }) =>
    verdicts.flatMap(({ value, demands }) =>
      demands
        .filter((demand) => demand.kind === kind && !demand.passed)
        .map((demand) => {
          const digits = demand.peer === undefined ? metric.digits : 2;
          return `${title}: ${value.toFixed(digits)}, ${describeDemand(demand)}`;
        }),
    ),
  );
}

export function describeResult(result: BenchResult): string {
  const { startedAt, commit, flags, machine, scenarios } = result;
  return [
    `ringfence bench, ${startedAt}, commit ${commit}${flags.length > 0 ? `, ${flags.join(' ')}` : ''}`,
    ...describeMachine(machine),
    '',
    ...scenarios.flatMap((scenario) => [...describeScenario(scenario), '']),
  ].join('\n');
}

export function describeMachine(machine: Machine): string[] {
  const { cpu, cores, memoryGb, system, fileSystem, syncUs, versions } = machine;
  return [
    `${cpu}, ${cores} cores, ${memoryGb} GB, ${system}; ${fileSystem}, fdatasync ${syncUs} µs`,
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
  ];
}

export function describeScenario(result: ScenarioResult): string[] {
  const { title, metric, ours, peers, verdicts, syncDelayMs, notes } = result;
  const sides = [...peers, ours];
  const width = Math.max(...sides.map(({ label }) => label.length));
  return [
    syncDelayMs > 0 ? `${title} (a flush of the log takes ${syncDelayMs} ms more)` : title,
    ...sides.flatMap((side) => describeSide(side, metric, width)),
    ...verdicts.map((verdict) => describeVerdict(verdict, metric, peers)),
    ...notes.map((note) => `  ${note}`),
  ];
}

/** A figure with its unit: `12345/s`, `1.25 ms`. */
export function showValue(value: number, { unit, digits }: Metric): string {
  return `${value.toFixed(digits)}${unit.startsWith('/') ? '' : ' '}${unit}`;
}

function describeSide({ label, median }: SideResult, metric: Metric, width: number): string[] {
  const { value, latency, processorUs, disturbance = 0 } = median;
  const parts = [
    `  ${label.padEnd(width)}`,
    showValue(value, metric).padStart(9),
    ...(latency === undefined
      ? []
      : [`p50 ${latency.p50Ms.toFixed(2)} ms`, `p99 ${latency.p99Ms.toFixed(2)} ms`]),
    ...(processorUs === undefined
      ? []
      : [`processor ${processorUs.total.toFixed(1)} µs/op${describeParts(processorUs)}`]),
  ];
  const disturbed = disturbance > DISTURBANCE_SHOWN;
  return [
    parts.join('  '),
    ...(disturbed
      ? [`    (other programs used ${(disturbance * 100).toFixed(0)}% of the processors)`]
      : []),
  ];
}

function describeParts({ byProcess, client }: ProcessorTime): string {
  const parts = Object.entries(byProcess);
  const shown = parts.length > 1 ? parts.map(([name, us]) => `${name} ${us.toFixed(1)}`) : [];
  const all = client > 0 ? [...shown, `client besides ${client.toFixed(1)}`] : shown;
  return all.length > 0 ? ` (${all.join(', ')})` : '';
}

function describeVerdict(verdict: Verdict, metric: Metric, peers: readonly SideResult[]): string {
  const { peer, value, range, demands } = verdict;
  const digits = peer === undefined ? metric.digits : 2;
  const rounds = `rounds ${range.map((end) => end.toFixed(digits)).join(' to ')}`;
  const label = peers.find(({ id }) => id === peer)?.label ?? peer;
  const what = label === undefined ? showValue(value, metric) : `${value.toFixed(2)} × ${label}`;
  const judged = demands.map(
    ({ kind, relation, value: wanted, passed }) =>
      `; ${kind} ${relation} ${wanted}: ${passed ? 'pass' : 'MISS'}`,
  );
  return `  = ${what} (${rounds})${judged.join('')}`;
}
