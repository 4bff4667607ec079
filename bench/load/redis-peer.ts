/** A redis-server to compare with, in a folder of the run, stopped with it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PlainError } from '../../src/cli/program.ts';
import { fill } from './fill.ts';
import type { Contender } from './load.ts';
import { redisBenchmark } from './redis-benchmark.ts';

const START_WITHIN_MS = 10_000;

/** Which writes survive a crash of the machine: none, or each one before its reply. */
export type RedisDurability = 'none' | 'always';

/** Starts a redis-server without snapshots on 127.0.0.1. Rejects when it does not come up. */
export async function startRedis({
  id,
  dir,
  port,
  durability,
}: {
  id: string;
  dir: string;
  port: number;
  durability: RedisDurability;
}): Promise<Contender> {
  const home = join(dir, id);
  mkdirSync(home, { recursive: true });
  const journal = durability === 'always' ? ['--appendonly', 'yes', '--appendfsync', 'always'] : [];
  const child = spawn(
    'redis-server',
    [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', home, '--save', ''],
      // Rewriting the journal in the middle of a round would measure something else.
      ...['--auto-aof-rewrite-percentage', '0', ...journal],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], detached: true },
  );
  const killNow = (): void => void child.kill('SIGKILL');
  process.once('exit', killNow);
  await untilReady(child.stdout, once(child, 'exit'), port);
  return {
    id,
    label: durability === 'always' ? 'redis-server, appendfsync always' : 'redis-server',
    processes: () => [{ name: 'redis', pid: child.pid ?? 0, withChildren: false }],
    fill: (prefix) => fill(port, prefix),
    run: (load, operations) => redisBenchmark(port, load, operations),
    stop: async () => {
      process.removeListener('exit', killNow);
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

async function untilReady(
  output: NodeJS.ReadableStream,
  exited: Promise<unknown>,
  port: number,
): Promise<void> {
  let log = '';
  const failed = (why: string): PlainError =>
    new PlainError(`redis-server on port ${port} ${why}:\n${log}`);
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([
    new Promise<void>((resolve) => {
      output.on('data', (chunk: Buffer) => {
        log = (log + chunk.toString('latin1')).slice(-4000);
        if (log.includes('Ready to accept connections')) resolve();
      });
    }),
    exited.then(() => {
      throw failed('did not start');
    }),
    new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(failed(`is not ready after ${START_WITHIN_MS} ms`)),
        START_WITHIN_MS,
      );
    }),
  ]).finally(() => clearTimeout(timer));
}
