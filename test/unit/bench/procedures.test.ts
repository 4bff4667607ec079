import { describe, expect, test } from 'vitest';
import { describeShape, improves } from '../../../bench/load/peers/batch-shape.ts';
import { splitCommands } from '../../../bench/load/peers/split-commands.ts';
import { parseResident } from '../../../bench/load/procedures/memory.ts';
import { longestBetween, parseDelays } from '../../../bench/load/procedures/pause.ts';
import { joinNodes } from '../../../bench/load/procedures/scaling.ts';
import { parseKeys, rateOf } from '../../../bench/load/procedures/warm-up.ts';

describe('figures of single scenarios', () => {
  test('the resident set is read in bytes', () => {
    expect(parseResident('Name:\tnode\nVmHWM:\t  9 kB\nVmRSS:\t    2048 kB\n')).toBe(2048 * 1024);
    expect(() => parseResident('Name:\tnode\n')).toThrow(/VmRSS/);
  });

  test('the longest pause is that of the lines within the round', () => {
    const delays = parseDelays('100 50.5\n200 3.25\n300 7.125\n400 90\n');
    expect(longestBetween(delays, 150, 350)).toBe(7.125);
    expect(() => longestBetween(delays, 500, 600)).toThrow(RangeError);
  });

  test('the rate of a warm-up counts what came between the samples', () => {
    const samples = [
      { atMs: 1000, keys: 400 },
      { atMs: 1050, keys: 450 },
      { atMs: 3000, keys: 1400 },
    ];
    expect(rateOf(samples)).toBe(500);
    expect(() => rateOf(samples.slice(0, 1))).toThrow(/before it could be looked at/);
  });

  test('keys of the first database are read from INFO', () => {
    expect(parseKeys('# Keyspace\r\ndb0:keys=1234,expires=0,avg_ttl=0\r\n')).toBe(1234);
    expect(parseKeys('# Keyspace\r\n')).toBe(0);
  });

  test('nodes are one sum beside the database', () => {
    const byProcess = { 'node-1': 5, 'node-2': 3, postgres: 4 };
    expect(joinNodes({ total: 12, byProcess, client: 1 })).toEqual({
      total: 12,
      byProcess: { nodes: 8, postgres: 4 },
      client: 1,
    });
  });

  test('a shape of batches that is better by noise only is not taken', () => {
    expect(improves(102, 100)).toBe(false);
    expect(improves(104, 100)).toBe(true);
    expect(describeShape({ way: 'copy', rows: 512, lanes: 1 })).toBe(
      'copy, 512 rows, 1 connection',
    );
  });
});

describe('splitter of the bare responder', () => {
  const INPUT =
    '*2\r\n$3\r\nGET\r\n$3\r\na\r\n\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n*1\r\n$4\r\nPING\r\n';

  const split = (input: string): { names: string[]; used: number } => {
    const names: string[] = [];
    const used = splitCommands(input, (name) => names.push(name));
    return { names, used };
  };

  test('whole commands are named, and a broken-off one is left', () => {
    expect(split(INPUT)).toEqual({ names: ['GET', 'SET', 'PING'], used: INPUT.length });
    for (let cut = 0; cut < INPUT.length; cut++) {
      const first = split(INPUT.slice(0, cut));
      const rest = split(INPUT.slice(first.used));
      expect([...first.names, ...rest.names]).toEqual(['GET', 'SET', 'PING']);
    }
  });

  test('what is no command is an error', () => {
    expect(() => split('PING\r\n')).toThrow(/not a command/);
  });
});
