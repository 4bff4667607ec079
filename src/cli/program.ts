/** What every command of the program shares: its shape, where the program lies, its version. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

export interface CliCommand {
  readonly name: string;
  readonly summary: string;
  /** Everything that `--help` prints for this command. */
  help(): string;
  /** Resolves to the exit code. May throw a UsageError (2) or a PlainError (1). */
  run(argv: readonly string[]): Promise<number>;
}

/** An expected failure: its message says all, so no stack trace is shown. Exit code 1. */
export class PlainError extends Error {}

/** `.ts` when run by tsx, `.js` when built: siblings and children are found with the same ending. */
export const EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

/** The folder of package.json: this file is in src/cli or dist/cli. */
export const PACKAGE_ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Arguments for `process.execPath` that run this same program. */
export function programArguments(): string[] {
  return [...process.execArgv, fileURLToPath(new URL(`./main${EXTENSION}`, import.meta.url))];
}

export function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Several addresses were tried: the message is empty, the reasons are inside.
  if (error instanceof AggregateError && error.message === '') {
    return error.errors.map(messageOf).join('; ');
  }
  return error.message;
}
