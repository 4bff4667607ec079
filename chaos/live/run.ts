/**
 * One run: clients work, faults come and go, everything heals, and what is there afterwards is compared
 * with what the clients were told; then everything is killed, and compared again after a cold start.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FinalState } from '../checkers/checker.ts';
import { CHECKERS } from '../checkers/index.ts';
import { ChaosClient } from '../client.ts';
import { DOWN_MS, type Fault, pause } from '../faults/fault.ts';
import { History } from '../history.ts';
import { SeededRandom } from '../sim/random.ts';
import { POSTGRES, type Target, untilReady } from '../target.ts';
import type { Workload } from '../workloads/workload.ts';
import { runSchedule, type Span } from './schedule.ts';
import { fillStock, missingStock } from './stock.ts';

const CLIENTS = 12;
const KEYS_READ_AT_ONCE = 100;
const QUIET_MS = 1000;
const SHOWN_MAX = 10;
const RUN = 'chaos';

export interface RunOptions {
  readonly target: Target;
  readonly faults: readonly Fault[];
  readonly workloads: readonly Workload[];
  readonly mixed: boolean;
  readonly ms: number | undefined;
  readonly seed: number;
  readonly folder: string;
  readonly say: (line: string) => void;
}

/** Resolves to the exit code; rejects when the cluster does not come back to life. */
export async function runChaos(options: RunOptions): Promise<number> {
  const { target, say } = options;
  say(`seed ${options.seed}`);
  const history = new History();
  const findings = new Map<string, string[]>();
  const found = (what: string, lines: readonly string[]): void => {
    findings.set(what, [...(findings.get(what) ?? []), ...lines]);
  };
  await fillStock(target, RUN);
  let stopping = false;
  const clients = Array.from({ length: CLIENTS }, (_, i) =>
    runLoad({ index: i, options, history, stopped: () => stopping }),
  );
  const spans: Span[] = [];
  try {
    await runSchedule({
      ...options,
      random: new SeededRandom(options.seed),
      onSpan: (span) => spans.push(span),
      async settle() {
        await untilReady(target.nodes);
        found('stock-is-there', await missingStock(target, RUN));
        found('no-node-ends-by-itself', await target.deaths());
      },
    });
  } finally {
    stopping = true;
    await Promise.all(clients);
  }
  await pause(QUIET_MS);
  const keys = [...new Set(history.operations.map(({ key }) => key))];
  for (const [when, state] of [
    ['after the faults', await readEverything(target, keys)],
    ['after a cold start', await coldStart(options).then(() => readEverything(target, keys))],
  ] as const) {
    for (const checker of CHECKERS) {
      found(
        checker.name,
        checker.check(history, state).map((line) => `${when}: ${line}`),
      );
    }
  }
  report(options, { history, spans, findings });
  return [...findings.values()].flat().length === 0 ? 0 : 1;
}

async function coldStart({ target, say }: RunOptions): Promise<void> {
  say('killing everything, for a cold start');
  const hosts = [POSTGRES, ...target.nodes.map(({ name }) => name)];
  await target.kill(...hosts);
  await pause(DOWN_MS);
  await target.start(...hosts);
  await untilReady(target.nodes);
}

async function runLoad({
  index,
  options: { target, workloads },
  history,
  stopped,
}: {
  index: number;
  options: RunOptions;
  history: History;
  stopped: () => boolean;
}): Promise<void> {
  const connection = new ChaosClient(target.nodes, index);
  const workload = workloads[index % workloads.length]!;
  for (let step = 0; !stopped(); step++) {
    await workload.step({ run: RUN, client: `${RUN}-${index}`, connection, history, step });
  }
  connection.close();
}

/** Every key of the history, read from every node by itself and from the table. */
async function readEverything(target: Target, keys: readonly string[]): Promise<FinalState> {
  const places = new Map<string, Map<string, string>>();
  for (const node of target.nodes) {
    const client = new ChaosClient([node], 0);
    places.set(node.name, await readKeys(client, keys));
    client.close();
  }
  const rows = await target.query(
    "SELECT key, value FROM kv_text WHERE db = 0 AND key LIKE 'chaos:%'",
  );
  places.set('sql', new Map(rows.map(([key = '', value = '']) => [key, value])));
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
      if (outcome !== 'acknowledged')
        throw new Error(`GET ${part[i]} afterwards: ${String(reply)}`);
      if (typeof reply === 'string') values.set(part[i]!, reply);
    });
  }
  return values;
}

function report(
  { say, folder }: RunOptions,
  {
    history,
    spans,
    findings,
  }: { history: History; spans: readonly Span[]; findings: ReadonlyMap<string, string[]> },
): void {
  const [done, failed, unknown] = (['acknowledged', 'failed', 'unknown'] as const).map((outcome) =>
    history.count(outcome),
  );
  say(`writes: ${done} acknowledged, ${failed} failed, ${unknown} with unknown outcome`);
  say(`longest time without an acknowledged write: ${history.longestPauseMs().toFixed(0)} ms`);
  for (const [checker, lines] of findings) {
    say(`${lines.length === 0 ? 'holds ' : 'BROKEN'} ${checker}`);
    for (const line of lines.slice(0, SHOWN_MAX)) say(`         ${line}`);
    if (lines.length > SHOWN_MAX) say(`         and ${lines.length - SHOWN_MAX} more`);
  }
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'history.jsonl');
  const lines = [...history.operations, ...spans].map((record) => `${JSON.stringify(record)}\n`);
  writeFileSync(file, lines.join(''));
  say(`history: ${file}`);
}
