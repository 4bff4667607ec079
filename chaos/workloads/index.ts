import { counters } from './counters.ts';
import { uniqueValues } from './unique-values.ts';
import type { Workload } from './workload.ts';

/** Every run uses all of them; clients take turns. */
export const WORKLOADS: readonly Workload[] = [uniqueValues, counters];
