/**
 * Keys that live in memory only have no row that could be asked: at the end every node gives one and the same
 * answer for such a key, and every owner holds it, so that it outlives each of them.
 */
import type { EndState } from '../history.ts';
import { type Checker, verdict } from './checker.ts';
import { shown } from './linearizability/keyspace-model.ts';

const NAME = 'same-everywhere';

export const sameEverywhere: Checker = {
  name: NAME,
  claim: 'At the end all nodes and all owners have the same of a key that lives in memory only.',
  check({ ends }) {
    const kept = ends.map((end) => ({ end, keys: keysOfMemory(end) }));
    const count = kept.reduce((sum, { keys }) => sum + keys.length, 0);
    if (count === 0) {
      const judged = 'no key of this run lived in memory only';
      return { checker: NAME, status: 'not-judged', judged, findings: [] };
    }
    const findings = kept.flatMap(({ end, keys }) => keys.flatMap((key) => differences(end, key)));
    return verdict(NAME, `${count} readings of keys`, findings);
  },
};

function keysOfMemory({ answers, table }: EndState): string[] {
  const keys = new Set([...answers.values()].flatMap((values) => [...values.keys()]));
  return [...keys].filter((key) => !table.has(key));
}

function differences({ when, answers, memory }: EndState, key: string): string[] {
  const places = [
    ...[...answers].map(([node, values]) => ({ place: `answer of ${node}`, values })),
    ...[...memory].map(([node, values]) => ({ place: `memory of ${node}`, values })),
  ].filter(({ values }) => values.has(key));
  const found = new Set(places.map(({ values }) => values.get(key)!));
  if (found.size <= 1) return [];
  const told = places.map(({ place, values }) => `${place} is ${shown(values.get(key)!)}`);
  return [`${key} ${when}: ${told.join(', ')}`];
}
