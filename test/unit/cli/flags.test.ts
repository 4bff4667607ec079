import { describe, expect, test } from 'vitest';
import { integerFlag, parseFlags, rejectExtras, UsageError } from '../../../src/cli/flags.ts';

const SPECS = [
  { name: 'port', value: 'PORT', help: '' },
  { name: 'fresh', help: '' },
];

describe('flags', () => {
  test('values come after a space or an equals sign, and the last one wins', () => {
    const { values } = parseFlags(['--port', '1', '--port=2', '--fresh'], SPECS);
    expect([...values]).toEqual([
      ['port', '2'],
      ['fresh', ''],
    ]);
  });

  test('unknown flags keep their values and their order', () => {
    const { unknown, words } = parseFlags(
      ['--a', '1', '--fresh', '--b=2', '--c', '--port', '3'],
      SPECS,
    );
    expect(unknown).toEqual(['--a', '1', '--b=2', '--c']);
    expect(words).toEqual([]);
  });

  test.each([
    ['a missing value', ['--port']],
    ['a value for a switch', ['--fresh=1']],
  ])('%s is wrong usage', (_label, argv) => {
    expect(() => parseFlags(argv, SPECS)).toThrow(UsageError);
  });

  test.each(['0', '70000', '1.5', 'x', '', '-1'])('%j is refused as a port', (text) => {
    const flags = parseFlags([`--port=${text}`], SPECS);
    const read = () => integerFlag(flags, 'port', { min: 1, max: 65_535, fallback: 7 });
    expect(read).toThrow('--port must be a whole number from 1 to 65535');
  });

  test('what nobody knows is refused by name', () => {
    expect(() => rejectExtras(parseFlags(['--nope'], SPECS))).toThrow("not understood: '--nope'");
    expect(() => rejectExtras(parseFlags(['word'], SPECS))).toThrow("not understood: 'word'");
  });
});
