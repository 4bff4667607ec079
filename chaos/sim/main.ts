/**
 * `npm run sim`: a whole cluster under faults, in virtual time, by seed. The same seed is the same run.
 */
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MUTATIONS } from './broken/index.ts';
import { buildBroken, type Mutation } from './broken/mutation.ts';
import { SIM_FAULTS } from './faults/index.ts';
import { GENERATOR } from './plan.ts';
import { runSeeds, type SeedReport } from './runner.ts';
import { SIM_WORKLOADS } from './workloads.ts';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const SAY_EVERY_MS = 5_000;

const HELP = `Usage: npm run sim -- [flags]

  --seed N        replay one schedule, with everything that happened in it
  --seeds COUNT   run that many (100)
  --minutes M     run as many as fit into that time
  --from N        the first seed of many (a random one)
  --faults A,B    only these faults (this changes what a seed means); the default of a broken build
                  are those that it is about: see chaos/sim/faults
  --workloads A,B only these workloads (this too): see chaos/sim/workloads.ts
  --broken NAME   run a build that is broken on purpose, until it is caught:
                  ${MUTATIONS.map(({ name }) => name).join(', ')}
  --workers N     processes (as many as there are processors)
  --help

Exit code 0 when every checker holds for every seed, 1 when one does not, 2 for wrong usage.
`;

interface Options {
  readonly seed: number | null;
  readonly from: number;
  readonly count: number;
  readonly minutes: number | null;
  readonly broken: Mutation | null;
  readonly faults: readonly string[];
  readonly workloads: readonly string[];
  readonly workers: number;
}

process.exitCode = await main();

async function main(): Promise<number> {
  let options: Options | 'help';
  try {
    options = parseOptions();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    return 2;
  }
  if (options === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  const build = options.broken === null ? null : buildBroken(ROOT, options.broken);
  try {
    const root = build?.root ?? ROOT;
    return options.seed === null ? await runMany(options, root) : await replay(options, root);
  } finally {
    build?.remove();
  }
}

function parseOptions(): Options | 'help' {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string', default: '100' },
      minutes: { type: 'string' },
      from: { type: 'string' },
      broken: { type: 'string' },
      faults: { type: 'string' },
      workloads: { type: 'string' },
      workers: { type: 'string', default: String(availableParallelism()) },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const broken = MUTATIONS.find(({ name }) => name === values.broken) ?? null;
  if (values.broken !== undefined && broken === null)
    throw new Error(`there is no broken build '${values.broken}'`);
  return {
    seed: values.seed === undefined ? null : wholeNumber('seed', values.seed, 0),
    from:
      values.from === undefined
        ? Math.floor(Math.random() * 2 ** 31)
        : wholeNumber('from', values.from, 0),
    count: wholeNumber('seeds', values.seeds, 1),
    minutes: values.minutes === undefined ? null : wholeNumber('minutes', values.minutes, 1),
    broken,
    faults: namesOf('fault', values.faults, SIM_FAULTS) ?? broken?.faults ?? [],
    workloads: namesOf('workload', values.workloads, SIM_WORKLOADS) ?? [],
    workers: wholeNumber('workers', values.workers, 1),
  };
}

function wholeNumber(name: string, text: string, min: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value >= 2 ** 32)
    throw new Error(`--${name} must be a whole number from ${min} on, not '${text}'`);
  return value;
}

function namesOf(
  what: string,
  text: string | undefined,
  all: readonly { readonly name: string }[],
): string[] | undefined {
  const names = text?.split(',');
  const unknown = names?.find((name) => !all.some((known) => known.name === name));
  if (unknown !== undefined) {
    const known = all.map(({ name }) => name).join(', ');
    throw new Error(`there is no ${what} '${unknown}'; there are: ${known}`);
  }
  return names;
}

/** One seed, with its log. */
async function replay(options: Options, root: string): Promise<number> {
  const { seed, faults, workloads } = options;
  const left = [seed!];
  let failed = false;
  await runSeeds({
    root,
    workers: 1,
    faults,
    workloads,
    wantsLog: true,
    next: () => left.pop(),
    onReport(report) {
      for (const line of report.log) say(line);
      tell(report, options);
      failed = report.failures.length > 0;
    },
  });
  if (!failed) say(`seed ${seed}: every checker holds`);
  return failed ? 1 : 0;
}

async function runMany(options: Options, root: string): Promise<number> {
  const { from, count, minutes, broken, faults, workloads, workers } = options;
  const startedAtMs = performance.now();
  const untilMs = minutes === null ? null : startedAtMs + minutes * 60_000;
  const failed: number[] = [];
  let next = from;
  let done = 0;
  let operations = 0;
  const isOver = (): boolean =>
    (broken !== null && failed.length > 0) ||
    (untilMs === null ? next >= from + count : performance.now() >= untilMs);
  const progress = (): string => {
    const perMinute = (done * 60_000) / (performance.now() - startedAtMs);
    return `${done} schedules, ${failed.length} failed, ${operations} operations, ${perMinute.toFixed(0)} schedules per minute`;
  };
  say(`seeds from ${from} on, generator ${GENERATOR}, ${workers} processes`);
  const saying = setInterval(() => say(progress()), SAY_EVERY_MS);
  await runSeeds({
    root,
    workers,
    faults,
    workloads,
    next: () => (isOver() ? undefined : next++),
    onReport(report) {
      done++;
      operations += report.operations;
      if (report.failures.length === 0) return;
      failed.push(report.seed);
      tell(report, options);
    },
  });
  clearInterval(saying);
  say(progress());
  if (failed.length > 0) say(`failed: ${failed.sort((a, b) => a - b).join(' ')}`);
  return failed.length > 0 ? 1 : 0;
}

function tell({ seed, failures }: SeedReport, { broken, faults, workloads }: Options): void {
  if (failures.length === 0) return;
  say(`seed ${seed} FAILED`);
  for (const line of failures.flatMap((text) => text.split('\n'))) say(`  ${line}`);
  const build = broken === null ? '' : ` --broken ${broken.name}`;
  const flag = (name: string, list: readonly string[]): string =>
    list.length === 0 ? '' : ` --${name} ${list.join(',')}`;
  const only = `${flag('faults', faults)}${flag('workloads', workloads)}`;
  say(`  replay: npm run sim -- --seed ${seed}${only}${build}`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
