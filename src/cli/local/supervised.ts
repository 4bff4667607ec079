/**
 * One child process that is kept running: started, watched, started again when it dies, left down
 * when it dies over and over, and stopped with a signal first and with force after a while.
 */
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, renameSync, statSync } from 'node:fs';
import { removePidFile, writePidFile } from './process-files.ts';

export interface ProcessSpec {
  /** `node-1`: in messages and file names. */
  readonly name: string;
  readonly pidFile: string;
  readonly logFile: string;
  /** Asks the process to stop in order. */
  readonly stopSignal: NodeJS.Signals;
  /** After this long it is killed. */
  readonly stopWithinMs: number;
  /** Starts it with standard output and error on the file descriptor `log`. */
  spawn(log: number): ChildProcess;
}

export interface RestartPolicy {
  /** False: what dies stays down. */
  readonly enabled: boolean;
  /** Wait before the next start after 1, 2, 3 … early deaths in a row; one more and it stays down. */
  readonly delaysMs: readonly number[];
  /** A process that lived longer than this did not die early. */
  readonly earlyMs: number;
}

export const RESTART: RestartPolicy = {
  enabled: true,
  delaysMs: [2000, 2000, 4000, 8000, 16_000],
  earlyMs: 10_000,
};

const LOG_BYTES_MAX = 20 * 1024 * 1024;

type State = 'stopped' | 'running' | 'waiting' | 'given up';

export class Supervised {
  readonly name: string;
  readonly logFile: string;
  readonly #spec: ProcessSpec;
  readonly #policy: RestartPolicy;
  readonly #say: (line: string) => void;
  #state: State = 'stopped';
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #restartTimer: NodeJS.Timeout | undefined;
  #startedAtMs = 0;
  #earlyDeaths = 0;

  constructor(spec: ProcessSpec, policy: RestartPolicy, say: (line: string) => void) {
    this.name = spec.name;
    this.logFile = spec.logFile;
    this.#spec = spec;
    this.#policy = policy;
    this.#say = say;
  }

  get state(): State {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    rotate(this.#spec.logFile);
    const log = openSync(this.#spec.logFile, 'a');
    let child: ChildProcess;
    try {
      child = this.#spec.spawn(log);
    } finally {
      closeSync(log);
    }
    this.#child = child;
    this.#state = 'running';
    this.#startedAtMs = Date.now();
    if (child.pid !== undefined) writePidFile(this.#spec.pidFile, child.pid);
    this.#exited = new Promise((resolve) => {
      const over = (how: string): void => {
        if (this.#child !== child) return;
        this.#child = undefined;
        removePidFile(this.#spec.pidFile);
        if (this.#state === 'running') this.#onDeath(child.pid, how);
        resolve();
      };
      child.once('error', (error) => over(error.message));
      child.once('exit', (code, signal) => over(signal ?? `exit code ${code}`));
    });
  }

  #onDeath(pid: number | undefined, how: string): void {
    const who = `${this.name}${pid === undefined ? '' : ` (pid ${pid})`} died (${how})`;
    if (!this.#policy.enabled) {
      this.#state = 'given up';
      this.#say(`${who}; left down, because of --no-restart`);
      return;
    }
    const early = Date.now() - this.#startedAtMs < this.#policy.earlyMs;
    this.#earlyDeaths = early ? this.#earlyDeaths + 1 : 0;
    const delayMs = this.#policy.delaysMs[Math.max(0, this.#earlyDeaths - 1)];
    if (delayMs === undefined) {
      this.#state = 'given up';
      this.#say(`${who}, ${this.#earlyDeaths} times in a row; left down. Its log: ${this.logFile}`);
      return;
    }
    this.#state = 'waiting';
    this.#say(`${who}; starting it again in ${delayMs / 1000} s`);
    this.#restartTimer = setTimeout(() => {
      this.start();
      this.#say(`${this.name} started again (pid ${this.pid ?? 'none'})`);
    }, delayMs);
  }

  /** Asks it to stop, and kills it when it does not in time. Resolves when it is gone. */
  async stop(): Promise<void> {
    clearTimeout(this.#restartTimer);
    this.#state = 'stopped';
    const child = this.#child;
    if (child === undefined) return;
    child.kill(this.#spec.stopSignal);
    const force = setTimeout(() => {
      this.#say(`${this.name} did not stop in ${this.#spec.stopWithinMs / 1000} s; killing it`);
      child.kill('SIGKILL');
    }, this.#spec.stopWithinMs);
    await this.#exited;
    clearTimeout(force);
  }

  /** Kills it now. A `stop` that is under way resolves. */
  kill(signal: NodeJS.Signals): void {
    clearTimeout(this.#restartTimer);
    this.#state = 'stopped';
    this.#child?.kill(signal);
  }
}

/** Keeps a log within twice the bound: the last generation stays beside it. */
function rotate(file: string): void {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_BYTES_MAX) renameSync(file, `${file}.1`);
}
