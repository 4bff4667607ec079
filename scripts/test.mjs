// `npm test`: installs and builds what is missing, then runs vitest. What needs a tool that is not
// installed is listed above the summary; with RINGFENCE_REQUIRE_TOOLS=1 it is a failure.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { main, PlainError, prepare, ROOT } from './lib/prepare.mjs';
import { missingTools, missingToolsReport } from './lib/tools.mjs';

await main(async () => {
  const missing = missingTools().filter(({ optional }) => optional !== true);
  if (process.env.RINGFENCE_REQUIRE_TOOLS === '1' && missing.length > 0) {
    throw new PlainError(
      [
        'not everything could run (RINGFENCE_REQUIRE_TOOLS=1):',
        ...missingToolsReport(missing),
      ].join('\n'),
    );
  }
  await prepare();
  const args = process.argv.slice(2);
  const reporters = args.some((arg) => arg.startsWith('--reporter'))
    ? []
    : [`--reporter=${join(ROOT, 'scripts', 'lib', 'tools-reporter.mjs')}`, '--reporter=default'];
  const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
  const child = spawn(process.execPath, [vitest, 'run', ...reporters, ...args], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  process.exitCode = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
});
