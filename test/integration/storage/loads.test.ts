import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, afterEach, expect, it } from 'vitest';
import type { LaneSession, LoadPool, RowKey, Store } from '../../../src/storage/postgres/store.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import {
  batchOf,
  change,
  formView,
  memberOf,
  outcomeOf,
  refOf,
  storeOn,
  until,
} from './harness.ts';

let server: TestPostgres;
let url: string;
let store: Store;
let lane: LaneSession;
let loads: LoadPool;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());
beforeEach(async () => {
  url = await server.freshDatabase();
  store = storeOn(url);
  await store.prepare();
  const member = memberOf('a');
  await formView(store, [member]);
  lane = await store.openLane(refOf(member));
  loads = store.loads();
});
afterEach(async () => {
  await lane.close();
  await store.close();
});

const bytes = fc
  .uint8Array({ maxLength: 40 })
  .map((array) => Buffer.from(array).toString('latin1'));
const utf8 = fc
  .string({ unit: 'binary', maxLength: 20 })
  .map((s) => Buffer.from(s).toString('latin1'));

it('any key and value come back as the bytes they were, by load, scan and keys', async () => {
  let number = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.tuple(fc.oneof(bytes, utf8), fc.oneof(bytes, utf8)), {
        minLength: 1,
        maxLength: 20,
        selector: ([key]) => key,
      }),
      async (pairs) => {
        const slot = ++number;
        const rows = pairs.map(([key, value]) => change(key, value, { slot }));
        await lane.commit(batchOf(number, rows));
        const loaded = await loads.load(pairs.map(([key]) => ({ slot, db: 0, key })));
        expect(new Map(loaded.map((row) => [row.key, row.value]))).toEqual(new Map(pairs));
        const range = { from: slot, to: slot, after: null, limit: 100, bytesMax: 1e6 };
        const scanned = await loads.scan(range);
        expect(new Map(scanned.map((row) => [row.key, row.value]))).toEqual(new Map(pairs));
        const names = await loads.keys({ slot, db: 0, after: null, limit: 100, nowMs: 1 });
        expect(new Set(names.map(({ key }) => key))).toEqual(new Set(pairs.map(([key]) => key)));
      },
    ),
    { numRuns: 100 },
  );
});

it('versions, moments and sizes at the ends of their ranges come back exactly', async () => {
  const rows = [
    change('a', '', { epoch: 2 ** 23 - 1, seq: 2 ** 40 - 1, expiresAtMs: Number.MAX_SAFE_INTEGER }),
    change('b', '\0'.repeat(300_000), { seq: 2 ** 32, expiresAtMs: 1 }),
    change('c', '\xff'.repeat(300_000), { seq: 2 ** 32 - 1, expiresAtMs: 946_684_799_999 }),
    change('', 'empty key', { slot: 1, expiresAtMs: 946_684_800_001 }),
  ];
  await lane.commit(batchOf(1, rows));
  const loaded = await loads.load(rows.map(({ slot, db, key }) => ({ slot, db, key })));
  const byKey = (x: { key: string }, y: { key: string }): number => (x.key < y.key ? -1 : 1);
  expect(loaded.sort(byKey)).toEqual(
    rows.map(({ kind: _kind, ...row }) => ({ ...row, type: 1 })).sort(byKey),
  );
  await lane.commit(batchOf(2, [change('tombstone', null, { expiresAtMs: 4e12 })]));
  const all = { from: 1, to: 1, after: null, limit: 100, bytesMax: 1e6 };
  expect((await loads.scan(all)).sort(byKey)).toEqual([
    ...loaded,
    expect.objectContaining({ key: 'tombstone', type: 0, value: null, expiresAtMs: 4e12 }),
  ]);
});

it('a scan leaves out what a flush of its slot and database has ended', async () => {
  const range = { from: 0, to: 16_383, after: null, limit: 100, bytesMax: 1e6 };
  const found = async (): Promise<string[]> => (await loads.scan(range)).map(({ key }) => key);
  await lane.commit(
    batchOf(1, [
      change('flushed', '1', { slot: 3, seq: 7 }),
      change('newer', '1', { slot: 3, seq: 8 }),
      change('other database', '1', { slot: 3, db: 1, seq: 7 }),
      change('other slot', '1', { slot: 4, seq: 7 }),
    ]),
  );
  expect(await found()).toEqual(['flushed', 'newer', 'other database', 'other slot']);
  const floor = { slots: [3], epoch: 1, seq: 7 };
  await lane.commit(batchOf(2, [], { floors: [{ ...floor, db: 0 }] }));
  expect(await found()).toEqual(['newer', 'other database', 'other slot']);
  await lane.commit(batchOf(3, [], { floors: [{ ...floor, db: null }] }));
  expect(await found()).toEqual(['newer', 'other slot']);
});

it('a scan that the server ends, or that loses its connection, is refused, and the next one has its rows', async () => {
  await lane.commit(batchOf(1, [change('k', 'v')]));
  const range = { from: 1, to: 1, after: null, limit: 100, bytesMax: 1e6 };
  const backends = `FROM pg_stat_activity WHERE application_name = 'ringfence:test:bulk'
    AND wait_event_type = 'Lock'`;
  const locker = new pg.Client({ connectionString: url });
  await locker.connect();
  for (const end of ['pg_cancel_backend', 'pg_terminate_backend']) {
    await locker.query('BEGIN; LOCK TABLE ringfence.entry');
    const outcome = outcomeOf(loads.scan(range));
    await until(async () => (await server.sql(url, `SELECT ${end}(pid) ${backends}`)).length > 0);
    expect(await outcome, end).toBe('unavailable');
    await locker.query('ROLLBACK');
    expect(await loads.scan(range)).toMatchObject([{ key: 'k', value: 'v' }]);
  }
  await locker.end();
});

it('what is readable as text is text in the tables, the rest is escaped', async () => {
  const name = Buffer.from('größe').toString('latin1');
  await lane.commit(
    batchOf(1, [change(name, name), change('\\\0\xff', 'x\0\xff'), change('plain', 'plain')]),
  );
  expect(await server.sql(url, 'SELECT key, value FROM kv_text ORDER BY key')).toEqual(
    [
      { key: 'größe', value: 'größe' },
      { key: 'plain', value: 'plain' },
      { key: '\\\\\\x00\\xff', value: 'x\\000\\377' },
    ].sort((x, y) => Buffer.compare(Buffer.from(x.key), Buffer.from(y.key))),
  );
});

it('a scan walks all rows of its slots in bounded pages, in order', async () => {
  const rows = [5, 6, 7].flatMap((slot) =>
    [0, 1].flatMap((db) =>
      ['\xff', 'a', 'b\\', 'ä'].map((key) => change(key, 'x'.repeat(100), { slot, db })),
    ),
  );
  await lane.commit(batchOf(1, [...rows, change('outside', 'x', { slot: 8 })]));
  for (const page of [
    { limit: 1, bytesMax: 1e6 },
    { limit: 5, bytesMax: 1e6 },
    { limit: 100, bytesMax: 250 },
    { limit: 100, bytesMax: 0 },
  ]) {
    const found: string[] = [];
    let after: RowKey | null = null;
    for (;;) {
      const got = await loads.scan({ from: 5, to: 7, after, ...page });
      if (got.length === 0) break;
      expect(got.length).toBeLessThanOrEqual(page.bytesMax === 0 ? 1 : page.limit);
      found.push(...got.map(({ slot, db, key }) => `${slot} ${db} ${key}`));
      after = got.at(-1) ?? null;
    }
    expect(new Set(found)).toEqual(
      new Set(rows.map(({ slot, db, key }) => `${slot} ${db} ${key}`)),
    );
    expect(found).toHaveLength(rows.length);
  }
});

it('count and keys see live keys only', async () => {
  await lane.commit(
    batchOf(1, [
      change('a', '1'),
      change('b', '1', { expiresAtMs: 2_000 }),
      change('c', null, { expiresAtMs: 4e12 }),
      change('d', '1', { db: 1 }),
      change('e', '1', { slot: 2 }),
      change('f', '1', { slot: 3, seq: 1 }),
      change('g', '1', { slot: 4 }),
    ]),
  );
  const floor = { slots: [3], db: 0, epoch: 1, seq: 1 };
  await lane.commit(batchOf(2, [], { floors: [floor] }));
  expect(await loads.count([1, 2, 3], 0, 1_999)).toBe(3);
  expect(await loads.count([1, 2, 3], 0, 2_000)).toBe(2);
  expect(await loads.count([1], 1, 0)).toBe(1);
  expect(await loads.count([], 0, 0)).toBe(0);
  const at = { slot: 1, db: 0, limit: 10, nowMs: 1_999 };
  expect(await loads.keys({ ...at, after: null })).toEqual([
    { key: 'a', type: 1 },
    { key: 'b', type: 1 },
  ]);
  expect(await loads.keys({ ...at, after: 'a' })).toEqual([{ key: 'b', type: 1 }]);
  expect(await loads.keys({ ...at, after: null, limit: 1 })).toEqual([{ key: 'a', type: 1 }]);
});

it('expired finds rows and tombstones whose time is over, of the given slots, at most the limit', async () => {
  await lane.commit(
    batchOf(1, [
      change('a', '1', { expiresAtMs: 1_000 }),
      change('b', null, { expiresAtMs: 1_500 }),
      change('c', '1', { expiresAtMs: 3_000 }),
      change('d', '1'),
      change('e', '1', { slot: 9, expiresAtMs: 1_000 }),
      change('f', '1', { slot: 12, expiresAtMs: 1_000 }),
    ]),
  );
  const ranges = [
    { from: 0, to: 5 },
    { from: 9, to: 10 },
  ];
  const keys = (rows: RowKey[]): string[] => rows.map(({ slot, key }) => `${slot} ${key}`);
  expect(keys(await loads.expired(ranges, 2_000, 10)).sort()).toEqual(['1 a', '1 b', '9 e']);
  expect(await loads.expired(ranges, 2_000, 2)).toHaveLength(2);
  expect(await loads.expired([], 2_000, 2)).toEqual([]);
});

it('loads of thousands at once are served in turn, and refused beyond the queue', async () => {
  await lane.commit(batchOf(1, [change('k', 'v')]));
  const outcomes = await Promise.all(
    Array.from({ length: 150 }, () => outcomeOf(loads.load([{ slot: 1, db: 0, key: 'k' }]))),
  );
  expect(outcomes.filter((outcome) => outcome === 'resolved')).toHaveLength(102);
  expect(outcomes.filter((outcome) => outcome === 'unavailable')).toHaveLength(48);
});

it('loads work again after the server was away', async () => {
  await lane.commit(batchOf(1, [change('k', 'v')]));
  await loads.load([{ slot: 1, db: 0, key: 'k' }]);
  await server.crash();
  expect(await outcomeOf(loads.load([{ slot: 1, db: 0, key: 'k' }]))).toBe('unavailable');
  await server.restart();
  expect(await loads.load([{ slot: 1, db: 0, key: 'k' }])).toMatchObject([{ value: 'v' }]);
});

it('a key too long for the index and a value too large are refused, and nothing else suffers', async () => {
  const key = Array.from({ length: 9_000 }, () =>
    String.fromCharCode(33 + Math.floor(Math.random() * 50)),
  ).join('');
  expect(await outcomeOf(lane.commit(batchOf(1, [change(key, 'v')])))).toBe('rejected');
  expect(await outcomeOf(lane.commit(batchOf(1, [change('k', 'v')])))).toBe('resolved');
});
