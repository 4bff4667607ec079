/**
 * How long writes wait after kill -9 of a node: from the kill to the first successful write on a slot
 * of which that node was primary, asked of the nodes that live on.
 */
import { pause } from '../faults/fault.ts';
import { ChaosClient } from '../client.ts';
import { type NodeAddress, type Target, untilReady } from '../target.ts';
import { slotOf } from '../../src/cluster/slot.ts';

/** Slots looked at in each round, spread over those that the dead node was primary of. */
const SLOTS_PROBED = 12;
/** Load of its own before each kill: a node that does nothing dies more easily. */
const CALM_MS = 1000;
const PAUSE_MS = 10;
/** The promise: two leases of 1.5 s. */
const BOUND_MS = 3000;

interface Round {
  readonly node: string;
  /** Milliseconds from the kill to the first and to the last of the probed slots that took a write. */
  readonly firstMs: number;
  readonly lastMs: number;
}

/** Prints each round, the median and the worst. Resolves to the exit code: 1 when the worst is over the bound. */
export async function measureFailovers(
  target: Target,
  rounds: number,
  say: (line: string) => void,
): Promise<number> {
  const results: Round[] = [];
  for (let i = 0; i < rounds; i++) {
    const victim = target.nodes[i % target.nodes.length]!;
    const round = await measureOne(target, victim, i);
    results.push(round);
    say(
      `kill ${String(i + 1).padStart(2)}: ${round.node}  first write ${round.firstMs.toFixed(0)} ms,` +
        ` all ${SLOTS_PROBED} slots ${round.lastMs.toFixed(0)} ms`,
    );
    await target.start(victim.name);
    await untilReady(target.nodes);
  }
  const first = sorted(results.map(({ firstMs }) => firstMs));
  const last = sorted(results.map(({ lastMs }) => lastMs));
  say(`first write on an affected slot: median ${median(first)} ms, worst ${worst(first)} ms`);
  say(`all probed slots writable again: median ${median(last)} ms, worst ${worst(last)} ms`);
  const met = first.at(-1)! < BOUND_MS;
  say(`under ${BOUND_MS / 1000} s: ${met ? 'yes' : 'NO'}`);
  return met ? 0 : 1;
}

async function measureOne(target: Target, victim: NodeAddress, round: number): Promise<Round> {
  const keys = await keysOf(victim, round);
  const living = target.nodes.filter(({ name }) => name !== victim.name);
  // One client a key: a write that waits for the failover holds up no other.
  const clients = keys.map((_, i) => new ChaosClient([living[i % living.length]!], 0));
  try {
    await Promise.all(keys.map((key, i) => clients[i]!.run('SET', key, 'before')));
    await pause(CALM_MS);
    const killedAt = performance.now();
    await target.kill(victim.name);
    const times = await Promise.all(
      keys.map(async (key, i) => {
        while ((await clients[i]!.run('SET', key, 'after')).outcome !== 'ok') {
          await pause(PAUSE_MS);
        }
        return performance.now() - killedAt;
      }),
    );
    const order = sorted(times);
    return { node: victim.name, firstMs: order[0]!, lastMs: order.at(-1)! };
  } finally {
    for (const client of clients) client.close();
  }
}

/** Keys in different slots of which the node is primary, by CLUSTER SLOTS of the node itself. */
async function keysOf(node: NodeAddress, round: number): Promise<string[]> {
  const own = await primaryRanges(node);
  const keys: string[] = [];
  const step = Math.max(1, Math.floor(own.length / SLOTS_PROBED));
  const wanted = own.filter((_, i) => i % step === 0).slice(0, SLOTS_PROBED);
  for (let i = 0; wanted.length > 0; i++) {
    const key = `failover:${round}:${i}`;
    const slot = slotOf(key);
    const at = wanted.findIndex(([first, last]) => slot >= first && slot <= last);
    if (at < 0) continue;
    wanted.splice(at, 1);
    keys.push(key);
  }
  return keys;
}

/** First and last slot of each range that the node is primary of. */
async function primaryRanges(node: NodeAddress): Promise<[first: number, last: number][]> {
  const client = new ChaosClient([node], 0);
  try {
    const { reply: own } = await client.run('CLUSTER', 'MYID');
    const { reply: ranges } = await client.run('CLUSTER', 'SLOTS');
    if (!Array.isArray(ranges)) throw new Error(`CLUSTER SLOTS of ${node.name}: ${String(ranges)}`);
    return (ranges as SlotsRow[])
      .filter(([, , [, , id]]) => id === own)
      .map(([first, last]) => [first, last]);
  } finally {
    client.close();
  }
}

/** One entry of CLUSTER SLOTS: the primary is the first node in it. */
type SlotsRow = [first: number, last: number, primary: [host: string, port: number, id: string]];

function sorted(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}

/** Of sorted values; the middle of the two middle ones where there are two. */
function median(values: readonly number[]): string {
  const middle = values.length / 2;
  const [a, b] = [values[Math.ceil(middle) - 1]!, values[Math.floor(middle)]!];
  return ((a + b) / 2).toFixed(0);
}

function worst(values: readonly number[]): string {
  return values.at(-1)!.toFixed(0);
}
