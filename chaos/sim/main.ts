/**
 * `npm run sim`: a whole cluster under faults, in virtual time, by seed. The same seed is the same run.
 */
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Focus, GENERATOR, planOf } from './plan.ts';
import { BrokenCopy } from './rules/copy.ts';
import { foundSeeds, recordFound, seedsFor } from './rules/found.ts';
import { simulatedRule, SIMULATED_RULES } from './rules/index.ts';
import { nameOf, type Rule } from './rules/rule.ts';
import { describeSearch, search, type Search } from './rules/search.ts';
import { runSeeds, type SeedReport } from './runner.ts';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const SAY_EVERY_MS = 5_000;
const SEEDS = 100;

const HELP = `Usage: npm run sim -- [flags]

  --seed N         replay one schedule, with everything that happened in it
  --seeds COUNT    run that many (${SEEDS})
  --minutes M      run as many as fit into that time
  --from N         the first seed of many (a random one; of a rule: what was found, then 1)
  --faults A,B     only these faults, or 'none' (chaos/sim/faults); this changes what a seed means
  --workloads A,B  only these workloads (chaos/sim/workloads.ts); this too
  --about RULE     only what this rule is about: its faults, workloads and options
  --broken RULES   the build without this rule, in schedules about it, until one fails or all --seeds
                   are tried; several rules: each alone; 'each': every rule; 'list': their names
  --record         with --broken: keep the seeds that were found in chaos/sim/rules/found.json
  --workers N      processes (as many as there are processors)
  --help

Exit code 0 when every checker holds for every seed, 1 when one does not, 2 for wrong usage. With
--broken the other way round: 0 when each of the rules is missed by some checker.
`;

interface Options {
  readonly seed: number | null;
  readonly from: number | null;
  readonly count: number;
  readonly minutes: number | null;
  readonly broken: readonly Rule[];
  readonly record: boolean;
  readonly focus: Focus;
  /** The flags that make the focus, for whoever replays a seed. */
  readonly focusFlags: string;
  readonly workers: number;
}

process.exitCode = await main();

async function main(): Promise<number> {
  let options: Options | string;
  try {
    options = parseOptions();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    return 2;
  }
  if (typeof options === 'string') {
    process.stdout.write(options);
    return 0;
  }
  if (options.broken.length === 0)
    return options.seed === null ? await runMany(options) : await replay(options, ROOT);
  const copy = new BrokenCopy(ROOT);
  try {
    if (options.seed === null) return await searchAll(options, copy);
    copy.breakRule(options.broken[0]!);
    return await replay(options, copy.root);
  } finally {
    copy.remove();
  }
}

function parseOptions(): Options | string {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string', default: String(SEEDS) },
      minutes: { type: 'string' },
      from: { type: 'string' },
      faults: { type: 'string' },
      workloads: { type: 'string' },
      about: { type: 'string' },
      broken: { type: 'string' },
      record: { type: 'boolean', default: false },
      workers: { type: 'string', default: String(availableParallelism()) },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return HELP;
  if (values.broken === 'list') return SIMULATED_RULES.map(lineOf).join('');
  const broken = brokenRules(values.broken);
  const seed = values.seed === undefined ? null : wholeNumber('seed', values.seed, 0);
  if (seed !== null && broken.length > 1) throw new Error('--seed replays one rule at a time');
  const about = values.about === undefined ? broken[0] : simulatedRule(values.about);
  const only = {
    ...(values.faults === undefined ? {} : { faults: namesOf(values.faults) }),
    ...(values.workloads === undefined ? {} : { workloads: namesOf(values.workloads) }),
  };
  // Throws for a name that is not there.
  planOf(0, only);
  return {
    seed,
    from: values.from === undefined ? null : wholeNumber('from', values.from, 0),
    count: wholeNumber('seeds', values.seeds, 1),
    minutes: values.minutes === undefined ? null : wholeNumber('minutes', values.minutes, 1),
    broken,
    record: values.record,
    focus: { ...about?.focus, ...only },
    focusFlags: (['about', 'faults', 'workloads'] as const)
      .map((name) => (values[name] === undefined ? '' : ` --${name} ${values[name]}`))
      .join(''),
    workers: wholeNumber('workers', values.workers, 1),
  };
}

function lineOf(rule: Rule): string {
  return `${nameOf(rule).padEnd(36)} ${rule.rule}\n`;
}

function brokenRules(text: string | undefined): readonly Rule[] {
  if (text === undefined) return [];
  return text === 'each' ? SIMULATED_RULES : text.split(',').map(simulatedRule);
}

function wholeNumber(name: string, text: string, min: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value >= 2 ** 32)
    throw new Error(`--${name} must be a whole number from ${min} on, not '${text}'`);
  return value;
}

function namesOf(text: string): readonly string[] {
  return text === 'none' ? [] : text.split(',');
}

/** One seed, with its log. */
async function replay(options: Options, root: string): Promise<number> {
  const left = [options.seed!];
  let failed = false;
  await runSeeds({
    root,
    workers: 1,
    focus: options.focus,
    wantsLog: true,
    next: () => left.pop(),
    onReport(report) {
      for (const line of report.log) say(line);
      tell(report, options);
      failed = report.failures.length > 0;
    },
  });
  if (!failed) say(`seed ${options.seed}: every checker holds`);
  return failed ? 1 : 0;
}

async function runMany(options: Options): Promise<number> {
  const { count, minutes, focus, workers } = options;
  const from = options.from ?? Math.floor(Math.random() * 2 ** 31);
  const startedAtMs = performance.now();
  const untilMs = minutes === null ? null : startedAtMs + minutes * 60_000;
  const failed: number[] = [];
  let next = from;
  let done = 0;
  let operations = 0;
  const isOver = (): boolean =>
    untilMs === null ? next >= from + count : performance.now() >= untilMs;
  const progress = (): string => {
    const perMinute = (done * 60_000) / (performance.now() - startedAtMs);
    return `${done} schedules, ${failed.length} failed, ${operations} operations, ${perMinute.toFixed(0)} schedules per minute`;
  };
  say(`seeds from ${from} on, generator ${GENERATOR}, ${workers} processes`);
  const saying = setInterval(() => say(progress()), SAY_EVERY_MS);
  await runSeeds({
    root: ROOT,
    workers,
    focus,
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

/** Each rule is switched off alone, until a schedule shows it. */
async function searchAll(options: Options, copy: BrokenCopy): Promise<number> {
  const { broken, count, workers, record } = options;
  const { from } = options;
  const seedsOf = (rule: Rule): Iterable<number> =>
    from === null
      ? seedsFor(rule, foundSeeds(ROOT), count)
      : Array.from({ length: count }, (_, i) => from + i);
  const searches: Search[] = [];
  for (const rule of broken) {
    const done = await search(rule, { copy, workers, seeds: seedsOf(rule) });
    say(describeSearch(done));
    searches.push(done);
    if (record) recordFound(ROOT, done);
  }
  const shown = searches.filter(({ caught, withRule }) => caught !== null && withRule.length === 0);
  say(`${shown.length} of ${searches.length} rules are missed when they are off`);
  return shown.length === searches.length ? 0 : 1;
}

function tell({ seed, failures }: SeedReport, { broken, focusFlags }: Options): void {
  if (failures.length === 0) return;
  say(`seed ${seed} FAILED`);
  for (const line of failures.flatMap(({ text }) => text.split('\n'))) say(`  ${line}`);
  const build = broken.map((rule) => ` --broken ${nameOf(rule)}`).join('');
  say(`  replay: npm run sim -- --seed ${seed}${focusFlags}${build}`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
