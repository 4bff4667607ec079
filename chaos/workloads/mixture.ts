/**
 * All workloads at once, by the same clients. Half of the steps are of one workload that changes from time to
 * time, so that its operations meet each other; the others keep all of them going during every fault.
 */
import type { Random } from '../../src/platform/clock.ts';
import type { Send } from '../recording.ts';
import type { Step, Workload } from './workload.ts';

const FOCUS_ODDS = 0.5;
/** Steps of all clients together until another workload has its turn, unless a run says otherwise. */
const FOCUS_STEPS = 400;

export interface MixtureClient {
  readonly client: string;
  readonly random: Random;
  /** Sends and records in the name of a workload. */
  readonly sendFor: (workload: string) => Send;
}

/** One run of all these workloads; what is returned makes the steps of a client. */
export function beginMixture(
  workloads: readonly Workload[],
  run: string,
  focusSteps = FOCUS_STEPS,
): (client: MixtureClient) => Step {
  const begun = workloads.map((workload) => ({ name: workload.name, client: workload.begin(run) }));
  let count = 0;
  return ({ client, random, sendFor }) => {
    const steps = begun.map((workload) =>
      workload.client({ client, random, send: sendFor(workload.name) }),
    );
    return async () => {
      const focus = Math.floor(count++ / focusSteps) % steps.length;
      await steps[random.float() < FOCUS_ODDS ? focus : random.below(steps.length)]!();
    };
  };
}
