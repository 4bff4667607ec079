/**
 * Random schedules of a build without one rule, until a checker fails. A seed counts only when its
 * schedule passes with the rule on, in this process: else it is the program that is wrong, or the checker.
 */
import type { Verdict } from '../../checkers/checker.ts';
import { CRASH, runSeeds, type SeedReport } from '../runner.ts';
import { failures, runSchedule } from '../schedule.ts';
import type { BrokenCopy } from './copy.ts';
import { nameOf, type Rule } from './rule.ts';

export interface SearchOptions {
  readonly copy: BrokenCopy;
  readonly workers: number;
  /** Tried in this order, `workers` at a time, until one fails. */
  readonly seeds: Iterable<number>;
}

export interface Catch {
  readonly seed: number;
  /** Those that did not hold. */
  readonly checkers: readonly string[];
}

export interface Search {
  readonly rule: Rule;
  readonly tried: number;
  readonly caught: Catch | null;
  /** What the schedule of the catch violates with the rule on. */
  readonly withRule: readonly Verdict[];
}

/** Looks for the first seed that shows that the rule is off. Throws when the broken build does not run. */
export async function search(rule: Rule, options: SearchOptions): Promise<Search> {
  const { copy, workers } = options;
  copy.breakRule(rule);
  const seeds = options.seeds[Symbol.iterator]();
  let tried = 0;
  let first: SeedReport | null = null;
  await runSeeds({
    ...(rule.focus === undefined ? {} : { focus: rule.focus }),
    root: copy.root,
    workers,
    next() {
      const next = first === null ? seeds.next() : undefined;
      return next === undefined || next.done === true ? undefined : next.value;
    },
    onReport(report) {
      tried++;
      assertRuns(rule, report);
      if (report.failures.length > 0 && report.seed < (first?.seed ?? Infinity)) first = report;
    },
  });
  const caught = first as SeedReport | null;
  if (caught === null) return { rule, tried, caught: null, withRule: [] };
  const checkers = caught.failures.map(({ checker }) => checker);
  const withRule = failures(await runSchedule(caught.seed, rule.focus));
  return { rule, tried, caught: { seed: caught.seed, checkers }, withRule };
}

/** A build that cannot be loaded would look like one that is caught. */
function assertRuns(rule: Rule, report: SeedReport): void {
  const broken = report.failures.find(
    ({ checker, text }) =>
      checker === CRASH && /the worker ended|SyntaxError|ERR_MODULE|Transform failed/.test(text),
  );
  if (broken !== undefined)
    throw new Error(`the build without ${nameOf(rule)} does not run: ${broken.text}`);
}

/** For people: one line, and what is wrong where the rule is on. */
export function describeSearch({ rule, tried, caught, withRule }: Search): string {
  const name = nameOf(rule);
  if (caught === null) return `${name}: NOT FOUND in ${tried} schedules`;
  const found = `${name}: found by ${caught.checkers.join(', ')}; replay: npm run sim -- --broken ${name} --seed ${caught.seed}`;
  if (withRule.length === 0) return found;
  const texts = withRule
    .map(({ checker, findings }) => `${checker}: ${findings.join('\n')}`)
    .join('\n');
  return `${found}\n  BUT the same schedule fails with the rule on: npm run sim -- --about ${name} --seed ${caught.seed}\n${texts}`;
}
