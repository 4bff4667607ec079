import { describe, expect, test } from 'vitest';
import { CommandRunner, play } from '../../support/command-runner.ts';

function runnerWithTexts(): CommandRunner {
  const runner = new CommandRunner();
  runner.line('MSET a ohmytext b mynewtext');
  return runner;
}

describe('LCS', () => {
  test('answers as redis-server 7.0.15 does', () => {
    const steps = {
      'LCS a b': '$6 mytext',
      'LCS a b LEN': ':6',
      'LCS a none': '$0',
      'LCS a none LEN': ':0',
      'LCS a b WITHMATCHLEN': '$6 mytext',
      'LCS a b IDX': '*4 $7 matches *2 *2 *2 :4 :7 *2 :5 :8 *2 *2 :2 :3 *2 :0 :1 $3 len :6',
      'LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN':
        '*4 $7 matches *1 *3 *2 :4 :7 *2 :5 :8 :4 $3 len :6',
      'LCS a b IDX MINMATCHLEN -5 MINMATCHLEN 5': '*4 $7 matches *0 $3 len :6',
      'LCS a b LEN IDX': '-ERR If you want both the length and indexes, please just use IDX.',
      'LCS a b FOO': '-ERR syntax error',
      'LCS a b MINMATCHLEN': '-ERR syntax error',
      'LCS a b MINMATCHLEN x': '-ERR value is not an integer or out of range',
    };
    expect(play(runnerWithTexts(), steps)).toEqual(steps);
  });

  test('IDX is a map in RESP3', () => {
    const runner = runnerWithTexts();
    runner.protocol = 3;
    expect(runner.line('LCS a none IDX')).toBe('%2 $7 matches *0 $3 len :0');
  });

  test('a table beyond proto-max-bulk-len is refused', () => {
    const runner = runnerWithTexts();
    runner.protoMaxBulkLen = 300;
    expect(runner.line('LCS a b')).toBe(
      '-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len',
    );
  });

  test('a table that would stop the node for long is refused', () => {
    const runner = new CommandRunner();
    runner.run('SET', 'a', 'x'.repeat(6000));
    expect(runner.line('LCS a a')).toBe(
      '-ERR Insufficient memory, transient memory for LCS exceeds 64 MiB',
    );
  });
});
