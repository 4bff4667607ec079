/** What the bench does with the PostgreSQL server of a cluster besides measuring it. */
import pg from 'pg';

/** Runs `work` with a connection of its own. */
export async function withDatabase<T>(
  url: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Makes an empty database of this name on the same server, and returns its URL. */
export async function makeDatabase(serverUrl: string, name: string): Promise<string> {
  await withDatabase(serverUrl, async (client) => {
    await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${name}`);
  });
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/**
 * Makes every flush of the log take this much longer (milliseconds, 0: as long as the disk needs), for all
 * sessions of the server alike: the one that flushes sleeps first, and holds the lock that flushing needs.
 */
export async function delaySyncs(serverUrl: string, ms: number): Promise<void> {
  await withDatabase(serverUrl, async (client) => {
    await client.query(`ALTER SYSTEM SET commit_siblings = ${ms > 0 ? 0 : 5}`);
    await client.query(`ALTER SYSTEM SET commit_delay = ${Math.round(ms * 1000)}`);
    await client.query('SELECT pg_reload_conf()');
  });
}

/**
 * The columns, the types, the primary key and the fill factor of Ringfence's own table, for what is compared
 * with it.
 */
export const CREATE_ENTRY = `CREATE TABLE IF NOT EXISTS entry (
  version bigint NOT NULL,
  expires_at timestamptz,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  slot smallint NOT NULL,
  db smallint NOT NULL,
  type smallint NOT NULL,
  key text COLLATE "C" NOT NULL,
  value bytea,
  PRIMARY KEY (slot, db, key)
) WITH (fillfactor = 85)`;
