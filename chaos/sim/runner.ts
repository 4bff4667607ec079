/** Runs schedules in processes of their own, as many at a time as there are processors. */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { Focus } from './plan.ts';

/** Stands for a checker where a process did not come to its end. */
export const CRASH = 'crash';

/** What a worker is told. */
export interface Assignment {
  readonly seed: number;
  readonly focus: Focus;
  /** Whether the report has the whole log. */
  readonly wantsLog: boolean;
}

/** A checker that did not hold, and what it found; `crash`: the process, or what ran in it, came to an end. */
export interface Failure {
  readonly checker: string;
  readonly text: string;
}

/** What a worker says about one seed. */
export interface SeedReport {
  readonly seed: number;
  /** None: the schedule passed. */
  readonly failures: readonly Failure[];
  readonly operations: number;
  readonly virtualMs: number;
  readonly tookMs: number;
  readonly log: readonly string[];
}

export interface RunSeedsOptions {
  /** The next seed, or undefined when there is none; asked for whenever a worker is free. */
  readonly next: () => number | undefined;
  readonly workers: number;
  readonly wantsLog?: boolean;
  /** What the schedules are about; missing: everything. */
  readonly focus?: Focus;
  /** Folder with `src` and `chaos`: the checkout, or a copy of it that was broken on purpose. */
  readonly root: string;
  readonly onReport: (report: SeedReport) => void;
}

/** Nearly everything of a schedule dies young; with Node's default a quarter of the time went into copying it. */
const YOUNG_GENERATION_MB = 64;
/** More than any schedule takes on a loaded machine, milliseconds. */
const SCHEDULE_MS_MAX = 120_000;

/** Resolves when `next` has no more and all have reported. Rejects when a worker cannot be started. */
export async function runSeeds(options: RunSeedsOptions): Promise<void> {
  await Promise.all(Array.from({ length: options.workers }, () => work(options)));
}

async function work(options: RunSeedsOptions): Promise<void> {
  const { next, wantsLog = false, focus = {}, root, onReport } = options;
  let child: ChildProcess | null = null;
  try {
    for (let seed = next(); seed !== undefined; seed = next()) {
      child ??= start(root);
      const report = await assign(child, { seed, focus, wantsLog });
      if (!child.connected || child.exitCode !== null || report.operations === 0) {
        child.kill('SIGKILL');
        child = null;
      }
      onReport(report);
    }
  } finally {
    child?.kill('SIGKILL');
  }
}

function start(root: string): ChildProcess {
  const worker = join(root, 'chaos', 'sim', 'worker.ts');
  return fork(worker, {
    cwd: root,
    execArgv: ['--import', 'tsx', `--max-semi-space-size=${YOUNG_GENERATION_MB}`],
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

function assign(child: ChildProcess, assignment: Assignment): Promise<SeedReport> {
  return new Promise((resolve) => {
    const failed = (reason: string): SeedReport => ({
      seed: assignment.seed,
      failures: [{ checker: CRASH, text: reason }],
      operations: 0,
      virtualMs: 0,
      tookMs: 0,
      log: [],
    });
    const settle = (report: SeedReport): void => {
      clearTimeout(watch);
      child.off('message', onMessage);
      child.off('exit', onExit);
      resolve(report);
    };
    const onMessage = (message: unknown): void => settle(message as SeedReport);
    const onExit = (code: number | null): void =>
      settle(failed(`the worker ended with exit code ${code}`));
    const watch = setTimeout(
      () => settle(failed(`no end within ${SCHEDULE_MS_MAX / 1000} s of real time`)),
      SCHEDULE_MS_MAX,
    );
    child.once('message', onMessage);
    child.once('exit', onExit);
    child.send(assignment);
  });
}
