import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LaneSession, Member, Store } from '../../../src/storage/postgres/store.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { batchOf, change, formView, memberOf, outcomeOf, refOf, storeOn } from './harness.ts';

let server: TestPostgres;
let url: string;
let store: Store;
let member: Member;
let lane: LaneSession;

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
});
afterEach(async () => {
  await lane.close();
  await store.close();
});

const load = async (key: string): Promise<string | null | undefined> =>
  (await store.loads().load([{ slot: 1, db: 0, key }]))[0]?.value;

describe('batches in order', () => {
  it('a committed batch is in kv_store with its type, version and times', async () => {
    await lane.commit(batchOf(1, [change('k', 'v', { seq: 7, expiresAtMs: 4_000_000_000_123 })]));
    const rows = await server.sql(
      url,
      `SELECT slot, db, key, type, convert_from(value, 'UTF8') AS value, version,
        (extract(epoch FROM expires_at) * 1000)::bigint AS expires, created_at = updated_at AS fresh
       FROM kv_store`,
    );
    expect(rows).toEqual([
      {
        slot: 1,
        db: 0,
        key: 'k',
        type: 'string',
        value: 'v',
        version: String(2n ** 40n + 7n),
        expires: '4000000000123',
        fresh: true,
      },
    ]);
  });

  it('pipelined batches commit in the order they were sent', async () => {
    const numbers = [1, 2, 3, 4, 5, 6, 7, 8];
    await Promise.all(numbers.map((n) => lane.commit(batchOf(n, [change('k', `v${n}`)]))));
    expect(await load('k')).toBe('v8');
  });

  it('a batch whose number leaves a gap is refused and changes nothing', async () => {
    expect(await outcomeOf(lane.commit(batchOf(2, [change('k', 'v')])))).toBe('gap');
    expect(await load('k')).toBeUndefined();
    expect(await outcomeOf(lane.commit(batchOf(1, [change('k', 'v')])))).toBe('resolved');
  });

  it('a number that was committed before is not committed again, and the session ends', async () => {
    await lane.commit(batchOf(1, [change('k', 'first')]));
    expect(await outcomeOf(lane.commit(batchOf(1, [change('k', 'second')])))).toBe('unknown');
    await lane.closed;
    expect(await load('k')).toBe('first');
  });

  it('delete-then-older-set: after a refused batch those behind it are refused as well', async () => {
    await lane.commit(batchOf(1, [change('k', 'old')]));
    await server.sql(
      url,
      `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END $$;
       CREATE TRIGGER refuse BEFORE DELETE ON ringfence.entry FOR EACH ROW EXECUTE FUNCTION refuse()`,
    );
    const outcomes = await Promise.all([
      outcomeOf(lane.commit(batchOf(2, [change('k', null)]))),
      outcomeOf(lane.commit(batchOf(3, [change('k', 'newer')]))),
      outcomeOf(lane.commit(batchOf(4, [change('other', 'x')]))),
    ]);
    expect(outcomes).toEqual(['rejected', 'gap', 'gap']);
    expect(await load('k')).toBe('old');
    expect(await outcomeOf(lane.commit(batchOf(2, [change('k', 'newer')])))).toBe('resolved');
  });

  it('more batches than the pipeline holds are refused, not queued', async () => {
    const commits = Array.from({ length: 9 }, (_, i) => outcomeOf(lane.commit(batchOf(i + 1, []))));
    expect(await Promise.all(commits)).toEqual([
      ...Array<string>(8).fill('resolved'),
      'unavailable',
    ]);
  });

  it('the numbers of old batches are removed, the newest 64 never', async () => {
    for (let first = 1; first <= 320; first += 8) {
      const numbers = Array.from({ length: 8 }, (_, i) => first + i);
      await Promise.all(numbers.map((n) => lane.commit(batchOf(n, []))));
    }
    const [kept] = await server.sql(url, 'SELECT min(number), count(*) FROM ringfence.batch');
    expect(kept).toEqual({ min: '193', count: '128' });
  });

  it('batches lock the lane row without ever writing a new version of it', async () => {
    const at = (): Promise<object[]> => server.sql(url, 'SELECT ctid::text FROM ringfence.lane');
    const before = await at();
    for (let n = 1; n <= 20; n++) await lane.commit(batchOf(n, [change('k', String(n))]));
    expect(await at()).toEqual(before);
  });
});

describe('certain or unknown', () => {
  it('a warning during a commit makes the outcome unknown and ends the session', async () => {
    await server.sql(
      url,
      `CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE WARNING 'perhaps'; RETURN NEW; END $$;
       CREATE TRIGGER warn BEFORE INSERT ON ringfence.entry FOR EACH ROW EXECUTE FUNCTION warn()`,
    );
    expect(await outcomeOf(lane.commit(batchOf(1, [change('k', 'v')])))).toBe('unknown');
    await lane.closed;
  });

  it('an error at commit time, after the statement succeeded, is reported as not done', async () => {
    await server.sql(
      url,
      `CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'late' USING ERRCODE = '23514'; END $$;
       CREATE CONSTRAINT TRIGGER late AFTER INSERT ON ringfence.entry DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION late()`,
    );
    expect(await outcomeOf(lane.commit(batchOf(1, [change('k', 'v')])))).toBe('rejected');
    expect(await load('k')).toBeUndefined();
  });

  it('a backend that is terminated in the middle of a batch leaves every batch in flight unknown', async () => {
    const holder = await holdRow(url, 'k');
    const commits = [1, 2].map((n) => outcomeOf(lane.commit(batchOf(n, [change('k', 'v')]))));
    await waitsFor('ringfence:test:lane');
    await server.sql(
      url,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = 'ringfence:test:lane' AND datname = current_database()`,
    );
    expect(await Promise.all(commits)).toEqual(['unknown', 'unknown']);
    await lane.closed;
    await holder.end();
    const next = await store.openLane(refOf(member));
    expect(next.lastNumber).toBe(0);
    await next.close();
  });

  it('after a crash of the server the next lane tells which batches were committed', async () => {
    await lane.commit(batchOf(1, [change('k', 'v')]));
    await server.crash();
    await lane.closed;
    expect(await outcomeOf(lane.commit(batchOf(2, [])))).toBe('unavailable');
    await server.restart();
    lane = await store.openLane(refOf(member));
    expect(lane.lastNumber).toBe(1);
    expect(await load('k')).toBe('v');
  });
});

describe('rows', () => {
  it('overwriting keeps created_at; writing after a tombstone or a floor begins anew', async () => {
    const times = async (): Promise<[unknown, unknown]> => {
      const [row] = await server.sql<{ c: string; u: string }>(
        url,
        `SELECT created_at::text AS c, updated_at::text AS u FROM ringfence.entry WHERE key = 'k'`,
      );
      return [row?.c, row?.u];
    };
    await lane.commit(batchOf(1, [change('k', '1')]));
    const [created] = await times();
    await lane.commit(batchOf(2, [change('k', '2')]));
    const second = await times();
    expect(second[0]).toBe(created);
    expect(second[1]).not.toBe(created);
    await lane.commit(batchOf(3, [change('k', null, { expiresAtMs: 4e12 })]));
    await lane.commit(batchOf(4, [change('k', '3')]));
    const third = await times();
    expect(third[0]).toBe(third[1]);
    const floorSeq = change('x', null).seq;
    const floors = [{ slots: [1], db: null, epoch: 1, seq: floorSeq }];
    await lane.commit(batchOf(5, [], { floors }));
    await lane.commit(batchOf(6, [change('k', '4')]));
    const fourth = await times();
    expect(fourth[0]).toBe(fourth[1]);
  });

  it('a delete removes the row; deleting what is not there is fine', async () => {
    await lane.commit(batchOf(1, [change('k', 'v')]));
    await lane.commit(batchOf(2, [change('k', null), change('nothing', null)]));
    expect(await server.sql(url, 'SELECT key FROM ringfence.entry')).toEqual([]);
  });

  it('a tombstone is loaded as such and hidden from kv_store', async () => {
    await lane.commit(batchOf(1, [change('k', null, { expiresAtMs: 4e12 })]));
    expect(await store.loads().load([{ slot: 1, db: 0, key: 'k' }])).toMatchObject([
      { type: 0, value: null, expiresAtMs: 4e12 },
    ]);
    expect(await server.sql(url, 'SELECT key FROM kv_store')).toEqual([]);
  });

  it('an expiry change keeps the value, and fails as a whole when the row is not there', async () => {
    await lane.commit(batchOf(1, [change('k', 'v')]));
    await lane.commit(batchOf(2, [change('k', '', { kind: 'expire', expiresAtMs: 4e12 })]));
    expect(await store.loads().load([{ slot: 1, db: 0, key: 'k' }])).toMatchObject([
      { value: 'v', expiresAtMs: 4e12 },
    ]);
    const missing = [change('l', 'w'), change('m', '', { kind: 'expire', expiresAtMs: 4e12 })];
    expect(await outcomeOf(lane.commit(batchOf(3, missing)))).toBe('rejected');
    expect(await load('l')).toBeUndefined();
  });

  it('an older version over a newer one is refused, an equal one is written again', async () => {
    await lane.commit(batchOf(1, [change('k', 'new', { seq: 1000 })]));
    const older = [change('k', 'old', { seq: 999 })];
    expect(await outcomeOf(lane.commit(batchOf(2, older)))).toBe('rejected');
    const olderDelete = [change('k', null, { seq: 999 })];
    expect(await outcomeOf(lane.commit(batchOf(2, olderDelete)))).toBe('rejected');
    const equal = [change('k', 'same', { seq: 1000 })];
    expect(await outcomeOf(lane.commit(batchOf(2, equal)))).toBe('resolved');
    expect(await load('k')).toBe('same');
  });

  it('rows below a floor are gone at once, rows above it are not touched', async () => {
    const [a, b] = [change('a', '1'), change('b', '2', { db: 3 })];
    await lane.commit(batchOf(1, [a, b]));
    const flush = { slots: [1, 2], db: 3, epoch: 1, seq: change('x', null).seq };
    await lane.commit(batchOf(2, [], { floors: [flush] }));
    await lane.commit(batchOf(3, [change('c', '3', { db: 3 })]));
    const keys = await server.sql(url, 'SELECT key FROM kv_store ORDER BY key');
    expect(keys).toEqual([{ key: 'a' }, { key: 'c' }]);
    expect(await store.loads().load([{ slot: 1, db: 3, key: 'b' }])).toEqual([]);
    expect(await store.sweep(100)).toBe(1);
    expect(await store.sweep(100)).toBe(0);
    const left = await server.sql(url, 'SELECT key FROM ringfence.entry ORDER BY key');
    expect(left).toEqual([{ key: 'a' }, { key: 'c' }]);
    expect(await server.sql(url, 'SELECT slot FROM ringfence.floor WHERE NOT swept')).toEqual([]);
  });

  it('a sweep leaves rows that a batch has locked for the next time, instead of waiting', async () => {
    await lane.commit(batchOf(1, [change('a', '1'), change('b', '2')]));
    const seq = change('x', null).seq;
    const floors = [{ slots: [1], db: 0, epoch: 1, seq }];
    await lane.commit(batchOf(2, [], { floors }));
    const holder = new pg.Client({ connectionString: url });
    await holder.connect();
    await holder.query('BEGIN');
    await holder.query(`UPDATE ringfence.entry SET version = version + 1 WHERE key = 'a'`);
    expect(await store.sweep(10)).toBe(1);
    await holder.query('COMMIT');
    await holder.end();
    expect(await store.sweep(10)).toBe(1);
  });

  it('an overwrite with the same expiry is a heap-only update', async () => {
    await lane.commit(batchOf(1, [change('k', '1')]));
    for (let n = 2; n <= 11; n++) await lane.commit(batchOf(n, [change('k', String(n))]));
    await lane.close();
    const [row] = await server.sql<{ hot: string; all: string }>(
      url,
      `SELECT pg_stat_get_tuples_hot_updated(c) AS hot, pg_stat_get_tuples_updated(c) AS all
       FROM (SELECT 'ringfence.entry'::regclass::oid AS c) t`,
    );
    expect(row).toEqual({ hot: '10', all: '10' });
  });
});

/** A transaction of somebody else that holds an uncommitted row with this key. */
async function holdRow(at: string, key: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: at });
  await client.connect();
  await client.query('BEGIN');
  await client.query(
    `INSERT INTO ringfence.entry (version, created_at, updated_at, slot, db, type, key)
     VALUES (0, now(), now(), 1, 0, 1, $1)`,
    [key],
  );
  return client;
}

async function waitsFor(application: string): Promise<void> {
  for (;;) {
    const rows = await server.sql(
      url,
      `SELECT 1 FROM pg_stat_activity
       WHERE application_name = $1 AND datname = current_database() AND wait_event_type = 'Lock'`,
      [application],
    );
    if (rows.length > 0) return;
  }
}
