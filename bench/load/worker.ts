/** A child process that is asked and answers: programs of the bench whose processor time counts apart. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { PlainError } from '../../src/cli/program.ts';
import { atExit } from './at-exit.ts';

export interface Worker<Request, Answer> {
  readonly pid: number;
  /** One question at a time. Rejects when the process ends instead; its error is on standard error. */
  ask(request: Request): Promise<Answer>;
  stop(): Promise<void>;
}

/**
 * Runs a TypeScript file as this program itself is run. It must send a message when it is ready, and then
 * one for each that it gets.
 */
export async function startWorker<Request extends object, Answer>(
  program: URL,
  { name, args = [] }: { name: string; args?: readonly string[] },
): Promise<Worker<Request, Answer>> {
  const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(program), ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    detached: true,
  });
  const forget = atExit(() => void child.kill('SIGKILL'));
  await nextMessage(child, name);
  return {
    pid: child.pid ?? 0,
    async ask(request) {
      const answer = nextMessage(child, name);
      child.send(request);
      return (await answer) as Answer;
    },
    stop: async () => {
      forget();
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

function nextMessage(child: ChildProcess, name: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = (): void => reject(new PlainError(`${name} ended; its error is above`));
    child.once('exit', onExit);
    child.once('message', (message) => {
      child.removeListener('exit', onExit);
      resolve(message);
    });
  });
}
