// Loaded into a node by NODE_OPTIONS=--import: writes down how long its event loop was held up at most, four
// times a second, to $BENCH_DELAYS/<pid>. Each line: monotonic microseconds, longest delay in milliseconds.
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 1;
const EVERY_MS = 250;

const folder = process.env.BENCH_DELAYS;
if (folder !== undefined) {
  const file = join(folder, String(process.pid));
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  setInterval(() => {
    const atUs = process.hrtime.bigint() / 1000n;
    // The histogram counts the timer's own period as delay.
    const longestMs = Math.max(0, delays.max / 1e6 - RESOLUTION_MS);
    delays.reset();
    appendFileSync(file, `${atUs} ${longestMs.toFixed(3)}\n`);
  }, EVERY_MS).unref();
}
