import { describe, expect, test } from 'vitest';
import { CommandRunner, play, type Transcript } from '../../support/command-runner.ts';

const TOO_LONG = '-ERR string exceeds maximum allowed size (proto-max-bulk-len)';
const NOT_INTEGER = '-ERR value is not an integer or out of range';

const TRANSCRIPTS: readonly Transcript[] = [
  [
    'APPEND creates and extends, and keeps the expiry',
    {
      'APPEND k ab': ':2',
      'EXPIRE k 10': ':1',
      'APPEND k cd': ':4',
      'GET k': '$4 abcd',
      'TTL k': ':10',
    },
  ],
  ['APPEND of nothing creates an empty string', { "APPEND k ''": ':0', 'EXISTS k': ':1' }],
  [
    'STRLEN counts bytes, 0 for no key',
    { 'STRLEN k': ':0', 'SET k abc': '+OK', 'STRLEN k ': ':3' },
  ],
  [
    'GETRANGE takes both ends, negative ones from the end',
    {
      'SET k hello': '+OK',
      'GETRANGE k 0 1': '$2 he',
      'GETRANGE k -3 -1': '$3 llo',
      'GETRANGE k 1 100': '$4 ello',
      'GETRANGE k 3 1': '$0',
      'GETRANGE k -1 -3': '$0',
      'GETRANGE k -100 -50': '$1 h',
      'GETRANGE k -50 -100': '$0',
      'GETRANGE k -9223372036854775807 -9223372036854775808': '$0',
      'GETRANGE k 0 9223372036854775807': '$5 hello',
      'GETRANGE k 0 9223372036854775808': NOT_INTEGER,
      'GETRANGE none 0 -1': '$0',
      'GETRANGE none x 1': NOT_INTEGER,
      'SUBSTR k 1 3': '$3 ell',
    },
  ],
  [
    'SETRANGE overwrites, extends and fills with zeros',
    {
      'SET k hello': '+OK',
      'SETRANGE k 1 EL': ':5',
      'GET k': '$5 hELlo',
      'SETRANGE k 6 x': ':7',
      'GET k ': '$7 hELlo\0x',
    },
  ],
  [
    'SETRANGE of nothing neither creates nor extends',
    { "SETRANGE k 5 ''": ':0', 'EXISTS k': ':0', 'SET k ab': '+OK', "SETRANGE k 5 '' ": ':2' },
  ],
  [
    'SETRANGE refuses bad offsets',
    {
      'SETRANGE k -1 x': '-ERR offset is out of range',
      'SETRANGE k x x': NOT_INTEGER,
      'SETRANGE k 536870912 x': TOO_LONG,
      'SETRANGE k 9223372036854775807 x': TOO_LONG,
      'EXISTS k': ':0',
    },
  ],
];

describe('parts of strings', () => {
  test.each(TRANSCRIPTS)('%s', (_title, steps) => {
    expect(play(new CommandRunner(), steps)).toEqual(steps);
  });

  test('no string grows beyond proto-max-bulk-len', () => {
    const runner = new CommandRunner();
    runner.protoMaxBulkLen = 10;
    const steps = {
      'SET k 12345678': '+OK',
      'APPEND k 90': ':10',
      'APPEND k 1': TOO_LONG,
      'SETRANGE k 9 1': ':10',
      'SETRANGE k 10 1': TOO_LONG,
    };
    expect(play(runner, steps)).toEqual(steps);
  });
});
