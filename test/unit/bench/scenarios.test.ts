import { describe, expect, test } from 'vitest';
import { describeScenarios } from '../../../bench/load/list.ts';
import { withShare } from '../../../bench/load/scenario.ts';
import { SCALING_SCENARIOS, SCENARIOS } from '../../../bench/load/scenarios.ts';

const ALL = [...SCENARIOS, ...SCALING_SCENARIOS];

describe('scenarios of the bench', () => {
  test('ids are unique', () => {
    expect(new Set(ALL.map(({ id }) => id)).size).toBe(ALL.length);
  });

  test('floors are below the goals that they belong to', () => {
    for (const { id, demands } of ALL) {
      for (const { peer, value } of demands.filter(({ kind }) => kind === 'floor')) {
        const goal = demands.find((one) => one.kind === 'goal' && one.peer === peer);
        expect(goal?.value, id).toBeGreaterThan(value);
      }
    }
  });

  test('a quick run has a part of the keys only where there are millions', () => {
    const load = { command: 'get', prefix: 'key:', connections: 1, pipeline: 1 } as const;
    expect(withShare({ ...load, keySpace: 2_000_000 }, 0.1).keySpace).toBe(200_000);
    expect(withShare(load, 0.1)).toBe(load);
  });

  test('the list names each of them with what is asked of it', () => {
    const text = describeScenarios().join('\n');
    for (const { id, title } of ALL) {
      expect(text).toContain(`  ${id} `);
      expect(text).toContain(title);
    }
    expect(text).toContain('goal ≥ 3 × write-through; floor ≥ 1.5 × write-through');
    expect(text).toContain('slowest hundredth (ms); goal ≤ 2 × redis');
  });
});
