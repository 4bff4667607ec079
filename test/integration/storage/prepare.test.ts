import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { memberOf, outcomeOf, refOf, storeOn } from './harness.ts';

let server: TestPostgres;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

const messageOf = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise;
    return 'resolved';
  } catch (error) {
    return (error as Error).message;
  }
};

it('three nodes that start at once make one schema and agree on the cluster', async () => {
  const url = await server.freshDatabase();
  const stores = [1, 2, 3].map(() => storeOn(url));
  const prepared = await Promise.all(stores.map((store) => store.prepare()));
  expect(new Set(prepared.map(({ clusterId }) => clusterId)).size).toBe(1);
  expect(await stores[0]!.prepare()).toEqual(prepared[0]);
  expect(prepared[0]?.serverVersion).toMatch(/^15\./);
});

it('a missing database is created, by three nodes at once as well', async () => {
  const url = server.url.replace(/postgres$/, 'made%20"here"');
  const prepared = await Promise.all([1, 2, 3].map(() => storeOn(url).prepare()));
  expect(new Set(prepared.map(({ clusterId }) => clusterId)).size).toBe(1);
});

it('a missing database that may not be created is named, with what to do', async () => {
  await server.sql(server.url, 'CREATE ROLE nobody LOGIN');
  const url = server.url.replace('postgres@', 'nobody@').replace(/postgres$/, 'absent');
  expect(await messageOf(storeOn(url).prepare())).toMatch(
    /"absent" does not exist.*may not create databases.*CREATE DATABASE "absent"/,
  );
});

it('a newer schema than this program knows is refused', async () => {
  const url = await server.freshDatabase();
  await storeOn(url).prepare();
  await server.sql(url, "UPDATE ringfence.meta SET value = '99' WHERE name = 'schema_version'");
  expect(await messageOf(storeOn(url).prepare())).toMatch(/schema has version 99/);
});

it('a database with another encoding is refused', async () => {
  await server.sql(
    server.url,
    `CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'`,
  );
  const url = server.url.replace(/postgres$/, 'latin');
  expect(await messageOf(storeOn(url).prepare())).toMatch(/encoding LATIN1.*UTF8 is needed/);
});

it('a server that is not there is unavailable, not a crash', async () => {
  const store = storeOn('postgres://nobody@127.0.0.1:1/none');
  expect(await messageOf(store.prepare())).toMatch(/cannot connect.*ECONNREFUSED/);
  expect(await outcomeOf(store.prepare())).toBe('unavailable');
});

it('a session to another database than at start-up is refused', async () => {
  const url = await server.freshDatabase();
  const store = storeOn(url);
  await store.prepare();
  const member = memberOf('a');
  await store.register(member);
  await server.sql(url, "UPDATE ringfence.meta SET value = 'other' WHERE name = 'cluster_id'");
  expect(await messageOf(store.openLane(refOf(member)))).toMatch(/another database/);
});

it('every session is durable, whatever the database has as default', async () => {
  const url = await server.freshDatabase();
  const name = new URL(url).pathname.slice(1);
  for (const setting of [
    'synchronous_commit = off',
    "default_transaction_isolation = 'serializable'",
  ]) {
    await server.sql(server.url, `ALTER DATABASE ${name} SET ${setting}`);
  }
  const { Session } = await import('../../../src/storage/postgres/session.ts');
  const { silent } = await import('./harness.ts');
  const session = await Session.open({
    url,
    applicationName: 'ringfence:test:probe',
    connectTimeoutMs: 5_000,
    statementTimeoutMs: 1_234,
    answerTimeoutMs: 5_000,
    pipeline: false,
    set: {},
    clusterId: null,
    history: null,
    timers: {
      after: () => ({ cancel: () => undefined }),
      every: () => ({ cancel: () => undefined }),
      turnEnd: () => undefined,
      turnFlush: () => undefined,
    },
    logger: silent,
  });
  const names = [
    'synchronous_commit',
    'transaction_isolation',
    'statement_timeout',
    'application_name',
  ];
  const rows = await session.read({
    text: `SELECT ${names.map((setting) => `current_setting('${setting}')`).join(',')}`,
  });
  expect(rows).toEqual([['on', 'read committed', '1234ms', 'ringfence:test:probe']]);
  await session.close();
});

it('a standby is refused', async () => {
  const url = await server.freshDatabase();
  // A primary cannot be made to answer otherwise, so the check's function is shadowed for this session.
  await server.sql(
    url,
    `CREATE SCHEMA shadow;
     CREATE FUNCTION shadow.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true';
     ALTER DATABASE ${new URL(url).pathname.slice(1)} SET search_path = shadow, pg_catalog, public`,
  );
  expect(await messageOf(storeOn(url).prepare())).toMatch(/standby/);
});
