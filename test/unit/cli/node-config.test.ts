import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { UsageError } from '../../../src/cli/flags.ts';
import { writeNodeConfigFile } from '../../../src/cli/local/node-config-file.ts';
import { flagRecord, loadNodeConfig } from '../../../src/cli/node-config.ts';
import { PlainError } from '../../../src/cli/program.ts';

const folder = mkdtempSync(join(tmpdir(), 'ringfence-config-'));
const target = join(folder, 'node.config.json');
const LEGACY = 'http://127.0.0.1:1/legacy/data/{key}';
afterAll(() => rmSync(folder, { recursive: true }));

function written(userText?: string): { policies: { prefix: string; legacy?: object }[] } {
  const userFile = join(folder, 'user.json');
  if (userText === undefined) rmSync(userFile, { force: true });
  else writeFileSync(userFile, userText);
  writeNodeConfigFile({ userFile, target, legacyUrl: LEGACY });
  return JSON.parse(readFileSync(target, 'utf8')) as ReturnType<typeof written>;
}

describe("the file of a local cluster's nodes", () => {
  test('has a policy for the sample legacy API, which the configuration accepts', () => {
    expect(written().policies).toMatchObject([{ prefix: 'user:', legacy: { url: LEGACY } }]);
    const config = loadNodeConfig(['--config', target]);
    expect(config.policies.policyFor('user:1').legacy?.url).toBe(LEGACY);
  });

  test("keeps the user's own options and policies", () => {
    const own = { replicas: 2, policies: [{ prefix: 'user:', persist: 'none' }, { prefix: 'b:' }] };
    expect(written(JSON.stringify(own))).toEqual(own);
  });

  test.each(['not JSON', '[]', '3'])('a user file that holds %j is refused', (text) => {
    expect(() => written(text)).toThrow(PlainError);
  });
});

describe('the configuration of a node', () => {
  test('flags become a record', () => {
    expect(flagRecord(['--a', '1', '--b=2', '--c', '--a', '3'])).toEqual({
      a: '3',
      b: '2',
      c: true,
    });
  });

  test('everything wrong is one usage error', () => {
    expect(() => loadNodeConfig(['--port', 'x', '--nope', '1'])).toThrow(UsageError);
  });

  test('a file that was asked for must be there', () => {
    expect(() => loadNodeConfig(['--config', join(folder, 'none.json')])).toThrow(PlainError);
  });
});
