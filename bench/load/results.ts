/** The result files in bench/results. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/cli/program.ts';
import { type BenchResult, describeResult, type ScenarioResult } from './report.ts';

export const RESULTS = join(PACKAGE_ROOT, 'bench', 'results');

/** Writes a run as JSON and as text; returns the paths. */
export function saveResult(result: BenchResult): string[] {
  mkdirSync(RESULTS, { recursive: true });
  const stamp = result.startedAt.slice(0, 19).replaceAll(':', '');
  const file = join(RESULTS, `${stamp}-${result.commit.replace('+', '-')}`);
  writeFileSync(`${file}.json`, `${JSON.stringify(result, null, 2)}\n`);
  writeFileSync(`${file}.txt`, describeResult(result));
  return [`${file}.json`, `${file}.txt`];
}

/** Runs in the present format, oldest first. Older formats meant other things and are left out. */
export function readResults(folder: string = RESULTS): BenchResult[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .toSorted()
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as { format: number })
    .filter((result): result is BenchResult => result.format === 2);
}

/** A scenario's newest figures, and the run that they are from. */
export interface Newest {
  readonly scenario: ScenarioResult;
  readonly run: BenchResult;
}

/** Flags that choose what is measured, and leave how it is measured as it is. */
const PLAIN_FLAGS = ['--only', '--rounds', '--port', '--scaling', '--floor-check'];

/** Nothing about it was unusual: short rounds, a slower disk, a profiler, options of nodes. */
function isPlain({ flags }: BenchResult): boolean {
  return flags
    .filter((flag) => flag.startsWith('--'))
    .every((flag) => PLAIN_FLAGS.includes(flag.split('=')[0] ?? ''));
}

/**
 * The newest figures of each scenario, in the order given; of an unusual run only where there are no others. A
 * run need not have all scenarios, so they may be of different runs; a ratio is always one run's.
 */
export function newestOf(runs: readonly BenchResult[], ids: readonly string[]): Newest[] {
  return ids.flatMap((id) => {
    const found = runs.flatMap((run) =>
      run.scenarios.filter((scenario) => scenario.id === id).map((scenario) => ({ scenario, run })),
    );
    const plain = found.filter(({ run }) => isPlain(run));
    return (plain.length > 0 ? plain : found).slice(-1);
  });
}
