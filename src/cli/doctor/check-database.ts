/** Is the database one that keeps what it acknowledges, and do its clock and ours agree? */
import pg from 'pg';
import { messageOf } from '../program.ts';
import { fail, type Finding, ok, warn } from './finding.ts';

const VERSION_MIN = 130_000;
const TIMEOUT_MS = 5000;
/** Beyond this, times in `kv_store` mislead people, though no decision depends on them. */
const CLOCK_OFFSET_MS_MAX = 1000;
/** Connections of one node besides `store-connections`: writes, lease, views. */
const CONNECTIONS_BESIDES = 3;

/** What one query tells about the server. Numbers arrive as numbers. */
export interface ServerFacts {
  readonly version: number;
  readonly versionText: string;
  readonly encoding: string;
  readonly standby: boolean;
  readonly readOnly: boolean;
  readonly synchronousCommit: string;
  readonly fsync: string;
  readonly fullPageWrites: string;
  readonly connectionsFree: number;
  readonly mayCreate: boolean;
  readonly databaseMs: number;
}

const FACTS = `
  SELECT current_setting('server_version_num')::int AS version,
         current_setting('server_version') AS "versionText",
         current_setting('server_encoding') AS encoding,
         pg_is_in_recovery() AS standby,
         current_setting('default_transaction_read_only') = 'on' AS "readOnly",
         current_setting('synchronous_commit') AS "synchronousCommit",
         current_setting('fsync') AS fsync,
         current_setting('full_page_writes') AS "fullPageWrites",
         current_setting('max_connections')::int
           - (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend')
           AS "connectionsFree",
         (to_regnamespace('ringfence') IS NOT NULL
           OR (has_database_privilege(current_database(), 'CREATE')
               AND has_schema_privilege('public', 'CREATE'))) AS "mayCreate",
         extract(epoch FROM clock_timestamp())::float8 * 1000 AS "databaseMs"`;

/** Never rejects: what goes wrong is a finding. */
export async function checkDatabase(url: string, nodeConnections: number): Promise<Finding[]> {
  if (url === '') {
    return [fail('database', 'no database is configured', 'give --store or RINGFENCE_STORE')];
  }
  try {
    const { facts, offsetMs } = await ask(url);
    return [...judgeServer(facts, nodeConnections + CONNECTIONS_BESIDES), judgeClock(offsetMs)];
  } catch (error) {
    return [fail('database', messageOf(error), advice(error))];
  }
}

async function ask(url: string): Promise<{ facts: ServerFacts; offsetMs: number }> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: TIMEOUT_MS,
    query_timeout: TIMEOUT_MS,
  });
  // A connection that breaks rejects the query too, which is what is reported.
  client.on('error', () => undefined);
  await client.connect();
  try {
    const before = Date.now();
    const facts = (await client.query<ServerFacts>(FACTS)).rows[0];
    const after = Date.now();
    if (facts === undefined) throw new Error('the server answered without a row');
    return { facts, offsetMs: facts.databaseMs - (before + after) / 2 };
  } finally {
    await client.end();
  }
}

export function judgeServer(facts: ServerFacts, connectionsNeeded: number): Finding[] {
  const findings: Finding[] = [];
  const must = (fine: boolean, text: string, fix: string): void => {
    if (!fine) findings.push(fail('database', text, fix));
  };
  must(
    facts.version >= VERSION_MIN,
    `PostgreSQL ${facts.versionText} is too old`,
    'use PostgreSQL 13 or later',
  );
  must(
    facts.encoding === 'UTF8',
    `the database is encoded in ${facts.encoding}`,
    "make one with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
  );
  must(!facts.standby, 'this server is a standby', 'give the address of the primary');
  must(
    !facts.readOnly,
    'transactions are read-only by default',
    'set default_transaction_read_only to off for this user and database',
  );
  must(
    facts.fsync === 'on',
    'fsync is off: a crash of the machine loses or corrupts data',
    'set fsync = on',
  );
  must(
    facts.fullPageWrites === 'on',
    'full_page_writes is off: a crash may corrupt data',
    'set full_page_writes = on, unless the file system never tears pages',
  );
  must(
    facts.mayCreate,
    'this user may not make the schema ringfence and the views in the schema public',
    'GRANT CREATE ON DATABASE ... TO ...; GRANT CREATE ON SCHEMA public TO ...',
  );
  if (facts.synchronousCommit === 'off') {
    const text = 'synchronous_commit is off; nodes set it for themselves, other writers do not';
    findings.push(warn('database', text, 'set synchronous_commit = on'));
  }
  if (facts.connectionsFree < connectionsNeeded) {
    const text = `only ${facts.connectionsFree} connections are free; a node uses ${connectionsNeeded}`;
    findings.push(warn('database', text, 'raise max_connections'));
  }
  if (findings.length > 0) return findings;
  return [ok('database', `PostgreSQL ${facts.versionText}, UTF8, primary, fsync on`)];
}

export function judgeClock(offsetMs: number): Finding {
  const shown = `${Math.abs(Math.round(offsetMs))} ms ${offsetMs < 0 ? 'behind' : 'ahead of'}`;
  const text = `the database's clock is ${shown} this machine's`;
  return Math.abs(offsetMs) <= CLOCK_OFFSET_MS_MAX
    ? ok('clock', text)
    : warn('clock', text, 'run a time service (chrony, systemd-timesyncd) on both machines');
}

function advice(error: unknown): string {
  switch ((error as { code?: unknown }).code) {
    case 'ECONNREFUSED':
      return 'is the server running, and does it listen on that address and port?';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the host name of the URL is not known here; check its spelling and the DNS';
    case '28P01':
    case '28000':
      return 'check user and password in the URL, and pg_hba.conf on the server';
    case '3D000':
      return 'make the database: CREATE DATABASE ...';
    case '53300':
      return 'raise max_connections, or end idle clients';
    default:
      return 'check the URL: postgres://user:password@host:5432/database';
  }
}
