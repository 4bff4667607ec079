/** A process that runs schedules for `runner.ts`: one seed after the other, as it is told. */
import { failures, runSchedule } from './schedule.ts';
import { type Assignment, CRASH, type SeedReport } from './runner.ts';

let current: Assignment | null = null;

process.on('message', (assignment: Assignment) => void run(assignment));
// Whoever started this is gone.
process.on('disconnect', () => process.exit());
// What nobody catches would end a node's process; here it is the schedule's failure.
process.on('unhandledRejection', (reason) => crash(reason));
process.on('uncaughtException', (error) => crash(error));

async function run(assignment: Assignment): Promise<void> {
  current = assignment;
  const startedAtMs = performance.now();
  const outcome = await runSchedule(assignment.seed, assignment.focus);
  const failed = failures(outcome).map(({ checker, status, findings }) => ({
    checker,
    text: `${checker} ${status}:\n${findings.join('\n')}`,
  }));
  report({
    seed: assignment.seed,
    failures: failed,
    operations: outcome.history.operations.length,
    virtualMs: outcome.virtualMs,
    tookMs: performance.now() - startedAtMs,
    log: assignment.wantsLog ? [...outcome.log] : [],
  });
}

function crash(reason: unknown): void {
  const text = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
  const seed = current?.seed ?? 0;
  const failed = [{ checker: CRASH, text: `a process crashed:\n${text}` }];
  report({ seed, failures: failed, operations: 0, virtualMs: 0, tookMs: 0, log: [] }, () =>
    process.exit(1),
  );
}

function report(what: SeedReport, then: () => void = () => undefined): void {
  current = null;
  process.send!(what, then);
}
