/** What every run of the bench needs around it: tools, a folder on a real disk, an end at a signal. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT, PACKAGE_ROOT, PlainError } from '../../src/cli/program.ts';
import { Field, type FieldOptions } from './field.ts';
import { findTool } from './find-tool.ts';
import { fileSystemOf } from './machine.ts';

/** Runs `work` with a field of its own; whatever it has started is stopped at the end or at a signal. */
export async function withField(
  options: Omit<FieldOptions, 'dir'>,
  work: (field: Field) => Promise<number>,
): Promise<number> {
  checkTools();
  const dir = makeFolder();
  const field = new Field({ ...options, dir });
  const interrupted = stopOnSignal(options.say);
  try {
    const running = work(field);
    running.catch(() => undefined); // when the signal wins, what breaks then is of no interest
    return await Promise.race([running, interrupted]);
  } finally {
    await field.stopAll();
    rmSync(dir, { recursive: true, force: true });
  }
}

/**
 * Resolves to an exit code at the first signal. At the second one the process exits, which kills what it has started
 * (`at-exit.ts`); without a handler it would die of it and leave everything running.
 */
function stopOnSignal(say: (line: string) => void): Promise<number> {
  return new Promise((resolve) => {
    let asked = false;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.on(signal, () => {
        if (asked) process.exit(EXIT.failed);
        asked = true;
        say(`stopping (${signal})`);
        resolve(EXIT.failed);
      });
    }
  });
}

function checkTools(): void {
  if (process.platform !== 'linux') {
    throw new PlainError('the bench reads processor time from /proc, which only Linux has');
  }
  const missing = ['redis-server', 'redis-benchmark'].filter((name) => !findTool(name));
  if (missing.length > 0) {
    throw new PlainError(
      `${missing.join(' and ')} not found; on Debian: apt-get install redis-server redis-tools`,
    );
  }
}

/** On a real disk: on tmpfs a sync costs nothing, and every figure for writes would be too good. */
function makeFolder(): string {
  const parent = [tmpdir(), '/var/tmp', PACKAGE_ROOT].find((dir) => fileSystemOf(dir) !== 'tmpfs');
  const dir = mkdtempSync(join(parent ?? tmpdir(), 'ringfence-bench-'));
  // PostgreSQL may run as another user, who has to get through here to its data.
  chmodSync(dir, 0o755);
  return dir;
}
