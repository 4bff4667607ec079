// `npm run bench`, `npm run chaos` and `npm run sim`: installs and builds what is missing, then runs the tool,
// which is TypeScript outside of src/ and so is run by tsx.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { main, PlainError, prepare, ROOT } from './lib/prepare.mjs';

/** Where each tool begins. */
const ENTRIES = { bench: 'bench/main.ts', chaos: 'chaos/main.ts', sim: 'chaos/sim/main.ts' };

await main(async () => {
  const [tool, ...args] = process.argv.slice(2);
  const entry = join(ROOT, ENTRIES[tool] ?? '');
  if (ENTRIES[tool] === undefined || !existsSync(entry)) {
    throw new PlainError(`usage: node scripts/run.mjs ${Object.keys(ENTRIES).join('|')} [flags]`);
  }
  await prepare();
  const child = spawn(process.execPath, ['--import', 'tsx', entry, ...args], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  // The tool cleans up after itself; this process only has to outlive it.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.kill(signal));
  }
  process.exitCode = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
});
