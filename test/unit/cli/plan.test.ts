import { describe, expect, test } from 'vitest';
import { UsageError } from '../../../src/cli/flags.ts';
import { nodeNumbers, planNodes, planUp } from '../../../src/cli/local/plan.ts';

const plan = (...argv: string[]) => planUp(argv, {}, '/work dir');

describe('ringfence up', () => {
  test('without flags uses the documented ports', () => {
    const found = plan();
    expect(found.dir).toBe('/work dir/.ringfence');
    expect(found.store).toEqual({ port: 55_432, movable: false, flag: 'postgres-port' });
    expect(found.legacy).toEqual({ port: 8001, movable: false, flag: 'legacy-port' });
    const numbers = nodeNumbers(found, undefined);
    expect(planNodes(found, numbers, found.http.port)).toEqual([
      { name: 'node-1', port: 7001, linkPort: 17_001, httpPort: 8081 },
      { name: 'node-2', port: 7002, linkPort: 17_002, httpPort: 8082 },
      { name: 'node-3', port: 7003, linkPort: 17_003, httpPort: 8083 },
    ]);
  });

  test('with a port of its own may move the ports that were not given', () => {
    const found = plan('--port', '7101', '--http-port', '9000');
    expect(found.linkPort).toBe(17_101);
    expect(found.http).toEqual({ port: 9000, movable: false, flag: 'http-port' });
    expect(found.store).toMatchObject({ movable: true });
    expect(found.legacy).toMatchObject({ movable: true });
  });

  test('has the nodes that there were, each on its own ports, unless a number is asked for', () => {
    expect(planNodes(plan(), nodeNumbers(plan(), [1, 4]), 8081)).toEqual([
      { name: 'node-1', port: 7001, linkPort: 17_001, httpPort: 8081 },
      { name: 'node-4', port: 7004, linkPort: 17_004, httpPort: 8084 },
    ]);
    expect(nodeNumbers(plan('--nodes', '2'), [1, 4])).toEqual([1, 2]);
  });

  test('says so when there is no port left for a node', () => {
    const found = plan('--port', '7101', '--link-port', '65000');
    expect(() => planNodes(found, [1, 600], 8081)).toThrow('no port left for node-600');
  });

  test('hands options of the nodes on', () => {
    expect(plan('--maxmemory', '1gb', '--nodes', '1').nodeFlags).toEqual(['--maxmemory', '1gb']);
  });

  test('takes the database from a flag before the environment', () => {
    const env = { RINGFENCE_STORE: 'postgres://env/db' };
    expect(planUp([], env, '/').store).toBe('postgres://env/db');
    expect(planUp(['--store', 'postgres://flag/db'], env, '/').store).toBe('postgres://flag/db');
  });

  test('can do without a legacy API, or use one by URL', () => {
    expect(plan('--legacy', 'none').legacy).toBeUndefined();
    expect(plan('--legacy', 'http://old:1/x/{key}').legacy).toBe('http://old:1/x/{key}');
  });

  test.each([
    ['an unknown flag', ['--nope']],
    ['a word', ['word']],
    ['no nodes', ['--nodes', '0']],
    ['a legacy URL without a key', ['--legacy', 'http://old/']],
    ['ports that leave no room for the links', ['--port', '60000']],
  ])('%s is wrong usage', (_label, argv) => {
    expect(() => plan(...argv)).toThrow(UsageError);
  });
});
