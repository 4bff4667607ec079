/**
 * A throw-away redis-server, where one is installed: the reference that conformance compares with.
 * Nothing is persisted; the folder is removed and the process ended by `stop`, or when the test
 * process exits.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

export interface RedisServer {
  readonly host: string;
  readonly port: number;
  /** Ends the process and removes its folder. */
  stop(): Promise<void>;
}

const READY = 'Ready to accept connections';
const START_TIMEOUT_MS = 10_000;
/** Another process may take the port between our look and the server's bind. */
const START_TRIES = 5;

/** Full path of a program on PATH, or null. */
export function findTool(name: string): string | null {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    if (folder === '') continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      continue; // not in this folder
    }
  }
  return null;
}

/**
 * Like `findTool`, for tests that need the program: where RINGFENCE_REQUIRE_TOOLS=1 says that
 * everything must run, a missing one is an error. (`npm test` lists above its summary what did not run.)
 */
export function toolOrNull(name: string): string | null {
  const path = findTool(name);
  if (path === null && process.env['RINGFENCE_REQUIRE_TOOLS'] === '1') {
    throw new Error(
      `${name} is not installed, and RINGFENCE_REQUIRE_TOOLS=1 (npm test says how to get it)`,
    );
  }
  return path;
}

/** Full path of redis-server, or null where it is not installed. */
export function findRedisServer(): string | null {
  return findTool('redis-server');
}

/** A TCP port of the loopback interface that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/**
 * Starts a redis-server on a free port of the loopback interface.
 * @param options.args more arguments, such as `['--appendonly', 'yes']`
 * @throws when it is not installed, or did not start
 */
export async function startRedisServer(
  options: { readonly args?: readonly string[]; readonly port?: number } = {},
): Promise<RedisServer> {
  const program = findRedisServer();
  if (program === null)
    throw new Error('redis-server is not installed (Debian: apt-get install redis-server)');
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    try {
      return await launch(program, port, options.args ?? []);
    } catch (error) {
      if (attempt >= START_TRIES || options.port !== undefined) throw error;
    }
  }
}

async function launch(
  program: string,
  port: number,
  args: readonly string[],
): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'ringfence-redis-'));
  const child = spawn(
    program,
    [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      folder,
      '--save',
      '',
      '--appendonly',
      'no',
      ...args,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const killNow = (): void => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', killNow);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    process.removeListener('exit', killNow);
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await ready(child);
  } catch (error) {
    await stop();
    throw error;
  }
  return { host: '127.0.0.1', port, stop };
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = '';
    const timer = setTimeout(
      () => reject(new Error(`redis-server did not start in ${START_TIMEOUT_MS} ms:\n${log}`)),
      START_TIMEOUT_MS,
    );
    const done = (finish: () => void): void => {
      clearTimeout(timer);
      finish();
    };
    const onOutput = (chunk: Buffer): void => {
      log = (log + chunk.toString('latin1')).slice(-4000);
      if (log.includes(READY)) done(resolve);
    };
    child.stdout?.on('data', onOutput);
    child.stderr?.on('data', onOutput);
    child.once('exit', (code) =>
      done(() => reject(new Error(`redis-server ended with ${code}:\n${log}`))),
    );
  });
}
