/** Starts and drives the hand-written write-through (write-through-process.ts). */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { PlainError } from '../../src/cli/program.ts';
import { type Contender, KEY_SPACE, type Load, type Measured } from './load.ts';
import type { ProcessGroup } from './processor-time.ts';

export interface RoundRequest {
  readonly operations: number;
  /** Writes under way at any time. */
  readonly outstanding: number;
  readonly prefix: string;
}

export type RoundAnswer = Omit<Measured, 'operations'>;

const DATABASE = 'bench_write_through';
const PROGRAM = fileURLToPath(new URL('./write-through-process.ts', import.meta.url));

/**
 * `storeUrl`: the database server of the cluster, in which it gets a database of its own, so that both
 * sides have the same server with the same settings. `postgres`: that server's processes.
 */
export async function startWriteThrough({
  storeUrl,
  postgres,
  redis,
  redisPort,
}: {
  storeUrl: string;
  postgres: ProcessGroup;
  redis: Contender;
  redisPort: number;
}): Promise<Contender> {
  const url = await makeDatabase(storeUrl);
  const child = spawn(process.execPath, [...process.execArgv, PROGRAM, url, String(redisPort)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    detached: true,
  });
  const killNow = (): void => void child.kill('SIGKILL');
  process.once('exit', killNow);
  await nextMessage(child);
  const run = async (load: Load, operations: number): Promise<Measured> => {
    const { connections, pipeline, command, prefix } = load;
    if (command !== 'set') throw new Error('the hand-written write-through only writes');
    const request: RoundRequest = { operations, outstanding: connections * pipeline, prefix };
    const answer = nextMessage(child);
    child.send(request);
    return { operations, ...((await answer) as RoundAnswer) };
  };
  return {
    id: 'write-through',
    label: 'hand-written: pg pool of 20, then ioredis',
    processes: () => [
      { name: 'application', pid: child.pid ?? 0, withChildren: false },
      postgres,
      ...redis.processes(),
    ],
    fill: async (prefix) => {
      // At random, so not quite every key; it reads none.
      await run({ command: 'set', prefix, connections: 50, pipeline: 1 }, KEY_SPACE);
    },
    run,
    stop: async () => {
      process.removeListener('exit', killNow);
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

async function makeDatabase(storeUrl: string): Promise<string> {
  const client = new pg.Client({ connectionString: storeUrl });
  await client.connect();
  try {
    await client.query(`DROP DATABASE IF EXISTS ${DATABASE}`);
    await client.query(`CREATE DATABASE ${DATABASE}`);
  } finally {
    await client.end();
  }
  const url = new URL(storeUrl);
  url.pathname = `/${DATABASE}`;
  return url.href;
}

/** The next message of the child; rejects when it ends instead. */
function nextMessage(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = (): void =>
      reject(new PlainError('the hand-written write-through ended; its error is above'));
    child.once('exit', onExit);
    child.once('message', (message) => {
      child.removeListener('exit', onExit);
      resolve(message);
    });
  });
}
