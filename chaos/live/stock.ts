/**
 * A stock of keys that nobody changes, read from every node the moment the cluster is ready again:
 * a node that is still warming up must answer each of them too.
 */
import { ChaosClient } from '../client.ts';
import type { Target } from '../target.ts';

const KEYS = 20_000;
const KEYS_WRITTEN_AT_ONCE = 100;
const KEYS_READ_AT_ONCE = 500;

/** Throws when a write is not acknowledged: nothing is broken yet. */
export async function fillStock(target: Target, run: string): Promise<void> {
  const client = new ChaosClient(target.nodes, 0);
  try {
    for (let at = 0; at < KEYS; at += KEYS_WRITTEN_AT_ONCE) {
      const pairs = range(at, KEYS_WRITTEN_AT_ONCE).flatMap((i) => [keyOf(run, i), valueOf(i)]);
      const { outcome, reply } = await client.run('MSET', ...pairs);
      if (outcome !== 'ok') throw new Error(`MSET of the stock: ${String(reply)}`);
    }
  } finally {
    client.close();
  }
}

/** One line per key and node that does not answer what was written. */
export async function missingStock(target: Target, run: string): Promise<string[]> {
  const found = await Promise.all(target.nodes.map((_, node) => missingOn(target, node, run)));
  return found.flat();
}

async function missingOn(target: Target, node: number, run: string): Promise<string[]> {
  const address = target.nodes[node]!;
  const client = new ChaosClient([address], 0);
  const missing: string[] = [];
  for (let at = 0; at < KEYS; at += KEYS_READ_AT_ONCE) {
    const part = range(at, KEYS_READ_AT_ONCE);
    const answers = await Promise.all(part.map((i) => client.run('GET', keyOf(run, i))));
    answers.forEach(({ outcome, reply }, at) => {
      const i = part[at]!;
      if (outcome === 'ok' && reply === valueOf(i)) return;
      missing.push(
        `GET ${keyOf(run, i)} on ${address.name}: ${String(reply)}; right: ${valueOf(i)}`,
      );
    });
  }
  client.close();
  return missing;
}

function range(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => from + i);
}

const keyOf = (run: string, i: number): string => `stock:${run}:${i}`;
const valueOf = (i: number): string => `value-${i}`;
