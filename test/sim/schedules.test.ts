/**
 * A share of the simulator's schedules: the same ones every time, new ones, and those that found something
 * once. A failure names its seed: `npm run sim -- --seed N` replays it.
 */
import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import type { Focus } from '../../chaos/sim/plan.ts';
import { keptSeeds } from '../../chaos/sim/seeds.ts';
import { runSeeds, type SeedReport } from '../../chaos/sim/runner.ts';

const ROOT = process.cwd();
const FIXED = 40;
const NEW = 10;
/** On a machine that is busy with other things, milliseconds. */
const TIMEOUT_MS = 400_000;

async function reportsOf(seeds: readonly number[], focus: Focus = {}): Promise<SeedReport[]> {
  const left = [...seeds];
  const reports: SeedReport[] = [];
  await runSeeds({
    root: ROOT,
    focus,
    workers: availableParallelism(),
    next: () => left.shift(),
    onReport: (report) => reports.push(report),
  });
  return reports;
}

function failuresOf(reports: readonly SeedReport[]): string[] {
  return reports
    .filter(({ failures }) => failures.length > 0)
    .map(
      ({ seed, failures }) =>
        `npm run sim -- --seed ${seed}\n${failures.map(({ text }) => text).join('\n')}`,
    );
}

test(
  `seeds 1 to ${FIXED} and ${NEW} new ones pass every checker`,
  async () => {
    const fixed = Array.from({ length: FIXED }, (_, i) => i + 1);
    const fresh = Array.from({ length: NEW }, () => Math.floor(Math.random() * 2 ** 31));
    console.log(`new seeds: ${fresh.join(' ')}`);
    const reports = await reportsOf([...fixed, ...fresh]);
    expect(failuresOf(reports)).toEqual([]);
    expect(reports).toHaveLength(FIXED + NEW);
    // Schedules in which nobody did anything would pass as well.
    const operations = reports.reduce((sum, report) => sum + report.operations, 0);
    expect(operations).toBeGreaterThan(50 * reports.length);
  },
  TIMEOUT_MS,
);

test(
  'seeds that found something once pass every checker',
  async () => {
    const kept = keptSeeds(ROOT);
    const reports: SeedReport[] = [];
    for (const { seed, focus } of kept) reports.push(...(await reportsOf([seed], focus)));
    expect(failuresOf(reports)).toEqual([]);
    expect(reports).toHaveLength(kept.length);
  },
  TIMEOUT_MS,
);
