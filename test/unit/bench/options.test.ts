import { describe, expect, test } from 'vitest';
import { parseOptions } from '../../../bench/load/options.ts';
import { SCALING_SCENARIOS, SCENARIOS } from '../../../bench/load/scenarios.ts';
import { UsageError } from '../../../src/cli/flags.ts';

describe('flags of the bench', () => {
  test('without flags, everything is measured and saved', () => {
    const options = parseOptions([]);
    expect(options.scenarios).toBe(SCENARIOS);
    expect(options).toMatchObject({
      mode: 'measure',
      save: true,
      floorCheck: false,
      syncDelayMs: 0,
    });
  });

  test('--scaling chooses other scenarios', () => {
    expect(parseOptions(['--scaling']).scenarios).toBe(SCALING_SCENARIOS);
  });

  test.each(['help', 'list', 'page'] as const)('--%s measures nothing', (mode) => {
    expect(parseOptions([`--${mode}`]).mode).toBe(mode);
  });

  test('--compare takes a commit, --sync-delay a fraction of a millisecond', () => {
    const options = parseOptions(['--compare', 'v0.1.0', '--sync-delay', '0.5']);
    expect(options).toMatchObject({ mode: 'compare', compareWith: 'v0.1.0', syncDelayMs: 0.5 });
  });

  test('--only picks scenarios, --quick shortens the rounds', () => {
    const options = parseOptions(['--only', 'set,get', '--quick']);
    expect(options.scenarios.map(({ id }) => id)).toEqual(['get', 'set']);
    expect(options.durations.rounds).toBeLessThan(parseOptions([]).durations.rounds);
  });

  test('options of nodes are handed on to the cluster', () => {
    expect(parseOptions(['--lane-pipeline', '3']).nodeFlags).toEqual(['--lane-pipeline', '3']);
  });

  test.each([
    [['--only', 'gte']],
    [['--fast']],
    [['get']],
    [['--rounds', '0']],
    [['--sync-delay', '-1']],
    [['--sync-delay', '1s']],
    [['--sync-delay', '101']],
  ])('%j is wrong usage', (argv) => {
    expect(() => parseOptions(argv)).toThrow(UsageError);
  });
});
