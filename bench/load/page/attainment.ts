/** How far each goal is reached, as one figure that can be drawn: 1 is exactly reached, more is better. Pure. */
import { describeDemand, type JudgedDemand, type Verdict } from '../goals.ts';
import type { Newest } from '../results.ts';
import { showValue } from '../report.ts';

export interface Attainment {
  readonly id: string;
  readonly title: string;
  /** `≥ 0.8 × redis-server` */
  readonly asked: string;
  /** `0.99` of that peer, or `4.1 ms`. */
  readonly reached: string;
  readonly share: number;
  readonly passed: boolean;
}

export function attainments(newest: readonly Newest[]): Attainment[] {
  return newest.flatMap(({ scenario }) =>
    scenario.verdicts.flatMap((verdict) =>
      verdict.demands
        .filter(({ kind }) => kind === 'goal')
        .map((demand) => {
          const label = scenario.peers.find(({ id }) => id === verdict.peer)?.label;
          const times = label === undefined ? '' : ` × ${label}`;
          return {
            id: scenario.id,
            title: scenario.title,
            asked: `${demand.relation} ${demand.value}${times === '' ? ` ${scenario.metric.unit}` : times}`,
            reached:
              label === undefined
                ? showValue(verdict.value, scenario.metric)
                : verdict.value.toFixed(2),
            share: shareOf(verdict, demand),
            passed: demand.passed,
          };
        }),
    ),
  );
}

function shareOf({ value }: Verdict, { relation, value: wanted, passed }: JudgedDemand): number {
  if (relation === '≥') return value / wanted;
  if (relation === '≤') return wanted / value;
  return passed ? 1 : 0;
}

/** All that was asked of a verdict, with what came of it: `goal ≥ 1 × redis: MISS`. */
export function judgements({ demands }: Verdict): string[] {
  return demands.map((demand) => `${describeDemand(demand)}: ${demand.passed ? 'pass' : 'MISS'}`);
}
