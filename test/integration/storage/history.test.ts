import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { memberOf, outcomeOf, refOf, storeOn } from './harness.ts';

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
