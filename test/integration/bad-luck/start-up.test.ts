/** Nodes that cannot start, or must wait: each says why in words that tell what to do. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { freePorts } from '../../support/cluster.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { RespClient } from '../../support/resp-client.ts';
import { eventually } from '../cluster/wait.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');

let server: TestPostgres;
let base: string;
let ports: { readonly port: number; readonly http: number; readonly link: number };
let otherPorts: typeof ports;
const running = new Set<NodeRun>();

beforeAll(async () => {
  execFileSync(process.execPath, [join(ROOT, 'scripts', 'build.mjs')], { stdio: 'inherit' });
  server = await startPostgres();
  base = server.url.replace(/postgres$/, '');
  const free = await freePorts(6);
  ports = { port: free[0]!, http: free[1]!, link: free[2]! };
  otherPorts = { port: free[3]!, http: free[4]!, link: free[5]! };
});

afterEach(async () => {
  for (const run of running) await run.stop('SIGKILL');
});

afterAll(async () => {
  await server?.stop();
});

interface NodeRun {
  readonly output: () => string;
  readonly exitCode: Promise<number | null>;
  stop(signal: NodeJS.Signals): Promise<void>;
}

function startNode(store: string, flags: Record<string, string> = {}): NodeRun {
  const all = {
    'node-id': 'lone',
    port: String(ports.port),
    'http-port': String(ports.http),
    'link-port': String(ports.link),
    store,
    ...flags,
  };
  const args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
  const child: ChildProcess = spawn(
    process.execPath,
    [join(ROOT, 'dist', 'cli', 'main.js'), 'node', ...args],
    {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    },
  );
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => void (output += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => void (output += chunk.toString()));
  const exitCode = once(child, 'close').then(([code]) => code as number | null);
  const run: NodeRun = {
    output: () => output,
    exitCode,
    async stop(signal) {
      child.kill(signal);
      await exitCode;
    },
  };
  running.add(run);
  void exitCode.then(() => running.delete(run));
  return run;
}

const url = (user: string, database: string): string =>
  `${base.replace('postgres@', `${user}@`)}${database}`;

async function readiness(httpPort = ports.http): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${httpPort}/readyz`);
  return { status: response.status, text: await response.text() };
}

describe('a database that cannot be used ends the start with exit code 1', () => {
  test('another encoding', async () => {
    await server.sql(server.url, `CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0`);
    const run = startNode(url('postgres', 'ascii'));
    expect(await run.exitCode).toBe(1);
    expect(run.output()).toContain(
      'the database has the encoding SQL_ASCII: one with the encoding UTF8 is needed',
    );
  });

  test('a user the server does not know', async () => {
    const run = startNode(url('nobody', 'postgres'));
    expect(await run.exitCode).toBe(1);
    expect(run.output()).toContain('role "nobody" does not exist');
  });

  test('a missing database and a user who may not create it', async () => {
    await server.sql(server.url, 'CREATE ROLE reader LOGIN');
    const run = startNode(url('reader', 'missing'));
    expect(await run.exitCode).toBe(1);
    expect(run.output()).toContain(
      'this user may not create databases. Create it with: CREATE DATABASE',
    );
  });

  test('a user who may not create the schema', async () => {
    await server.sql(server.url, 'CREATE ROLE guest LOGIN');
    const run = startNode(url('guest', 'postgres'));
    expect(await run.exitCode).toBe(1);
    expect(run.output()).toContain('cannot set up the schema: permission denied');
  });

  test('a schema newer than this program', async () => {
    const store = await server.freshDatabase();
    const first = startNode(store);
    await eventually(async () => expect((await readiness()).status).toBe(200));
    await first.stop('SIGTERM');
    await server.sql(
      store,
      `UPDATE ringfence.meta SET value = '9999' WHERE name = 'schema_version'`,
    );
    const second = startNode(store);
    expect(await second.exitCode).toBe(1);
    expect(second.output()).toMatch(
      /the schema has version 9999, this program knows up to \d+: use a newer one/,
    );
  });

  test('a server that is too old', async () => {
    // What the check reads is a setting of the session's own schema here; the server itself is new.
    const store = await server.freshDatabase();
    await server.sql(
      store,
      `CREATE SCHEMA old;
       CREATE FUNCTION old.current_setting(text) RETURNS text LANGUAGE sql AS
         $$ SELECT CASE $1 WHEN 'server_version_num' THEN '120004' WHEN 'server_version' THEN '12.4'
            ELSE pg_catalog.current_setting($1) END $$;
       ALTER DATABASE ${store.slice(store.lastIndexOf('/') + 1)} SET search_path = old, pg_catalog, public`,
    );
    const run = startNode(store);
    expect(await run.exitCode).toBe(1);
    expect(run.output()).toContain('PostgreSQL 12.4 is too old: 13 or newer is needed');
  });
});

describe('a database that may come is waited for', () => {
  test('nobody listens: the node says so, refuses commands, and stops when told', async () => {
    const run = startNode('postgres://postgres@127.0.0.1:57390/cache');
    await eventually(async () => {
      const { status, text } = await readiness();
      expect(status).toBe(503);
      expect(text).toContain(
        'waiting for the database: cannot connect to the database: connect ECONNREFUSED',
      );
    });
    const client = await RespClient.connect({ host: '127.0.0.1', port: ports.port });
    expect(String(await client.plain('GET', 'a'))).toContain('LOADING');
    expect(await client.plain('PING')).toBe('PONG');
    await client.close();
    await run.stop('SIGTERM');
    expect(await run.exitCode).toBe(0);
  });

  test('no such host', async () => {
    const run = startNode('postgres://postgres@no-such-host.invalid:5432/cache');
    await eventually(async () => expect((await readiness()).text).toMatch(/ENOTFOUND|EAI_AGAIN/));
    await run.stop('SIGTERM');
    expect(await run.exitCode).toBe(0);
  });

  test('a missing database is created', async () => {
    startNode(url('postgres', 'Made "here"'.replaceAll('"', '%22').replaceAll(' ', '%20')));
    await eventually(async () => expect((await readiness()).status).toBe(200));
    const names = await server.sql(
      server.url,
      `SELECT FROM pg_database WHERE datname = 'Made "here"'`,
    );
    expect(names).toHaveLength(1);
  });
});

describe('wrong usage', () => {
  test('a URL that is none ends with exit code 2 and names the option', async () => {
    const run = startNode('mysql://somewhere');
    expect(await run.exitCode).toBe(2);
    expect(run.output()).toContain('--store is wrong');
    expect(run.output()).toContain('postgres://user:password@host:5432/database');
  });

  test('no URL at all', async () => {
    const run = startNode('');
    expect(await run.exitCode).not.toBe(0);
    expect(run.output()).toContain('set --store or RINGFENCE_STORE to a PostgreSQL URL');
  });
});

describe('a port that is taken', () => {
  let taken: Server;

  afterEach(async () => {
    taken.close();
    await once(taken, 'close');
  });

  test.each([
    ['clients', 'port'],
    ['HTTP', 'http'],
    ['links', 'link'],
  ] as const)('of %s: exit code 1, and the message names it', async (_, which) => {
    const port = ports[which];
    taken = createServer().listen(port, '127.0.0.1');
    await once(taken, 'listening');
    const run = startNode(await server.freshDatabase());
    expect(await run.exitCode).toBe(1);
    expect(run.output()).toContain(String(port));
    expect(run.output()).toMatch(/in use|taken/);
  });
});

test('a second node with the id of a running one never serves beside it, and takes over when it dies', async () => {
  const store = await server.freshDatabase();
  const first = startNode(store);
  await eventually(async () => expect((await readiness()).status).toBe(200));
  const client = await RespClient.connect({ host: '127.0.0.1', port: ports.port });
  expect(await client.plain('SET', 'a', '1')).toBe('OK');
  const second = startNode(store, {
    port: String(otherPorts.port),
    'http-port': String(otherPorts.http),
    'link-port': String(otherPorts.link),
  });
  await eventually(async () => {
    const { status, text } = await readiness(otherPorts.http);
    expect(status).toBe(503);
    expect(text).toMatch(/joining|another|same/);
  });
  const other = await RespClient.connect({ host: '127.0.0.1', port: otherPorts.port });
  const refused = other.plain('SET', 'a', 'x');
  for (let i = 2; i < 200; i++) {
    expect(await client.plain('SET', 'a', String(i))).toBe('OK');
    expect(await client.plain('GET', 'a')).toBe(String(i));
  }
  expect(String(await refused)).toMatch(/(LOADING|NOTDONE) /);
  expect(await client.plain('GET', 'a')).toBe('199');
  expect((await readiness()).status).toBe(200);
  await first.stop('SIGKILL');
  await eventually(async () => expect(await other.plain('GET', 'a')).toBe('199'));
  await client.close();
  await other.close();
  await second.stop('SIGTERM');
});
