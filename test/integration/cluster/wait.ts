/** Waiting for a condition, and saying what was measured. */
import { setTimeout as sleep } from 'node:timers/promises';

const WITHIN_MS = 40_000;
const POLL_MS = 25;

/** Runs the check again and again until it passes; its last failure when it never does. */
export async function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  const deadline = Date.now() + WITHIN_MS;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(POLL_MS);
    }
  }
}

/** One line on the test run's output: what was measured, where a test asserts no time. */
export function say(...parts: unknown[]): void {
  process.stdout.write(
    `    ${parts.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(' ')}\n`,
  );
}
