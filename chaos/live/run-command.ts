/** Runs a program to its end and gives its output; rejects with the output when it fails. */
import { spawn } from 'node:child_process';

export interface RunOptions {
  readonly cwd?: string;
  /** Milliseconds; then the program is killed and the promise rejects. */
  readonly timeoutMs: number;
  /** For its standard input, which is empty otherwise. */
  readonly input?: string;
}

export function runCommand(
  command: string,
  args: readonly string[],
  { cwd, timeoutMs, input = '' }: RunOptions,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    });
    let output = '';
    let complaints = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
    child.once('error', reject);
    // A program that ends before it has read everything says so by its exit code.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    child.once('close', (code, signal) => {
      if (code === 0) return resolve(output);
      const how = signal ?? `exit code ${code}`;
      reject(new Error(`${command} ${args.join(' ')}: ${how}\n${output}${complaints}`));
    });
  });
}
