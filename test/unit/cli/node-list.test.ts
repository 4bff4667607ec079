import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nodeNumber, rememberedNodes, rememberNodes } from '../../../src/cli/local/node-list.ts';

let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ringfence-node-list-'));
});

afterEach(() => rmSync(dir, { recursive: true }));

describe('the nodes of a local cluster', () => {
  test('are not known before there were any', () => {
    expect(rememberedNodes(dir)).toBeUndefined();
  });

  test('are those that were remembered last, in the order of their numbers', () => {
    rememberNodes(dir, [1, 2, 3]);
    rememberNodes(dir, [12, 1, 3]);
    expect(rememberedNodes(dir)).toEqual([1, 3, 12]);
  });

  test.each([
    '',
    'nonsense',
    'null',
    '{}',
    '{"nodes":[]}',
    '{"nodes":"node-1"}',
    '{"nodes":[1]}',
    '{"nodes":["node-1","other"]}',
    '{"nodes":["node-0"]}',
  ])('are not guessed from a file that says %s', (content) => {
    writeFileSync(join(dir, 'nodes.json'), content);
    expect(() => rememberedNodes(dir)).toThrow(/nodes\.json does not list .* --nodes/);
  });
});

test.each([
  ['node-1', 1],
  ['node-64', 64],
  ['node-01', undefined],
  ['node-', undefined],
  ['a-node-1', undefined],
])('%s has the number %s', (name, number) => {
  expect(nodeNumber(name)).toBe(number);
});
