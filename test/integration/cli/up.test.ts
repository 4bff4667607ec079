/**
 * `ringfence up` with a real PostgreSQL and a real legacy API, and stand-ins for the nodes: what is
 * tested is how processes are started, watched and ended.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const DRIVER = join(ROOT, 'test', 'support', 'up-with-fake-nodes.mjs');
const BASE = 32_040;
const POSTGRES_PORT = BASE + 30;
const PORTS = { port: 0, 'http-port': 10, 'link-port': 20, 'postgres-port': 30, 'legacy-port': 31 };
const PORT_FLAGS = Object.entries(PORTS).flatMap(([name, at]) => [`--${name}`, String(BASE + at)]);

let dir = '';
let running: Up[] = [];

beforeAll(() => {
  execFileSync(process.execPath, [join(ROOT, 'scripts', 'build.mjs')], { stdio: 'inherit' });
});

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ringfence up '));
  running = [];
});

afterEach(async () => {
  for (const up of running) await up.stop('SIGTERM');
  rmSync(dir, { recursive: true, force: true });
});

/** One `ringfence up`, and what it printed so far. */
class Up {
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;
  #output = '';

  constructor(...flags: string[]) {
    const args = [DRIVER, '--dir', dir, ...PORT_FLAGS, '--nodes', '2', ...flags];
    this.#child = spawn(process.execPath, args, { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });
    const keep = (chunk: Buffer): void => {
      this.#output += chunk.toString();
      this.#child.emit('printed');
    };
    this.#child.stdout?.on('data', keep);
    this.#child.stderr?.on('data', keep);
    this.#exit = once(this.#child, 'close');
    running.push(this);
  }

  get output(): string {
    return this.#output;
  }

  /** Resolves when the output matches; rejects when the program ends before it does. */
  async printed(text: RegExp): Promise<void> {
    while (!text.test(this.#output)) {
      const over = await Promise.race([
        once(this.#child, 'printed').then(() => false),
        this.#exit.then(() => true),
      ]);
      if (over && !text.test(this.#output))
        throw new Error(`ended without ${text}:\n${this.#output}`);
    }
  }

  async stop(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal);
    return this.exitCode();
  }

  async exitCode(): Promise<number | null> {
    await this.#exit;
    return this.#child.exitCode;
  }
}

function pidOf(name: string): number {
  return Number(readFileSync(join(dir, `${name}.pid`), 'utf8'));
}

function allPids(): number[] {
  return readdirSync(dir)
    .filter((name) => name.endsWith('.pid') && name !== 'up.pid')
    .map((name) => pidOf(name.slice(0, -'.pid'.length)));
}

/** Gone, or dead and only waiting to be collected. */
function isGone(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/status`)) return true;
  return /^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

async function query(sql: string): Promise<unknown[]> {
  const client = new pg.Client(`postgres://admin@127.0.0.1:${POSTGRES_PORT}/cache_db`);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

test('everything runs when it says ready, nothing after SIGTERM, and the data is kept', async () => {
  const first = new Up();
  await first.printed(/^ready/m);
  const pids = allPids();
  expect(pids).toHaveLength(4);
  expect(pids.filter(isGone)).toEqual([]);
  const settings =
    "SELECT current_setting('fsync') AS f, current_setting('synchronous_commit') AS s";
  expect(await query(settings)).toEqual([{ f: 'on', s: 'on' }]);
  const legacy = await fetch(`http://127.0.0.1:${BASE + 31}/legacy/data/user:1`);
  expect(legacy.status).toBe(200);
  await query('CREATE TABLE kept AS SELECT 1 AS a');

  expect(await first.stop('SIGTERM')).toBe(0);
  expect(pids.filter((pid) => !isGone(pid))).toEqual([]);
  expect(allPids()).toEqual([]);

  const second = new Up();
  await second.printed(/^ready/m);
  expect(await query('SELECT a FROM kept')).toEqual([{ a: 1 }]);
  expect(await second.stop('SIGINT')).toBe(0);

  const fresh = new Up('--fresh');
  await fresh.printed(/^ready/m);
  expect(await query("SELECT to_regclass('kept') AS t")).toEqual([{ t: null }]);
});

test('a node, the legacy API and PostgreSQL come back after kill -9', async () => {
  const up = new Up();
  await up.printed(/^ready/m);
  for (const name of ['node-1', 'legacy', 'postgres']) {
    const before = pidOf(name);
    process.kill(before, 'SIGKILL');
    await up.printed(new RegExp(`^${name} started again`, 'm'));
    expect(pidOf(name)).not.toBe(before);
  }
});

test('with --no-restart what dies stays down', async () => {
  const up = new Up('--no-restart', '--legacy', 'none');
  await up.printed(/^ready/m);
  process.kill(pidOf('node-2'), 'SIGKILL');
  await up.printed(/^node-2 .*left down/m);
  expect(existsSync(join(dir, 'node-2.pid'))).toBe(false);
});

test('after kill -9 of the program, its children end, and the next one takes PostgreSQL over', async () => {
  const first = new Up();
  await first.printed(/^ready/m);
  await query('CREATE TABLE kept AS SELECT 1 AS a');
  const left = pidOf('postgres');
  await first.stop('SIGKILL');

  const second = new Up();
  await second.printed(/^ready/m);
  expect(second.output).toContain(`left running here (pid ${left})`);
  expect(isGone(left)).toBe(true);
  expect(await query('SELECT a FROM kept')).toEqual([{ a: 1 }]);
});

test('a taken port is named together with the flag that changes it, and nothing is left', async () => {
  const taken = createServer().listen(POSTGRES_PORT, '127.0.0.1');
  await once(taken, 'listening');
  try {
    const up = new Up();
    expect(await up.exitCode()).toBe(1);
    expect(up.output).toContain(`port ${POSTGRES_PORT} is taken; use another with --postgres-port`);
    expect(allPids()).toEqual([]);
  } finally {
    taken.close();
  }
});

test('a node that cannot start ends the program, with the end of its log', async () => {
  const up = new Up('--zone', 'exit', '--legacy', 'none');
  expect(await up.exitCode()).toBe(1);
  expect(up.output).toContain('does not start');
  expect(up.output).toContain('this node was told to fail');
  expect(allPids()).toEqual([]);
});

test('a second one in the same folder is refused, and the first goes on', async () => {
  const first = new Up('--legacy', 'none');
  await first.printed(/^ready/m);
  const second = new Up('--legacy', 'none');
  expect(await second.exitCode()).toBe(1);
  expect(second.output).toContain('a cluster is already running from');
  expect(allPids().filter(isGone)).toEqual([]);
});
