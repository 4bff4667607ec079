/**
 * Builds that are broken on purpose are caught: a simulator that finds nothing might just not look. The three
 * big ones in every run, and of the others a share that changes from day to day, by the seeds that once
 * showed them; all of them with RINGFENCE_TEST_RULES=all.
 */
import { availableParallelism } from 'node:os';
import { afterAll, expect, test } from 'vitest';
import { BROKEN_BUILDS } from '../../chaos/sim/rules/builds.ts';
import { BrokenCopy } from '../../chaos/sim/rules/copy.ts';
import { foundSeeds, seedsFor } from '../../chaos/sim/rules/found.ts';
import { SIMULATED_RULES } from '../../chaos/sim/rules/index.ts';
import { nameOf, type Rule } from '../../chaos/sim/rules/rule.ts';
import { search } from '../../chaos/sim/rules/search.ts';

const ROOT = process.cwd();
/** Of those that are not in every run. */
const SHARE = 8;
/** Tried when the recorded seed shows nothing any more: any change moves what a seed means. */
const OTHER_SEEDS = 40;
/** On a machine that is busy with other things, milliseconds. */
const TIMEOUT_MS = 300_000;
const DAY_MS = 86_400_000;

const found = foundSeeds(ROOT);
const copy = new BrokenCopy(ROOT);
afterAll(() => copy.remove());

function share(): readonly Rule[] {
  const others = SIMULATED_RULES.filter(
    (rule) => !BROKEN_BUILDS.includes(rule) && found.has(nameOf(rule)),
  );
  if (process.env['RINGFENCE_TEST_RULES'] === 'all') return others;
  const first = (Math.floor(Date.now() / DAY_MS) * SHARE) % others.length;
  return [...others, ...others].slice(first, first + Math.min(SHARE, others.length));
}

test.each([...BROKEN_BUILDS, ...share()].map((rule) => [nameOf(rule), rule] as const))(
  'schedules show that %s is off, and pass when it is on',
  async (_name, rule) => {
    const workers = availableParallelism();
    const { caught, withRule } = await search(rule, {
      copy,
      workers,
      seeds: seedsFor(rule, found, OTHER_SEEDS),
    });
    expect(caught).not.toBeNull();
    expect(withRule).toEqual([]);
  },
  TIMEOUT_MS,
);
