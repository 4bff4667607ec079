/**
 * Clients that write, read and count on every node of a cluster until they are told to stop, and
 * record everything. They outlive the connections they lose: a client whose node is down tries until
 * it is back.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import pg from 'pg';
import type { TestCluster } from '../../support/cluster.ts';
import { type Operation, outcomeOf, Recorder } from '../../support/recorder.ts';
import { RespClient, toPlain } from '../../support/resp-client.ts';

export interface LoadOptions {
  readonly writersPerNode?: number;
  readonly readersPerNode?: number;
  readonly countersPerNode?: number;
}

const KEYS_PER_WRITER = 12;
const COUNTERS = 3;
const RECONNECT_MS = 20;
const REPLY_TIMEOUT_MS = 30_000;
const PROGRESS_WITHIN_MS = 40_000;
const POLL_MS = 20;

interface Request {
  readonly kind: Operation['kind'];
  readonly key: string;
  /** Of a write. */
  readonly number: number;
}

export class Load {
  readonly recorder = new Recorder();
  readonly #cluster: TestCluster;
  readonly #prefix: string;
  readonly #clients: Promise<void>[] = [];
  readonly #written: string[] = [];
  #stopping = false;
  #failure: Error | undefined;

  /** `prefix` keeps the keys of several loads apart. */
  constructor(cluster: TestCluster, prefix: string, options: LoadOptions = {}) {
    this.#cluster = cluster;
    this.#prefix = prefix;
    const { writersPerNode = 2, readersPerNode = 2, countersPerNode = 1 } = options;
    cluster.nodes.forEach((_, node) => {
      for (let i = 0; i < writersPerNode; i++)
        this.#start(node, `w${node}.${i}`, this.#writes(`w${node}.${i}`));
      for (let i = 0; i < readersPerNode; i++)
        this.#start(node, `r${node}.${i}`, () => this.#read());
      for (let i = 0; i < countersPerNode; i++)
        this.#start(node, `c${node}.${i}`, () => this.#increment());
    });
  }

  /** Resolves when every given node's clients had `count` more writes acknowledged, all begun after now. */
  async progress(
    count = 20,
    nodes: readonly number[] = this.#cluster.nodes.map((_, i) => i),
  ): Promise<void> {
    const from = performance.now();
    const names = nodes.map((node) => this.#cluster.nodes[node]!.id);
    const first = this.recorder.operations.length;
    const deadline = Date.now() + PROGRESS_WITHIN_MS;
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const done = new Map(names.map((name) => [name, 0]));
      for (const op of this.recorder.operations.slice(first)) {
        const soFar = done.get(op.node);
        if (
          soFar !== undefined &&
          op.kind === 'set' &&
          op.outcome === 'ok' &&
          op.startedAtMs >= from
        )
          done.set(op.node, soFar + 1);
      }
      if ([...done.values()].every((n) => n >= count)) return;
      if (Date.now() > deadline)
        throw new Error(`no progress: ${JSON.stringify([...done])}; ${this.#summary()}`);
      await sleep(POLL_MS);
    }
  }

  /** Ends all clients, each after its last answer. */
  async stop(): Promise<Recorder> {
    this.#stopping = true;
    await Promise.all(this.#clients);
    if (this.#failure !== undefined) throw this.#failure;
    return this.recorder;
  }

  #summary(): string {
    return JSON.stringify([...this.recorder.errors()]);
  }

  #start(node: number, client: string, next: () => Request): void {
    const run = this.#run(node, client, next).catch((error: unknown) => {
      this.#failure = error instanceof Error ? error : new Error(String(error));
    });
    this.#clients.push(run);
  }

  async #run(node: number, client: string, next: () => Request): Promise<void> {
    let connection: RespClient | undefined;
    while (!this.#stopping && this.#failure === undefined) {
      if (connection === undefined || connection.closed) {
        connection = await this.#connect(node);
        if (connection === undefined) await sleep(RECONNECT_MS);
        continue;
      }
      const operation = await this.#ask(connection, node, client, next());
      this.recorder.add(operation);
      // A refusal comes at once; a client that asks again at once would only burn the processor.
      if (operation.outcome !== 'ok') await sleep(RECONNECT_MS);
    }
    await connection?.close();
  }

  async #connect(node: number): Promise<RespClient | undefined> {
    const { host, port } = this.#cluster.nodes[node]!;
    try {
      return await RespClient.connect({ host, port, timeoutMs: REPLY_TIMEOUT_MS });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return undefined;
      if ((error as NodeJS.ErrnoException).code === 'ECONNRESET') return undefined;
      throw error;
    }
  }

  async #ask(
    connection: RespClient,
    node: number,
    client: string,
    request: Request,
  ): Promise<Operation> {
    const { kind, key, number } = request;
    const startedAtMs = performance.now();
    const base = { client, node: this.#cluster.nodes[node]!.id, kind, key, startedAtMs };
    let reply: unknown;
    try {
      reply = toPlain((await connection.command(...wordsOf(request))).value);
    } catch (error) {
      if (!connection.closed) throw error;
      if (error instanceof Error && error.message.startsWith('no reply')) throw error;
      return {
        ...base,
        number,
        endedAtMs: performance.now(),
        outcome: 'unknown',
        error: 'connection closed',
      };
    }
    const endedAtMs = performance.now();
    if (reply instanceof Error) {
      return {
        ...base,
        number,
        endedAtMs,
        outcome: outcomeOf(reply.message),
        error: reply.message,
      };
    }
    return {
      ...base,
      number: kind === 'set' ? number : Number(reply ?? 0),
      endedAtMs,
      outcome: 'ok',
      error: '',
    };
  }

  #writes(client: string): () => Request {
    const keys = Array.from(
      { length: KEYS_PER_WRITER },
      (_, i) => `${this.#prefix}:${client}:${i}`,
    );
    this.#written.push(...keys);
    let step = 0;
    return () => {
      const key = keys[step % KEYS_PER_WRITER]!;
      return { kind: 'set', key, number: Math.floor(step++ / KEYS_PER_WRITER) + 1 };
    };
  }

  #read(): Request {
    const key = this.#written[Math.floor(Math.random() * this.#written.length)]!;
    return { kind: 'get', key, number: 0 };
  }

  #increment(): Request {
    return {
      kind: 'incr',
      key: `${this.#prefix}:count:${Math.floor(Math.random() * COUNTERS)}`,
      number: 0,
    };
  }
}

function wordsOf({ kind, key, number }: Request): string[] {
  return kind === 'set' ? ['SET', key, String(number)] : [kind.toUpperCase(), key];
}

/** Every key on every node and in the table is what the recorder allows, and all places agree. */
export async function expectNothingLost(
  recorder: Recorder,
  cluster: TestCluster,
  store: string,
): Promise<void> {
  const keys = [...recorder.keys('set'), ...recorder.keys('incr')];
  const places = new Map<string, Map<string, string | null>>();
  for (const node of cluster.nodes) places.set(node.id, await readAll(node, keys));
  places.set('the table', await readTable(store, keys));
  const found = recorder.staleReads();
  for (const [place, values] of places) {
    found.push(...recorder.lostWrites(place, values), ...recorder.wrongCounters(place, values));
  }
  expect(found).toEqual([]);
  const [first, ...others] = [...places.values()];
  for (const other of others) expect(Object.fromEntries(other)).toEqual(Object.fromEntries(first!));
}

async function readAll(
  node: { host: string; port: number },
  keys: readonly string[],
): Promise<Map<string, string | null>> {
  const client = await RespClient.connect({
    host: node.host,
    port: node.port,
    timeoutMs: REPLY_TIMEOUT_MS,
  });
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

async function readTable(
  store: string,
  keys: readonly string[],
): Promise<Map<string, string | null>> {
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
