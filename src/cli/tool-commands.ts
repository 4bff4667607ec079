/**
 * `ringfence bench`, `ringfence chaos` and `ringfence sim`: tools that live beside src/ in a checkout, need
 * development dependencies and so are not in the published package. They are offered where they are.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type CliCommand, EXIT, PACKAGE_ROOT } from './program.ts';

const TOOLS = [
  {
    name: 'bench',
    entry: 'bench/main.ts',
    summary: 'measure against Redis on this machine (in a checkout)',
  },
  {
    name: 'chaos',
    entry: 'chaos/main.ts',
    summary: 'break a real cluster and check that nothing is lost (in a checkout)',
  },
  {
    name: 'sim',
    entry: 'chaos/sim/main.ts',
    summary: 'break a simulated cluster, by seed, and check that nothing is lost (in a checkout)',
  },
];

/** The tools that this installation has. */
export function toolCommands(): CliCommand[] {
  return TOOLS.filter(({ entry }) => existsSync(join(PACKAGE_ROOT, entry))).map(
    ({ name, summary }) => ({
      name,
      summary,
      help: () =>
        `Usage: ringfence ${name} [flags]\n\n${summary}. The same as npm run ${name} -- [flags].`,
      run: (argv) => runTool(name, argv),
    }),
  );
}

function runTool(name: string, argv: readonly string[]): Promise<number> {
  const runner = join(PACKAGE_ROOT, 'scripts', 'run.mjs');
  const child = spawn(process.execPath, [runner, name, ...argv], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => child.kill(signal));
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? EXIT.failed));
  });
}
