import { describe, expect, test } from 'vitest';
import { UsageError } from '../../../src/cli/flags.ts';
import { planNodes, planUp } from '../../../src/cli/local/plan.ts';

const plan = (...argv: string[]) => planUp(argv, {}, '/work dir');

describe('ringfence up', () => {
  test('without flags uses the documented ports', () => {
    const found = plan();
    expect(found.dir).toBe('/work dir/.ringfence');
    expect(found.store).toEqual({ port: 55_432, movable: false, flag: 'postgres-port' });
    expect(found.legacy).toEqual({ port: 8001, movable: false, flag: 'legacy-port' });
    expect(planNodes(found, found.http.port)).toEqual([
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
