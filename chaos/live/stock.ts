/**
 * A stock of keys that nobody changes, read from every node the moment the cluster is ready again:
 * a node that is still warming up must answer each of them too.
 */
import { ChaosClient } from '../client.ts';
import type { NodeAddress, Target } from '../target.ts';
import type { ReadyReads } from './ready-reads.ts';

const WRITTEN_AT_ONCE = 100;

/** Throws when a write is not acknowledged: nothing is broken yet. */
export async function fillStock(target: Target, size: number): Promise<void> {
  const client = new ChaosClient(target.nodes, 0);
  try {
    for (let at = 0; at < size; at += WRITTEN_AT_ONCE) {
      const pairs = numbers(at, Math.min(size, at + WRITTEN_AT_ONCE)).flatMap((i) => [
        keyOf(i),
        valueOf(i),
      ]);
      const { outcome, reply } = await client.run('MSET', ...pairs);
      if (outcome !== 'ok') throw new Error(`MSET of the stock: ${String(reply)}`);
    }
  } finally {
    client.close();
  }
}

/** One line per key and node that answers something else than what was written. */
export async function missingStock(
  { nodes }: Pick<Target, 'nodes'>,
  reads: ReadyReads,
  size: number,
): Promise<string[]> {
  const found = await Promise.all(nodes.map((node) => missingOn(node, reads, size)));
  return found.flat();
}

async function missingOn(node: NodeAddress, reads: ReadyReads, size: number): Promise<string[]> {
  const all = numbers(0, size);
  const values = await reads.from(node, all.map(keyOf));
  return all
    .filter((i) => values.has(keyOf(i)) && values.get(keyOf(i)) !== valueOf(i))
    .map((i) => `${keyOf(i)} on ${node.name} is ${values.get(keyOf(i))}; right: ${valueOf(i)}`);
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

const keyOf = (i: number): string => `stock:${i}`;
const valueOf = (i: number): string => `value-${i}`;
