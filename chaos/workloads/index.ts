import { counters } from './counters.ts';
import { registers } from './registers.ts';
import type { Workload } from './workload.ts';

/** Every run uses all of them; clients take turns. */
export const WORKLOADS: readonly Workload[] = [registers, counters];
