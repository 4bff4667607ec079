/**
 * A counter is at least the number of acknowledged increments, and at most that plus the unknown
 * ones; and no two increments were answered with the same number.
 */
import type { Checker } from './checker.ts';

export const countsAddUp: Checker = {
  name: 'counts-add-up',
  check(history, { places }) {
    const violations: string[] = [];
    for (const [key, operations] of history.byKey('incr')) {
      const acknowledged = operations.filter(({ outcome }) => outcome === 'acknowledged');
      const unknown = operations.filter(({ outcome }) => outcome === 'unknown').length;
      const most = acknowledged.length + unknown;
      for (const [place, values] of places) {
        const value = Number(values.get(key) ?? 0);
        if (value >= acknowledged.length && value <= most) continue;
        violations.push(`${key} on ${place} is ${value}; right: ${acknowledged.length} to ${most}`);
      }
      const replies = new Set(acknowledged.map(({ reply }) => reply));
      if (replies.size < acknowledged.length) {
        const twice = acknowledged.length - replies.size;
        violations.push(`${key}: ${twice} increments were answered with a number used before`);
      }
    }
    return violations;
  },
};
