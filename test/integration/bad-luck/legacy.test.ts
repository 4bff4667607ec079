/** A legacy API that fails in every way: a clear error for its own keys, and nobody else is slowed down. */
import { createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type SampleLegacy, startSampleLegacy } from '../../../src/cli/sample-legacy.ts';
import { freePorts, startCluster, type TestCluster } from '../../support/cluster.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { RespClient } from '../../support/resp-client.ts';
import { eventually } from '../cluster/wait.ts';

let server: TestPostgres;
let legacy: SampleLegacy;
let cluster: TestCluster;
let store: string;
let clients: RespClient[];

beforeAll(async () => {
  server = await startPostgres();
  store = await server.freshDatabase();
  legacy = await startSampleLegacy({ host: '127.0.0.1', port: 0 });
  const [closedPort] = await freePorts(1);
  const source = (port: number): object => ({
    url: `http://127.0.0.1:${port}/legacy/data/{key}`,
    value: '/value',
    timeout: '300ms',
    negativeTtl: '100ms',
    bodyMax: '64kb',
    breaker: { failures: 5, reset: '200ms' },
  });
  cluster = await startCluster({
    store,
    policies: [
      { prefix: 'user:', legacy: source(legacy.port) },
      { prefix: 'refused:', legacy: source(closedPort!) },
    ],
  });
  clients = await Promise.all(
    cluster.nodes.map(({ host, port }) => RespClient.connect({ host, port })),
  );
});

afterEach(async () => {
  await fault('');
});

afterAll(async () => {
  for (const client of clients ?? []) await client.close();
  await cluster?.stop();
  await legacy?.close();
  await server?.stop();
});

async function fault(query: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${legacy.port}/legacy/faults?${query}`, {
    method: 'POST',
  });
  expect(response.status).toBe(200);
}

describe.each([
  ['answers 500', 'status=500', 100],
  ['answers with something that is no JSON', 'garbage=yes', 200],
  ['never answers', 'hang=yes', 300],
  ['answers too much', 'bodyBytes=1000000', 400],
  ['says that the caller may not', 'status=403', 500],
])('a legacy API that %s', (_, query, first) => {
  test('is a clear error for its keys; other keys and written ones are served; then it is asked again', async () => {
    await fault(query);
    const written = `user:${first + 50}`;
    expect(await clients[0]!.plain('SET', written, 'ours')).toBe('OK');
    const failing = Promise.all(
      clients.map((client) =>
        client.pipeline(Array.from({ length: 10 }, (_x, i) => ['GET', `user:${first + i}`])),
      ),
    );
    // Other connections are not held up by those that wait.
    const { host, port } = cluster.nodes[1]!;
    const other = await RespClient.connect({ host, port });
    for (let i = 0; i < 50; i++) {
      expect(await other.plain('SET', 'plain', String(i))).toBe('OK');
      expect(await other.plain('GET', 'plain')).toBe(String(i));
      expect(await other.plain('GET', written)).toBe('ours');
    }
    await other.close();
    for (const replies of await failing) {
      for (const { raw } of replies) expect(raw).toMatch(/^-LEGACYDOWN .*nothing was changed/);
    }
    expect(
      await server.sql(store, 'SELECT FROM kv_store WHERE key = $1', [`user:${first}`]),
    ).toEqual([]);
    await fault('');
    await eventually(async () => {
      expect(String(await clients[2]!.plain('GET', `user:${first}`))).toContain(String(first));
    });
  });
});

test('a legacy API that nobody serves is a clear error, and writes need it not', async () => {
  expect(String(await clients[0]!.plain('GET', 'refused:1'))).toMatch(
    /LEGACYDOWN .*legacy source failed/,
  );
  expect(await clients[1]!.plain('SET', 'refused:1', 'ours')).toBe('OK');
  expect(await clients[2]!.plain('GET', 'refused:1')).toBe('ours');
});

test('a legacy API that closes every connection half-way is a clear error', async () => {
  const [port] = await freePorts(1);
  const rude = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', () =>
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"value":'),
    );
  }).listen(port, '127.0.0.1');
  const store2 = await server.freshDatabase();
  const lone = await startCluster({
    store: store2,
    nodes: 1,
    policies: [{ prefix: '', legacy: { url: `http://127.0.0.1:${port}/{key}`, value: '/value' } }],
  });
  const client = await RespClient.connect({ host: '127.0.0.1', port: lone.nodes[0]!.port });
  try {
    expect(String(await client.plain('GET', 'anything'))).toMatch(/LEGACYDOWN/);
    expect(await client.plain('SET', 'anything', '1')).toBe('OK');
    expect(await client.plain('GET', 'anything')).toBe('1');
  } finally {
    await client.close();
    await lone.stop();
    rude.close();
  }
});

test('writes and deletes during a slow fetch win over what it brings', async () => {
  await fault('delayMs=200');
  for (let i = 0; i < 5; i++) {
    const [get, set] = await Promise.all([
      clients[0]!.plain('GET', `user:${900 + i}`),
      clients[1]!.plain('SET', `user:${900 + i}`, 'newer'),
    ]);
    expect(set).toBe('OK');
    expect(['newer', expect.stringContaining(String(900 + i))]).toContainEqual(get);
    for (const client of clients)
      expect(await client.plain('GET', `user:${900 + i}`)).toBe('newer');
  }
  expect(
    await server.sql(store, `SELECT FROM kv_text WHERE key LIKE 'user:90_' AND value <> 'newer'`),
  ).toEqual([]);
});
