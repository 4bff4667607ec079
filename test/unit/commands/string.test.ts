import { describe, expect, test } from 'vitest';
import { CommandRunner, play, type Transcript } from '../../support/command-runner.ts';

const NOW = new CommandRunner().nowMs;
const SYNTAX = '-ERR syntax error';
const NOT_INTEGER = '-ERR value is not an integer or out of range';
const invalidExpire = (command: string): string =>
  `-ERR invalid expire time in '${command}' command`;

/** Steps with a blank at the end are repetitions of an earlier one. */
const TRANSCRIPTS: readonly Transcript[] = [
  [
    'SET and GET keep every byte',
    { 'SET k \x00\xff': '+OK', 'GET k': '$2 \x00\xff', "SET k ''": '+OK', 'GET k ': '$0 ' },
  ],
  ['GET of no key is null', { 'GET k': '$-1' }],
  [
    'SET NX writes only a new key',
    { 'SET k 1 NX': '+OK', 'SET k 2 nx': '$-1', 'GET k': '$1 1', 'SET k 3 NX NX': '$-1' },
  ],
  [
    'SET XX writes only an existing key',
    {
      'SET k 1 XX': '$-1',
      'EXISTS k': ':0',
      'SET k 1': '+OK',
      'SET k 2 XX': '+OK',
      'GET k': '$1 2',
    },
  ],
  [
    'SET GET answers the old value, whether it writes or not',
    {
      'SET k 1 GET': '$-1',
      'SET k 2 GET': '$1 1',
      'SET k 3 NX GET': '$1 2',
      'GET k': '$1 2',
      'SET j 1 XX GET': '$-1',
      'SET j 1 NX GET': '$-1',
      'GET j': '$1 1',
    },
  ],
  [
    'SET takes an expiry in four units',
    {
      'SET k 1 EX 10': '+OK',
      'PEXPIRETIME k': `:${NOW + 10_000}`,
      'SET k 1 px 10': '+OK',
      'PEXPIRETIME k ': `:${NOW + 10}`,
      'SET k 1 EXAT 1900000000': '+OK',
      'PEXPIRETIME k  ': ':1900000000000',
      'SET k 1 PXAT 1900000000001': '+OK',
      'PEXPIRETIME k   ': ':1900000000001',
      'SET k 1': '+OK',
      'TTL k': ':-1',
    },
  ],
  [
    'SET KEEPTTL keeps the expiry and needs none',
    {
      'SET k 1 EX 10': '+OK',
      'SET k 2 KEEPTTL': '+OK',
      'TTL k': ':10',
      'SET j 1 KEEPTTL': '+OK',
      'TTL j': ':-1',
    },
  ],
  [
    'SET with a moment in the past leaves no key',
    { 'SET k 1': '+OK', 'SET k 2 PXAT 1': '+OK', 'GET k': '$-1', 'SET k 3 EXAT 1 GET': '$-1' },
  ],
  [
    'the same unit may come twice, the last one counts; two units are an error',
    { 'SET k 1 EX 10 EX 20': '+OK', 'TTL k': ':20', 'SET k 1 EX 10 PX 20': SYNTAX },
  ],
  [
    'bad SET options are errors and change nothing',
    {
      'SET k 1 NX XX': SYNTAX,
      'SET k 1 EX': SYNTAX,
      'SET k 1 EX 10 KEEPTTL': SYNTAX,
      'SET k 1 KEEPTTL EX 10': SYNTAX,
      'SET k 1 PERSIST': SYNTAX,
      'SET k 1 FOO': SYNTAX,
      'SET k 1 EX abc': NOT_INTEGER,
      'SET k 1 EX 0': invalidExpire('set'),
      'SET k 1 PX -1': invalidExpire('set'),
      'SET k 1 EX 9223372036854775807': invalidExpire('set'),
      'SET k 1 PX 9223372036854775807': invalidExpire('set'),
      'EXISTS k': ':0',
    },
  ],
  [
    'GETSET replaces value and expiry and answers the old value',
    {
      'GETSET k 1': '$-1',
      'EXPIRE k 10': ':1',
      'GETSET k 2': '$1 1',
      'TTL k': ':-1',
      'GET k': '$1 2',
    },
  ],
  ['GETDEL answers and deletes', { 'SET k 1': '+OK', 'GETDEL k': '$1 1', 'GETDEL k ': '$-1' }],
  [
    'GETEX sets, removes and leaves the expiry',
    {
      'SET k 1': '+OK',
      'GETEX k EX 10': '$1 1',
      'TTL k': ':10',
      'GETEX k': '$1 1',
      'TTL k ': ':10',
      'GETEX k PERSIST': '$1 1',
      'TTL k  ': ':-1',
      'GETEX k PXAT 1': '$1 1',
      'EXISTS k': ':0',
    },
  ],
  [
    'GETEX complains of syntax always, of a bad number only when there is a key',
    {
      'GETEX k EX abc': '$-1',
      'GETEX k FOO': SYNTAX,
      'SET k 1': '+OK',
      'GETEX k EX abc ': NOT_INTEGER,
      'GETEX k EX 0': invalidExpire('getex'),
      'GETEX k PERSIST EX 5': SYNTAX,
      'GETEX k EX 5 PERSIST': SYNTAX,
      'GETEX k KEEPTTL': SYNTAX,
      'GETEX k PX': SYNTAX,
    },
  ],
  ['SETNX writes only a new key', { 'SETNX k 1': ':1', 'SETNX k 2': ':0', 'GET k': '$1 1' }],
  [
    'SETEX and PSETEX set value and expiry, and name themselves in errors',
    {
      'SETEX k 10 v': '+OK',
      'TTL k': ':10',
      'PSETEX k 1500 v': '+OK',
      'PTTL k': ':1500',
      'SETEX k 0 v': invalidExpire('setex'),
      'PSETEX k -1 v': invalidExpire('psetex'),
      'SETEX k x v': NOT_INTEGER,
    },
  ],
  [
    'MSET and MGET keep the order, and repeat what is repeated',
    { 'MSET a 1 b 2 a 3': '+OK', 'MGET a none b a': '*4 $1 3 $-1 $1 2 $1 3' },
  ],
  [
    'MSETNX writes all or nothing',
    { 'MSETNX a 1 b 2': ':1', 'MSETNX c 3 a 4': ':0', 'EXISTS c': ':0', 'GET a': '$1 1' },
  ],
  [
    'a key without its value is the wrong number of arguments',
    {
      'MSET a 1 b': "-ERR wrong number of arguments for 'mset' command",
      'MSETNX a 1 b': "-ERR wrong number of arguments for 'msetnx' command",
    },
  ],
];

describe('the SET and GET families', () => {
  test.each(TRANSCRIPTS)('%s', (_title, steps) => {
    expect(play(new CommandRunner(), steps)).toEqual(expectTrimmed(steps));
  });

  test('nulls are RESP3 nulls', () => {
    const runner = new CommandRunner();
    runner.protocol = 3;
    expect(runner.run('MGET', 'a', 'b')).toBe('*2\r\n_\r\n_\r\n');
    expect(runner.run('SET', 'a', '1', 'XX')).toBe('_\r\n');
  });

  test("a policy's time to live is for new values without one of their own", () => {
    const runner = new CommandRunner();
    runner.policy = { persistent: true, defaultTtlMs: 5000, tombstoneMs: 0 };
    const steps = {
      'SET k 1': '+OK',
      'PTTL k': ':5000',
      'SET k 1 PX 70': '+OK',
      'SET k 2 KEEPTTL': '+OK',
      'PTTL k ': ':70',
      'SET j 1 KEEPTTL': '+OK',
      'PTTL j': ':5000',
    };
    expect(play(runner, steps)).toEqual(steps);
  });
});

/** Replies that end in an empty bulk string lose the blank that `line` trims. */
function expectTrimmed(steps: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(steps).map(([step, reply]) => [step, reply.trimEnd()]));
}

describe('blind writes', () => {
  test.each([
    'SET k 1',
    'SET k 1 EX 10',
    'SET k 1 PX 10',
    'SETEX k 10 v',
    'PSETEX k 10 v',
    'MSET a 1 b 2',
  ])('%s needs no old value', (line) => {
    expect(new CommandRunner().prepare(...line.split(' ')).blind).toBe(true);
  });

  test.each([
    'SET k 1 NX',
    'SET k 1 XX',
    'SET k 1 GET',
    'SET k 1 KEEPTTL',
    'SET k 1 PXAT 1',
    'SETNX k 1',
    'MSETNX a 1',
    'GETSET k 1',
    'GETDEL k',
    'GETEX k',
    'APPEND k 1',
    'INCR k',
    'DEL k',
  ])('%s depends on the old value', (line) => {
    expect(new CommandRunner().prepare(...line.split(' ')).blind).toBe(false);
  });
});
