import { describe, expect, test } from 'vitest';
import { CommandRunner, play, type Transcript } from '../../support/command-runner.ts';

const SAME = '-ERR source and destination objects are the same';
const NOT_INTEGER = '-ERR value is not an integer or out of range';
const NO_KEY = '-ERR no such key';

const TRANSCRIPTS: readonly Transcript[] = [
  [
    'DEL and UNLINK count what was there, each key once',
    {
      'MSET a 1 b 2 c 3': '+OK',
      'DEL a none a': ':1',
      'UNLINK b c none': ':2',
      'EXISTS a b c': ':0',
    },
  ],
  [
    'EXISTS and TOUCH count a key as often as it is named',
    { 'SET a 1': '+OK', 'EXISTS a a none': ':2', 'TOUCH a a none': ':2' },
  ],
  ['TYPE names the type', { 'TYPE a': '+none', 'SET a 1': '+OK', 'TYPE a ': '+string' }],
  [
    'RENAME takes value and expiry along and replaces the target',
    {
      'SET a 1 EX 10': '+OK',
      'SET b 2': '+OK',
      'RENAME a b': '+OK',
      'EXISTS a': ':0',
      'GET b': '$1 1',
      'TTL b': ':10',
    },
  ],
  [
    'RENAME and RENAMENX to the same name need the key all the same',
    {
      'RENAME a a': NO_KEY,
      'RENAMENX a a': NO_KEY,
      'RENAME a b': NO_KEY,
      'SET a 1': '+OK',
      'RENAME a a ': '+OK',
      'RENAMENX a a ': ':0',
      'GET a': '$1 1',
    },
  ],
  [
    'RENAMENX replaces nothing',
    { 'MSET a 1 b 2': '+OK', 'RENAMENX a b': ':0', 'RENAMENX a c': ':1', 'GET c': '$1 1' },
  ],
  [
    'COPY copies value and expiry, and replaces only when told to',
    {
      'SET a 1 EX 10': '+OK',
      'COPY a b': ':1',
      'TTL b': ':10',
      'SET a 2': '+OK',
      'COPY a b ': ':0',
      'COPY a b REPLACE': ':1',
      'GET b': '$1 2',
      'TTL b ': ':-1',
      'COPY none b REPLACE': ':0',
    },
  ],
  [
    'COPY refuses bad options before it looks for the key',
    {
      'COPY a a': SAME,
      'COPY a a DB 0': SAME,
      'COPY a b FOO': '-ERR syntax error',
      'COPY a b DB': '-ERR syntax error',
      'COPY a b DB x': NOT_INTEGER,
      'COPY a b DB 16': '-ERR DB index is out of range',
      'COPY a b DB 99999999999':
        '-ERR value is out of range, value must between -2147483648 and 2147483647',
    },
  ],
  [
    'MOVE refuses bad databases before it looks for the key',
    {
      'MOVE a 0': SAME,
      'MOVE a x': NOT_INTEGER,
      'MOVE a -1': '-ERR DB index is out of range',
      'MOVE a 1': ':0',
    },
  ],
];

describe('generic key commands', () => {
  test.each(TRANSCRIPTS)('%s', (_title, steps) => {
    expect(play(new CommandRunner(), steps)).toEqual(steps);
  });

  test('MOVE takes value and expiry to another database where the key is free', () => {
    const runner = new CommandRunner();
    runner.line('SET a 1 EX 10');
    expect(runner.line('MOVE a 3')).toBe(':1');
    expect(runner.line('EXISTS a')).toBe(':0');
    runner.line('SET a 2');
    expect(runner.line('MOVE a 3')).toBe(':0');
    runner.db = 3;
    expect(runner.line('GET a')).toBe('$1 1');
    expect(runner.line('TTL a')).toBe(':10');
  });

  test('COPY DB copies to another database, also under the same name', () => {
    const runner = new CommandRunner();
    runner.line('SET a 1');
    expect(runner.line('COPY a a DB 2')).toBe(':1');
    runner.db = 2;
    expect(runner.line('GET a')).toBe('$1 1');
  });

  test('keys of other databases are declared', () => {
    const runner = new CommandRunner();
    expect(runner.prepare('COPY', 'a', 'b').refs).toBeUndefined();
    expect(runner.prepare('COPY', 'a', 'b', 'DB', '0').refs).toBeUndefined();
    expect(runner.prepare('COPY', 'a', 'b', 'DB', '5').refs).toEqual([
      { db: 0, key: 'a' },
      { db: 5, key: 'b' },
    ]);
    expect(runner.prepare('MOVE', 'a', '5').refs).toEqual([
      { db: 0, key: 'a' },
      { db: 5, key: 'a' },
    ]);
  });

  test('TYPE and EXISTS do not count as a use, TOUCH does', () => {
    const runner = new CommandRunner();
    runner.line('SET a 1');
    runner.nowMs += 9000;
    runner.line('EXISTS a');
    runner.line('TYPE a');
    expect(runner.line('OBJECT IDLETIME a')).toBe(':9');
    runner.line('TOUCH a');
    expect(runner.line('OBJECT IDLETIME a')).toBe(':0');
  });
});
