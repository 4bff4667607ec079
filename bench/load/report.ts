/** From rounds to ratios, and from ratios to lines that people read. Pure. */
import type { Machine } from './machine.ts';
import type { ContenderResult, ProcessorTime } from './rounds.ts';
import type { PeerId, Scenario } from './scenarios.ts';

/** What else ran is mentioned when it took more of the processors than this, 0 to 1. */
const DISTURBANCE_SHOWN = 0.1;

export interface Ratio {
  readonly peer: PeerId;
  /** Our median throughput divided by the peer's. */
  readonly ratio: number;
  /** The lowest and the highest ratio of two rounds that followed each other. */
  readonly range: readonly [number, number];
  readonly floor?: number;
  readonly passed?: boolean;
}

export interface ScenarioResult {
  readonly id: string;
  readonly title: string;
  readonly load: Scenario['load'];
  readonly ours: ContenderResult;
  readonly peers: readonly ContenderResult[];
  readonly ratios: readonly Ratio[];
}

/** The content of a result file. `format` goes up when a field changes its meaning. */
export interface BenchResult {
  readonly format: 1;
  readonly startedAt: string;
  readonly commit: string;
  readonly flags: readonly string[];
  readonly machine: Machine;
  readonly scenarios: readonly ScenarioResult[];
}

export function compare(
  scenario: Scenario,
  ours: ContenderResult,
  peers: readonly ContenderResult[],
): ScenarioResult {
  const { id, title, load } = scenario;
  const ratios = scenario.peers.map((peer, i) => ratioTo(scenario, ours, peer, peers[i]));
  return { id, title, load, ours, peers, ratios };
}

function ratioTo(
  { id, floor }: Scenario,
  ours: ContenderResult,
  peer: PeerId,
  theirs: ContenderResult | undefined,
): Ratio {
  if (theirs === undefined) throw new Error(`${id}: ${peer} was not measured`);
  const ratio = ours.median.opsPerSecond / theirs.median.opsPerSecond;
  const pairs = ours.rounds.map(
    ({ opsPerSecond }, i) => opsPerSecond / (theirs.rounds[i]?.opsPerSecond ?? Number.NaN),
  );
  const range = [Math.min(...pairs), Math.max(...pairs)] as const;
  if (floor?.peer !== peer) return { peer, ratio, range };
  return { peer, ratio, range, floor: floor.ratio, passed: ratio >= floor.ratio };
}

/** Floors that were missed, as lines. */
export function missedFloors(results: readonly ScenarioResult[]): string[] {
  return results.flatMap(({ title, ratios }) =>
    ratios
      .filter(({ passed }) => passed === false)
      .map(({ ratio, peer, floor }) => `${title}: ${ratio.toFixed(2)} × ${peer}, floor ${floor}`),
  );
}

export function describeResult({
  startedAt,
  commit,
  flags,
  machine,
  scenarios,
}: BenchResult): string {
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

export function describeScenario({ title, ours, peers, ratios }: ScenarioResult): string[] {
  const sides = [...peers, ours];
  const width = Math.max(...sides.map(({ label }) => label.length));
  return [
    title,
    ...sides.flatMap((side) => describeSide(side, width)),
    ...ratios.map((ratio) => describeRatio(ratio, peers)),
  ];
}

function describeSide({ label, median }: ContenderResult, width: number): string[] {
  const { opsPerSecond, p50Ms, p99Ms, processorUs, disturbance } = median;
  return [
    [
      `  ${label.padEnd(width)}`,
      `${Math.round(opsPerSecond)}/s`.padStart(9),
      `p50 ${p50Ms.toFixed(2)} ms`,
      `p99 ${p99Ms.toFixed(2)} ms`,
      `processor ${processorUs.total.toFixed(1)} µs/op${describeParts(processorUs)}`,
    ].join('  '),
    ...(disturbance > DISTURBANCE_SHOWN
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

function describeRatio(
  { peer, ratio, range, floor, passed }: Ratio,
  peers: readonly ContenderResult[],
): string {
  const label = peers.find(({ id }) => id === peer)?.label ?? peer;
  const rounds = `rounds ${range.map((value) => value.toFixed(2)).join(' to ')}`;
  const verdict = floor === undefined ? '' : `; floor ${floor}: ${passed ? 'pass' : 'MISS'}`;
  return `  = ${ratio.toFixed(2)} × ${label} (${rounds})${verdict}`;
}
