import { describe, expect, test } from 'vitest';
import { parseOptions } from '../../../bench/load/options.ts';
import { UsageError } from '../../../src/cli/flags.ts';

describe('flags of the bench', () => {
  test('without flags, everything is measured and saved', () => {
    const options = parseOptions([]);
    expect(options.scenarios.map(({ id }) => id)).toEqual([
      'get',
      'get-pipelined',
      'set',
      'set-200',
      'set-memory',
    ]);
    expect(options).toMatchObject({ save: true, floorCheck: false });
  });

  test('--only picks scenarios, --quick shortens the rounds', () => {
    const options = parseOptions(['--only', 'set,get', '--quick']);
    expect(options.scenarios.map(({ id }) => id)).toEqual(['get', 'set']);
    expect(options.durations.rounds).toBeLessThan(parseOptions([]).durations.rounds);
  });

  test('options of nodes are handed on to the cluster', () => {
    expect(parseOptions(['--lane-pipeline', '3']).nodeFlags).toEqual(['--lane-pipeline', '3']);
  });

  test.each([[['--only', 'gte']], [['--fast']], [['get']], [['--rounds', '0']]])(
    '%j is wrong usage',
    (argv) => {
      expect(() => parseOptions(argv)).toThrow(UsageError);
    },
  );
});
