/** What `--list` prints: every scenario with what is asked of it. */
import { describeDemand } from './goals.ts';
import { GROUPS, SCALING_SCENARIOS, SCENARIOS, type Scenario } from './scenarios.ts';

export function describeScenarios(): string[] {
  const all = [...SCENARIOS, ...SCALING_SCENARIOS];
  const width = Math.max(...all.map(({ id }) => id.length));
  return Object.entries(GROUPS).flatMap(([group, title]) => [
    title,
    ...all.filter((scenario) => scenario.group === group).flatMap((one) => describe(one, width)),
    '',
  ]);
}

function describe({ id, title, metric, demands, syncDelayMs }: Scenario, width: number): string[] {
  const indent = ' '.repeat(width + 4);
  const asked = demands.map(describeDemand).join('; ');
  const disk = syncDelayMs === undefined ? '' : `, flushes ${syncDelayMs} ms longer`;
  return [
    `  ${id.padEnd(width)}  ${title}`,
    `${indent}${metric.name} (${metric.unit})${disk}${asked === '' ? '' : `; ${asked}`}`,
  ];
}
