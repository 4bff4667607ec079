/**
 * One run: clients work, faults come and go, everything heals, and what is there afterwards is compared
 * with what the clients were told; then everything is killed, and compared again after a cold start.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createNodeRandom } from '../../src/platform/node-random.ts';
import { passed, verdict } from '../checkers/checker.ts';
import { judgeRun } from '../checkers/index.ts';
import { ChaosClient } from '../client.ts';
import { type ClusterAccess, keysNamedBy, readEnd } from '../end-state.ts';
import { type Fault, pause } from '../faults/fault.ts';
import { History, type HistorySink } from '../history.ts';
import { HistoryFile, readHistoryFile } from '../history-file.ts';
import { recorded, type Send } from '../recording.ts';
import { writeReport } from '../report/write.ts';
import { SeededRandom } from '../sim/random.ts';
import { POSTGRES, type Target, untilReady } from '../target.ts';
import { beginMixture } from '../workloads/mixture.ts';
import type { Step, Workload } from '../workloads/workload.ts';
import { readLegacyKeys } from './legacy-reads.ts';
import { watchPrimaries } from './primary-watch.ts';
import { ReadyReads } from './ready-reads.ts';
import { runSchedule } from './schedule.ts';
import { fillStock, missingStock } from './stock.ts';

const CLIENTS = 12;
const QUIET_MS = 1000;
/** Keys that nobody changes. */
const STOCK = 10_000;
const RUN = 'chaos';

export interface RunOptions {
  readonly target: Target;
  readonly faults: readonly Fault[];
  readonly workloads: readonly Workload[];
  readonly mixed: boolean;
  readonly ms: number | undefined;
  readonly seed: number;
  readonly folder: string;
  /** How many keys that nobody changes there are (10,000). */
  readonly stock?: number;
  readonly say: (line: string) => void;
}

/**
 * Resolves to the exit code; rejects when the cluster does not come back to life. The history is kept whatever
 * happens, and where it is is said. It is judged as it is kept, so that judging it again is the same, and so that
 * a long run does not need memory for millions of operations while it goes on.
 */
export async function runChaos(options: RunOptions): Promise<number> {
  const { folder, say, workloads } = options;
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'history.jsonl');
  const file = new HistoryFile(path);
  try {
    await recordRun(options, file);
  } finally {
    file.close();
    say(`history: ${path}`);
    say(`to judge it again: npx tsx chaos/judge.ts ${path}`);
  }
  const history = await readHistoryFile(path);
  const verdicts = judgeRun(history, workloads);
  for (const line of writeReport(folder, history, verdicts)) say(line);
  say(`report: ${join(folder, 'report.html')}`);
  return passed(verdicts) ? 0 : 1;
}

/** The whole run, with what it found by looking itself among its records. */
async function recordRun(options: RunOptions, file: HistoryFile): Promise<void> {
  const { target, say, stock = STOCK } = options;
  say(`seed ${options.seed}`);
  const settings = {
    nodes: String(target.nodes.length),
    target: target.name,
    seed: String(options.seed),
    // Moments of the history count from here; logs of the processes have the time of day.
    startedAt: new Date(performance.timeOrigin).toISOString(),
  };
  const title = options.mixed ? 'mixed faults' : 'one fault after the other';
  const named = new Set<string>();
  const sink: HistorySink = (record) => {
    file.sink(record);
    if (record.kind === 'operation')
      for (const key of keysNamedBy([record.operation])) named.add(key);
  };
  const history = new History({ title, settings }, sink, { keepsOperations: false });
  const missing: string[] = [];
  const deaths: string[] = [];
  const reads = new ReadyReads(target, say);
  await fillStock(target, stock);
  let stopping = false;
  const clients = runClients(options, history, () => stopping);
  const legacy = readLegacyKeys(target, createNodeRandom(), () => stopping);
  const watched = target.spare === undefined ? target.nodes : [...target.nodes, target.spare];
  const watch = watchPrimaries(watched, history, () => stopping);
  try {
    await runSchedule({
      ...options,
      random: new SeededRandom(options.seed),
      onSpan: (span) => history.addFault(span),
      async settle() {
        missing.push(...(await missingStock(target, reads, stock)));
        deaths.push(...(await target.deaths()));
      },
    });
  } finally {
    stopping = true;
    await Promise.all([clients, watch]);
  }
  await pause(QUIET_MS);
  history.addEnd(await readEnd(accessTo(target, reads), 'after the faults', named));
  await coldStart(options);
  history.addEnd(await readEnd(accessTo(target, reads), 'after a cold start', named));
  history.addVerdict(verdict('stock-is-there', 'every key of the stock on every node', missing));
  const judged = `${reads.reads} reads from nodes that said so`;
  history.addVerdict(verdict('ready-nodes-answer', judged, reads.findings));
  history.addVerdict(verdict('no-node-ends-by-itself', 'all processes', deaths));
  history.addVerdict(await legacy);
}

async function coldStart({ target, say }: RunOptions): Promise<void> {
  say('killing everything, for a cold start');
  const hosts = [POSTGRES, ...target.nodes.map(({ name }) => name)];
  await target.kill(...hosts);
  await target.start(...hosts);
  await untilReady(target.nodes);
}

async function runClients(
  { target, workloads }: RunOptions,
  history: History,
  stopped: () => boolean,
): Promise<void> {
  const begin = beginMixture(workloads, RUN);
  const nowMs = (): number => performance.now();
  const random = createNodeRandom();
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, i) => {
      const connection = new ChaosClient(target.nodes, i);
      const client = `c${i}`;
      const sendFor = (workload: string): Send =>
        recorded(connection.send, { history, workload, client, nowMs });
      await runClient(begin({ client, random, sendFor }), stopped);
      connection.close();
    }),
  );
}

async function runClient(step: Step, stopped: () => boolean): Promise<void> {
  while (!stopped()) await step();
}

/** Nobody looks into the memory of a process: a GET on an owner is answered from there. */
function accessTo(target: Target, reads: ReadyReads): ClusterAccess {
  return {
    nodes: target.nodes.map(({ name }) => name),
    answers: (node, keys) => reads.from(target.nodes.find(({ name }) => name === node)!, keys),
    cleanMemory: () => Promise.resolve(new Map()),
    async table(keys) {
      const rows = await target.query(
        "SELECT key, value FROM kv_text WHERE db = 0 AND key LIKE 'chaos:%'",
      );
      const found = new Map(rows.map(([key = '', value = '']) => [key, value]));
      return new Map(keys.map((key) => [key, found.get(key) ?? null] as const));
    },
  };
}
