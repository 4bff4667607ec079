/**
 * Rounds in turn: peer, us, peer, us, … Two sides measured one after the other would differ by
 * whatever the machine did meanwhile; in turn, both get the same share of it. Medians of the rounds.
 */
import { cpus } from 'node:os';
import type { Contender, Load, Measured } from './load.ts';
import { type ProcessGroup, readEndedChildren, readGroups, readMachine } from './processor-time.ts';
import { median } from './statistics.ts';

export interface Durations {
  readonly rounds: number;
  readonly roundSeconds: number;
  /** Before the first round, per contender. */
  readonly warmUpSeconds: number;
}

/** Microseconds of processor time per operation. */
export interface ProcessorTime {
  /** All processes of the contender together. */
  readonly total: number;
  readonly byProcess: Readonly<Record<string, number>>;
  /** The load generator; 0 where it is inside the contender's own process. */
  readonly client: number;
}

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms?: number;
  readonly maxMs?: number;
}

/** One figure, and what was seen beside it. */
export interface Round {
  /** In the unit of the scenario. */
  readonly value: number;
  readonly latency?: Latency;
  readonly processorUs?: ProcessorTime;
  /** When it began and ended, on the system's monotonic clock, in microseconds. */
  readonly window?: readonly [number, number];
  /** Share of the processors that anything else on the machine used meanwhile, 0 to 1. */
  readonly disturbance?: number;
}

export type Medians = Omit<Round, 'window'>;

export interface SideResult {
  readonly id: string;
  readonly label: string;
  readonly rounds: readonly Round[];
  readonly median: Medians;
}

/** A contender, what it is sent in this scenario, and the name of that for reports. */
export interface Side {
  readonly id: string;
  readonly label: string;
  readonly contender: Contender;
  readonly load: Load;
}

/** What of a round is the scenario's figure. */
export type ValueOf = (measured: Measured) => number;

/** Enough to learn the rate from, and little even where an operation takes a millisecond. */
const PROBE_OPERATIONS = 5000;

/** Measures the sides in turn. Results are in the order of the sides. */
export async function runInTurn(
  sides: readonly Side[],
  durations: Durations,
  valueOf: ValueOf,
  onRound: (side: Side, round: Round) => void,
): Promise<SideResult[]> {
  const plans: { side: Side; operations: number; rounds: Round[] }[] = [];
  for (const side of sides) {
    const rate = await warmUp(side, durations.warmUpSeconds);
    plans.push({ side, operations: Math.ceil(rate * durations.roundSeconds), rounds: [] });
  }
  for (let round = 0; round < durations.rounds; round++) {
    for (const { side, operations, rounds } of plans) {
      const measured = await measure(side, operations, valueOf);
      rounds.push(measured);
      onRound(side, measured);
    }
  }
  return plans.map(({ side: { id, label }, rounds }) => sideResult(id, label, rounds));
}

export function sideResult(id: string, label: string, rounds: readonly Round[]): SideResult {
  return { id, label, rounds, median: medians(rounds) };
}

/** Returns operations per second. */
async function warmUp({ contender, load }: Side, seconds: number): Promise<number> {
  const { ratePerSecond } = load;
  const probe =
    ratePerSecond === undefined
      ? (await contender.run(load, PROBE_OPERATIONS)).opsPerSecond
      : ratePerSecond;
  const warm = await contender.run(load, Math.ceil(probe * seconds));
  return ratePerSecond ?? warm.opsPerSecond;
}

/** One round: what the client saw, and the processor time of everybody meanwhile. */
export async function measure(
  { contender, load }: Pick<Side, 'contender' | 'load'>,
  operations: number,
  valueOf: ValueOf,
): Promise<Round> {
  const groups = contender.processes();
  const before = read(groups);
  const measured = await contender.run(load, operations);
  const after = read(groups);
  const used = [...after.groups].map(
    ([name, us]) => [name, us - (before.groups.get(name) ?? 0)] as const,
  );
  const total = used.reduce((sum, [, us]) => sum + us, 0);
  const client = measured.clientUs ?? after.client - before.client;
  const capacity = (after.atUs - before.atUs) * cpus().length;
  const { p50Ms, p99Ms, p999Ms, maxMs } = measured;
  return {
    value: valueOf(measured),
    latency: {
      ...{ p50Ms, p99Ms },
      ...(p999Ms === undefined ? {} : { p999Ms }),
      ...(maxMs === undefined ? {} : { maxMs }),
    },
    window: [before.atUs, after.atUs],
    processorUs: {
      total: total / measured.operations,
      byProcess: Object.fromEntries(used.map(([name, us]) => [name, us / measured.operations])),
      client: client / measured.operations,
    },
    // Clock ticks are coarse, so a quiet machine may come out slightly below nothing.
    disturbance: Math.max(0, (after.machine - before.machine - total - client) / capacity),
  };
}

interface Reading {
  readonly groups: ReadonlyMap<string, number>;
  readonly client: number;
  readonly machine: number;
  readonly atUs: number;
}

function read(groups: readonly ProcessGroup[]): Reading {
  return {
    groups: readGroups(groups),
    client: readEndedChildren(),
    machine: readMachine(),
    atUs: nowUs(),
  };
}

function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** Of what every round has; what some lack is left out. */
export function medians(rounds: readonly Round[]): Medians {
  const of = (value: (round: Round) => number | undefined): number | undefined => {
    const values = rounds.map(value).filter((number) => number !== undefined);
    return values.length === rounds.length ? median(values) : undefined;
  };
  const value = of((round) => round.value);
  if (value === undefined) throw new RangeError('a median of no rounds');
  const latency = medianLatency(of);
  const processorUs = medianProcessorTime(rounds, of);
  const disturbance = of((round) => round.disturbance);
  return {
    value,
    ...(latency === undefined ? {} : { latency }),
    ...(processorUs === undefined ? {} : { processorUs }),
    ...(disturbance === undefined ? {} : { disturbance }),
  };
}

type MedianOf = (value: (round: Round) => number | undefined) => number | undefined;

function medianLatency(of: MedianOf): Latency | undefined {
  const p50Ms = of(({ latency }) => latency?.p50Ms);
  const p99Ms = of(({ latency }) => latency?.p99Ms);
  if (p50Ms === undefined || p99Ms === undefined) return undefined;
  const p999Ms = of(({ latency }) => latency?.p999Ms);
  const maxMs = of(({ latency }) => latency?.maxMs);
  return {
    ...{ p50Ms, p99Ms },
    ...(p999Ms === undefined ? {} : { p999Ms }),
    ...(maxMs === undefined ? {} : { maxMs }),
  };
}

function medianProcessorTime(rounds: readonly Round[], of: MedianOf): ProcessorTime | undefined {
  const total = of(({ processorUs }) => processorUs?.total);
  const client = of(({ processorUs }) => processorUs?.client);
  if (total === undefined || client === undefined) return undefined;
  const names = Object.keys(rounds[0]?.processorUs?.byProcess ?? {});
  const byProcess = names.map(
    (name) => [name, of(({ processorUs }) => processorUs?.byProcess[name] ?? 0) ?? 0] as const,
  );
  return { total, byProcess: Object.fromEntries(byProcess), client };
}
