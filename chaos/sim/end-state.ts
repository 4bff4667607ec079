/** What is there when everything is whole: the answers of every node, its memory, and the table. */
import { slotOf } from '../../src/cluster/slot.ts';
import type { EndState, Values } from '../history.ts';
import { CLIENT_PORT, NONE_PREFIX, type Sim } from './cluster.ts';
import { Host } from './machine.ts';
import { RespClient } from './resp-client.ts';

const READER = 'reader';
const ANSWER_TIMEOUT_MS = 6_000;
const TRIES_MAX = 6;
const RETRY_MS = 100;
/** In all, milliseconds. */
const READ_MS_MAX = 20_000;

export interface Reading {
  readonly when: string;
  readonly keys: readonly string[];
  readonly nodes: readonly string[];
}

/** Rejects when a node does not answer. */
export async function readEverything(sim: Sim, { when, keys, nodes }: Reading): Promise<EndState> {
  const startedAtMs = sim.time.monotonicMs();
  const answers = new Map<string, Values>();
  for (const node of nodes) answers.set(node, await answersOf(sim, node, keys));
  const memory = new Map(nodes.map((node) => [node, memoryOf(sim, node, keys)]));
  const rows = keys.filter((key) => !isMemoryOnly(key));
  const table = new Map(rows.map((key) => [key, sim.database.valueOf(key) ?? null]));
  return { when, startedAtMs, endedAtMs: sim.time.monotonicMs(), answers, memory, table };
}

/** Keys that some owner still holds as not yet known to be committed: when nothing is under way, none is. */
export function dirtyKeys(sim: Sim, { keys, nodes }: Omit<Reading, 'when'>): string[] {
  return nodes.flatMap((name) => {
    const { slots, keyspace } = sim.node(name).life;
    return keys
      .filter((key) => slots.isOwner(slotOf(key)))
      .filter((key) => (keyspace.find(slotOf(key), 0, key)?.dirty ?? 0) !== 0)
      .map((key) => `${key} is dirty on ${name}`);
  });
}

async function answersOf(sim: Sim, node: string, keys: readonly string[]): Promise<Values> {
  const { network, time } = sim;
  const host = new Host(READER, time);
  const options = { network, host, node, port: CLIENT_PORT, answerTimeoutMs: ANSWER_TIMEOUT_MS };
  const client = await sim.wait(RespClient.connect(options), READ_MS_MAX);
  const read = async (key: string): Promise<[string, string | null]> => {
    // A session with the database that broke unnoticed shows at its next use, and is then made anew.
    for (let tries = 1; ; tries++) {
      const { outcome, reply } = await client.send(['GET', key]);
      if (outcome === 'ok') return [key, reply as string | null];
      if (tries === TRIES_MAX)
        throw new Error(`GET ${key} on ${node} afterwards: ${String(reply)}`);
      await sim.sleep(RETRY_MS);
    }
  };
  const values = await sim.wait(Promise.all(keys.map(read)), READ_MS_MAX);
  client.close();
  return new Map(values);
}

/** The keys that a node owns and holds clean. */
function memoryOf(sim: Sim, name: string, keys: readonly string[]): Values {
  const { slots, keyspace } = sim.node(name).life;
  const values = new Map<string, string | null>();
  for (const key of keys) {
    const slot = slotOf(key);
    if (!slots.isOwner(slot)) continue;
    const entry = keyspace.find(slot, 0, key);
    if (entry !== undefined && entry.dirty === 0) values.set(key, entry.value);
    // What is in no memory and in no table is not there.
    else if (entry === undefined && (slots.isComplete(slot) || isMemoryOnly(key)))
      values.set(key, null);
  }
  return values;
}

/** When the times of these keys are over in the memory of a node, as far as they have one. */
export function expiriesInMemory(sim: Sim, name: string, keys: readonly string[]): number[] {
  const { life } = sim.node(name).cluster;
  const entries = keys.map((key) => life?.keyspace.find(slotOf(key), 0, key));
  return entries.flatMap((entry) =>
    entry === undefined || entry.value === null || entry.expiresAtMs === 0
      ? []
      : [entry.expiresAtMs],
  );
}

function isMemoryOnly(key: string): boolean {
  return key.startsWith(NONE_PREFIX);
}
