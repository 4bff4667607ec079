import type { Random } from '../../src/platform/clock.ts';
import type { Send } from '../recording.ts';

/** The checkers of `chaos/checkers/index.ts` that judge the workloads that name them. */
export type CheckerName =
  | 'linearizable'
  | 'acknowledged-present'
  | 'known-refusals'
  | 'expiry'
  | 'program-order'
  | 'elements'
  | 'all-or-nothing'
  | 'sums';

/** What must hold whatever clients do. */
export const EVERY_WORKLOAD: readonly CheckerName[] = [
  'linearizable',
  'acknowledged-present',
  'known-refusals',
];

/** One client of a workload. */
export interface ClientContext {
  /** Unlike any other client of the run. */
  readonly client: string;
  readonly random: Random;
  /** Records what it sends. */
  readonly send: Send;
}

/** Sends a command or a few, one after the other, and resolves when the last was answered. */
export type Step = () => Promise<void>;

/**
 * What clients do, over and over, until they are told to stop. The simulator and runs on real processes use
 * the same ones; everything random comes from the source that they are given.
 */
export interface Workload {
  readonly name: string;
  readonly checkers: readonly CheckerName[];
  /**
   * One run of it. `run` is in the name of every key, so that two runs on one cluster share none. What is
   * returned makes the steps of a client, and may share state between the clients of the run.
   */
  begin(run: string): (context: ClientContext) => Step;
}
