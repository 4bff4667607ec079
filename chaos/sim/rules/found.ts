/**
 * Seeds that show that a rule is off, by the rule's name: `found.json`, as `npm run sim -- --broken each
 * --record` has measured it. A seed means the same schedule only as long as nothing changes, so whoever
 * replays one goes on to others when it shows nothing any more.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GENERATOR } from '../plan.ts';
import { nameOf, type Rule } from './rule.ts';
import type { Search } from './search.ts';

const FILE = 'chaos/sim/rules/found.json';

interface Record {
  /** Version of the generator (`plan.ts`) at the last search. */
  readonly generator: number;
  readonly rules: Readonly<{ [name: string]: Found }>;
}

export interface Found {
  readonly seed: number;
  /** The checkers that did not hold. */
  readonly by: string;
}

/** `root` is the checkout. */
export function foundSeeds(root: string): ReadonlyMap<string, Found> {
  const { rules } = JSON.parse(readFileSync(join(root, FILE), 'utf8')) as Record;
  return new Map(Object.entries(rules));
}

/** Keeps what was found, beside what is known of rules that were not searched for. */
export function recordFound(root: string, { rule, caught }: Search): void {
  const found = new Map(foundSeeds(root));
  if (caught === null) found.delete(nameOf(rule));
  else found.set(nameOf(rule), { seed: caught.seed, by: caught.checkers.join(', ') });
  const rules = Object.fromEntries([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
  const record: Record = { generator: GENERATOR, rules };
  writeFileSync(join(root, FILE), `${JSON.stringify(record, null, 2)}\n`);
}

/** Seeds to search in, `count` of them from 1 on: the one that was found before comes first. */
export function* seedsFor(
  rule: Rule,
  found: ReadonlyMap<string, Found>,
  count: number,
): Iterable<number> {
  const known = found.get(nameOf(rule))?.seed;
  if (known !== undefined) yield known;
  for (let seed = 1; seed <= count; seed++) if (seed !== known) yield seed;
}
