/**
 * A cluster of processes that this program starts itself: an embedded PostgreSQL, the sample legacy
 * API and nodes from dist/, on a ground of its own (the loopback address, or network namespaces).
 */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { writeNodeConfigFile } from '../../src/cli/local/node-config-file.ts';
import {
  clearLeftovers,
  databaseReady,
  databaseUrl,
  initialiseData,
  type ServerPlace,
  spawnPostgres,
} from '../../src/cli/local/postgres.ts';
import { type PostgresHome, preparePostgresHome } from '../../src/cli/local/postgres-home.ts';
import { waitUntilGone } from '../../src/cli/local/process-files.ts';
import {
  type Disk,
  type Host,
  LEGACY,
  type NodeAddress,
  POSTGRES,
  type Target,
} from '../target.ts';
import { FakeClocks, NO_CLOCKS } from './clocks.ts';
import { type Address, type Ground, OFFSETS } from './ground.ts';
import { ManagedProcess, spawnDetached } from './managed-process.ts';
import { NO_SMALL_VOLUME, type SmallVolume } from './small-volume.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const PROGRAM = join(ROOT, 'dist', 'cli', 'main.js');
const GONE_WITHIN_MS = 10_000;

export interface ProcessTargetOptions {
  readonly ground: Ground;
  readonly nodes: number;
  /** The first of the ports (`OFFSETS`). */
  readonly portBase: number;
  /** Logs of all processes; kept after the run. */
  readonly logs: string;
  /** Makes the volume of PostgreSQL's data at this path; without one, the data is in a temporary folder. */
  readonly volume?: (dir: string) => SmallVolume;
  /** Nodes get wall clocks that can be moved (`FakeClocks.whyNot`). */
  readonly clocks?: boolean;
  /** `policies` of the nodes' configuration file, before that of the legacy API. */
  readonly policies?: readonly object[];
  /** More options for every node, without dashes. */
  readonly nodeFlags?: Readonly<Record<string, string>>;
}

export class ProcessTarget implements Target {
  readonly name: string;
  readonly nodes: readonly NodeAddress[];
  readonly spare: NodeAddress;
  readonly network: Ground['network'];
  readonly clocks: Target['clocks'];
  readonly #options: ProcessTargetOptions;
  readonly #ground: Ground;
  readonly #dir = join(tmpdir(), `ringfence-chaos-${randomUUID()}`);
  /** The spare one is the last. */
  readonly #names: readonly Host[];
  readonly #processes = new Map<Host, ManagedProcess>();
  #volume: SmallVolume | undefined;
  #home: PostgresHome | undefined;

  constructor(options: ProcessTargetOptions) {
    this.#options = options;
    this.#ground = options.ground;
    this.name = options.ground.name;
    this.network = options.ground.network;
    this.#names = Array.from({ length: options.nodes + 1 }, (_, i) => `node-${i + 1}`);
    const all = this.#names.map((name, i) => {
      // Addresses are known once the ground is open; names and ports are before.
      const ground = options.ground;
      return {
        name,
        get host() {
          return ground.address(name);
        },
        port: options.portBase + OFFSETS.redis + i,
        httpPort: options.portBase + OFFSETS.http + i,
      };
    });
    this.nodes = all.slice(0, -1);
    this.spare = all.at(-1)!;
    this.clocks = options.clocks === true ? new FakeClocks(this.#dir) : NO_CLOCKS;
  }

  get disk(): Disk {
    return this.#volume ?? (this.#options.volume === undefined ? NO_SMALL_VOLUME : PROMISED_VOLUME);
  }

  async up(): Promise<void> {
    // For root, PostgreSQL runs as another user, who must be able to enter.
    mkdirSync(this.#dir, { mode: 0o755 });
    mkdirSync(this.#options.logs, { recursive: true });
    execFileSync(process.execPath, [join(ROOT, 'scripts', 'build.mjs')], { stdio: 'inherit' });
    await this.#ground.open([POSTGRES, LEGACY, ...this.#names]);
    await this.#preparePostgres();
    const configFile = join(this.#dir, 'node.config.json');
    const policies = join(this.#dir, 'policies.json');
    writeFileSync(policies, JSON.stringify({ policies: this.#options.policies ?? [] }));
    const legacyUrl = `http://${this.#legacyAddress()}/legacy/data/{key}`;
    writeNodeConfigFile({ userFile: policies, target: configFile, legacyUrl });
    this.#addLegacy();
    for (const name of this.#names) this.#addNode(name, configFile);
    await this.start(POSTGRES, LEGACY, ...this.nodes.map(({ name }) => name));
  }

  async down(): Promise<void> {
    await this.kill(...this.#processes.keys());
    await this.#ground.close();
    if (this.#home !== undefined) rmSync(this.#home.dataDir, { recursive: true, force: true });
    this.#volume?.remove();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async kill(...hosts: Host[]): Promise<void> {
    const orphans = hosts.includes(POSTGRES) ? this.#stopForks() : [];
    await Promise.all(
      hosts.map(async (host) => {
        await this.#processes.get(host)?.kill();
        if (host === POSTGRES) await endAll(orphans);
      }),
    );
  }

  async stop(host: Host): Promise<void> {
    await this.#process(host).stop();
  }

  async start(...hosts: Host[]): Promise<void> {
    if (hosts.includes(POSTGRES)) await this.#startPostgres();
    for (const host of hosts) if (host !== POSTGRES) this.#process(host).start();
  }

  pause(host: Host): Promise<void> {
    if (host === POSTGRES) this.#stopForks();
    else this.#process(host).signal('SIGSTOP');
    return Promise.resolve();
  }

  resume(host: Host): Promise<void> {
    const process = this.#process(host);
    if (host === POSTGRES) signalAll(childrenOf(process.pid), 'SIGCONT');
    process.signal('SIGCONT');
    return Promise.resolve();
  }

  deaths(): Promise<string[]> {
    return Promise.resolve(
      this.#names.flatMap((name) => this.#processes.get(name)?.takeDeaths() ?? []),
    );
  }

  async legacyFaults(query: string): Promise<void> {
    const url = `http://${this.#legacyAddress()}/legacy/faults?${query}`;
    const response = await fetch(url, { method: 'POST' });
    if (!response.ok) throw new Error(`${url}: ${response.status}`);
  }

  async query(sql: string): Promise<string[][]> {
    const client = new pg.Client(databaseUrl(this.#place()));
    await client.connect();
    try {
      const { rows } = await client.query<(string | number | null)[]>({
        text: sql,
        rowMode: 'array',
      });
      return rows.map((row) => row.map((value) => String(value ?? '')));
    } finally {
      await client.end();
    }
  }

  logs(): Promise<string> {
    const parts = [...this.#processes.values()].map((p) => `== ${p.name}\n${p.logEnd()}\n`);
    return Promise.resolve(parts.join(''));
  }

  // -- PostgreSQL -------------------------------------------------------------------------------

  #place(): ServerPlace {
    return {
      host: this.#ground.address(POSTGRES),
      port: this.#options.portBase + OFFSETS.postgres,
      // A log that may grow to a gigabyte does not fit a small volume.
      ...(this.#volume === undefined ? {} : { settings: { max_wal_size: '128MB' } }),
    };
  }

  async #preparePostgres(): Promise<void> {
    this.#volume = this.#options.volume?.(join(this.#dir, 'volume'));
    const home = await preparePostgresHome(this.#volume?.dir ?? this.#dir, say);
    this.#home = home;
    await initialiseData(home, say);
    const lines = this.#ground.trusted.map((net) => `host all all ${net} trust\n`);
    appendFileSync(join(home.dataDir, 'pg_hba.conf'), lines.join(''));
    const through = this.#ground.on(POSTGRES, asUser(home));
    // On the loopback address the program is run directly, as the user that `home` names.
    const place = this.#ground.trusted.length === 0 ? this.#place() : { ...this.#place(), through };
    this.#add(POSTGRES, 'SIGINT', (log) => spawnPostgres(home, place, log));
  }

  async #startPostgres(): Promise<void> {
    const process = this.#process(POSTGRES);
    if (process.pid === undefined) await clearLeftovers(this.#home!.dataDir, say);
    process.start();
    await databaseReady(this.#place(), say, () =>
      process.pid === undefined ? `PostgreSQL ended:\n${process.logEnd()}` : undefined,
    );
  }

  /** Stops the server and then all its forks, so that none is made meanwhile. Returns the forks. */
  #stopForks(): number[] {
    const process = this.#process(POSTGRES);
    process.signal('SIGSTOP');
    const forks = childrenOf(process.pid);
    signalAll(forks, 'SIGSTOP');
    return forks;
  }

  // -- the others -------------------------------------------------------------------------------

  #legacyAddress(): string {
    return `${this.#ground.address(LEGACY)}:${this.#options.portBase + OFFSETS.legacy}`;
  }

  #addLegacy(): void {
    const address = this.#ground.address(LEGACY);
    const port = String(this.#options.portBase + OFFSETS.legacy);
    const words = [process.execPath, PROGRAM, 'legacy', '--host', address, '--port', port];
    this.#add(LEGACY, 'SIGTERM', (log) =>
      spawnDetached(this.#ground.on(LEGACY, words), { log, channel: true }),
    );
  }

  #addNode(name: Host, configFile: string): void {
    const index = this.#names.indexOf(name);
    const base = this.#options.portBase + index;
    const host = this.#ground.address(name);
    const store: Address = this.#ground.storeAddress(name, this.#place());
    const flags: Record<string, string> = {
      config: configFile,
      ...this.#options.nodeFlags,
      'node-id': name,
      bind: host,
      port: String(base + OFFSETS.redis),
      'http-port': String(base + OFFSETS.http),
      'link-port': String(base + OFFSETS.link),
      store: databaseUrl(store),
    };
    const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
    const words = this.#ground.on(name, [process.execPath, PROGRAM, 'node', ...args]);
    const env = this.clocks instanceof FakeClocks ? this.clocks.environment(name) : {};
    this.#add(name, 'SIGTERM', (log) =>
      spawnDetached(words, { log, channel: true, env: { ...withoutOptions(), ...env } }),
    );
  }

  #add(
    name: Host,
    stopSignal: NodeJS.Signals,
    spawn: ConstructorParameters<typeof ManagedProcess>[0]['spawn'],
  ): void {
    const logFile = join(this.#options.logs, `${name}.log`);
    this.#processes.set(name, new ManagedProcess({ name, logFile, stopSignal, spawn }));
  }

  #process(host: Host): ManagedProcess {
    const found = this.#processes.get(host);
    if (found === undefined) throw new Error(`there is no host ${host}`);
    return found;
  }
}

/** Before `up`: the volume will be there, or `up` says why not. */
const PROMISED_VOLUME: Disk = { ...NO_SMALL_VOLUME, whyNot: () => undefined };

/** PostgreSQL refuses to run as root; where something else starts it, that changes the user. */
function asUser({ user }: PostgresHome): string[] {
  if (user === undefined) return [];
  return ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'];
}

/** The environment of whoever runs this must not reach into the nodes. */
function withoutOptions(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !name.startsWith('RINGFENCE_'));
  return Object.fromEntries(entries);
}

function childrenOf(pid: number | undefined): number[] {
  if (pid === undefined) return [];
  const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  return table
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([, parent]) => parent === pid)
    .map(([child]) => child!);
}

/** What is gone already needs no signal. */
function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

async function endAll(pids: readonly number[]): Promise<void> {
  signalAll(pids, 'SIGKILL');
  for (const pid of pids) {
    if (!(await waitUntilGone(pid, GONE_WITHIN_MS))) throw new Error(`process ${pid} does not end`);
  }
}

function say(line: string): void {
  process.stdout.write(`  ${line}\n`);
}
