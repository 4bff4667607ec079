import { ackBeforeCommit } from './ack-before-commit.ts';
import { fenceOff } from './fence-off.ts';
import { leaseIgnored } from './lease-ignored.ts';
import type { Mutation } from './mutation.ts';

/** Builds that the simulator must catch; `test/sim/broken.test.ts` has a bound on the seeds for each. */
export const MUTATIONS: readonly Mutation[] = [fenceOff, leaseIgnored, ackBeforeCommit];
