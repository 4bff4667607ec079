import type { History } from '../history.ts';
import { WORKLOADS } from '../workloads/index.ts';
import type { CheckerName, Workload } from '../workloads/workload.ts';
import { acknowledgedPresent } from './acknowledged-present.ts';
import type { Checker, Verdict } from './checker.ts';
import { linearizable } from './linearizable.ts';
import { memoryEqualsTable } from './memory-equals-table.ts';

/** In the order in which verdicts are told. */
export const CHECKERS: Readonly<Record<CheckerName, Checker>> = {
  linearizable,
  'acknowledged-present': acknowledgedPresent,
  'memory-equals-table': memoryEqualsTable,
};

/** The verdict of every checker over the operations of the workloads that name it. */
export function judgeRun(history: History, workloads: readonly Workload[] = WORKLOADS): Verdict[] {
  return Object.entries(CHECKERS).map(([name, checker]) => {
    const judged = workloads.filter(({ checkers }) => checkers.includes(name as CheckerName));
    return checker.check(history.of(new Set(judged.map((workload) => workload.name))));
  });
}
