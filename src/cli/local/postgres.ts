/**
 * The embedded PostgreSQL of a local cluster: made once, cleared of what a crash left, started with
 * settings that keep every acknowledged commit.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { messageOf, PlainError } from '../program.ts';
import type { PostgresHome } from './postgres-home.ts';
import { commandLine, isAlive, readPidFile, waitUntilGone } from './process-files.ts';

export const DATABASE_USER = 'admin';
export const DATABASE_NAME = 'cache_db';

const MAJOR = '15';
const STOP_WITHIN_MS = 15_000;
/** Crash recovery replays at most `max_wal_size`; on a slow disk that is a minute. */
const READY_WITHIN_MS = 120_000;

/** Settings of the server. The first block is the promise: an acknowledged commit survives a crash. */
const SETTINGS: Readonly<Record<string, string>> = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',

  // Only TCP: a socket file's path has a limit of about 100 bytes.
  unix_socket_directories: '',
  max_connections: '200',

  shared_buffers: '128MB',
  wal_buffers: '16MB',
  // Full-page images are most of the log right after a checkpoint: fewer, and compressed.
  wal_compression: 'on',
  max_wal_size: '1GB',
  checkpoint_timeout: '15min',
  checkpoint_completion_target: '0.9',
  // Statements here are short; compiling them would cost more than running them.
  jit: 'off',
  // Rows change all the time; small and frequent vacuums keep the tables short.
  autovacuum_naptime: '20s',
  log_timezone: 'UTC',
  timezone: 'UTC',
};

/**
 * For the C library: keep freed memory. By default a backend gives the top of its heap back after every
 * batch of a few rows and asks for it again, a tenth of its processor time. Bounded: 32 MB a backend.
 */
const MALLOC: Readonly<Record<string, string>> = {
  MALLOC_TOP_PAD_: String(1024 * 1024),
  MALLOC_TRIM_THRESHOLD_: String(32 * 1024 * 1024),
};

/** Where a server listens, and how it is run there. */
export interface ServerPlace {
  readonly host: string;
  readonly port: number;
  /** More settings, or other values for the usual ones. */
  readonly settings?: Readonly<Record<string, string>>;
  /** A command in front of the program, which then has to change the user itself. */
  readonly through?: readonly string[];
}

export function databaseUrl({ host, port }: ServerPlace): string {
  return `postgres://${DATABASE_USER}@${host}:${port}/${DATABASE_NAME}`;
}

/** On this machine, for this machine alone. */
export function onLoopback(port: number): ServerPlace {
  return { host: '127.0.0.1', port };
}

/** Makes the data folder if there is none. Half-made ones are thrown away. */
export async function initialiseData(
  { programs, dataDir, user }: PostgresHome,
  say: (line: string) => void,
): Promise<void> {
  const versionFile = join(dataDir, 'PG_VERSION');
  if (existsSync(versionFile)) {
    const found = readFileSync(versionFile, 'utf8').trim();
    if (found === MAJOR) return;
    throw new PlainError(
      `${dataDir} was made by PostgreSQL ${found}, and this is ${MAJOR}: ` +
        'move it away, or start with --fresh, which throws it away',
    );
  }
  if (existsSync(dataDir) && readdirSync(dataDir).length > 0) {
    throw new PlainError(`${dataDir} is neither empty nor a PostgreSQL data folder`);
  }
  say('making the database ...');
  // In a folder beside, renamed when complete: a broken-off start leaves nothing half-made.
  const fresh = `${dataDir}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { mode: 0o700 });
  if (user !== undefined) chownSync(fresh, user.uid, user.gid);
  await runInitdb(programs.initdb, fresh, user);
  rmSync(dataDir, { recursive: true, force: true });
  renameSync(fresh, dataDir);
}

/** `trust` is for TCP on the loopback address: the same as Redis without a password. */
function runInitdb(initdb: string, dataDir: string, user: PostgresHome['user']): Promise<void> {
  const args = [
    `--pgdata=${dataDir}`,
    `--username=${DATABASE_USER}`,
    '--auth=trust',
    '--encoding=UTF8',
    '--locale=C',
    '--no-instructions',
  ];
  const child = spawn(initdb, args, { ...user, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new PlainError(`initdb: ${error.message}`)));
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new PlainError(`the database could not be made:\n${output.trim()}`));
    });
  });
}

/**
 * Stops the server that a killed `ringfence up` left behind, and removes a pid file whose process is
 * gone or somebody else by now (PostgreSQL itself would refuse to start on the latter).
 */
export async function clearLeftovers(dataDir: string, say: (line: string) => void): Promise<void> {
  const pidFile = join(dataDir, 'postmaster.pid');
  const pid = readPidFile(pidFile);
  if (pid === undefined) return;
  if (!isAlive(pid) || !/postgres/.test(commandLine(pid))) {
    rmSync(pidFile, { force: true });
    return;
  }
  say(`stopping the PostgreSQL server that was left running here (pid ${pid})`);
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    process.kill(pid, signal);
    if (await waitUntilGone(pid, STOP_WITHIN_MS)) return;
  }
  throw new PlainError(`the PostgreSQL server with pid ${pid} does not stop`);
}

/** Starts the server in a session of its own, so that Ctrl+C reaches only the one who stops it. */
export function spawnPostgres(
  { programs, dataDir, user }: PostgresHome,
  { host, port, settings, through = [] }: ServerPlace,
  log: number,
): ChildProcess {
  const all = { ...SETTINGS, listen_addresses: host, ...settings };
  const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = [programs.postgres, '-D', dataDir, '-p', String(port), ...flags];
  const [command = programs.postgres, ...args] = [...through, ...server];
  return spawn(command, args, {
    ...(through.length > 0 ? {} : user),
    cwd: '/',
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, LC_ALL: 'C', ...MALLOC },
  });
}

/**
 * Resolves when the server accepts connections; makes the database if it is missing.
 * `failed` is asked between tries: its text, if any, ends the wait.
 */
export async function databaseReady(
  place: ServerPlace,
  say: (line: string) => void,
  failed: () => string | undefined,
): Promise<void> {
  const startedAtMs = Date.now();
  let nextWordAtMs = startedAtMs + 5000;
  for (;;) {
    const problem = failed();
    if (problem !== undefined) throw new PlainError(problem);
    try {
      return await ensureDatabase(place);
    } catch (error) {
      const now = Date.now();
      if (now - startedAtMs > READY_WITHIN_MS) {
        throw new PlainError(
          `PostgreSQL does not answer on port ${place.port}: ${messageOf(error)}`,
        );
      }
      if (now > nextWordAtMs) {
        say(`waiting for PostgreSQL: ${messageOf(error)}`);
        nextWordAtMs = now + 5000;
      }
      await delay(25);
    }
  }
}

async function ensureDatabase({ host, port }: ServerPlace): Promise<void> {
  const client = new pg.Client({
    host,
    port,
    user: DATABASE_USER,
    database: 'postgres',
    connectionTimeoutMillis: 5000,
  });
  // The server may go away between two answers; the query then rejects, which is what is awaited.
  client.on('error', () => undefined);
  await client.connect();
  try {
    const known = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [
      DATABASE_NAME,
    ]);
    if (known.rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE_NAME}`);
  } finally {
    await client.end();
  }
}
