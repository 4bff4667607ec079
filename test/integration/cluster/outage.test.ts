/**
 * PostgreSQL dies, alone or with all nodes, while clients write: what is cached can be read, nothing
 * is acknowledged that is not there afterwards, and nobody loses his place only because of it.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCluster, type TestCluster } from '../../support/cluster.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { RespClient } from '../../support/resp-client.ts';
import { errorCounts, expectNothingLost, Load } from './load.ts';
import { eventually, say } from './wait.ts';

let server: TestPostgres;
let cluster: TestCluster;
let store: string;

beforeAll(async () => {
  server = await startPostgres();
  store = await server.freshDatabase();
  cluster = await startCluster({ store, policies: [{ prefix: 'none:', persist: 'none' }] });
});

afterAll(async () => {
  await cluster?.stop();
  await server?.stop();
});

test('kill -9 of PostgreSQL: cached keys can be read, writes are refused, then everything goes on', async () => {
  const epochs = await Promise.all([0, 1, 2].map(epochOf));
  const pids = cluster.nodes.map(({ pid }) => pid);
  const clients = await Promise.all([0, 1, 2].map(connect));
  for (let i = 0; i < 30; i++) await clients[0]!.command('SET', `cached:${i}`, `value ${i}`);
  const load = new Load(cluster, 'pg');
  await load.progress();
  await server.crash();
  await eventually(async () => {
    const reply = await clients[0]!.plain('SET', 'refused', '1');
    expect(String(reply)).toContain('STOREDOWN');
  });
  // Longer than a lease: every node is without one, and says so to the others.
  await eventually(async () => {
    for (const [node, client] of clients.entries()) {
      const response = await fetch(`http://127.0.0.1:${cluster.nodes[node]!.httpPort}/readyz`);
      expect(response.status).toBe(503);
      expect(await response.text()).toContain('serving reads of cached keys only');
      for (let i = 0; i < 30; i++)
        expect(await client.plain('GET', `cached:${i}`)).toBe(`value ${i}`);
      expect(String(await client.plain('SET', 'refused', '1'))).toContain('STOREDOWN');
    }
  });
  await server.restart();
  const backAt = performance.now();
  await load.progress();
  say(
    'after the restart of PostgreSQL all nodes wrote within',
    Math.round(performance.now() - backAt),
    'ms',
  );
  const history = await load.stop();
  say('errors', errorCounts(history));
  expect(await clients[1]!.plain('GET', 'refused')).toBeNull();
  await expectNothingLost(history, cluster, store);
  expect(cluster.nodes.map(({ pid }) => pid)).toEqual(pids);
  expect(await Promise.all([0, 1, 2].map(epochOf))).toEqual(epochs);
  for (const client of clients) await client.close();
});

test('an orderly restart of PostgreSQL under load: nobody is removed, nothing is lost', async () => {
  const epochs = await Promise.all([0, 1, 2].map(epochOf));
  const load = new Load(cluster, 'restart');
  await load.progress();
  await server.restart();
  await load.progress();
  const history = await load.stop();
  say('errors', errorCounts(history));
  await expectNothingLost(history, cluster, store);
  expect(await Promise.all([0, 1, 2].map(epochOf))).toEqual(epochs);
});

test('kill -9 of all nodes and PostgreSQL: everything acknowledged is there after the start', async () => {
  const load = new Load(cluster, 'all', { clientsPerNode: 8 });
  await load.progress(60);
  await Promise.all([server.crash(), ...[0, 1, 2].map((i) => cluster.kill(i))]);
  const startedAt = performance.now();
  await server.restart();
  await Promise.all([0, 1, 2].map((i) => cluster.start(i)));
  say('cold start, PostgreSQL recovery included:', Math.round(performance.now() - startedAt), 'ms');
  await load.progress();
  const history = await load.stop();
  say('errors', errorCounts(history));
  await expectNothingLost(history, cluster, store);
});

test('kill -9 of all nodes, PostgreSQL goes on: a node alone takes over, the others join it', async () => {
  const load = new Load(cluster, 'nodes');
  await load.progress();
  await Promise.all([0, 1, 2].map((i) => cluster.kill(i)));
  const startedAt = performance.now();
  await cluster.start(1);
  say('cold start of one node among dead ones:', Math.round(performance.now() - startedAt), 'ms');
  await load.progress(20, [1]);
  await Promise.all([cluster.start(0), cluster.start(2)]);
  await load.progress();
  await expectNothingLost(await load.stop(), cluster, store);
});

test('a database that never answers: commands end within their time, and the nodes come back', async () => {
  const client = await connect(0);
  await client.command('SET', 'known', 'before');
  const postmaster = server.pid;
  const backends = await server.sql<{ pid: number }>(store, 'SELECT pid FROM pg_stat_activity');
  const stopped = [postmaster, ...backends.map(({ pid }) => pid)].filter(isRunning);
  for (const pid of stopped) process.kill(pid, 'SIGSTOP');
  try {
    const reply = String(await client.plain('SET', 'stuck', '1'));
    expect(reply).toMatch(/UNKNOWN|STOREDOWN|NOTDONE/);
    await eventually(async () => expect(await client.plain('GET', 'known')).toBe('before'));
  } finally {
    for (const pid of stopped) if (isRunning(pid)) process.kill(pid, 'SIGCONT');
  }
  await eventually(async () => expect(await client.plain('SET', 'stuck', '2')).toBe('OK'));
  for (const node of [0, 1, 2]) await cluster.ready(node);
  for (const node of [0, 1, 2]) {
    const other = await connect(node);
    expect(await other.plain('GET', 'stuck')).toBe('2');
    await other.close();
  }
  await client.close();
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

function connect(node: number): Promise<RespClient> {
  const { host, port } = cluster.nodes[node]!;
  return RespClient.connect({ host, port, timeoutMs: 30_000 });
}

async function epochOf(node: number): Promise<number> {
  const client = await connect(node);
  const info = String(await client.plain('INFO', 'ringfence'));
  await client.close();
  return Number(/^epoch:(\d+)/m.exec(info)![1]);
}
