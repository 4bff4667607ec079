import { describe, expect, test } from 'vitest';
import { benchmarkArguments, parseCsv } from '../../../bench/load/redis-benchmark.ts';

const NAMES =
  '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"';

describe('redis-benchmark', () => {
  test('throughput and latencies are taken by the names of the columns', () => {
    const text = `${NAMES}\n"SET key:__rand_int__ vv","58754.41","0.579","0.112","0.559","0.799","1.207","6.487"\n`;
    expect(parseCsv(text, 1000)).toEqual({
      operations: 1000,
      opsPerSecond: 58754.41,
      p50Ms: 0.559,
      p99Ms: 1.207,
    });
  });

  test('what --cluster tells of its nodes is passed over', () => {
    const text = `Cluster has 3 master nodes:\n\nMaster 0: 609d 127.0.0.1:1\n\n${NAMES}\n"GET","5","0","0","1","2","3","4"\n`;
    expect(parseCsv(text, 7)).toEqual({ operations: 7, opsPerSecond: 5, p50Ms: 1, p99Ms: 3 });
  });

  test('output without figures is an error that shows the output', () => {
    expect(() => parseCsv('Could not connect to Redis', 1)).toThrow(/no rps:\nCould not connect/);
  });

  test('connections, pipeline, key space and value are those of the load', () => {
    const load = { command: 'set', prefix: 'key:', connections: 200, pipeline: 16 } as const;
    const args = benchmarkArguments(7001, load, 5000).join(' ');
    expect(args).toContain('-p 7001 -c 200 -P 16 -n 5000 -r 100000');
    expect(args).toMatch(/SET key:__rand_int__ v{64}$/);
  });

  test('in a cluster the key has the tag that redis-benchmark fills in', () => {
    const load = {
      command: 'get',
      prefix: 'key:',
      connections: 50,
      pipeline: 1,
      client: 'redis-benchmark --cluster',
    } as const;
    const args = benchmarkArguments(7001, load, 100).join(' ');
    expect(args).toContain('--cluster');
    expect(args).toMatch(/GET key:\{tag\}$/);
  });

  test('keys of an MGET count as operations', () => {
    const load = {
      command: 'mget',
      prefix: 'k:',
      connections: 50,
      pipeline: 1,
      keysPerCommand: 3,
    } as const;
    const args = benchmarkArguments(7001, load, 300).join(' ');
    expect(args).toContain('-n 100 ');
    expect(args).toMatch(/MGET k:__rand_int__ k:__rand_int__ k:__rand_int__$/);
  });

  test('a hot key is named as it is', () => {
    const load = {
      command: 'incr',
      prefix: 'key:',
      connections: 50,
      pipeline: 1,
      hotKey: 'hot',
    } as const;
    expect(benchmarkArguments(7001, load, 100).slice(-2)).toEqual(['INCR', 'hot']);
  });
});
