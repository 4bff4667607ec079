/** All nodes and the table tell the same about every key. */
import type { Checker } from './checker.ts';

export const placesAgree: Checker = {
  name: 'places-agree',
  check(history, { places }) {
    const violations: string[] = [];
    const keys = new Set(history.operations.map(({ key }) => key));
    for (const key of keys) {
      const found = [...places].map(([place, values]) => ({ place, value: values.get(key) }));
      if (new Set(found.map(({ value }) => value)).size > 1) {
        const list = found.map(({ place, value }) => `${place}: ${value ?? 'missing'}`);
        violations.push(`${key} differs: ${list.join(', ')}`);
      }
    }
    return violations;
  },
};
