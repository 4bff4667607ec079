/** Runs schedules in processes of their own, as many at a time as there are processors. */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';

/** What a worker is told. */
export interface Assignment {
  readonly seed: number;
  /** Names of the faults that may come; empty: all of them. */
  readonly faults: readonly string[];
  /** Names of the workloads that clients may do; empty: all of them. */
  readonly workloads: readonly string[];
  /** Whether the report has the whole log. */
  readonly wantsLog: boolean;
}

/** What a worker says about one seed. */
export interface SeedReport {
  readonly seed: number;
  /** One text per checker that did not hold; none: the schedule passed. */
  readonly failures: readonly string[];
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
  /** Names of the faults that may come; all of them when this is missing. */
  readonly faults?: readonly string[];
  /** Names of the workloads that clients may do; all of them when this is missing. */
  readonly workloads?: readonly string[];
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
  const { next, wantsLog = false, faults = [], workloads = [], root, onReport } = options;
  let child: ChildProcess | null = null;
  try {
    for (let seed = next(); seed !== undefined; seed = next()) {
      child ??= start(root);
      const report = await assign(child, { seed, faults, workloads, wantsLog });
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
      failures: [reason],
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
