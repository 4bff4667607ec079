import { describe, expect, test } from 'vitest';
import { CommandRunner, play, type Transcript } from '../../support/command-runner.ts';

const NOT_INTEGER = '-ERR value is not an integer or out of range';
const NOT_FLOAT = '-ERR value is not a valid float';
const OVERFLOW = '-ERR increment or decrement would overflow';

const TRANSCRIPTS: readonly Transcript[] = [
  [
    'a missing key counts from 0',
    { 'INCR a': ':1', 'DECR b': ':-1', 'INCRBY c 5': ':5', 'DECRBY d 5': ':-5', 'GET d': '$2 -5' },
  ],
  ['counting keeps the expiry', { 'SET k 1 EX 10': '+OK', 'INCR k': ':2', 'TTL k': ':10' }],
  [
    'all 64 bits count, exactly',
    {
      'SET k 9007199254740991': '+OK',
      'INCRBY k 2': ':9007199254740993',
      'DECR k': ':9007199254740992',
      'DECR k ': ':9007199254740991',
      'SET k 9223372036854775806': '+OK',
      'INCR k': ':9223372036854775807',
      'INCR k ': OVERFLOW,
      'GET k': '$19 9223372036854775807',
      'INCRBY k -9223372036854775808': ':-1',
      'DECRBY k 9223372036854775807': ':-9223372036854775808',
      'DECR k  ': OVERFLOW,
    },
  ],
  [
    'no 64 bits hold -(-2^63)',
    { 'DECRBY k -9223372036854775808': '-ERR decrement would overflow' },
  ],
  [
    'what is no integer is an error and stays',
    {
      'SET k 01': '+OK',
      'INCR k': NOT_INTEGER,
      'INCRBY k x': NOT_INTEGER,
      'INCRBY k 9223372036854775808': NOT_INTEGER,
      'GET k': '$2 01',
    },
  ],
  [
    'INCRBYFLOAT adds decimally and keeps the expiry',
    {
      'SET k 10.50 EX 10': '+OK',
      'INCRBYFLOAT k 0.1': '$4 10.6',
      'INCRBYFLOAT k -5.0e0': '$3 5.6',
      'TTL k': ':10',
      'INCRBYFLOAT new 3': '$1 3',
    },
  ],
  [
    'INCRBYFLOAT refuses what is no finite number',
    {
      'SET k 1': '+OK',
      'INCRBYFLOAT k abc': NOT_FLOAT,
      'INCRBYFLOAT k nan': NOT_FLOAT,
      "INCRBYFLOAT k ''": NOT_FLOAT,
      'INCRBYFLOAT k inf': '-ERR increment would produce NaN or Infinity',
      'GET k': '$1 1',
      'SET k abc': '+OK',
      'INCRBYFLOAT k 1': NOT_FLOAT,
    },
  ],
];

describe('the INCR family', () => {
  test.each(TRANSCRIPTS)('%s', (_title, steps) => {
    expect(play(new CommandRunner(), steps)).toEqual(steps);
  });

  test('INCRBYFLOAT answers a bulk string in RESP3 too', () => {
    const runner = new CommandRunner();
    runner.protocol = 3;
    expect(runner.run('INCRBYFLOAT', 'k', '1.5')).toBe('$3\r\n1.5\r\n');
  });
});
