/** One fault under load, from the first write to the verdict of the checkers. */
import { CHECKERS } from '../checkers/index.ts';
import type { FinalState } from '../checkers/checker.ts';
import { ChaosClient } from '../client.ts';
import { type Fault, pause } from '../faults/fault.ts';
import { History } from '../history.ts';
import { type Target, untilReady } from '../target.ts';
import { WORKLOADS } from '../workloads/index.ts';
import { fillStock, missingStock } from './stock.ts';

/** Load before the fault, and after the cluster is whole again. */
const CALM_MS = 2000;
const CLIENTS = 12;
const KEYS_READ_AT_ONCE = 100;

export interface Verdict {
  readonly fault: string;
  readonly acknowledged: number;
  readonly failed: number;
  readonly unknown: number;
  readonly longestPauseMs: number;
  /** By checker: what it found wrong. */
  readonly violations: ReadonlyMap<string, readonly string[]>;
  readonly history: History;
}

export async function runScenario(
  target: Target,
  fault: Fault,
  say: (line: string) => void,
): Promise<Verdict> {
  const history = new History();
  await fillStock(target, fault.name);
  let missing: string[];
  let stopping = false;
  // Names differ between scenarios, so that no value is ever used twice in a cluster's life.
  const clients = Array.from({ length: CLIENTS }, (_, i) =>
    runLoad({ run: fault.name, index: i, target, history, stopped: () => stopping }),
  );
  try {
    await pause(CALM_MS);
    await fault.inject(target, say);
    await untilReady(target);
    say('all nodes are ready again');
    missing = await missingStock(target, fault.name);
    await pause(CALM_MS);
  } finally {
    stopping = true;
    await Promise.all(clients);
  }
  const state = await readEverything(target, history);
  const violations = new Map([
    ['stock-is-there', missing],
    ...CHECKERS.map((checker) => [checker.name, checker.check(history, state)] as const),
  ]);
  return {
    fault: fault.name,
    acknowledged: history.count('acknowledged'),
    failed: history.count('failed'),
    unknown: history.count('unknown'),
    longestPauseMs: history.longestPauseMs(),
    violations,
    history,
  };
}

async function runLoad({
  run,
  index,
  target,
  history,
  stopped,
}: {
  run: string;
  index: number;
  target: Target;
  history: History;
  stopped: () => boolean;
}): Promise<void> {
  const connection = new ChaosClient(target.nodes, index);
  const workload = WORKLOADS[index % WORKLOADS.length]!;
  for (let step = 0; !stopped(); step++) {
    await workload.step({ run, client: `${run}-${index}`, connection, history, step });
  }
  connection.close();
}

/** Every key of the history, read from every node by itself and from the table. */
async function readEverything(target: Target, history: History): Promise<FinalState> {
  const keys = [...new Set(history.operations.map(({ key }) => key))];
  const places = new Map<string, Map<string, string>>();
  for (const node of target.nodes) {
    const client = new ChaosClient([node], 0);
    places.set(node.name, await readKeys(client, keys));
    client.close();
  }
  const rows = await target.queryPairs(
    "SELECT key, value FROM kv_text WHERE db = 0 AND key LIKE 'chaos:%'",
  );
  places.set('sql', rows);
  return { places };
}

async function readKeys(
  client: ChaosClient,
  keys: readonly string[],
): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  for (let at = 0; at < keys.length; at += KEYS_READ_AT_ONCE) {
    const part = keys.slice(at, at + KEYS_READ_AT_ONCE);
    const answers = await Promise.all(part.map((key) => client.run('GET', key)));
    answers.forEach(({ outcome, reply }, i) => {
      if (outcome !== 'acknowledged') throw new Error(`GET ${part[i]} afterwards: ${reply}`);
      if (reply !== 'null') values.set(part[i]!, reply);
    });
  }
  return values;
}
