import { describe, expect, test } from 'vitest';
import { CommandRunner, play, type Transcript } from '../../support/command-runner.ts';

const NOW = new CommandRunner().nowMs;
const NOT_INTEGER = '-ERR value is not an integer or out of range';
const invalidExpire = (command: string): string =>
  `-ERR invalid expire time in '${command}' command`;

const TRANSCRIPTS: readonly Transcript[] = [
  [
    'the four commands set the moment in their unit',
    {
      'SET k 1': '+OK',
      'EXPIRE k 10': ':1',
      'PEXPIRETIME k': `:${NOW + 10_000}`,
      'PEXPIRE k 1500': ':1',
      'PTTL k': ':1500',
      'TTL k': ':2',
      'EXPIREAT k 1900000000': ':1',
      'EXPIRETIME k': ':1900000000',
      'PEXPIREAT k 1900000000499': ':1',
      'PEXPIRETIME k ': ':1900000000499',
      'EXPIRETIME k ': ':1900000000',
      'PEXPIREAT k 1900000000500': ':1',
      'EXPIRETIME k  ': ':1900000001',
    },
  ],
  [
    'without a key there is nothing to do',
    {
      'EXPIRE k 10': ':0',
      'TTL k': ':-2',
      'PTTL k': ':-2',
      'EXPIRETIME k': ':-2',
      'PEXPIRETIME k': ':-2',
      'PERSIST k': ':0',
    },
  ],
  [
    'PERSIST removes an expiry once',
    { 'SET k 1 EX 10': '+OK', 'PERSIST k': ':1', 'PERSIST k ': ':0', 'TTL k': ':-1' },
  ],
  ['a time to live of 0 deletes', { 'SET k 1': '+OK', 'EXPIRE k 0': ':1', 'EXISTS k': ':0' }],
  ['a negative one deletes', { 'SET k 1': '+OK', 'PEXPIRE k -1': ':1', 'EXISTS k': ':0' }],
  ['the moment 0 deletes', { 'SET k 1': '+OK', 'EXPIREAT k 0': ':1', 'EXISTS k': ':0' }],
  ['a negative moment deletes', { 'SET k 1': '+OK', 'PEXPIREAT k -5': ':1', 'EXISTS k': ':0' }],
  [
    'NX wants no expiry, XX wants one',
    {
      'SET k 1': '+OK',
      'EXPIRE k 10 XX': ':0',
      'EXPIRE k 10 nx': ':1',
      'EXPIRE k 20 NX': ':0',
      'EXPIRE k 20 xx': ':1',
      'TTL k': ':20',
    },
  ],
  [
    'GT and LT compare with the expiry, and none is later than any',
    {
      'SET k 1': '+OK',
      'EXPIRE k 10 GT': ':0',
      'EXPIRE k 10 LT': ':1',
      'EXPIRE k 10 GT ': ':0',
      'EXPIRE k 10 LT ': ':0',
      'EXPIRE k 5 GT': ':0',
      'EXPIRE k 5 LT': ':1',
      'EXPIRE k 7 GT XX': ':1',
      'TTL k': ':7',
      'EXPIRE k 0 GT': ':0',
      'EXPIRE k 0 LT': ':1',
      'EXISTS k': ':0',
    },
  ],
  [
    'bad options and numbers are errors, options first',
    {
      'EXPIRE k x FOO': '-ERR Unsupported option FOO',
      'EXPIRE k x NX XX': '-ERR NX and XX, GT or LT options at the same time are not compatible',
      'EXPIRE k 1 GT LT': '-ERR GT and LT options at the same time are not compatible',
      'EXPIRE k x': NOT_INTEGER,
      'EXPIRE k 9223372036854775808': NOT_INTEGER,
      'EXPIRE k 9223372036854775807': invalidExpire('expire'),
      'EXPIRE k 9223372036854775': invalidExpire('expire'),
      'PEXPIRE k 9223372036854775807': invalidExpire('pexpire'),
      'EXPIREAT k -9223372036854775808': invalidExpire('expireat'),
      'PEXPIREAT k 9223372036854775807': ':0',
    },
  ],
  [
    'a moment beyond 2^53 milliseconds is kept as that',
    {
      'SET k 1': '+OK',
      'PEXPIREAT k 9223372036854775807': ':1',
      'PEXPIRETIME k': ':9007199254740991',
    },
  ],
];

describe('the EXPIRE and TTL families', () => {
  test.each(TRANSCRIPTS)('%s', (_title, steps) => {
    expect(play(new CommandRunner(), steps)).toEqual(steps);
  });

  test('at the moment itself the key is gone', () => {
    const runner = new CommandRunner();
    runner.line('SET k 1 PX 100');
    runner.nowMs += 99;
    expect(runner.line('PTTL k')).toBe(':1');
    runner.nowMs += 1;
    expect(runner.line('PTTL k')).toBe(':-2');
    expect(runner.line('GET k')).toBe('$-1');
  });

  test('a change of expiry does not carry the value along', () => {
    const runner = new CommandRunner();
    runner.line('SET k 1');
    runner.line('EXPIRE k 10');
    expect(runner.effects).toMatchObject([
      { kind: 'expire', value: null, expiresAtMs: NOW + 10_000 },
    ]);
    runner.line('EXPIRE k 10 NX');
    expect(runner.effects).toEqual([]);
  });
});
