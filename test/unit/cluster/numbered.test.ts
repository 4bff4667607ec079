import { expect, test } from 'vitest';
import { Numbered } from '../../../src/cluster/numbered.ts';

test('finds what is under way, in whatever order it leaves', () => {
  const table = new Numbered<{ n: number }>();
  const open = new Set<number>();
  let next = 1;
  for (let round = 0; round < 4000; round++) {
    table.add(next, { n: next });
    open.add(next++);
    // Leaves roughly in order: one of the oldest few, sometimes several.
    const oldest = [...open].slice(0, 5);
    for (const n of oldest.filter((_, i) => (round + i) % 4 === 0)) {
      expect(table.delete(n)).toBe(true);
      expect(table.delete(n)).toBe(false);
      open.delete(n);
    }
    expect(table.size).toBe(open.size);
  }
  expect([...table.values()].map(({ n }) => n)).toEqual([...open]);
  for (const n of open) expect(table.get(n)).toEqual({ n });
  expect(table.get(next)).toBeUndefined();
  expect(table.get(0)).toBeUndefined();
});

test('begins anew with any number when it is empty', () => {
  const table = new Numbered<{ n: number }>();
  table.add(7, { n: 7 });
  table.delete(7);
  table.add(1000, { n: 1000 });
  expect(table.get(1000)).toEqual({ n: 1000 });
  table.clear();
  expect(table.size).toBe(0);
  table.add(5, { n: 5 });
  expect([...table.values()]).toEqual([{ n: 5 }]);
});
