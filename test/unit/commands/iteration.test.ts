import { describe, expect, test } from 'vitest';
import type { ScanStep } from '../../../src/commands/ports.ts';
import { fakeCluster, fakeServer, fakeSession } from './fakes.ts';

const SESSION_DB = 4;

/** Sends SCAN with these arguments (`""` is an empty one); returns what the cluster was asked, and the reply. */
async function scan(line: string): Promise<{ steps: ScanStep[]; reply: string }> {
  const steps: ScanStep[] = [];
  const cluster = fakeCluster({
    scan: (step) => {
      steps.push(step);
      return Promise.resolve({ cursor: '17', keys: ['a', 'b'] });
    },
  });
  const server = fakeServer({ cluster }, { session: fakeSession({ db: SESSION_DB }) });
  return { reply: await server.send(`SCAN ${line}`), steps };
}

describe('SCAN', () => {
  const plain = { db: SESSION_DB, cursor: '5', count: 10, match: null, type: null };

  test.each([
    ['0', { ...plain, cursor: '0' }],
    ['5', plain],
    ['5 COUNT 100', { ...plain, count: 100 }],
    ['5 count 1 COUNT 7', { ...plain, count: 7 }],
    ['5 MATCH a*', { ...plain, match: 'a*' }],
    ['5 MATCH *', plain],
    ['5 TYPE STRING', { ...plain, type: 'string' }],
    ['""', { ...plain, cursor: '0' }],
    ['+05', plain],
    ['-1', { ...plain, cursor: '18446744073709551615' }],
    ['18446744073709551615', { ...plain, cursor: '18446744073709551615' }],
  ])('%s asks the cluster as Redis would read it', async (line, step) => {
    const { steps, reply } = await scan(line);
    expect(steps).toEqual([step]);
    expect(reply).toBe('*2\r\n$2\r\n17\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n');
  });

  test.each([
    ['x', 'invalid cursor'],
    ['-', 'invalid cursor'],
    ['1x', 'invalid cursor'],
    ['1.5', 'invalid cursor'],
    ['18446744073709551616', 'invalid cursor'],
    ['99999999999999999999999', 'invalid cursor'],
    ['x FOO', 'invalid cursor'],
    ['0 COUNT 0', 'syntax error'],
    ['0 COUNT -1', 'syntax error'],
    ['0 COUNT x', 'value is not an integer or out of range'],
    ['0 COUNT', 'syntax error'],
    ['0 FOO', 'syntax error'],
    ['0 FOO 1', 'syntax error'],
  ])('%s is refused: %s', async (line, message) => {
    expect(await scan(line)).toEqual({ steps: [], reply: `-ERR ${message}\r\n` });
  });
});

test("KEYS and RANDOMKEY ask the cluster about the session's database", async () => {
  const cluster = fakeCluster({
    keys: (db, pattern) => Promise.resolve([`${db}:${pattern}`]),
    randomKey: (db) => Promise.resolve(db === SESSION_DB ? 'k' : null),
  });
  const session = fakeSession({ db: SESSION_DB });
  const server = fakeServer({ cluster }, { session });
  expect(await server.send('KEYS a*')).toBe('*1\r\n$4\r\n4:a*\r\n');
  expect(await server.send('RANDOMKEY')).toBe('$1\r\nk\r\n');
  session.db = 0;
  expect(await server.send('RANDOMKEY')).toBe('$-1\r\n');
});
