/** What must come out, and whether it did. Pure. */
import type { SideResult } from './rounds.ts';

/** The figure of a scenario. */
export interface Metric {
  /** `operations`, `slowest hundredth`. */
  readonly name: string;
  /** `/s`, `ms`, `bytes/key`. */
  readonly unit: string;
  readonly better: 'more' | 'less';
  /** Digits shown after the point. */
  readonly digits: number;
}

/**
 * One thing asked of a scenario: of our figure divided by a peer's, or, without a peer, of our figure. A
 * goal is what the project wants to reach; a floor, below it, is what it must never lose again.
 */
export interface Demand {
  readonly kind: 'goal' | 'floor';
  readonly peer?: string;
  readonly relation: '≥' | '≤' | '=';
  readonly value: number;
  /** Not only of the median. */
  readonly inEveryRound?: true;
}

export interface JudgedDemand extends Demand {
  readonly passed: boolean;
}

/** Our median against one peer's, or alone; with everything that was asked of it. */
export interface Verdict {
  /** Undefined: our figure itself, in the unit of the scenario. */
  readonly peer?: string;
  readonly value: number;
  /** The least and the greatest of rounds that followed each other. */
  readonly range: readonly [number, number];
  readonly demands: readonly JudgedDemand[];
}

export const goal = (value: number, peer: string): Demand => ({
  kind: 'goal',
  peer,
  relation: '≥',
  value,
});

export const floor = (value: number, peer: string): Demand => ({
  ...goal(value, peer),
  kind: 'floor',
});

/** A ratio that may not be greater: latencies, bytes. */
export const limit = (value: number, peer: string): Demand => ({
  ...goal(value, peer),
  relation: '≤',
});

export const absolute = (relation: Demand['relation'], value: number): Demand => ({
  kind: 'goal',
  relation,
  value,
});

/** Of what happens once or never: the longest pause, a second call. */
export const always = (relation: Demand['relation'], value: number): Demand => ({
  ...absolute(relation, value),
  inEveryRound: true,
});

/** A verdict for each peer, and one without where something is asked of the figure itself. */
export function judge(
  demands: readonly Demand[],
  ours: SideResult,
  peers: readonly SideResult[],
): Verdict[] {
  for (const { peer } of demands) {
    if (peer !== undefined && !peers.some(({ id }) => id === peer)) {
      throw new Error(`a goal names ${peer}, which was not measured`);
    }
  }
  const own = demands.filter(({ peer }) => peer === undefined);
  const ratios = peers.map((peer) =>
    ratioTo(
      ours,
      peer,
      demands.filter((demand) => demand.peer === peer.id),
    ),
  );
  return own.length === 0 ? ratios : [...ratios, alone(ours, own)];
}

function ratioTo(ours: SideResult, peer: SideResult, demands: readonly Demand[]): Verdict {
  const value = ours.median.value / peer.median.value;
  const pairs = ours.rounds
    .slice(0, peer.rounds.length)
    .map((round, i) => round.value / (peer.rounds[i]?.value ?? Number.NaN));
  return {
    peer: peer.id,
    value,
    range: rangeOf(pairs),
    demands: demands.map((demand) => ({ ...demand, passed: holds(demand, value) })),
  };
}

function alone(ours: SideResult, demands: readonly Demand[]): Verdict {
  const values = ours.rounds.map(({ value }) => value);
  return {
    value: ours.median.value,
    range: rangeOf(values),
    demands: demands.map((demand) => ({
      ...demand,
      passed:
        demand.inEveryRound === true
          ? values.every((value) => holds(demand, value))
          : holds(demand, ours.median.value),
    })),
  };
}

function rangeOf(values: readonly number[]): readonly [number, number] {
  return [Math.min(...values), Math.max(...values)];
}

function holds({ relation, value: wanted }: Demand, value: number): boolean {
  if (relation === '≥') return value >= wanted;
  return relation === '≤' ? value <= wanted : value === wanted;
}

export function describeDemand({ kind, relation, value, peer, inEveryRound }: Demand): string {
  const times = peer === undefined ? '' : ` × ${peer}`;
  return `${kind} ${relation} ${value}${times}${inEveryRound === true ? ' in every round' : ''}`;
}
