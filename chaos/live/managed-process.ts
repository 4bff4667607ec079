/** One process of a cluster under test: started, signalled, waited for, and its log kept in a file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';

const STOP_WITHIN_MS = 30_000;
const LOG_LINES_SHOWN = 30;

export interface ProcessPlan {
  readonly name: string;
  readonly logFile: string;
  /** The signal that asks it to end in order. */
  readonly stopSignal: NodeJS.Signals;
  /** Starts it with its output on the file descriptor `log`. */
  spawn(log: number): ChildProcess;
}

export class ManagedProcess {
  readonly name: string;
  readonly #plan: ProcessPlan;
  #child: ChildProcess | undefined;
  /** True from the moment at which we ended it: any other end is its own. */
  #ours = false;
  #deaths: string[] = [];

  constructor(plan: ProcessPlan) {
    this.name = plan.name;
    this.#plan = plan;
  }

  get pid(): number | undefined {
    return this.#running()?.pid;
  }

  /** Ends that nobody asked for, since the last time this was asked. */
  takeDeaths(): string[] {
    const found = this.#deaths;
    this.#deaths = [];
    return found;
  }

  /** Does nothing while it is running. */
  start(): void {
    if (this.#running() !== undefined) return;
    const log = openSync(this.#plan.logFile, 'a');
    try {
      this.#child = this.#plan.spawn(log);
    } finally {
      closeSync(log);
    }
    this.#ours = false;
    const child = this.#child;
    child.once('error', (error) => this.#deaths.push(`${this.name}: ${error.message}`));
    child.once('exit', (code, signal) => {
      if (this.#ours || this.#child !== child) return;
      this.#deaths.push(`${this.name} ended by itself: ${signal ?? `exit code ${code}`}`);
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#running()?.kill(signal);
  }

  /** Asks it to end in order, and kills it when it does not. Resolves when it is gone. */
  stop(): Promise<void> {
    return this.#end(this.#plan.stopSignal);
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  /** The last lines that it wrote. */
  logEnd(): string {
    if (!existsSync(this.#plan.logFile)) return '';
    const lines = readFileSync(this.#plan.logFile, 'utf8').trimEnd().split('\n');
    return lines.slice(-LOG_LINES_SHOWN).join('\n');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#running();
    if (child === undefined) return;
    this.#ours = true;
    const over = once(child, 'exit');
    child.kill(signal);
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
    await over;
    clearTimeout(force);
  }

  #running(): ChildProcess | undefined {
    const child = this.#child;
    const alive = child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
    return alive ? child : undefined;
  }
}

/** A command of its own session, so that Ctrl+C reaches only the one who ends it in order. */
export function spawnDetached(
  [command = '', ...args]: readonly string[],
  { log, env, channel }: { log: number; env?: NodeJS.ProcessEnv; channel: boolean },
): ChildProcess {
  return spawn(command, args, {
    cwd: '/',
    env: env ?? process.env,
    detached: true,
    stdio: channel ? ['ignore', log, log, 'ipc'] : ['ignore', log, log],
  });
}
