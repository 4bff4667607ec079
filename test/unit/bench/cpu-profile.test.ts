import { describe, expect, test } from 'vitest';
import { type CpuProfile, summarise } from '../../../bench/load/cpu-profile.ts';

const frame = (functionName: string, url = ''): CpuProfile['nodes'][number]['callFrame'] => ({
  functionName,
  url,
  lineNumber: 9,
});

const profile: CpuProfile = {
  nodes: [
    { id: 1, callFrame: frame('(idle)') },
    { id: 2, callFrame: frame('commit', 'file:///somewhere/dist/cluster/lane.js') },
    { id: 3, callFrame: frame('(garbage collector)') },
    // The same function, reached by another way.
    { id: 4, callFrame: frame('commit', 'file:///somewhere/dist/cluster/lane.js') },
  ],
  startTime: 1000,
  samples: [2, 1, 3, 4, 2],
  timeDeltas: [0, 100, 100, 100, 100],
};

describe('CPU profile', () => {
  test('self time is summed by function, and idle time is no work', () => {
    const { busy, functions } = summarise(profile, [[1000, 1400]]);
    expect(busy).toBeCloseTo(0.75);
    expect(functions.map(({ name }) => name)).toEqual([
      'commit dist/cluster/lane.js:10',
      '(garbage collector)',
    ]);
    expect(functions[0]?.share).toBeCloseTo(2 / 3);
  });

  test('only the given windows count', () => {
    const { busy, functions } = summarise(profile, [[1150, 1250]]);
    expect(busy).toBe(1);
    expect(functions.map(({ name }) => name)).toEqual(['(garbage collector)']);
  });
});
