/**
 * Which nodes a local cluster has, kept in its folder: `ringfence cluster add` and `remove` change it, and
 * whoever starts the cluster again wants it as it was left. The database cannot tell, since it knows
 * nodes by their leases, and a stopped cluster has none.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PlainError } from '../program.ts';
import { readWhole, writeWhole } from './json-file.ts';

const FILE = 'nodes.json';
const NAME = /^node-([1-9]\d{0,4})$/;

export function nodeName(number: number): string {
  return `node-${number}`;
}

/** The number in the name of a node of a local cluster; undefined when it is no such name. */
export function nodeNumber(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Numbers of the nodes that there were, ascending; undefined when no cluster has run from this folder. */
export function rememberedNodes(dir: string): number[] | undefined {
  const file = join(dir, FILE);
  if (!existsSync(file)) return undefined;
  const content = readWhole(file) as { nodes?: unknown } | null | undefined;
  const names: unknown[] = Array.isArray(content?.nodes) ? content.nodes : [];
  const numbers = names.map((name) => (typeof name === 'string' ? nodeNumber(name) : undefined));
  const known = [...new Set(numbers)].filter((number) => number !== undefined);
  if (known.length === 0 || known.length < names.length) {
    throw new PlainError(
      `${file} does not list the nodes of a cluster; remove it, or say how many with --nodes`,
    );
  }
  return known.sort((a, b) => a - b);
}

export function rememberNodes(dir: string, numbers: readonly number[]): void {
  const nodes = numbers.toSorted((a, b) => a - b).map(nodeName);
  writeWhole(join(dir, FILE), { nodes });
}
