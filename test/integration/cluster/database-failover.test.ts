/** PostgreSQL fails over to a standby that lacks the last commits, under running nodes and clients. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCluster, type TestCluster } from '../../support/cluster.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { RespClient } from '../../support/resp-client.ts';
import { Load } from './load.ts';
import { eventually, say } from './wait.ts';

const KEYS = Array.from({ length: 40 }, (_, i) => `key:${i}`);

let server: TestPostgres;
let cluster: TestCluster;
let store: string;

beforeAll(async () => {
  server = await startPostgres();
  store = await server.freshDatabase();
  cluster = await startCluster({ store });
});

afterAll(async () => {
  await cluster?.stop();
  await server?.stop();
});

test('nodes notice it, drop what memory had of the lost commits, and go on above every epoch (other-database)', async () => {
  const clients = await Promise.all(cluster.nodes.map(connect));
  const pids = cluster.nodes.map(({ pid }) => pid);
  for (const key of KEYS) await clients[0]!.command('SET', key, 'kept');
  const viewsBefore = await newestEpoch();
  await server.backUp();
  for (const key of KEYS) await clients[1]!.command('SET', key, 'lost');
  // Views that the standby will not have.
  await cluster.kill(2);
  await eventually(async () => expect(await newestEpoch()).toBeGreaterThan(viewsBefore));
  await cluster.start(2);
  const seen = await newestEpoch();
  const load = new Load(cluster, 'lost');
  await load.progress();
  const failedAt = performance.now();
  await server.failOver();
  await eventually(async () => expect(await newestEpoch()).toBeGreaterThan(seen));
  for (const node of [0, 1, 2]) await cluster.ready(node);
  say('all nodes ready again after', Math.round(performance.now() - failedAt), 'ms');
  await load.progress();
  await load.stop();

  const epochs = await server.sql<{ epoch: string }>(
    store,
    'SELECT epoch FROM ringfence.view ORDER BY epoch',
  );
  const fresh = epochs.map(({ epoch }) => Number(epoch)).filter((epoch) => epoch > viewsBefore);
  expect(Math.min(...fresh)).toBeGreaterThan(seen);
  expect(cluster.nodes.map(({ pid }) => pid).slice(0, 2)).toEqual(pids.slice(0, 2));
  const readers = await Promise.all(cluster.nodes.map(connect));
  for (const reader of readers) {
    const values = await Promise.all(KEYS.map((key) => reader.plain('GET', key)));
    expect(new Set(values)).toEqual(new Set(['kept']));
  }
  await readers[2]!.command('SET', KEYS[0]!, 'new');
  for (const reader of readers) expect(await reader.plain('GET', KEYS[0]!)).toBe('new');
  const rows = await server.sql(store, 'SELECT value FROM kv_text WHERE key = $1', [KEYS[0]]);
  expect(rows).toEqual([{ value: 'new' }]);
  await Promise.all([...clients, ...readers].map((client) => client.close()));
});

function connect({ host, port }: { host: string; port: number }): Promise<RespClient> {
  return RespClient.connect({ host, port, timeoutMs: 30_000 });
}

async function newestEpoch(): Promise<number> {
  const [row] = await server.sql<{ epoch: string }>(
    store,
    'SELECT max(epoch) AS epoch FROM ringfence.view',
  );
  return Number(row!.epoch);
}
