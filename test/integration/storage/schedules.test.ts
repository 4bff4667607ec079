/** Schedules whose rules PostgreSQL keeps, and that `fence.test.ts` and `commit.test.ts` do not have. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { LaneSession, Member, Store } from '../../../src/storage/postgres/store.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { batchOf, change, formView, memberOf, refOf, storeOn } from './harness.ts';

let server: TestPostgres;
let url: string;
let store: Store;
let member: Member;
let lane: LaneSession;
let reader: pg.Client;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());
beforeEach(async () => {
  url = await server.freshDatabase();
  store = storeOn(url);
  await store.prepare();
  member = memberOf('a');
  await formView(store, [member]);
  lane = await store.openLane(refOf(member));
  reader = new pg.Client({ connectionString: url });
  reader.on('error', () => undefined); // one test crashes the server
  await reader.connect();
});
afterEach(async () => {
  await reader.end();
  await lane.close();
  await store.close();
});

/** A transaction that sees the database as it is now until its end, as a backup does. */
async function holdSnapshot(): Promise<void> {
  await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await reader.query('SELECT count(*) FROM kv_store');
}

const countSeenBy = async (client: pg.Client): Promise<number> =>
  Number((await client.query<{ n: string }>('SELECT count(*) AS n FROM kv_store')).rows[0]!.n);

it('crossed-flush: nobody waits for a reader, and the reader sees what it began with', async () => {
  await lane.commit(
    batchOf(
      1,
      Array.from({ length: 50 }, (_, i) => change(`k${i}`, 'v')),
    ),
  );
  await holdSnapshot();
  const slots = Array.from({ length: 16_384 }, (_, slot) => slot);
  const floor = { slots, db: null, epoch: 1, seq: change('x', null).seq };
  const writes = [
    lane.commit(batchOf(2, [], { floors: [floor] })),
    ...[3, 4, 5].map((n) => lane.commit(batchOf(n, [change(`after${n}`, 'w')]))),
  ];
  await Promise.all(writes);
  expect(await store.sweep(1000)).toBe(50);
  expect(await countSeenBy(reader)).toBe(50);
  expect(await server.sql(url, 'SELECT key FROM kv_store ORDER BY key')).toEqual(
    ['after3', 'after4', 'after5'].map((key) => ({ key })),
  );
});

it('long-snapshot: a batch touches as few pages as before, however long the snapshot is held', async () => {
  await holdSnapshot();
  let last = 0;
  const commit = async (count: number): Promise<void> => {
    for (const end = last + count; last < end; ) {
      const numbers = Array.from({ length: 8 }, () => ++last);
      await Promise.all(numbers.map((n) => lane.commit(batchOf(n, [change(`k${n}`, 'v')]))));
    }
  };
  await commit(256);
  const early = await pagesOfBatch(last);
  await commit(2048);
  const late = await pagesOfBatch(last);
  expect(late).toBeLessThan(early * 2);
});

/** Pages that batch `last + 1` touches when it is tried; it is rolled back. */
async function pagesOfBatch(last: number): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('BEGIN');
    const at = [member.node, member.incarnation, last + 1];
    const explain = `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT ringfence.commit_batch($1, $2,
      (SELECT max(generation) FROM ringfence.lane), 1, $3, ${'NULL, '.repeat(18)}NULL)`;
    // The first one of a session also reads what the server knows of the tables.
    let pages = 0;
    for (let round = 0; round < 2; round++) {
      await client.query('SAVEPOINT before');
      const { rows } = await client.query<{ 'QUERY PLAN': { Plan: Record<string, number> }[] }>(
        explain,
        at,
      );
      const { Plan: plan } = rows[0]!['QUERY PLAN'][0]!;
      pages = plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!;
      await client.query('ROLLBACK TO before');
    }
    await client.query('ROLLBACK');
    return pages;
  } finally {
    await client.end();
  }
}

it('renewals-lost: a renewal that was answered survives a crash of the server', async () => {
  await server.sql(url, `ALTER SYSTEM SET wal_writer_delay = '10s'`);
  await server.sql(url, 'ALTER SYSTEM SET synchronous_commit = off');
  await server.sql(url, 'SELECT pg_reload_conf()');
  const lease = await store.openLease(refOf(member));
  const { counter } = await lease.renew([]);
  await server.crash();
  await server.restart();
  const [row] = await server.sql<{ counter: string }>(url, 'SELECT counter FROM ringfence.lease');
  expect(Number(row?.counter)).toBe(counter);
  const again = await store.openLease(refOf(member));
  expect(again.serverStart).not.toBe(lease.serverStart);
  await Promise.all([lease.close(), again.close()]);
});
