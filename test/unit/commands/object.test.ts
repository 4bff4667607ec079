import { describe, expect, test } from 'vitest';
import { CommandRunner, play } from '../../support/command-runner.ts';

const NOTE =
  'Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.';

describe('OBJECT', () => {
  test.each([
    ['int', '-9223372036854775808'],
    ['embstr', '9223372036854775808'],
    ['embstr', '01'],
    ['embstr', 'x'.repeat(44)],
    ['raw', 'x'.repeat(45)],
  ])('ENCODING is %s of %s', (encoding, value) => {
    const runner = new CommandRunner();
    runner.run('SET', 'k', value);
    expect(runner.run('OBJECT', 'encoding', 'k')).toBe(`$${encoding.length}\r\n${encoding}\r\n`);
  });

  test('of no key everything is null', () => {
    const steps = {
      'OBJECT ENCODING k': '$-1',
      'OBJECT REFCOUNT k': '$-1',
      'OBJECT IDLETIME k': '$-1',
      'OBJECT FREQ k': '$-1',
    };
    expect(play(new CommandRunner(), steps)).toEqual(steps);
  });

  test('REFCOUNT tells small integers apart, as Redis does', () => {
    const steps = {
      'MSET a 9999 b 10000 c x': '+OK',
      'OBJECT REFCOUNT a': ':2147483647',
      'OBJECT REFCOUNT b': ':1',
      'OBJECT REFCOUNT c': ':1',
    };
    expect(play(new CommandRunner(), steps)).toEqual(steps);
  });

  test('IDLETIME is for LRU and FREQ for LFU', () => {
    const runner = new CommandRunner();
    runner.line('SET k 1');
    runner.nowMs += 5000;
    expect(runner.line('OBJECT IDLETIME k')).toBe(':5');
    expect(runner.line('OBJECT FREQ k')).toBe(
      `-ERR An LFU maxmemory policy is not selected, access frequency not tracked. ${NOTE}`,
    );
    runner.keyspace.access.mode = 'lfu';
    runner.line('SET j 1');
    expect(runner.line('OBJECT FREQ j')).toBe(':5');
    expect(runner.line('OBJECT IDLETIME j')).toBe(
      `-ERR An LFU maxmemory policy is selected, idle time not tracked. ${NOTE}`,
    );
  });

  test('CLIENT NO-TOUCH keeps what is read from counting as used, except by TOUCH and writes', () => {
    const runner = new CommandRunner();
    runner.line('MSET a 1 b 2');
    runner.noTouch = true;
    runner.nowMs += 5000;
    const steps = {
      'GET a': '$1 1',
      'MGET a b': '*2 $1 1 $1 2',
      'STRLEN a': ':1',
      'OBJECT IDLETIME a': ':5',
      'OBJECT IDLETIME b': ':5',
      'TOUCH a': ':1',
      'SET b 3': '+OK',
      ' OBJECT IDLETIME a': ':0',
      ' OBJECT IDLETIME b': ':0',
    };
    expect(play(runner, steps)).toEqual(steps);
    runner.keyspace.access.mode = 'lfu';
    runner.line('SET c 1');
    runner.line('GET c');
    expect(runner.line('OBJECT FREQ c')).toBe(':5');
    runner.noTouch = false;
    runner.line('GET c');
    expect(runner.line('OBJECT FREQ c')).toBe(':6');
  });

  test('HELP names every subcommand', () => {
    const reply = new CommandRunner().line('OBJECT HELP');
    for (const name of ['ENCODING', 'FREQ', 'IDLETIME', 'REFCOUNT', 'HELP']) {
      expect(reply).toContain(`+${name}`);
    }
  });

  test('unknown subcommands and wrong arities get the texts of Redis', () => {
    const arity = (name: string): string => `-ERR wrong number of arguments for '${name}' command`;
    const steps = {
      OBJECT: arity('object'),
      'OBJECT ENCODING': arity('object|encoding'),
      'OBJECT ENCODING a b': arity('object|encoding'),
      'OBJECT foo a': "-ERR unknown subcommand 'foo'. Try OBJECT HELP.",
    };
    expect(play(new CommandRunner(), steps)).toEqual(steps);
  });
});
