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

export interface Round extends Measured {
  /** When it began and ended, on the system's monotonic clock, in microseconds. */
  readonly window: readonly [number, number];
  readonly processorUs: ProcessorTime;
  /** Share of the processors that anything else on the machine used meanwhile, 0 to 1. */
  readonly disturbance: number;
}

export type Medians = Omit<Round, 'window' | 'operations'>;

export interface ContenderResult {
  readonly id: string;
  readonly label: string;
  readonly rounds: readonly Round[];
  readonly median: Medians;
}

/** Enough to learn the rate from, and little even where an operation takes a millisecond. */
const PROBE_OPERATIONS = 5000;

/** Measures the contenders in turn. Results are in the order of the contenders. */
export async function runInTurn(
  contenders: readonly Contender[],
  load: Load,
  durations: Durations,
  onRound: (contender: Contender, round: Round) => void,
): Promise<ContenderResult[]> {
  const sides: { contender: Contender; operations: number; rounds: Round[] }[] = [];
  for (const contender of contenders) {
    const rate = await warmUp(contender, load, durations.warmUpSeconds);
    const operations = Math.ceil(rate * durations.roundSeconds);
    sides.push({ contender, operations, rounds: [] });
  }
  for (let round = 0; round < durations.rounds; round++) {
    for (const { contender, operations, rounds } of sides) {
      const measured = await measure(contender, load, operations);
      rounds.push(measured);
      onRound(contender, measured);
    }
  }
  return sides.map(({ contender: { id, label }, rounds }) => ({
    id,
    label,
    rounds,
    median: medians(rounds),
  }));
}

/** Returns operations per second. */
async function warmUp(contender: Contender, load: Load, seconds: number): Promise<number> {
  const probe = await contender.run(load, PROBE_OPERATIONS);
  const warm = await contender.run(load, Math.ceil(probe.opsPerSecond * seconds));
  return warm.opsPerSecond;
}

async function measure(contender: Contender, load: Load, operations: number): Promise<Round> {
  const groups = contender.processes();
  const before = read(groups);
  const measured = await contender.run(load, operations);
  const after = read(groups);
  const used = [...after.groups].map(
    ([name, us]) => [name, us - (before.groups.get(name) ?? 0)] as const,
  );
  const total = used.reduce((sum, [, us]) => sum + us, 0);
  const client = after.client - before.client;
  const capacity = (after.atUs - before.atUs) * cpus().length;
  return {
    ...measured,
    window: [before.atUs, after.atUs],
    processorUs: {
      total: total / operations,
      byProcess: Object.fromEntries(used.map(([name, us]) => [name, us / operations])),
      client: client / operations,
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

export function medians(rounds: readonly Round[]): Medians {
  const of = (value: (round: Round) => number): number => median(rounds.map(value));
  const names = Object.keys(rounds[0]?.processorUs.byProcess ?? {});
  return {
    opsPerSecond: of((round) => round.opsPerSecond),
    p50Ms: of((round) => round.p50Ms),
    p99Ms: of((round) => round.p99Ms),
    disturbance: of((round) => round.disturbance),
    processorUs: {
      total: of((round) => round.processorUs.total),
      byProcess: Object.fromEntries(
        names.map((name) => [name, of((round) => round.processorUs.byProcess[name] ?? 0)]),
      ),
      client: of((round) => round.processorUs.client),
    },
  };
}
