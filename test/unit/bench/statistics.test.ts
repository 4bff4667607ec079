import { describe, expect, test } from 'vitest';
import { median, quantile } from '../../../bench/load/statistics.ts';

describe('statistics of the bench', () => {
  test('the median of an even number of values is the mean of the two in the middle', () => {
    expect(median([9, 1, 3, 5])).toBe(4);
    expect(median([9, 1, 3])).toBe(3);
  });

  test('a quantile is a value that was measured', () => {
    const sorted = Array.from({ length: 200 }, (_, i) => i + 1);
    expect(quantile(sorted, 0.5)).toBe(100);
    expect(quantile(sorted, 0.99)).toBe(198);
    expect(quantile([7], 0.99)).toBe(7);
  });

  test('nothing measured is an error, not a zero', () => {
    expect(() => median([])).toThrow(RangeError);
    expect(() => quantile([], 0.5)).toThrow(RangeError);
  });
});
