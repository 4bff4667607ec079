/**
 * `ringfence up` with a real PostgreSQL and a real legacy API, and stand-ins for the nodes: what is
 * tested is how processes are started, watched and ended.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { askUp } from '../../../src/cli/local/requests.ts';
import { freePortBlock } from '../../support/cluster.ts';
import { Up } from '../../support/up.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const DRIVER = join(ROOT, 'test', 'support', 'up-with-fake-nodes.mjs');
/** For each flag its place in a block of free ports; nodes take the one after, too. */
const PLACES = { port: 0, 'http-port': 2, 'link-port': 4, 'postgres-port': 6, 'legacy-port': 7 };

let portFlags: string[] = [];
let postgresPort = 0;
let legacyPort = 0;
let dir = '';
let running: Up[] = [];

beforeAll(async () => {
  execFileSync(process.execPath, [join(ROOT, 'scripts', 'build.mjs')], { stdio: 'inherit' });
  const base = await freePortBlock(8);
  portFlags = Object.entries(PLACES).flatMap(([name, at]) => [`--${name}`, String(base + at)]);
  postgresPort = base + PLACES['postgres-port'];
  legacyPort = base + PLACES['legacy-port'];
});

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ringfence up '));
  // For root, PostgreSQL runs as another user; where that one may not enter, the data would be kept elsewhere.
  chmodSync(dir, 0o755);
  running = [];
});

afterEach(async () => {
  for (const up of running) await up.stop('SIGTERM');
  rmSync(dir, { recursive: true, force: true });
});

function startUp(...flags: string[]): Up {
  return startAgain('--nodes', '2', ...flags);
}

/** Without a number of nodes, unless one is among the flags. */
function startAgain(...flags: string[]): Up {
  const up = new Up(DRIVER, ['--dir', dir, ...portFlags, ...flags], dir);
  running.push(up);
  return up;
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
  const client = new pg.Client(`postgres://admin@127.0.0.1:${postgresPort}/cache_db`);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

test('everything runs when it says ready, nothing after SIGTERM, and the data is kept', async () => {
  const first = startUp();
  await first.printed(/^ready/m);
  const pids = allPids();
  expect(pids).toHaveLength(4);
  expect(pids.filter(isGone)).toEqual([]);
  const settings =
    "SELECT current_setting('fsync') AS f, current_setting('synchronous_commit') AS s";
  expect(await query(settings)).toEqual([{ f: 'on', s: 'on' }]);
  const legacy = await fetch(`http://127.0.0.1:${legacyPort}/legacy/data/user:1`);
  expect(legacy.status).toBe(200);
  await query('CREATE TABLE kept AS SELECT 1 AS a');

  expect(await first.stop('SIGTERM')).toBe(0);
  expect(pids.filter((pid) => !isGone(pid))).toEqual([]);
  expect(allPids()).toEqual([]);

  const second = startUp();
  await second.printed(/^ready/m);
  expect(await query('SELECT a FROM kept')).toEqual([{ a: 1 }]);
  expect(await second.stop('SIGINT')).toBe(0);

  const fresh = startUp('--fresh');
  await fresh.printed(/^ready/m);
  expect(await query("SELECT to_regclass('kept') AS t")).toEqual([{ t: null }]);
});

test('a node, the legacy API and PostgreSQL come back after kill -9', async () => {
  const up = startUp();
  await up.printed(/^ready/m);
  for (const name of ['node-1', 'legacy', 'postgres']) {
    const before = pidOf(name);
    process.kill(before, 'SIGKILL');
    await up.printed(new RegExp(`^${name} started again`, 'm'));
    expect(pidOf(name)).not.toBe(before);
  }
});

test('with --no-restart what dies stays down', async () => {
  const up = startUp('--no-restart', '--legacy', 'none');
  await up.printed(/^ready/m);
  process.kill(pidOf('node-2'), 'SIGKILL');
  await up.printed(/^node-2 .*left down/m);
  expect(existsSync(join(dir, 'node-2.pid'))).toBe(false);
});

test('after kill -9 of the program, its children end, and the next one takes PostgreSQL over', async () => {
  const first = startUp();
  await first.printed(/^ready/m);
  await query('CREATE TABLE kept AS SELECT 1 AS a');
  const left = pidOf('postgres');
  await first.stop('SIGKILL');

  const second = startUp();
  await second.printed(/^ready/m);
  expect(second.output).toContain(`left running here (pid ${left})`);
  expect(isGone(left)).toBe(true);
  expect(await query('SELECT a FROM kept')).toEqual([{ a: 1 }]);
});

test('a taken port is named together with the flag that changes it, and nothing is left', async () => {
  const taken = createServer().listen(postgresPort, '127.0.0.1');
  await once(taken, 'listening');
  try {
    const up = startUp();
    expect(await up.exitCode()).toBe(1);
    expect(up.output).toContain(`port ${postgresPort} is taken; use another with --postgres-port`);
    expect(allPids()).toEqual([]);
  } finally {
    taken.close();
  }
});

test('a node that cannot start ends the program, with the end of its log', async () => {
  const up = startUp('--zone', 'exit', '--legacy', 'none');
  expect(await up.exitCode()).toBe(1);
  expect(up.output).toContain('does not start');
  expect(up.output).toContain('this node was told to fail');
  expect(allPids()).toEqual([]);
});

test('a second one in the same folder is refused, and the first goes on', async () => {
  const first = startUp('--legacy', 'none');
  await first.printed(/^ready/m);
  const second = startUp('--legacy', 'none');
  expect(await second.exitCode()).toBe(1);
  expect(second.output).toContain('a cluster is already running from');
  expect(allPids().filter(isGone)).toEqual([]);
});

test('a running up starts and stops nodes when it is asked through its folder, and remembers which', async () => {
  const up = startUp('--nodes', '1', '--legacy', 'none');
  await up.printed(/^ready/m);
  expect(await askUp(dir, { kind: 'add' })).toMatchObject({ name: 'node-2' });
  // The ports behind those of two nodes are in use here.
  await expect(askUp(dir, { kind: 'add' })).rejects.toThrow(/port \d+ is taken, node-3 needs it/);
  const port = Number(portFlags[1]) + 1;
  // Another cluster's node of the same name.
  expect(await askUp(dir, { kind: 'remove', node: 'node-2', port: port + 1 })).toBeUndefined();
  const pid = pidOf('node-2');
  expect(isGone(pid)).toBe(false);
  expect(await askUp(dir, { kind: 'remove', node: 'node-2', port })).toMatchObject({ port });
  expect(isGone(pid)).toBe(true);
  expect(existsSync(join(dir, 'node-2.pid'))).toBe(false);
  expect(await askUp(dir, { kind: 'add' })).toMatchObject({ name: 'node-2', port });
  expect(isGone(pidOf('node-2'))).toBe(false);
  writeFileSync(join(dir, 'up.request.json'), 'nonsense');
  expect(await askUp(dir, { kind: 'remove', node: 'node-2', port })).toMatchObject({ port });
  expect(existsSync(join(dir, 'node-2.pid'))).toBe(false);
  expect(await askUp(dir, { kind: 'add' })).toMatchObject({ name: 'node-2', port });
  expect(await askUp(dir, { kind: 'remove', node: 'node-1', port: port - 1 })).toMatchObject({
    name: 'node-1',
  });
  expect(await up.stop('SIGTERM')).toBe(0);
  await expect(askUp(dir, { kind: 'add' })).rejects.toThrow(/no local cluster runs/);

  const again = startAgain('--legacy', 'none');
  await again.printed(/^ready/m);
  expect(again.output).toContain('starting node-2, as the cluster was left');
  expect(again.output).toContain(`redis-cli -p ${port} SET`);
  expect(existsSync(join(dir, 'node-1.pid'))).toBe(false);
  expect(isGone(pidOf('node-2'))).toBe(false);
  expect(await again.stop('SIGTERM')).toBe(0);

  const asked = startAgain('--legacy', 'none', '--nodes', '1');
  await asked.printed(/^ready/m);
  expect(existsSync(join(dir, 'node-2.pid'))).toBe(false);
});
