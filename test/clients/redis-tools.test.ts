/**
 * redis-cli and redis-benchmark against us, where they are installed. Where they are not, there are
 * no tests here for them, and `npm test` says so above its summary.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { toolOrNull } from '../support/redis-server.ts';
import type { RespAddress } from '../support/resp-client.ts';
import { runTool } from './run-tool.ts';
import { names, nodeFor, startClientTarget, type ClientTarget } from './targets.ts';

const redisCli = toolOrNull('redis-cli');
const redisBenchmark = toolOrNull('redis-benchmark');

let target: ClientTarget;
beforeAll(async () => {
  target = await startClientTarget();
});
afterAll(() => target.stop());
beforeEach(() => target.flush());

const at = ({ host, port }: RespAddress): string[] => ['-h', host, '-p', String(port)];

describe('the tools', () => {
  it('have a target that answers', () => {
    expect(target.nodes.length).toBeGreaterThan(0);
  });
});

if (redisCli !== null) {
  describe('redis-cli', () => {
    const cli = (node: number, ...args: string[]) =>
      runTool(redisCli, [...at(nodeFor(target, node)), ...args]);

    it('sets on one node and gets on every other', async () => {
      expect(await cli(0, 'SET', 'a', '1')).toEqual({ code: 0, stdout: 'OK\n', stderr: '' });
      for (let node = 0; node < target.nodes.length; node++) {
        expect((await cli(node, 'GET', 'a')).stdout).toBe('1\n');
      }
    });

    it('speaks RESP3, selects a database and shows errors', async () => {
      expect((await cli(0, '-3', '-n', '2', 'SET', 'k', 'v')).stdout).toBe('OK\n');
      expect((await cli(1, '-3', '-n', '2', 'GET', 'k')).stdout).toBe('v\n');
      expect((await cli(1, 'GET', 'k')).stdout).toBe('\n');
      expect((await cli(0, 'INCR')).stdout).toContain('ERR wrong number of arguments');
      expect((await cli(0, '-e', 'NOSUCH')).code).toBe(1);
    });

    it('reads a session of commands from its input', async () => {
      const session = 'SET n 1\nINCR n\nSELECT 3\nGET n\nPING\n';
      const { stdout } = await runTool(redisCli, at(nodeFor(target, 0)), session);
      expect(stdout).toBe('OK\n2\nOK\n\nPONG\n');
    });

    it('lists all keys with --scan', async () => {
      const keys = names('key:', 100);
      await cli(0, 'MSET', ...keys.flatMap((key) => [key, '1']), 'other', '1');
      const { stdout } = await cli(1, '--scan', '--pattern', 'key:*');
      expect(stdout.trim().split('\n').sort()).toEqual([...keys].sort());
    });

    it('finds the biggest string with --bigkeys', async () => {
      await cli(0, 'MSET', 'small', 'x', 'big', 'x'.repeat(1000));
      const { code, stdout } = await cli(1, '--bigkeys');
      expect(code).toBe(0);
      expect(stdout).toContain('Biggest string found \'"big"\' has 1000 bytes');
    });

    it('loads many commands with --pipe', async () => {
      const input = names('bulk:', 2000)
        .map((key) => `SET ${key} v\r\n`)
        .join('');
      const { stdout } = await runTool(redisCli, [...at(nodeFor(target, 0)), '--pipe'], input);
      expect(stdout).toContain('errors: 0, replies: 2000');
      expect((await cli(1, 'DBSIZE')).stdout).toBe('2000\n');
    });

    it('follows the cluster with -c', async () => {
      const address = at(target.clusterNodes[0]!);
      for (const key of names('c:', 10)) {
        expect((await runTool(redisCli, ['-c', ...address, 'SET', key, key])).stdout).toBe('OK\n');
        expect((await runTool(redisCli, ['-c', ...address, 'GET', key])).stdout).toBe(`${key}\n`);
      }
    });
  });
}

if (redisBenchmark !== null) {
  describe('redis-benchmark', () => {
    const TESTS = ['PING_INLINE', 'PING_MBULK', 'SET', 'GET', 'INCR', 'MSET (10 keys)'];
    const SIZE = ['-t', 'ping,set,get,incr,mset', '-n', '1500', '-c', '50', '-r', '10000', '-q'];

    it.each([
      ['plainly', [], false],
      ['with pipelines of 16', ['-P', '16'], false],
      ['with values of 4096 bytes', ['-d', '4096'], false],
      ['with RESP3', ['-3'], false],
      ['as a cluster client', ['--cluster'], true],
    ] as const)('runs clean %s', async (_label, more, cluster) => {
      const node = cluster ? target.clusterNodes[0]! : nodeFor(target, 0);
      const { code, stdout, stderr } = await runTool(redisBenchmark, [
        ...at(node),
        ...SIZE,
        ...more,
      ]);
      expect(stderr).toBe('');
      expect(stdout).not.toMatch(/error|warning|fail/i);
      expect(code).toBe(0);
      for (const name of TESTS) expect(stdout).toContain(`${name}: `);
      expect(stdout.match(/requests per second/g)).toHaveLength(TESTS.length);
    });
  });
}
