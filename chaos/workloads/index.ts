import { appends } from './appends.ts';
import { compareAndSet } from './compare-and-set.ts';
import { counters } from './counters.ts';
import { moves } from './moves.ts';
import { pipelines } from './pipelines.ts';
import { registers } from './registers.ts';
import { transfers } from './transfers.ts';
import { uniqueValues } from './unique-values.ts';
import type { Workload } from './workload.ts';
import { writtenTogether } from './written-together.ts';

/** Every run uses all of them (`mixture.ts`). */
export const WORKLOADS: readonly Workload[] = [
  registers,
  counters,
  compareAndSet,
  appends,
  writtenTogether,
  transfers,
  moves,
  uniqueValues,
  pipelines,
];
