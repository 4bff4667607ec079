/** The main job, end to end: every key through every node, the table behind it, the legacy API before it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type SampleLegacy, startSampleLegacy } from '../../../src/cli/sample-legacy.ts';
import { startCluster, type TestCluster } from '../../support/cluster.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { RespClient, toPlain } from '../../support/resp-client.ts';
import { eventually } from './wait.ts';

let server: TestPostgres;
let legacy: SampleLegacy;
let cluster: TestCluster;
let store: string;
let clients: RespClient[];

beforeAll(async () => {
  server = await startPostgres();
  store = await server.freshDatabase();
  legacy = await startSampleLegacy({ host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${legacy.port}/legacy/data/{key}`;
  cluster = await startCluster({
    store,
    policies: [
      { prefix: 'none:', persist: 'none' },
      { prefix: 'brief:', ttl: '700ms' },
      { prefix: 'user:', legacy: { url, value: '/value', negativeTtl: '1h' } },
    ],
  });
});

afterAll(async () => {
  for (const client of clients ?? []) await client.close();
  await cluster?.stop();
  await legacy?.close();
  await server?.stop();
});

beforeEach(async () => {
  for (const client of clients ?? []) await client.close();
  clients = await Promise.all(
    cluster.nodes.map(({ host, port }) => RespClient.connect({ host, port })),
  );
});

interface Row {
  readonly db: number;
  readonly key: string;
  readonly type: string;
  readonly value: string;
  readonly expires_at: Date | null;
}

const rowsLike = (pattern: string): Promise<Row[]> =>
  server.sql<Row>(store, 'SELECT * FROM kv_text WHERE key LIKE $1 ORDER BY db, key', [pattern]);

/** The same answer from every node. */
async function everywhere(...words: string[]): Promise<unknown> {
  const replies = await Promise.all(clients.map((client) => client.plain(...words)));
  for (const reply of replies) expect(reply).toEqual(replies[0]);
  return replies[0];
}

async function calls(key: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${legacy.port}/legacy/stats?key=${key}`);
  return ((await response.json()) as { calls: number }).calls;
}

const names = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`);

describe('every key through every node', () => {
  test('SET on one node is read on all, and is a row before the answer', async () => {
    for (const [i, client] of clients.entries()) {
      expect(await client.plain('SET', `a:${i}`, `from ${i}`)).toBe('OK');
      const [row] = await rowsLike(`a:${i}`);
      expect(row).toMatchObject({ db: 0, type: 'string', value: `from ${i}`, expires_at: null });
      expect(await everywhere('GET', `a:${i}`)).toBe(`from ${i}`);
    }
  });

  test('keys and values of any bytes come back as they were', async () => {
    const all = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join('');
    for (const [i, client] of clients.entries()) {
      await client.command('SET', `${all}${i}`, all.repeat(i + 1));
      expect(await everywhere('GET', `${all}${i}`)).toBe(all.repeat(i + 1));
    }
    await clients[0]!.command('SET', '', 'the empty key');
    expect(await everywhere('GET', '')).toBe('the empty key');
  });

  test('a pipeline of SET and GET through any node reads its own writes', async () => {
    for (const client of clients) {
      const commands: string[][] = [];
      for (let i = 0; i < 1000; i++)
        commands.push(['SET', `own:${i % 7}`, String(i)], ['GET', `own:${i % 7}`]);
      const replies = (await client.pipeline(commands)).map(({ value }) => toPlain(value));
      for (let i = 0; i < 1000; i++)
        expect([replies[2 * i], replies[2 * i + 1]]).toEqual(['OK', String(i)]);
    }
  });

  test('INCR from all nodes at once counts every one', async () => {
    await Promise.all(
      clients.map((client) => client.pipeline(Array.from({ length: 200 }, () => ['INCR', 'hits']))),
    );
    expect(await everywhere('GET', 'hits')).toBe('600');
    expect((await rowsLike('hits'))[0]!.value).toBe('600');
  });

  test('SELECT keeps sixteen databases apart, in memory and in the table', async () => {
    for (let db = 0; db < 16; db++) {
      await clients[db % 3]!.pipeline([
        ['SELECT', String(db)],
        ['SET', 'numbered', `in ${db}`],
      ]);
    }
    for (let db = 0; db < 16; db++) {
      for (const client of clients) {
        const replies = await client.pipeline([
          ['SELECT', String(db)],
          ['GET', 'numbered'],
        ]);
        expect(toPlain(replies[1]!.value)).toBe(`in ${db}`);
      }
    }
    expect(String(await clients[0]!.plain('SELECT', '16'))).toContain('DB index is out of range');
    const rows = await rowsLike('numbered');
    expect(rows.map(({ db, value }) => [db, value])).toEqual(
      Array.from({ length: 16 }, (_, db) => [db, `in ${db}`]),
    );
  });

  test('an expired key is gone on all nodes and in the table', async () => {
    await clients[0]!.command('SET', 'short', 'x', 'PX', '400');
    await clients[1]!.command('SET', 'longer', 'x', 'EX', '1000');
    await clients[2]!.command('SET', 'brief:1', 'has the TTL of its policy');
    expect(await clients[2]!.plain('PTTL', 'short')).toBeLessThanOrEqual(400);
    await eventually(async () => {
      expect(await everywhere('GET', 'short')).toBeNull();
      expect(await everywhere('EXISTS', 'short', 'brief:1')).toBe(0);
      const rows = await server.sql(
        store,
        `SELECT FROM ringfence.entry WHERE key IN ('short', 'brief:1')`,
      );
      expect(rows).toEqual([]);
    });
    expect(await everywhere('EXISTS', 'longer')).toBe(1);
    expect((await rowsLike('longer'))[0]!.expires_at!.getTime()).toBeGreaterThan(Date.now());
  });

  test('keys of the policy "none" are on all nodes and never in the table', async () => {
    await clients[0]!.pipeline(names('none:', 50).map((key) => ['SET', key, key]));
    for (const key of names('none:', 50)) expect(await everywhere('GET', key)).toBe(key);
    expect(await rowsLike('none:%')).toEqual([]);
    const counts = await clients[1]!.plain('MGET', ...names('none:', 50));
    expect(counts).toEqual(names('none:', 50));
  });
});

describe('commands over keys of several primaries', () => {
  test('MSET, MGET, EXISTS, TOUCH, DEL and UNLINK', async () => {
    const keys = names('many:', 60);
    expect(await clients[0]!.plain('MSET', ...keys.flatMap((key) => [key, `v-${key}`]))).toBe('OK');
    expect(await everywhere('MGET', 'missing', ...keys)).toEqual([
      null,
      ...keys.map((key) => `v-${key}`),
    ]);
    expect(await everywhere('EXISTS', ...keys, keys[0]!)).toBe(61);
    expect(await everywhere('TOUCH', ...keys)).toBe(60);
    expect(await rowsLike('many:%')).toHaveLength(60);
    expect(await clients[1]!.plain('DEL', ...keys.slice(0, 30), 'missing')).toBe(30);
    expect(await clients[2]!.plain('UNLINK', ...keys)).toBe(30);
    expect(await everywhere('EXISTS', ...keys)).toBe(0);
    expect(await rowsLike('many:%')).toEqual([]);
  });

  test('MSETNX sets all or none', async () => {
    const keys = names('nx:', 20);
    const pairs = keys.flatMap((key) => [key, '1']);
    expect(await clients[0]!.plain('MSETNX', ...pairs)).toBe(1);
    expect(await clients[1]!.plain('MSETNX', 'nx:new', '2', ...pairs)).toBe(0);
    expect(await everywhere('EXISTS', 'nx:new')).toBe(0);
  });

  test('RENAME, RENAMENX, COPY and LCS between any two keys', async () => {
    for (let i = 0; i < 12; i++) {
      const client = clients[i % 3]!;
      await client.command('SET', `from:${i}`, `value ${i}`, 'EX', '1000');
      expect(await client.plain('RENAME', `from:${i}`, `to:${i}`)).toBe('OK');
      expect(await everywhere('MGET', `from:${i}`, `to:${i}`)).toEqual([null, `value ${i}`]);
      expect(await everywhere('TTL', `to:${i}`)).toBeGreaterThan(900);
      expect(await client.plain('COPY', `to:${i}`, `copy:${i}`)).toBe(1);
      expect(await client.plain('COPY', `to:${i}`, `copy:${i}`)).toBe(0);
      expect(await client.plain('RENAMENX', `to:${i}`, `copy:${i}`)).toBe(0);
      expect(await everywhere('GET', `copy:${i}`)).toBe(`value ${i}`);
      expect(await client.plain('LCS', `to:${i}`, `copy:${i}`, 'LEN')).toBe(`value ${i}`.length);
    }
    expect(await rowsLike('from:%')).toEqual([]);
    expect(await rowsLike('copy:%')).toHaveLength(12);
  });

  test('nobody ever sees half an MSET', async () => {
    const keys = names('half:', 6);
    const write = async (client: RespClient, name: string): Promise<void> => {
      for (let i = 0; i < 60; i++)
        await client.command('MSET', ...keys.flatMap((key) => [key, `${name}${i}`]));
    };
    const seen: unknown[] = [];
    let over = false;
    const read = async (client: RespClient): Promise<void> => {
      while (!over) seen.push(await client.plain('MGET', ...keys));
    };
    const { host, port } = cluster.nodes[2]!;
    const reader = await RespClient.connect({ host, port });
    const reading = Promise.all([read(clients[2]!), read(reader)]);
    await Promise.all([write(clients[0]!, 'a'), write(clients[1]!, 'b')]);
    over = true;
    await reading;
    await reader.close();
    for (const values of seen)
      expect(new Set(values as string[]).size, JSON.stringify(values)).toBe(1);
  });
});

describe('the whole keyspace', () => {
  test('DBSIZE, KEYS and SCAN are the same on every node; FLUSHALL empties memory and table', async () => {
    expect(await clients[0]!.plain('FLUSHALL')).toBe('OK');
    const keys = names('whole:', 300);
    await clients[0]!.pipeline(keys.map((key) => ['SET', key, 'x']));
    expect(await everywhere('DBSIZE')).toBe(300);
    for (const client of clients) {
      expect(((await client.plain('KEYS', '*')) as string[]).toSorted()).toEqual(keys.toSorted());
      const found = new Set<string>();
      let cursor = '0';
      do {
        const reply = (await client.plain('SCAN', cursor, 'COUNT', '50')) as [string, string[]];
        cursor = reply[0];
        for (const key of reply[1]) found.add(key);
      } while (cursor !== '0');
      expect([...found].toSorted()).toEqual(keys.toSorted());
      expect(keys).toContain(await client.plain('RANDOMKEY'));
    }
    expect(await clients[2]!.plain('FLUSHALL')).toBe('OK');
    expect(await everywhere('DBSIZE')).toBe(0);
    expect(await everywhere('GET', 'whole:1')).toBeNull();
    expect(await server.sql(store, 'SELECT key FROM kv_store')).toEqual([]);
    expect(await clients[1]!.plain('INCR', 'whole:1')).toBe(1);
  });

  test('CLUSTER SLOTS names, on every node, the nodes that have the keys', async () => {
    const slots = (await everywhere('CLUSTER', 'SLOTS')) as [
      number,
      number,
      ...[string, number][],
    ][];
    const covered = slots.reduce((sum, [from, to]) => sum + to - from + 1, 0);
    expect(covered).toBe(16_384);
    const ports = cluster.nodes.map(({ port }) => port);
    for (const [, , ...owners] of slots) {
      expect(owners.map(([, port]) => port).toSorted()).toEqual(ports.toSorted());
    }
    for (const key of names('placed:', 30)) {
      const slot = (await everywhere('CLUSTER', 'KEYSLOT', key)) as number;
      const range = slots.find(([from, to]) => from <= slot && slot <= to)!;
      const primary = ports.indexOf(range[2]![1]);
      await clients[primary]!.command('SET', key, 'here');
      expect(
        await clients[primary]!.plain('CLUSTER', 'GETKEYSINSLOT', String(slot), '10'),
      ).toContain(key);
      const [row] = await server.sql<{ slot: number }>(
        store,
        'SELECT slot FROM kv_store WHERE key = $1',
        [key],
      );
      expect(row!.slot).toBe(slot);
    }
  });
});

describe('the legacy API', () => {
  test('200 clients asking for one key at once cost one call; then it is a row, and asked no more', async () => {
    const crowd = await Promise.all(
      Array.from({ length: 200 }, (_, i) => {
        const { host, port } = cluster.nodes[i % 3]!;
        return RespClient.connect({ host, port });
      }),
    );
    const answers = await Promise.all(crowd.map((client) => client.plain('GET', 'user:1001')));
    await Promise.all(crowd.map((client) => client.close()));
    expect(new Set(answers).size).toBe(1);
    expect(answers[0]).toEqual(expect.stringContaining('1001'));
    expect(await calls('user:1001')).toBe(1);
    expect((await rowsLike('user:1001'))[0]!.value).toBe(answers[0]);
    expect(await everywhere('GET', 'user:1001')).toBe(answers[0]);
    expect(await calls('user:1001')).toBe(1);
  });

  test('a key that the API does not have is nil, and that is remembered', async () => {
    expect(await everywhere('GET', 'user:99999')).toBeNull();
    expect(await everywhere('EXISTS', 'user:99999')).toBe(0);
    expect(await calls('user:99999')).toBe(1);
    expect(await clients[1]!.plain('SET', 'user:99999', 'mine')).toBe('OK');
    expect(await everywhere('GET', 'user:99999')).toBe('mine');
  });

  test('a deleted key stays deleted, and a written one stays written', async () => {
    expect(await clients[0]!.plain('DEL', 'user:7')).toBe(1);
    expect(await everywhere('GET', 'user:7')).toBeNull();
    expect(await clients[1]!.plain('SET', 'user:8', 'ours')).toBe('OK');
    expect(await everywhere('GET', 'user:8')).toBe('ours');
    expect(await rowsLike('user:7')).toEqual([]);
    expect(await calls('user:7')).toBeLessThanOrEqual(1);
  });

  test('several keys, some here, some there, some nowhere, in one MGET', async () => {
    await clients[0]!.command('SET', 'user:20', 'ours');
    const values = (await everywhere('MGET', 'user:20', 'user:21', 'user:0', 'plain')) as unknown[];
    expect(values).toEqual(['ours', expect.stringContaining('21'), null, null]);
    expect(await calls('user:21')).toBe(1);
  });

  test('what was deleted or fetched is known after a restart of all nodes', async () => {
    const before = await everywhere('GET', 'user:30');
    await clients[0]!.command('DEL', 'user:31');
    await Promise.all([0, 1, 2].map((i) => cluster.kill(i)));
    await Promise.all([0, 1, 2].map((i) => cluster.start(i)));
    for (const client of clients) await client.close();
    clients = await Promise.all(
      cluster.nodes.map(({ host, port }) => RespClient.connect({ host, port })),
    );
    const asked = await calls('user:31');
    expect(await everywhere('GET', 'user:30')).toBe(before);
    expect(await everywhere('GET', 'user:31')).toBeNull();
    expect(await calls('user:30')).toBe(1);
    expect(await calls('user:31')).toBe(asked);
  });
});
