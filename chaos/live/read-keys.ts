/** Reads of many keys from one node alone, after the cluster says that it is whole. */
import { ChaosClient } from '../client.ts';
import { pause } from '../faults/fault.ts';
import type { NodeAddress } from '../target.ts';

const AT_ONCE = 200;
/** A refusal (the database is slow, a bound is reached) may be repeated that long: it is no answer. */
const ANSWERED_WITHIN_MS = 20_000;
const RETRY_MS = 100;

/** The value of every key, null where there is none. Rejects when the node does not answer one. */
export async function readKeys(
  node: NodeAddress,
  keys: readonly string[],
): Promise<Map<string, string | null>> {
  const client = new ChaosClient([node], 0);
  const values = new Map<string, string | null>();
  const deadline = performance.now() + ANSWERED_WITHIN_MS;
  try {
    for (let at = 0; at < keys.length; at += AT_ONCE) {
      const part = keys.slice(at, at + AT_ONCE);
      const read = await Promise.all(part.map((key) => readOne(client, key, deadline)));
      read.forEach((value, i) => values.set(part[i]!, value));
    }
  } finally {
    client.close();
  }
  return values;
}

async function readOne(client: ChaosClient, key: string, deadline: number): Promise<string | null> {
  for (;;) {
    const { outcome, reply, node } = await client.run('GET', key);
    if (outcome === 'ok') return reply as string | null;
    if (performance.now() > deadline) throw new Error(`GET ${key} on ${node}: ${String(reply)}`);
    await pause(RETRY_MS);
  }
}
