/**
 * What must hold for commands over several keys, for keys that live in memory only, and for deletes,
 * while nodes die, stop and return: with so little memory that keys are evicted and read again all the
 * time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isKnownRefusal } from '../../../chaos/checkers/known-refusals.ts';
import type { History, Outcome } from '../../../chaos/history.ts';
import { outcomeOfError } from '../../../chaos/recording.ts';
import { startCluster, type TestCluster } from '../../support/cluster.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { RespClient } from '../../support/resp-client.ts';
import { expectNothingLost, Load } from './load.ts';
import { eventually, say } from './wait.ts';

const ALL = [0, 1, 2];
const RETRY_MS = 20;

let server: TestPostgres;
let cluster: TestCluster;
let store: string;
let load: Load;
let history: History;

beforeAll(async () => {
  server = await startPostgres();
  store = await server.freshDatabase();
  cluster = await startCluster({
    store,
    flags: { maxmemory: '1mb' },
    policies: [{ prefix: 'none:', persist: 'none' }],
  });
  // All workloads run beside each other through one round of faults; the tests look at what they saw.
  await prepareToken();
  await fill();
  load = new Load(cluster, 'evicted', { clientsPerNode: 3 });
  await load.progress();
  await during(faults, [
    ...[together.write, together.read, together.read],
    ...[token.move, token.look],
    ...[locks.take, locks.take, locks.take],
    ...[deletes.remove, deletes.remove],
    ...[memory.write, memory.read, memory.read],
    ...[filler.read],
  ]);
  await load.progress();
  history = await load.stop();
}, 120_000);

afterAll(async () => {
  await cluster?.stop();
  await server?.stop();
});

/** A client that goes to the next node when its own is gone. */
class Roamer {
  #node: number;
  #connection: RespClient | undefined;

  constructor(node: number) {
    this.#node = node;
  }

  /** The reply and what it says; a lost connection is an unknown outcome. */
  async ask(...words: string[]): Promise<{ outcome: Outcome; reply: unknown }> {
    const connection = await this.#connected();
    try {
      const reply = await connection.plain(...words);
      if (!(reply instanceof Error)) return { outcome: 'ok', reply };
      await sleep(RETRY_MS);
      const outcome = outcomeOfError(reply.message);
      if (outcome === 'refused' && !isKnownRefusal(reply.message)) throw reply;
      return { outcome, reply };
    } catch (error) {
      if (!connection.closed || (error as Error).message.startsWith('no reply')) throw error;
      return { outcome: 'unknown', reply: error };
    }
  }

  /** Asks until there is an answer; for commands that may be done twice. */
  async insist(...words: string[]): Promise<unknown> {
    for (;;) {
      const { outcome, reply } = await this.ask(...words);
      if (outcome === 'ok') return reply;
    }
  }

  async close(): Promise<void> {
    await this.#connection?.close();
  }

  async #connected(): Promise<RespClient> {
    while (this.#connection === undefined || this.#connection.closed) {
      const { host, port } = cluster.nodes[this.#node % 3]!;
      try {
        this.#connection = await RespClient.connect({ host, port, timeoutMs: 30_000 });
      } catch (error) {
        if (!['ECONNREFUSED', 'ECONNRESET'].includes((error as NodeJS.ErrnoException).code ?? ''))
          throw error;
        this.#node++;
        await sleep(RETRY_MS);
      }
    }
    return this.#connection;
  }
}

/** Runs `body` again and again, with a client per number, while `faults` runs. */
async function during(
  faults: () => Promise<void>,
  bodies: ((client: Roamer) => Promise<void>)[],
): Promise<void> {
  let over = false;
  const loops = bodies.map(async (body, i) => {
    const client = new Roamer(i);
    while (!over) await body(client);
    await client.close();
  });
  try {
    await Promise.race([faults(), Promise.all(loops)]);
  } finally {
    over = true;
  }
  await Promise.all(loops);
}

/** A crash, a pause longer than two leases and a gentle stop, one on each node. */
async function faults(): Promise<void> {
  await cluster.kill(0);
  await removed(0, 1);
  await cluster.start(0);
  cluster.signal(1, 'SIGSTOP');
  await removed(1, 2);
  cluster.signal(1, 'SIGCONT');
  await cluster.ready(1);
  cluster.signal(2, 'SIGTERM');
  await eventually(() => expect(cluster.nodes[2]!.pid).toBeUndefined());
  await cluster.start(2);
  for (const node of ALL) await cluster.ready(node);
}

/** Resolves when the node at `witness` lives in a view without `node`. */
async function removed(node: number, witness: number): Promise<void> {
  await eventually(async () => {
    const response = await fetch(`http://127.0.0.1:${cluster.nodes[witness]!.httpPort}/readyz`);
    const { details } = (await response.json()) as {
      details: { nodes: { name: string; state: string }[] };
    };
    const members = details.nodes.filter(({ state }) => state === 'member').map(({ name }) => name);
    expect(members).not.toContain(cluster.nodes[node]!.id);
  });
}

// ---------------------------------------------------------------- workloads

const numbered = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}:${i}`);

/** MSETs of one number to keys of several primaries, and reads of all of them. */
const together = {
  keys: numbered('together', 5),
  last: 0,
  acknowledged: 0,
  torn: [] as unknown[],
  write: async (client: Roamer): Promise<void> => {
    const number = ++together.last;
    const words = together.keys.flatMap((key) => [key, String(number)]);
    const { outcome } = await client.ask('MSET', ...words);
    if (outcome === 'ok') together.acknowledged = number;
  },
  read: async (client: Roamer): Promise<void> => {
    const least = together.acknowledged;
    const { outcome, reply } = await client.ask('MGET', ...together.keys);
    if (outcome !== 'ok') return;
    const values = reply as (string | null)[];
    const whole = new Set(values).size === 1 && Number(values[0] ?? 0) >= least;
    if (!whole) together.torn.push({ values, least });
  },
};

/** One key that goes from name to name. */
const token = {
  names: numbered('token', 6),
  at: 0,
  moves: 0,
  wrong: [] as unknown[],
  move: async (client: Roamer): Promise<void> => {
    const { names, at } = token;
    const to = (at + 1) % names.length;
    const { outcome } = await client.ask('RENAME', names[at]!, names[to]!);
    if (outcome === 'refused') return;
    const moved = outcome === 'ok' || (await client.insist('EXISTS', names[to]!)) === 1;
    if (moved) token.at = to;
    token.moves++;
  },
  look: async (client: Roamer): Promise<void> => {
    const { outcome, reply } = await client.ask('MGET', ...token.names);
    if (outcome !== 'ok') return;
    const found = (reply as (string | null)[]).filter((value) => value !== null);
    if (found.length !== 1) token.wrong.push(reply);
  },
};

async function prepareToken(): Promise<void> {
  const client = new Roamer(0);
  await client.insist('SET', token.names[0]!, 'the token');
  await client.close();
}

/** SET NX by several clients; the next name once somebody has it. */
const locks = {
  round: 0,
  winners: new Map<string, number>(),
  take: async (client: Roamer): Promise<void> => {
    const { round, winners } = locks;
    const name = `lock:${round}`;
    const { outcome, reply } = await client.ask('SET', name, 'mine', 'NX');
    const won = outcome === 'ok' && reply === 'OK';
    if (won) winners.set(name, (winners.get(name) ?? 0) + 1);
    if (won || outcome === 'unknown') locks.round = round + 1;
  },
};

const deletes = {
  next: 0,
  back: [] as string[],
  remove: async (client: Roamer): Promise<void> => {
    const name = `gone:${deletes.next++}`;
    if ((await client.ask('SET', name, 'x')).outcome !== 'ok') return;
    if ((await client.ask('DEL', name)).outcome !== 'ok') return;
    const other = new Roamer(deletes.next);
    const { outcome, reply } = await other.ask('GET', name);
    await other.close();
    if (outcome === 'ok' && reply !== null) deletes.back.push(name);
  },
};

/** Keys of the policy "none". */
const memory = {
  keys: numbered('none', 8),
  acknowledged: new Map<string, number>(),
  stale: [] as unknown[],
  steps: 0,
  reads: 0,
  write: async (client: Roamer): Promise<void> => {
    const number = ++memory.steps;
    const key = memory.keys[number % memory.keys.length]!;
    const { outcome } = await client.ask('SET', key, String(number));
    if (outcome === 'ok') memory.acknowledged.set(key, number);
  },
  read: async (client: Roamer): Promise<void> => {
    const key = memory.keys[memory.reads++ % memory.keys.length]!;
    const least = memory.acknowledged.get(key) ?? 0;
    const { outcome, reply } = await client.ask('GET', key);
    if (outcome === 'ok' && Number(reply ?? 0) < least) memory.stale.push({ key, reply, least });
  },
};

/** More than the memory holds, so that everything is evicted now and then. */
const filler = {
  keys: numbered('filler', 250),
  next: 0,
  value: 'f'.repeat(4000),
  wrong: [] as unknown[],
  read: async (client: Roamer): Promise<void> => {
    const key = filler.keys[filler.next++ % filler.keys.length]!;
    const { outcome, reply } = await client.ask('GET', key);
    if (outcome === 'ok' && reply !== filler.value) filler.wrong.push({ key, reply });
  },
};

async function fill(): Promise<void> {
  const client = new Roamer(1);
  for (const key of filler.keys) await client.insist('SET', key, filler.value);
  await client.close();
}

// ---------------------------------------------------------------- what they saw

test('MSET over several primaries: nobody sees half of one, at any time, on any node or in the table', async () => {
  const { torn, last, acknowledged, keys } = together;
  say('MSETs', last, 'the last acknowledged', acknowledged);
  expect(torn).toEqual([]);
  for (const node of ALL) {
    const client = new Roamer(node);
    const values = (await client.insist('MGET', ...keys)) as string[];
    await client.close();
    expect(new Set(values).size).toBe(1);
    expect(Number(values[0])).toBeGreaterThanOrEqual(acknowledged);
    const text = `SELECT value FROM kv_text WHERE key LIKE 'together:%'`;
    const rows = await server.sql<{ value: string }>(store, text);
    expect(rows.map(({ value }) => value)).toEqual(keys.map(() => values[0]));
  }
});

test('a key renamed from name to name is never lost and never there twice', async () => {
  say('renames', token.moves);
  expect(token.wrong).toEqual([]);
  const rows = await server.sql(store, `SELECT FROM kv_store WHERE key LIKE 'token:%'`);
  expect(rows).toHaveLength(1);
});

test('SET NX is given to one only', () => {
  say('locks', locks.winners.size);
  expect([...locks.winners].filter(([, times]) => times > 1)).toEqual([]);
});

test('what was deleted stays deleted', () => {
  say('deletes', deletes.next);
  expect(deletes.back).toEqual([]);
});

test('keys of the policy "none" survive every single fault and are never read older than acknowledged', () => {
  say('writes', memory.steps, 'reads', memory.reads);
  expect(memory.stale).toEqual([]);
});

test('evicted keys are read again as they were written', () => {
  say('reads', filler.next);
  expect(filler.wrong).toEqual([]);
});

test('single keys and counters: nothing is lost, stale or counted twice', async () => {
  await expectNothingLost(history, cluster, store);
});
