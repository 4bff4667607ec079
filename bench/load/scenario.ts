/** What a scenario is, and the two kinds of it that are loads: throughput in turn, latency at a rate. */
import type { Field } from './field.ts';
import type { Demand, Metric } from './goals.ts';
import { KEY_SPACE, type Load, type Measured } from './load.ts';
import type { Figures } from './report.ts';
import { measure, type Round, runInTurn, type Side, type ValueOf } from './rounds.ts';
import type { TargetId } from './targets.ts';

export const GROUPS = {
  reads: 'Reads',
  writes: 'Writes',
  latency: 'Latency',
  memory: 'Memory and pauses',
  start: 'Start and warm-up',
  scaling: 'How cost grows with nodes',
} as const;

export type Group = keyof typeof GROUPS;

export interface Scenario {
  readonly id: string;
  readonly title: string;
  readonly group: Group;
  readonly metric: Metric;
  readonly demands: readonly Demand[];
  /** Started before it, and kept until the last scenario that names them. */
  readonly targets: readonly TargetId[];
  /** Makes PostgreSQL's flushes this much longer; else as the flag says. */
  readonly syncDelayMs?: number;
  measure(field: Field): Promise<Figures>;
}

/** Who gets which load. `id` and `label` where the target's own do not tell the sides apart. */
export interface SideSpec {
  readonly on: TargetId;
  readonly load: Load;
  readonly id?: string;
  readonly label?: string;
}

type Common = Pick<Scenario, 'id' | 'title' | 'group' | 'demands' | 'syncDelayMs'>;

export const OPERATIONS: Metric = { name: 'operations', unit: '/s', better: 'more', digits: 0 };

/** Both sides as fast as they can, in turn. */
export function inTurn(
  spec: Common & { readonly ours: SideSpec; readonly peers: readonly SideSpec[] },
): Scenario {
  const { ours, peers, ...common } = spec;
  return {
    ...common,
    metric: OPERATIONS,
    targets: [...peers, ours].map(({ on }) => on),
    measure: async (field) => {
      const sides = await prepare(field, [...peers, ours]);
      return inTurnFigures(field, sides, ({ opsPerSecond }) => opsPerSecond);
    },
  };
}

/** Share of the peak at which latencies are compared. */
const SHARE_OF_PEAK = 0.8;
const PROBE_OPERATIONS = 50_000;

/**
 * Latency at a fixed rate, the same for both sides: a share of the lower of their peaks, each found by closed
 * loops of the same generator. The side with the lower peak is under more stress by that; it may be ours.
 */
export function atRate(
  spec: Common & {
    readonly metric: Metric;
    readonly figure: ValueOf;
    readonly ours: SideSpec;
    readonly peers: readonly SideSpec[];
  },
): Scenario {
  const { ours, peers, figure, ...common } = spec;
  return {
    ...common,
    targets: [...peers, ours].map(({ on }) => on),
    measure: async (field) => {
      const sides = await prepare(field, [...peers, ours]);
      const peaks: number[] = [];
      for (const side of sides) peaks.push(await peakOf(side, field));
      const ratePerSecond = Math.floor(Math.min(...peaks) * SHARE_OF_PEAK);
      const paced = sides.map((side) => ({ ...side, load: { ...side.load, ratePerSecond } }));
      const figures = await inTurnFigures(field, paced, figure);
      const shown = sides.map(({ label }, i) => `${label} ${Math.round(peaks[i] ?? 0)}/s`);
      const { keySpace = KEY_SPACE } = paced[0]?.load ?? ours.load;
      const note = `${keySpace} keys, ${ratePerSecond}/s to both; peaks by the same generator: ${shown.join(', ')}`;
      return { ...figures, notes: [note] };
    },
  };
}

async function peakOf({ contender, load }: Side, field: Field): Promise<number> {
  const { opsPerSecond } = await contender.run(load, PROBE_OPERATIONS);
  const operations = Math.ceil(opsPerSecond * field.options.durations.roundSeconds);
  return (await contender.run(load, operations)).opsPerSecond;
}

/** Starts and fills them. */
async function prepare(field: Field, specs: readonly SideSpec[]): Promise<Side[]> {
  const sides: Side[] = [];
  for (const { on, load: full, id, label } of specs) {
    const contender = await field.get(on);
    const load = withShare(full, field.options.keysShare);
    await field.fill(contender, load);
    sides.push({ contender, load, id: id ?? contender.id, label: label ?? contender.label });
  }
  return sides;
}

/** With a part of the keys only, where there are millions of them. */
export function withShare(load: Load, share: number): Load {
  const { keySpace = KEY_SPACE } = load;
  return keySpace <= KEY_SPACE ? load : { ...load, keySpace: Math.round(keySpace * share) };
}

/** The peers go first, we go last. */
async function inTurnFigures(
  field: Field,
  sides: readonly Side[],
  valueOf: ValueOf,
): Promise<Figures> {
  const results = await runInTurn(sides, field.options.durations, valueOf, ({ label }, round) =>
    field.say(`    ${label}: ${round.value.toFixed(round.value < 100 ? 2 : 0)}`),
  );
  const ours = results.pop();
  if (ours === undefined) throw new Error('our side is among them');
  return { ours, peers: results };
}

/** Rounds of one side, one after the other, for what has nobody to take turns with. */
export async function roundsOf(
  field: Field,
  { contender, load }: Pick<Side, 'contender' | 'load'>,
  valueOf: (measured: Measured) => number,
): Promise<Round[]> {
  const { rounds, roundSeconds } = field.options.durations;
  const { opsPerSecond } = await contender.run(load, PROBE_OPERATIONS);
  const done: Round[] = [];
  for (let i = 0; i < rounds; i++) {
    done.push(await measure({ contender, load }, Math.ceil(opsPerSecond * roundSeconds), valueOf));
  }
  return done;
}
