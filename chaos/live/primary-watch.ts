/**
 * Who served which slots as primary, found out by asking: each node is asked by itself, again and again, what it
 * serves at the moment (CLUSTER STATUS).
 *
 * What an answer says was true at some moment between the question and the answer. Two answers of one life in
 * the same epoch, the second with a lease that has had no gap since the first, say more: what was served at the
 * first was served all along, since within an epoch slots become active and never stop to be. So it was
 * served at least from the moment the first answer was here until the second question left. Only that is
 * recorded. It depends on nobody's clock but this program's, and on no assumption about delays: a span is never
 * longer than the truth, so two that overlap are a violation, whatever the network did. What is not seen is
 * the end of a span after its last question: two primaries at once are found if that lasts for two polls of both.
 * (In virtual time nothing is hidden: `chaos/sim/watch.ts`.)
 */
import { ChaosClient } from '../client.ts';
import { pause } from '../faults/fault.ts';
import type { History } from '../history.ts';
import type { NodeAddress } from '../target.ts';

const PERIOD_MS = 50;

/** The part of CLUSTER STATUS that matters here. */
export interface ServingStatus {
  readonly incarnation: string | null;
  readonly epoch: number;
  /** Moments of the node's own clock. */
  readonly lease: { readonly nowMs: number; readonly sinceMs: number } | null;
  readonly serving: readonly (readonly [first: number, last: number])[];
}

/** One answer, with moments of the run's clock around it. */
export interface Sample {
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
  readonly status: ServingStatus;
}

interface Service {
  readonly incarnation: string;
  readonly epoch: number;
  readonly serving: ServingStatus['serving'];
  readonly startedAtMs: number;
  /** The last question whose answer confirmed it. */
  endedAtMs: number;
  /** The node's clock at its last answer. */
  seenMs: number;
}

/** Makes spans of the samples of one node, given in the order in which they were taken. */
export class ServiceTracker {
  readonly #node: string;
  readonly #history: History;
  #service: Service | undefined;

  constructor(node: string, history: History) {
    this.#node = node;
    this.#history = history;
  }

  add({ askedAtMs, answeredAtMs, status }: Sample): void {
    const { incarnation, epoch, lease, serving } = status;
    const before = this.#service;
    if (before !== undefined && continues(before, status)) {
      before.endedAtMs = askedAtMs;
      before.seenMs = lease!.nowMs;
      // Slots that became active meanwhile begin a span of their own.
      if (isSame(before.serving, serving)) return;
    }
    this.end();
    if (incarnation === null || lease === null || serving.length === 0) return;
    this.#service = {
      incarnation,
      epoch,
      serving,
      startedAtMs: answeredAtMs,
      endedAtMs: answeredAtMs,
      seenMs: lease.nowMs,
    };
  }

  /** Records what is known of the service that is open. */
  end(): void {
    const service = this.#service;
    this.#service = undefined;
    if (service === undefined || service.endedAtMs <= service.startedAtMs) return;
    const { incarnation, epoch, serving, startedAtMs, endedAtMs } = service;
    const life = { node: this.#node, incarnation, epoch, startedAtMs, endedAtMs };
    for (const slots of serving) this.#history.addPrimary({ ...life, slots });
  }
}

function continues(service: Service, { incarnation, epoch, lease }: ServingStatus): boolean {
  const isSameView = service.incarnation === incarnation && service.epoch === epoch;
  return isSameView && lease !== null && lease.sinceMs <= service.seenMs;
}

function isSame(a: ServingStatus['serving'], b: ServingStatus['serving']): boolean {
  if (a.length !== b.length) return false;
  return a.every(([first, last], i) => b[i]![0] === first && b[i]![1] === last);
}

/** Asks these nodes until `stopped`; then the history has all that is known. Never rejects. */
export async function watchPrimaries(
  nodes: readonly NodeAddress[],
  history: History,
  stopped: () => boolean,
): Promise<void> {
  await Promise.all(nodes.map((node) => watchNode(node, history, stopped)));
}

async function watchNode(
  node: NodeAddress,
  history: History,
  stopped: () => boolean,
): Promise<void> {
  const tracker = new ServiceTracker(node.name, history);
  const client = new ChaosClient([node], 0);
  while (!stopped()) {
    const askedAtMs = performance.now();
    const { outcome, reply } = await client.run('CLUSTER', 'STATUS');
    const answeredAtMs = performance.now();
    if (outcome === 'ok') {
      const status = JSON.parse(reply as string) as ServingStatus;
      tracker.add({ askedAtMs, answeredAtMs, status });
    }
    await pause(PERIOD_MS);
  }
  tracker.end();
  client.close();
}
