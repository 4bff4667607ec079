/**
 * Watches that an outage of the database costs the caches nothing: what was clean on a node when everybody had
 * noticed is there when the database is back; it may be marked, by a command over several owners that has yet to be
 * refused. Judged where nothing else breaks.
 */
import { slotOf } from '../../src/cluster/slot.ts';
import type { Sim, SimNode } from './cluster.ts';
import type { Plan } from './plan.ts';

const PERIOD_MS = 25;
/** Until everybody has noticed, and what was under way has failed, milliseconds. */
const NOTICED_MS = 150;

interface Kept {
  readonly node: SimNode;
  readonly incarnation: string;
  readonly epoch: number;
  readonly keys: readonly string[];
}

export class CacheWatch {
  readonly #sim: Sim;
  readonly #keys: () => readonly string[];
  #downSinceMs: number | null = null;
  #kept: readonly Kept[] | null = null;
  readonly findings: string[] = [];
  outages = 0;

  /** `keys`: all that some command has named until now. */
  constructor(sim: Sim, { faults, options }: Plan, keys: () => readonly string[]) {
    this.#sim = sim;
    this.#keys = keys;
    const isAlone = faults.every(({ fault }) => fault.name === 'database-crash');
    if (isAlone && (options.maxmemory ?? 0) === 0) sim.time.every(PERIOD_MS, () => this.#look());
  }

  #look(): void {
    const { database, time } = this.#sim;
    const nowMs = time.monotonicMs();
    if (!database.host.dead) {
      for (const kept of this.#kept ?? []) this.#compare(kept);
      this.#kept = this.#downSinceMs = null;
    } else if (this.#downSinceMs === null) {
      this.#downSinceMs = nowMs;
    } else if (this.#kept === null && nowMs - this.#downSinceMs >= NOTICED_MS) {
      this.outages++;
      this.#kept = this.#sim.processes().flatMap((node) => this.#keptBy(node));
    }
  }

  #keptBy(node: SimNode): Kept[] {
    const { life } = node.cluster;
    if (life === null) return [];
    const keys = this.#keys().filter((key) => isClean(node, key));
    return [{ node, incarnation: life.self.incarnation, epoch: life.epoch, keys }];
  }

  #compare({ node, incarnation, epoch, keys }: Kept): void {
    const { life } = node.cluster;
    if (life?.self.incarnation !== incarnation || life.epoch !== epoch) return;
    const lost = keys.filter((key) => !isThere(node, key));
    if (lost.length === 0) return;
    const atMs = this.#sim.time.monotonicMs().toFixed(3);
    this.findings.push(`${node.host.name} had ${lost.join(' ')}, and not at ${atMs} any more`);
  }
}

/** It has the key as the table has it, and for good. */
function isClean(node: SimNode, key: string): boolean {
  const entry = node.life.keyspace.find(slotOf(key), 0, key);
  return entry !== undefined && entry.persistent && entry.dirty === 0 && entry.expiresAtMs === 0;
}

function isThere(node: SimNode, key: string): boolean {
  return (node.life.keyspace.find(slotOf(key), 0, key)?.value ?? null) !== null;
}
