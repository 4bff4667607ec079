import { describe, expect, test } from 'vitest';
import type { InfoSection } from '../../../src/commands/ports.ts';
import { ReplyError } from '../../../src/errors.ts';
import { fakeCluster, fakeConfig, fakeServer, textOf } from './fakes.ts';

/** Replies recorded from redis-server 7.0.15. */
const REPLIES: readonly [line: string, reply: string][] = [
  ['CONFIG', "-ERR wrong number of arguments for 'config' command"],
  ['CONFIG GET', "-ERR wrong number of arguments for 'config|get' command"],
  ['CONFIG GET a b', '*0'],
  ['CONFIG SET', "-ERR wrong number of arguments for 'config|set' command"],
  ['CONFIG SET a', "-ERR wrong number of arguments for 'config|set' command"],
  ['CONFIG SET a b c', '-ERR syntax error'],
  [
    'CONFIG SET maxmemory 1 MAXMEMORY 2',
    "-ERR CONFIG SET failed (possibly related to argument 'MAXMEMORY') - duplicate parameter",
  ],
  ['CONFIG REWRITE x', "-ERR wrong number of arguments for 'config|rewrite' command"],
  ['CONFIG RESETSTAT', '+OK'],
  ['CONFIG FOO', "-ERR unknown subcommand 'FOO'. Try CONFIG HELP."],
  ['DBSIZE x', "-ERR wrong number of arguments for 'dbsize' command"],
  ['FLUSHDB x', '-ERR syntax error'],
  ['FLUSHDB async sync', '-ERR syntax error'],
  ['FLUSHDB async', '+OK'],
  ['FLUSHALL SYNC', '+OK'],
  ['FLUSHALL x y', '-ERR syntax error'],
  ['TIME x', "-ERR wrong number of arguments for 'time' command"],
  ['LASTSAVE x', "-ERR wrong number of arguments for 'lastsave' command"],
  ['WAIT', "-ERR wrong number of arguments for 'wait' command"],
  ['WAIT x y', '-ERR value is not an integer or out of range'],
  ['WAIT 0 x', '-ERR timeout is not an integer or out of range'],
  ['WAIT 0 99999999999999999999', '-ERR timeout is not an integer or out of range'],
  ['WAIT 0 -1', '-ERR timeout is negative'],
  ['INFO nosuch', '$0\r\n'],
];

describe('server commands reply as Redis does', () => {
  test.each(REPLIES)('%s', async (line, reply) => {
    expect(await fakeServer().send(line)).toBe(`${reply}\r\n`);
  });
});

describe('INFO', () => {
  const DEFAULT = '# Server\r\nredis_version:7.0.15\r\n\r\n# CPU\r\nused_cpu_user:1\r\n';
  const ALL = `${DEFAULT}\r\n# Commandstats\r\ncmdstat_get:calls=1\r\n`;

  test.each([
    ['INFO', DEFAULT],
    ['INFO default', DEFAULT],
    ['INFO all', ALL],
    ['INFO EVERYTHING', ALL],
    ['INFO default commandstats', ALL],
    ['INFO CommandStats', '# Commandstats\r\ncmdstat_get:calls=1\r\n'],
    ['INFO cpu server nosuch', DEFAULT],
  ])('%s selects its sections', async (line, text) => {
    expect(textOf(await fakeServer().send(line))).toBe(text);
  });

  test('is a verbatim string in RESP3', async () => {
    const server = fakeServer();
    await server.send('HELLO 3');
    expect(await server.send('INFO nosuch')).toBe('=4\r\ntxt:\r\n');
  });
});

describe('CONFIG', () => {
  test('GET answers each option once, whatever the number of patterns', async () => {
    const config = fakeConfig({
      get: (pattern) =>
        pattern === 'max*'
          ? [
              ['maxclients', '10'],
              ['maxmemory', '0'],
            ]
          : [['maxmemory', '0']],
    });
    const server = fakeServer({ config });
    const pairs = '$10\r\nmaxclients\r\n$2\r\n10\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n';
    expect(await server.send('CONFIG GET MAX* maxmemory')).toBe(`*4\r\n${pairs}`);
    await server.send('HELLO 3');
    expect(await server.send('CONFIG GET max*')).toBe(`%2\r\n${pairs}`);
  });

  test('SET hands over all pairs at once and passes an error on', async () => {
    const seen: unknown[] = [];
    const set = (pairs: readonly [string, string][]): void => {
      seen.push(pairs);
      if (pairs[0]?.[0] === 'bad') throw new ReplyError('ERR', 'no such option');
    };
    const server = fakeServer({ config: fakeConfig({ set }) });
    expect(await server.send('CONFIG SET MaxMemory 1gb timeout 5')).toBe('+OK\r\n');
    expect(seen).toEqual([
      [
        ['maxmemory', '1gb'],
        ['timeout', '5'],
      ],
    ]);
    expect(await server.send('CONFIG SET bad 1')).toBe('-ERR no such option\r\n');
  });

  test('REWRITE waits for the file and tells when there is none', async () => {
    const rewrite = (): Promise<void> =>
      Promise.reject(new ReplyError('ERR', 'The server is running without a config file'));
    const server = fakeServer({ config: fakeConfig({ rewrite }) });
    const reply = await server.send('CONFIG REWRITE');
    expect(reply).toBe('-ERR The server is running without a config file\r\n');
    expect(await fakeServer().send('CONFIG REWRITE')).toBe('+OK\r\n');
  });

  test('RESETSTAT sets the counters back', async () => {
    let resets = 0;
    const stats = { info: () => [], resetStat: () => void resets++ };
    await fakeServer({ stats }).send('CONFIG RESETSTAT');
    expect(resets).toBe(1);
  });
});

describe('the whole keyspace', () => {
  test('DBSIZE counts the selected database', async () => {
    const server = fakeServer();
    await server.send('SELECT 4');
    expect(await server.send('DBSIZE')).toBe(':104\r\n');
  });

  test('FLUSHDB empties the selected database, FLUSHALL every one', async () => {
    const flushed: (number | null)[] = [];
    const flush = (db: number | null): Promise<void> => Promise.resolve(void flushed.push(db));
    const server = fakeServer({ cluster: fakeCluster({ flush }) });
    await server.send('SELECT 2');
    await server.send('FLUSHDB');
    await server.send('FLUSHALL async');
    expect(flushed).toEqual([2, null]);
  });

  test('a FLUSHALL that fails part-way says so instead of OK', async () => {
    const flush = (): Promise<void> => Promise.reject(new ReplyError('UNKNOWN', 'some remain'));
    const server = fakeServer({ cluster: fakeCluster({ flush }) });
    expect(await server.send('FLUSHALL')).toBe('-UNKNOWN some remain\r\n');
  });
});

describe('time', () => {
  test('TIME is cluster time in seconds and microseconds', async () => {
    expect(await fakeServer().send('TIME')).toBe('*2\r\n$10\r\n1700000000\r\n$6\r\n123000\r\n');
  });

  test('LASTSAVE is the number that INFO shows', async () => {
    const section: InfoSection = {
      name: 'persistence',
      byDefault: true,
      lines: () => [
        ['loading', 0],
        ['rdb_last_save_time', 1_600_000_000],
      ],
    };
    const stats = { info: () => [section], resetStat: () => undefined };
    expect(await fakeServer({ stats }).send('LASTSAVE')).toBe(':1600000000\r\n');
  });

  test('LASTSAVE without such a number is now: all that was acknowledged is saved', async () => {
    expect(await fakeServer().send('LASTSAVE')).toBe(':1700000000\r\n');
  });
});

test('WAIT answers at once with the number of replicas that have everything', async () => {
  expect(await fakeServer().send('WAIT 5 0')).toBe(':2\r\n');
});
