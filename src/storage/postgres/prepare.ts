/** Start-up: is this a database that can keep the promise, and does it have our schema? */
import { openSession, type StoreContext } from './context.ts';
import { MIGRATIONS } from './migrations/index.ts';
import { databaseOf, type Session } from './session.ts';
import { messageOf, sqlState } from './sql-errors.ts';
import { StoreError } from './store.ts';

const OLDEST_SERVER = 130_000;

/** Any number will do, as long as all nodes use the same: 'ring' in ASCII. */
const MIGRATION_LOCK = 0x72696e67;

/** A migration runs as long as it must; only the wait for another node's is bounded. */
const LOCK_WAIT_MS = 60_000;
const MIGRATION_MS_MAX = 3_600_000;

const NO_SUCH_DATABASE = '3D000';
const DATABASE_EXISTS = new Set(['42P04', '23505']);
const PERMISSION_DENIED = '42501';
/** Of the user: not allowed, unknown or refused, wrong password. */
const REFUSALS = new Set([PERMISSION_DENIED, '28000', '28P01']);

export interface Prepared {
  readonly clusterId: string;
  readonly serverVersion: string;
}

/**
 * Creates the database and the schema where they are missing, and checks the server. Safe when several
 * nodes do it at once. Rejects with a message that says what to do: 'unavailable' where waiting may
 * help, 'unusable' where somebody must act.
 */
export async function prepare(context: StoreContext): Promise<Prepared> {
  try {
    return await setUp(context);
  } catch (error) {
    if (!(error instanceof StoreError) || !isRefused(error)) throw error;
    throw new StoreError('unusable', error.message, { cause: error.cause });
  }
}

/** The server does not let this user in, or not do what is needed. */
function isRefused(error: Error): boolean {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (REFUSALS.has(sqlState(cause) ?? '')) return true;
  }
  return false;
}

async function setUp(context: StoreContext): Promise<Prepared> {
  const session = await openOrCreateDatabase(context);
  try {
    const serverVersion = await checkServer(context, session);
    const clusterId = await migrate(context, session);
    return { clusterId, serverVersion };
  } finally {
    await session.close();
  }
}

function openForSetUp(context: StoreContext, database?: string): Promise<Session> {
  return openSession(context, 'setup', {
    clusterId: null,
    history: null,
    statementTimeoutMs: 0,
    answerTimeoutMs: MIGRATION_MS_MAX,
    ...(database === undefined ? {} : { database }),
  });
}

async function openOrCreateDatabase(context: StoreContext): Promise<Session> {
  try {
    return await openForSetUp(context);
  } catch (error) {
    if (!(error instanceof StoreError) || sqlState(error.cause) !== NO_SUCH_DATABASE) throw error;
  }
  await createDatabase(context, databaseOf(context.options.url));
  return openForSetUp(context);
}

async function createDatabase(context: StoreContext, name: string): Promise<void> {
  let session: Session;
  try {
    session = await openForSetUp(context, 'postgres');
  } catch (error) {
    throw new StoreError(
      'unavailable',
      `the database "${name}" does not exist, and there is no access to "postgres" to create it from: ${messageOf(error)}`,
      { cause: error },
    );
  }
  try {
    context.options.logger.info({ database: name }, 'creating the database');
    await session.run({
      text: `CREATE DATABASE "${name.replaceAll('"', '""')}"
        TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'`,
    });
  } catch (error) {
    const state = error instanceof StoreError ? sqlState(error.cause) : null;
    if (state !== null && DATABASE_EXISTS.has(state)) return; // another node was faster
    const why =
      state === PERMISSION_DENIED ? 'this user may not create databases' : messageOf(error);
    throw new StoreError(
      'unavailable',
      `the database "${name}" does not exist and could not be created: ${why}. ` +
        `Create it with: CREATE DATABASE "${name}" TEMPLATE template0 ENCODING 'UTF8'`,
      { cause: error },
    );
  } finally {
    await session.close();
  }
}

async function checkServer(context: StoreContext, session: Session): Promise<string> {
  const [row] = await session.read({
    text: `SELECT current_setting('server_version_num'), current_setting('server_version'),
      current_setting('server_encoding'), current_setting('fsync'), current_setting('full_page_writes')`,
  });
  const [number, version, encoding, fsync, fullPageWrites] = row ?? [];
  if (Number(number) < OLDEST_SERVER) {
    throw new StoreError('unusable', `PostgreSQL ${version} is too old: 13 or newer is needed`);
  }
  if (encoding !== 'UTF8') {
    throw new StoreError(
      'unusable',
      `the database has the encoding ${encoding}: one with the encoding UTF8 is needed`,
    );
  }
  if (fsync !== 'on' || fullPageWrites !== 'on') {
    context.options.logger.warn(
      { fsync, fullPageWrites },
      'this database may lose acknowledged writes when its host fails',
    );
  }
  return version ?? '';
}

/** Brings the schema up to date and returns the cluster's id. */
async function migrate(context: StoreContext, session: Session): Promise<string> {
  await session.run({ text: 'BEGIN' });
  try {
    await session.run({ text: `SET LOCAL lock_timeout = ${LOCK_WAIT_MS}` });
    await session.run({ text: `SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})` });
    const had = await schemaVersion(session);
    if (had > MIGRATIONS.length) {
      throw new StoreError(
        'unusable',
        `the schema has version ${had}, this program knows up to ${MIGRATIONS.length}: use a newer one`,
      );
    }
    for (let version = had; version < MIGRATIONS.length; version++) {
      context.options.logger.info({ version: version + 1 }, 'migrating the schema');
      await session.run({ text: MIGRATIONS[version] ?? '' });
    }
    if (had < MIGRATIONS.length) await recordVersion(context, session);
    const clusterId = await readMeta(session, 'cluster_id');
    if (clusterId === null) throw new StoreError('unavailable', 'the schema lacks its cluster id');
    const { command } = await session.run({ text: 'COMMIT' });
    // COMMIT of a failed transaction succeeds too, as a ROLLBACK.
    if (command !== 'COMMIT') throw new StoreError('unavailable', 'the migration was rolled back');
    return clusterId;
  } catch (error) {
    session.destroy();
    throw error instanceof StoreError
      ? new StoreError(
          error.kind === 'unusable' ? error.kind : 'unavailable',
          `cannot set up the schema: ${error.message}`,
          {
            cause: error,
          },
        )
      : error;
  }
}

/** 0: there is none yet; the table for it is made. */
async function schemaVersion(session: Session): Promise<number> {
  const [row] = await session.read({ text: `SELECT to_regclass('ringfence.meta') IS NOT NULL` });
  if (row?.[0] !== 't') {
    await session.run({ text: 'CREATE SCHEMA IF NOT EXISTS ringfence' });
    await session.run({
      text: 'CREATE TABLE ringfence.meta (name text PRIMARY KEY, value text NOT NULL)',
    });
  }
  return Number((await readMeta(session, 'schema_version')) ?? 0);
}

async function readMeta(session: Session, name: string): Promise<string | null> {
  const [row] = await session.read({
    text: 'SELECT value FROM ringfence.meta WHERE name = $1',
    values: [name],
  });
  return row?.[0] ?? null;
}

async function recordVersion(context: StoreContext, session: Session): Promise<void> {
  await session.run({
    text: `INSERT INTO ringfence.meta (name, value) VALUES ('schema_version', $1)
      ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
    values: [String(MIGRATIONS.length)],
  });
  await session.run({
    text: `INSERT INTO ringfence.meta (name, value) VALUES ('cluster_id', $1) ON CONFLICT DO NOTHING`,
    values: [context.options.random.id()],
  });
}
