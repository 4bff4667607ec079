import type { History } from '../history.ts';
import { WORKLOADS } from '../workloads/index.ts';
import type { CheckerName, Workload } from '../workloads/workload.ts';
import { acknowledgedPresent } from './acknowledged-present.ts';
import { allOrNothing } from './all-or-nothing.ts';
import type { Checker, Verdict } from './checker.ts';
import { elements } from './elements.ts';
import { expiry } from './expiry.ts';
import { knownRefusals } from './known-refusals.ts';
import { linearizable } from './linearizable.ts';
import { memoryEqualsTable } from './memory-equals-table.ts';
import { onePrimary } from './one-primary.ts';
import { programOrder } from './program-order.ts';
import { sameEverywhere } from './same-everywhere.ts';
import { sums } from './sums.ts';

/** Judge the operations of the workloads that name them. */
export const WORKLOAD_CHECKERS: Readonly<Record<CheckerName, Checker>> = {
  linearizable,
  'acknowledged-present': acknowledgedPresent,
  'known-refusals': knownRefusals,
  expiry,
  'program-order': programOrder,
  elements,
  'all-or-nothing': allOrNothing,
  sums,
};

/** Judge every run, whatever its clients did. */
export const RUN_CHECKERS: readonly Checker[] = [memoryEqualsTable, sameEverywhere, onePrimary];

/** What the run found by itself, and the verdict of every checker that these workloads ask for or that judges every run. */
export function judgeRun(history: History, workloads: readonly Workload[] = WORKLOADS): Verdict[] {
  const verdicts: Verdict[] = [...history.verdicts];
  for (const [name, checker] of Object.entries(WORKLOAD_CHECKERS)) {
    const judged = workloads.filter(({ checkers }) => checkers.includes(name as CheckerName));
    if (judged.length === 0) continue;
    verdicts.push(checker.check(history.of(new Set(judged.map((workload) => workload.name)))));
  }
  return [...verdicts, ...RUN_CHECKERS.map((checker) => checker.check(history))];
}

/** What a checker of that name claims; empty for a verdict that a run adds by itself. */
export function claimOf(name: string): string {
  const all = [...Object.values(WORKLOAD_CHECKERS), ...RUN_CHECKERS];
  return all.find((checker) => checker.name === name)?.claim ?? '';
}
