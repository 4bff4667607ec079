/**
 * Reads from nodes that say they are ready: each has to answer, and at once.
 *
 * Ready is what a node was when it was asked. It may lose its life a moment later for what had happened before: a
 * complaint is settled while the link is mended, say, and the loser learns of it with its next renewal. So
 * after a refusal all nodes are asked again. If each of them is ready, in the life in which it was before, nothing
 * excuses the refusal, and it is kept as a finding; else the reads begin again when all are ready. How often
 * that may happen is bounded: in a network that is whole nodes do not go on losing their places.
 */
import { ChaosClient } from '../client.ts';
import { pause } from '../faults/fault.ts';
import {
  type Lives,
  type NodeAddress,
  type Readiness,
  readinessOf,
  type Target,
  untilReady,
} from '../target.ts';

const AT_ONCE = 200;
/** A bound of the node was reached (`BUSY`: try again), which readiness says nothing about. */
const BUSY_MS_MAX = 20_000;
const RETRY_MS = 100;
const ROUNDS_MAX = 5;

type Found = ReadonlyMap<string, string | null>;

export class ReadyReads {
  readonly #target: Pick<Target, 'nodes'>;
  readonly #say: (line: string) => void;
  /** Refusals that nothing excuses, in words. */
  readonly findings: string[] = [];
  /** Keys read, over all nodes. */
  reads = 0;

  constructor(target: Pick<Target, 'nodes'>, say: (line: string) => void) {
    this.#target = target;
    this.#say = say;
  }

  /**
   * By key what the node answers when it is asked alone, null where there is nothing. Keys that it refused without
   * an excuse are missing. Rejects when the nodes do not become ready, or do not stay so.
   */
  async from(node: NodeAddress, keys: readonly string[]): Promise<Found> {
    for (let round = 1; round <= ROUNDS_MAX; round++) {
      const lives = await untilReady(this.#target.nodes);
      const values = await this.#round(node, keys, lives);
      if (values !== undefined) return values;
    }
    throw new Error(`nodes lost their lives ${ROUNDS_MAX} times while nothing was broken`);
  }

  /** Undefined when a refusal was excused: everything is to be read again. */
  async #round(
    node: NodeAddress,
    keys: readonly string[],
    lives: Lives,
  ): Promise<Found | undefined> {
    const client = new ChaosClient([node], 0);
    const values = new Map<string, string | null>();
    const refusals: string[] = [];
    try {
      for (let at = 0; at < keys.length; at += AT_ONCE) {
        const part = keys.slice(at, at + AT_ONCE);
        const answers = await Promise.all(part.map((key) => readOne(client, key)));
        answers.forEach((answer, i) => {
          if (answer.refused !== undefined) refusals.push(answer.refused);
          else values.set(part[i]!, answer.value);
        });
        if (refusals.length === 0) continue;
        const excuse = await this.#excuse(lives);
        if (excuse !== undefined) {
          this.#say(`${refusals[0]!}: excused, as ${excuse}; reading again`);
          return undefined;
        }
        this.findings.push(...refusals.splice(0).map((text) => `${text}, though all are ready`));
      }
    } finally {
      client.close();
    }
    this.reads += keys.length;
    return values;
  }

  /** Who is not what it was when it said that it is ready; undefined: nobody. */
  async #excuse(lives: Lives): Promise<string | undefined> {
    const { nodes } = this.#target;
    const answers = await Promise.all(nodes.map(readinessOf));
    const changed = nodes.findIndex(({ name }, i) => !isSame(answers[i]!, lives.get(name)));
    if (changed < 0) return undefined;
    const { name } = nodes[changed]!;
    const answer = answers[changed]!;
    return answer.ready ? `${name} lives anew` : `${name} is not ready any more: ${answer.reason}`;
  }
}

function isSame(answer: Readiness, life: string | undefined): boolean {
  return answer.ready && answer.life === life;
}

type Read =
  | { readonly value: string | null; readonly refused?: undefined }
  | { readonly refused: string };

async function readOne(client: ChaosClient, key: string): Promise<Read> {
  const deadline = performance.now() + BUSY_MS_MAX;
  for (;;) {
    const { outcome, reply, node } = await client.run('GET', key);
    if (outcome === 'ok') return { value: reply as string | null };
    const isBusy = String(reply).startsWith('BUSY ') && performance.now() < deadline;
    if (!isBusy) return { refused: `GET ${key} on ${node}: ${String(reply)}` };
    await pause(RETRY_MS);
  }
}
