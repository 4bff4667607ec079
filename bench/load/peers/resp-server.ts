/** A server process of the bench that is ready when it prints so, and is killed at the end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { PlainError } from '../../../src/cli/program.ts';
import { atExit } from '../at-exit.ts';

const START_WITHIN_MS = 10_000;

export interface ServerProcess {
  readonly pid: number;
  readonly stop: () => Promise<void>;
}

/** Rejects when `ready` is not printed within ten seconds, with what was printed instead. */
export async function startServer(
  command: string,
  args: readonly string[],
  { name, ready }: { name: string; ready: string },
): Promise<ServerProcess> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const forget = atExit(() => void child.kill('SIGKILL'));
  await untilPrinted(child.stdout, once(child, 'exit'), { name, ready });
  return {
    pid: child.pid ?? 0,
    stop: async () => {
      forget();
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

async function untilPrinted(
  output: NodeJS.ReadableStream,
  exited: Promise<unknown>,
  { name, ready }: { name: string; ready: string },
): Promise<void> {
  let log = '';
  const failed = (why: string): PlainError => new PlainError(`${name} ${why}:\n${log}`);
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([
    new Promise<void>((resolve) => {
      output.on('data', (chunk: Buffer) => {
        log = (log + chunk.toString('latin1')).slice(-4000);
        if (log.includes(ready)) resolve();
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
