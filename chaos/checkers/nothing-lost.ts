/**
 * Every key holds its last acknowledged value, on every node and in the table. A write with unknown
 * outcome may take effect at any time, also late, so its value is right too; one that was answered
 * with "nothing was changed" must never be seen.
 */
import type { Operation } from '../history.ts';
import type { Checker } from './checker.ts';

export const nothingLost: Checker = {
  name: 'nothing-lost',
  check(history, { places }) {
    const violations: string[] = [];
    for (const [key, operations] of history.byKey('set')) {
      const allowed = allowedValues(operations);
      for (const [place, values] of places) {
        const value = values.get(key);
        if (allowed.has(value)) continue;
        violations.push(
          `${key} on ${place} is ${value ?? 'missing'}; right: ${[...allowed].map(String).join(' or ')}`,
        );
      }
    }
    return violations;
  },
};

function allowedValues(operations: readonly Operation[]): Set<string | undefined> {
  const last = operations.findLast(({ outcome }) => outcome === 'acknowledged');
  const unknown = operations.filter(({ outcome }) => outcome === 'unknown');
  return new Set([last?.value, ...unknown.map(({ value }) => value)]);
}
