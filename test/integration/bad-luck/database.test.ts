/** Single connections to PostgreSQL are lost, locks are held by strangers, memory is full: nothing lost, nothing twice. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCluster, type TestCluster } from '../../support/cluster.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { RespClient, toPlain } from '../../support/resp-client.ts';
import { errorCounts, expectNothingLost, Load } from '../cluster/load.ts';
import { eventually, say } from '../cluster/wait.ts';

let server: TestPostgres;

beforeAll(async () => {
  server = await startPostgres();
});

afterAll(async () => {
  await server?.stop();
});

const connect = (cluster: TestCluster, node: number): Promise<RespClient> => {
  const { host, port } = cluster.nodes[node]!;
  return RespClient.connect({ host, port, timeoutMs: 30_000 });
};

describe('connections to the database', () => {
  let cluster: TestCluster;
  let store: string;

  beforeAll(async () => {
    store = await server.freshDatabase();
    cluster = await startCluster({ store });
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  const terminate = async (role: string): Promise<number> => {
    const rows = await server.sql(
      store,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE $1`,
      [`ringfence:%:${role}`],
    );
    return rows.length;
  };

  test('lanes ended by pg_terminate_backend under load: nothing is lost, nothing is done twice', async () => {
    const load = new Load(cluster, 'lane');
    let ended = 0;
    for (let round = 0; round < 12; round++) {
      await load.progress(5);
      ended += await terminate('lane');
    }
    await load.progress();
    const history = await load.stop();
    say('lanes ended:', ended, 'errors', errorCounts(history));
    expect(ended).toBeGreaterThan(20);
    await expectNothingLost(history, cluster, store);
    expect(history.count('unknown')).toBe(0);
  });

  test('every connection ended at once, again and again: everything goes on', async () => {
    const load = new Load(cluster, 'every');
    let ended = 0;
    for (let round = 0; round < 5; round++) {
      await load.progress(5);
      ended += await terminate('%');
    }
    expect(ended).toBeGreaterThan(10);
    await load.progress();
    const history = await load.stop();
    say('errors', errorCounts(history));
    await expectNothingLost(history, cluster, store);
  });

  test('a stranger who locks a row for ever is waited for, answered for, and nothing is half done', async () => {
    const client = await connect(cluster, 0);
    await client.command('SET', 'locked', 'before');
    const stranger = new pg.Client({ connectionString: store });
    // Ended by the cluster when it waits too long for its lock.
    stranger.on('error', () => undefined);
    await stranger.connect();
    await stranger.query('BEGIN');
    await stranger.query(`SELECT FROM ringfence.entry WHERE key = 'locked' FOR UPDATE`);
    const reply = String(await client.plain('SET', 'locked', 'after'));
    await stranger.end().catch(() => undefined);
    expect(reply).toMatch(/^(OK|Error: (UNKNOWN|STOREFAIL|STOREDOWN|NOTDONE) )/);
    await eventually(async () => expect(await client.plain('SET', 'locked', 'at last')).toBe('OK'));
    const [row] = await server.sql<{ value: string }>(
      store,
      `SELECT value FROM kv_text WHERE key = 'locked'`,
    );
    expect(row!.value).toBe('at last');
    await client.close();
  });

  test('a table that refuses writes is a clear error for each, and memory never runs ahead of it', async () => {
    const client = await connect(cluster, 0);
    await client.command('SET', 'ro:1', 'before');
    await server.sql(
      store,
      `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$;
       CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON ringfence.entry EXECUTE FUNCTION refuse()`,
    );
    for (const words of [
      ['SET', 'ro:1', 'x'],
      ['SET', 'ro:2', 'x'],
      ['DEL', 'ro:1'],
      ['INCR', 'ro:3'],
      ['EXPIRE', 'ro:1', '5'],
    ]) {
      expect(String(await client.plain(...words)), words.join(' ')).toMatch(
        /STOREFAIL .*no space left.*nothing was changed/,
      );
    }
    for (const node of [0, 1, 2]) {
      const other = await connect(cluster, node);
      expect(await other.plain('MGET', 'ro:1', 'ro:2', 'ro:3')).toEqual(['before', null, null]);
      expect(await other.plain('TTL', 'ro:1')).toBe(-1);
      await other.close();
    }
    await server.sql(store, 'DROP TRIGGER refuse ON ringfence.entry');
    expect(await client.plain('SET', 'ro:2', 'after')).toBe('OK');
    expect(await client.plain('INCR', 'ro:3')).toBe(1);
    await client.close();
  });
});

describe('memory that is smaller than the data', () => {
  test('evicted keys are read again from the table, on every node, also after one has died', async () => {
    const store = await server.freshDatabase();
    const cluster = await startCluster({ store, flags: { maxmemory: '2mb' } });
    try {
      const client = await connect(cluster, 0);
      const keys = Array.from({ length: 1500 }, (_, i) => `large:${i}`);
      const value = (i: number): string => `${i}:${'v'.repeat(4000)}`;
      for (let at = 0; at < keys.length; at += 200) {
        const replies = await client.pipeline(
          keys.slice(at, at + 200).map((key, i) => ['SET', key, value(at + i)]),
        );
        for (const { raw } of replies) expect(raw).toBe('+OK\r\n');
      }
      const readAll = async (node: number): Promise<void> => {
        const reader = await connect(cluster, node);
        for (let at = 0; at < keys.length; at += 200) {
          const replies = await reader.pipeline(
            keys.slice(at, at + 200).map((key) => ['GET', key]),
          );
          replies.forEach((reply, i) => expect(toPlain(reply.value)).toBe(value(at + i)));
        }
        const info = String(await reader.plain('INFO', 'memory'));
        expect(Number(/used_memory:(\d+)/.exec(info)![1])).toBeLessThan(4 * 1024 * 1024);
        expect(await reader.plain('DBSIZE')).toBe(keys.length);
        await reader.close();
      };
      await Promise.all([0, 1, 2].map(readAll));
      await cluster.kill(0);
      await Promise.all([1, 2].map(readAll));
      await cluster.start(0);
      await Promise.all([0, 1, 2].map(readAll));
      await client.close();
    } finally {
      await cluster.stop();
    }
  });

  test('noeviction: writes that need memory get OOM, reads and deletes go on', async () => {
    const store = await server.freshDatabase();
    const flags = { maxmemory: '2mb', 'maxmemory-policy': 'noeviction' };
    const cluster = await startCluster({ store, nodes: 2, flags });
    try {
      const client = await connect(cluster, 0);
      const written: string[] = [];
      let refusal = '';
      for (let at = 0; refusal === '' && at < 5000; at += 100) {
        const names = Array.from({ length: 100 }, (_, i) => `fill:${at + i}`);
        const replies = await client.pipeline(names.map((key) => ['SET', key, 'x'.repeat(2000)]));
        replies.forEach(({ value }, i) => {
          const reply = toPlain(value);
          if (reply === 'OK') written.push(names[i]!);
          else refusal = String(reply);
        });
      }
      expect(refusal).toContain("OOM command not allowed when used memory > 'maxmemory'");
      expect(written.length).toBeGreaterThan(100);
      for (const key of written.slice(0, 20)) expect(await client.plain('STRLEN', key)).toBe(2000);
      expect(await client.plain('DEL', ...written)).toBe(written.length);
      await eventually(async () => expect(await client.plain('SET', 'again', 'x')).toBe('OK'));
      await client.close();
    } finally {
      await cluster.stop();
    }
  });
});
