import { describe, expect, test } from 'vitest';
import { judgePairs } from '../../../bench/load/regression.ts';

const judged = (nowUs: number[]): { dearer: boolean; line: string } =>
  judgePairs({ title: 'GET', beforeUs: [10, 10, 10], nowUs });

describe('regression check', () => {
  test('dearer in all rounds, and clearly, is warned of', () => {
    const { dearer, line } = judged([12.5, 13, 12.8]);
    expect(dearer).toBe(true);
    expect(line).toBe(
      'WARNING: dearer than before: GET: 10.0 → 12.8 µs/op, 1.28 times (rounds 1.25 to 1.30)',
    );
  });

  test.each([
    ['a little dearer in all rounds', [11, 11.5, 11.9]],
    ['much dearer in some rounds, and not in one', [20, 20, 10]],
    ['cheaper', [5, 5, 5]],
  ])('%s is not', (_, nowUs) => {
    expect(judged(nowUs).dearer).toBe(false);
    expect(judged(nowUs).line).toMatch(/^GET: 10\.0 → /);
  });
});
