import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

test('a server that took over with fewer commits is refused until it is accepted as another one', async () => {
  const url = await server.freshDatabase();
  const store = storeOn(url);
  await store.prepare();
  await store.identify();
  const a = memberOf('a');
  await store.register(a);
  await server.backUp();
  await server.sql(url, 'CREATE TABLE lost (a int)');
  const lease = await store.openLease(refOf(a));
  await lease.renew([]);
  await server.failOver();
  expect(await server.sql(url, `SELECT to_regclass('lost') AS lost`)).toEqual([{ lost: null }]);

  expect(await outcomeOf(lease.renew([]))).not.toBe('resolved');
  const attempts = {
    lease: () => store.openLease(refOf(a)),
    lane: () => store.openLane(refOf(a)),
    control: () => store.openControl(),
    load: () => store.loads().load([{ slot: 0, db: 0, key: 'k' }]),
    register: () => store.register(a),
  };
  for (const [what, attempt] of Object.entries(attempts))
    expect([what, await outcomeOf(attempt())]).toEqual([what, 'replaced']);

  await store.identify();
  expect(await outcomeOf(store.loads().load([{ slot: 0, db: 0, key: 'k' }]))).toBe('resolved');
  const again = await store.openLease(refOf(a));
  expect((await again.renew([])).counter).toBe(1);
  await again.close();
  await store.close();
});

test('a restart, also after a crash, is the same history', async () => {
  const store = storeOn(await server.freshDatabase());
  await store.prepare();
  await store.identify();
  const a = memberOf('a');
  await store.register(a);
  await server.crash();
  await server.restart();
  const lease = await store.openLease(refOf(a));
  expect((await lease.renew([])).counter).toBe(1);
  await lease.close();
  await store.close();
});

describe('a synchronous standby', () => {
  test('that takes over has every batch that was acknowledged', async () => {
    const { primary, store, lane } = await followed();
    let acknowledged = 0;
    const writing = (async () => {
      for (let n = 1; n <= 10_000; n++) {
        await lane.commit(batchOf(n, [change('k', String(n))]));
        acknowledged = n;
      }
    })();
    writing.catch(() => undefined);
    await until(() => Promise.resolve(acknowledged >= 100));
    await primary.failOver();
    expect(await outcomeOf(writing)).toBe('unknown');
    await store.identify();
    const [row] = await store.loads().load([{ slot: 1, db: 0, key: 'k' }]);
    // The batch whose outcome is unknown may be there, and none after it.
    expect([acknowledged, acknowledged + 1]).toContain(Number(row?.value));
    await store.close();
  });

  test('that is gone lets no batch be acknowledged, and what was sent is of unknown outcome', async () => {
    const { primary, store, lane } = await followed({ statementTimeoutMs: 500 });
    await lane.commit(batchOf(1, [change('k', '1')]));
    await primary.endStandby();
    expect(await outcomeOf(lane.commit(batchOf(2, [change('k', '2')])))).toBe('unknown');
    await store.close();
  });
});

const servers: TestPostgres[] = [];
afterAll(async () => {
  for (const primary of servers) await primary.stop();
});

/** A server with a synchronous standby, and a lane on it. */
async function followed(options: Parameters<typeof storeOn>[1] = {}) {
  const primary = await startPostgres();
  servers.push(primary);
  const url = await primary.freshDatabase();
  const store = storeOn(url, options);
  await store.prepare();
  await store.identify();
  const a = memberOf('a');
  await formView(store, [a]);
  await primary.follow();
  const lane = await store.openLane(refOf(a));
  return { primary, store, lane };
}
