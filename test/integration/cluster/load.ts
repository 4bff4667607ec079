/**
 * Clients that work on every node of a cluster until they are told to stop: the workloads of the chaos runs,
 * recorded in the same history and judged by the same checkers. They outlive the connections they lose: a client
 * whose node is down tries until it is back.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { expect } from 'vitest';
import { judgeRun } from '../../../chaos/checkers/index.ts';
import { ChaosClient } from '../../../chaos/client.ts';
import { keysNamedBy, readEnd } from '../../../chaos/end-state.ts';
import { History, type Operation, type Values } from '../../../chaos/history.ts';
import { writeHistoryFile } from '../../../chaos/history-file.ts';
import { recorded } from '../../../chaos/recording.ts';
import { errorsOf, isWrite, longestPause } from '../../../chaos/report/figures.ts';
import { counters } from '../../../chaos/workloads/counters.ts';
import { beginMixture } from '../../../chaos/workloads/mixture.ts';
import { registers } from '../../../chaos/workloads/registers.ts';
import { uniqueValues } from '../../../chaos/workloads/unique-values.ts';
import type { Workload } from '../../../chaos/workloads/workload.ts';
import { createNodeRandom } from '../../../src/platform/node-random.ts';
import type { ClusterNode, TestCluster } from '../../support/cluster.ts';
import { RespClient, toPlain } from '../../support/resp-client.ts';

export interface LoadOptions {
  readonly clientsPerNode?: number;
  readonly workloads?: readonly Workload[];
}

const WORKLOADS: readonly Workload[] = [registers, counters, uniqueValues];
const REPLY_TIMEOUT_MS = 30_000;
const PROGRESS_WITHIN_MS = 40_000;
const POLL_MS = 20;

export class Load {
  readonly history: History;
  readonly #nodes: readonly ClusterNode[];
  readonly #clients: Promise<void>[] = [];
  #stopping = false;

  /** `prefix` keeps the keys of several loads apart. */
  constructor(
    { nodes }: Pick<TestCluster, 'nodes'>,
    prefix: string,
    { clientsPerNode = 5, workloads = WORKLOADS }: LoadOptions = {},
  ) {
    this.#nodes = nodes;
    this.history = new History({ title: prefix, settings: {} });
    const begin = beginMixture(workloads, prefix);
    for (const node of nodes) {
      for (let i = 0; i < clientsPerNode; i++) {
        this.#clients.push(this.#run(node, `${node.id}.${i}`, begin));
      }
    }
  }

  /** Resolves when every given node's clients had `count` more writes acknowledged, all begun after now. */
  async progress(
    count = 20,
    nodes: readonly number[] = this.#nodes.map((_, i) => i),
  ): Promise<void> {
    const from = performance.now();
    const names = nodes.map((node) => this.#nodes[node]!.id);
    const first = this.history.operations.length;
    const deadline = performance.now() + PROGRESS_WITHIN_MS;
    for (;;) {
      const done = new Map(names.map((name) => [name, 0]));
      for (const op of this.history.operations.slice(first)) {
        const soFar = done.get(op.node);
        if (soFar === undefined || op.outcome !== 'ok' || op.startedAtMs < from || !isWrite(op))
          continue;
        done.set(op.node, soFar + 1);
      }
      if ([...done.values()].every((n) => n >= count)) return;
      if (performance.now() > deadline) {
        const errors = JSON.stringify(errorsOf(this.history.operations));
        throw new Error(`no progress: ${JSON.stringify([...done])}; ${errors}`);
      }
      await sleep(POLL_MS);
    }
  }

  /** Ends all clients, each after its last answer. */
  async stop(): Promise<History> {
    this.#stopping = true;
    await Promise.all(this.#clients);
    return this.history;
  }

  async #run(
    node: ClusterNode,
    client: string,
    begin: ReturnType<typeof beginMixture>,
  ): Promise<void> {
    const { id: name, host, port, httpPort } = node;
    const connection = new ChaosClient([{ name, host, port, httpPort }], 0);
    const nowMs = (): number => performance.now();
    const step = begin({
      client,
      random: createNodeRandom(),
      sendFor: (workload) =>
        recorded(connection.send, { history: this.history, workload, client, nowMs }),
    });
    while (!this.#stopping) await step();
    connection.close();
  }
}

/** Error kinds and how often each came. */
export function errorCounts({ operations }: History): readonly unknown[] {
  return errorsOf(operations);
}

/** The operations of these nodes' clients that were not answered, from a place in the history on. */
export function failures(
  { operations }: History,
  nodes: readonly string[],
  first = 0,
): readonly Operation[] {
  return operations
    .slice(first)
    .filter(({ outcome, node }) => outcome !== 'ok' && nodes.includes(node));
}

/**
 * The longest time without an acknowledged write among the clients of these nodes, milliseconds, rounded; what is
 * measured is printed, never asserted.
 */
export function writePauseMs(
  { operations }: History,
  fromMs: number,
  nodes: readonly string[],
  toMs = Number.POSITIVE_INFINITY,
): number {
  const ends = operations
    .filter((op) => op.outcome === 'ok' && isWrite(op) && nodes.includes(op.node))
    .map(({ endedAtMs }) => endedAtMs)
    .filter((at) => at <= toMs)
    .sort((a, b) => a - b);
  return Math.round(longestPause(ends, { fromMs, toMs: ends.at(-1) ?? fromMs }));
}

/** Every key on every node and in the table is what its history allows, and every read was. */
export async function expectNothingLost(
  history: History,
  { nodes }: Pick<TestCluster, 'nodes'>,
  store: string,
): Promise<void> {
  const access = {
    nodes: nodes.map(({ id }) => id),
    answers: (name: string, keys: readonly string[]) =>
      readAll(nodes.find(({ id }) => id === name)!, keys),
    cleanMemory: () => Promise.resolve(new Map()),
    table: (keys: readonly string[]) => readTable(store, keys),
  };
  history.addEnd(await readEnd(access, 'at the end', keysNamedBy(history.operations)));
  const wrong = judgeRun(history, WORKLOADS).filter(
    ({ status }) => status !== 'holds' && status !== 'not-judged',
  );
  expect(wrong, wrong.length === 0 ? '' : kept(history)).toEqual([]);
  // A node answers in its own time, so a client that gave up was forgotten.
  const forgotten = history.operations.filter(({ reply }) => reply === 'Command timed out');
  expect(forgotten).toEqual([]);
}

function kept(history: History): string {
  const path = join(mkdtempSync(join(tmpdir(), 'ringfence-failed-')), 'history.jsonl');
  writeHistoryFile(path, history);
  return `kept; to judge it again: npx tsx chaos/judge.ts ${path}`;
}

async function readAll(node: ClusterNode, keys: readonly string[]): Promise<Values> {
  const { host, port } = node;
  const client = await RespClient.connect({ host, port, timeoutMs: REPLY_TIMEOUT_MS });
  try {
    const replies = await client.pipeline(keys.map((key) => ['GET', key]));
    return new Map(
      replies.map(({ value }, i) => {
        const plain = toPlain(value);
        if (plain instanceof Error) throw plain;
        return [keys[i]!, plain as string | null];
      }),
    );
  } finally {
    await client.close();
  }
}

async function readTable(store: string, keys: readonly string[]): Promise<Values> {
  const client = new pg.Client({ connectionString: store });
  await client.connect();
  try {
    const { rows } = await client.query<{ key: string; value: string }>(
      'SELECT key, value FROM kv_text WHERE key = ANY($1)',
      [keys],
    );
    const values = new Map<string, string | null>(keys.map((key) => [key, null]));
    for (const { key, value } of rows) values.set(key, value);
    return values;
  } finally {
    await client.end();
  }
}
