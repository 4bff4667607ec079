/** A running `ringfence up` (or `npm start`): what it printed so far, and its end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

export class Up {
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;
  #output = '';

  /** `program` is a file for Node; `cwd` is where `.ringfence/` goes unless `--dir` is given. */
  constructor(program: string, args: readonly string[], cwd: string) {
    this.#child = spawn(process.execPath, [program, ...args], {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const keep = (chunk: Buffer): void => {
      this.#output += chunk.toString();
      this.#child.emit('printed');
    };
    this.#child.stdout?.on('data', keep);
    this.#child.stderr?.on('data', keep);
    this.#exit = once(this.#child, 'close');
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

  /** Waits for the end. */
  async exitCode(): Promise<number | null> {
    await this.#exit;
    return this.#child.exitCode;
  }
}
