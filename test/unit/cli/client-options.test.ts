import { describe, expect, test } from 'vitest';
import { expandAlias, parseClientOptions } from '../../../src/cli/client/client-command.ts';
import { UsageError } from '../../../src/cli/flags.ts';

describe('ringfence cli', () => {
  test('flags end where the command begins', () => {
    const { address, db, words } = parseClientOptions(
      ['-p', '7002', '--host=node2', '-n', '3', 'SET', 'a', '--port', '1'],
      {},
    );
    expect(address).toEqual({ host: 'node2', port: 7002 });
    expect(db).toBe(3);
    expect(words).toEqual(['SET', 'a', '--port', '1']);
  });

  test('the password may come from the environment', () => {
    expect(parseClientOptions(['PING'], { RINGFENCE_CLI_PASSWORD: 'x' }).password).toBe('x');
  });

  test.each([[['-x']], [['-p']], [['-p', '0']], [['--db', '16']]])('%j is wrong usage', (argv) => {
    expect(() => parseClientOptions(argv, {})).toThrow(UsageError);
  });

  test.each([
    [
      ['put', 'a', '1'],
      ['SET', 'a', '1'],
    ],
    [
      ['DELETE', 'a'],
      ['DEL', 'a'],
    ],
    [['LIST_NODES'], ['CLUSTER', 'NODES']],
    [
      ['GET', 'put'],
      ['GET', 'put'],
    ],
  ])('%j is sent as %j', (typed, sent) => {
    expect(expandAlias(typed)).toEqual(sent);
  });
});
