import { describe, expect, test } from 'vitest';
import { absolute, always, type Demand, goal, judge, limit } from '../../../bench/load/goals.ts';
import { side } from './figures.ts';

describe('goals of the bench', () => {
  test('the ratio is that of the medians, its range that of neighbouring rounds', () => {
    const redis = side('redis', [50_000, 60_000, 40_000]);
    const [verdict] = judge([goal(0.7, 'redis')], side('ringfence', [40_000, 60_000, 20_000]), [
      redis,
    ]);
    expect(verdict).toMatchObject({ peer: 'redis', value: 0.8, range: [0.5, 1] });
    expect(verdict?.demands[0]?.passed).toBe(true);
  });

  test('a ratio that may not be greater fails when it is', () => {
    const passed = (ours: number): boolean | undefined =>
      judge([limit(2, 'redis')], side('ringfence', [ours]), [side('redis', [1])])[0]?.demands[0]
        ?.passed;
    expect(passed(2)).toBe(true);
    expect(passed(2.1)).toBe(false);
  });

  test('what must hold in every round fails with one, what is asked of the median does not', () => {
    const passed = (demand: Demand, values: number[]): boolean | undefined =>
      judge([demand], side('ringfence', values), [])[0]?.demands[0]?.passed;
    expect(passed(always('=', 1), [1, 1, 1])).toBe(true);
    expect(passed(always('=', 1), [1, 2, 1])).toBe(false);
    expect(passed(always('≤', 20), [10, 21, 10])).toBe(false);
    expect(passed(absolute('≤', 20), [10, 21, 10])).toBe(true);
  });

  test('a peer of which nothing is asked gets its ratio all the same', () => {
    const verdicts = judge([], side('ringfence', [10]), [side('redis', [20])]);
    expect(verdicts).toEqual([{ peer: 'redis', value: 0.5, range: [0.5, 0.5], demands: [] }]);
  });

  test('a goal against a peer that was not measured is an error, not a pass', () => {
    expect(() => judge([goal(1, 'redsi')], side('ringfence', [1]), [side('redis', [1])])).toThrow(
      /redsi/,
    );
  });
});
