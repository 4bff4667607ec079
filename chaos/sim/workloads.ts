import { coldKeys } from '../workloads/cold-keys.ts';
import { expiring, expiringInMemory, expiringReads } from '../workloads/expiring.ts';
import { legacyKeys, legacyMoves } from '../workloads/legacy-keys.ts';
import { memoryOnly } from '../workloads/memory-only.ts';
import { hotKey } from '../workloads/hot-key.ts';
import { WORKLOADS } from '../workloads/index.ts';
import type { Workload } from '../workloads/workload.ts';

/** A schedule draws from these: all that run on real processes too, and those for policies of the simulated nodes. */
export const SIM_WORKLOADS: readonly Workload[] = [
  ...WORKLOADS,
  memoryOnly,
  legacyKeys,
  legacyMoves,
  expiring,
  hotKey,
  expiringInMemory,
];

/** Only where a focus names them: each is made for what few schedules are about. */
export const AIMED_WORKLOADS: readonly Workload[] = [expiringReads, coldKeys];

/** Their keys have policy `none`. */
export const MEMORY_WORKLOADS: readonly Workload[] = [memoryOnly, expiringInMemory];
