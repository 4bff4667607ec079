/**
 * `npm run chaos`: a real cluster, real faults, and clients that remember what they were told.
 * Without flags the cluster is processes of this machine and each fault comes once (`options.ts`).
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runDemo } from './live/demo.ts';
import { measureFailovers } from './live/failover.ts';
import { runChaos } from './live/run.ts';
import { type ChaosOptions, helpText, readOptions, UsageError } from './options.ts';
import { untilReady } from './target.ts';

const code = await main();
// A run that was stopped in the middle still has clients and a schedule that go on for ever.
process.exit(code);

async function main(): Promise<number> {
  let options: ChaosOptions | undefined;
  try {
    options = readOptions(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n\nnpm run chaos -- --help lists flags and faults\n`);
    return 2;
  }
  if (options === undefined) {
    process.stdout.write(helpText());
    return 0;
  }
  return runAll(options);
}

async function runAll(options: ChaosOptions): Promise<number> {
  const { target, folder } = options;
  mkdirSync(folder, { recursive: true });
  // A stop in the middle must not leave a cluster running.
  const stopped = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => reject(new Error(`stopped by ${signal}`)));
    }
  });
  try {
    const result = await Promise.race([breakIt(options), stopped]);
    if (result !== 0) await keepLogs(options);
    return result;
  } catch (error) {
    process.stderr.write(`chaos: ${error instanceof Error ? error.message : String(error)}\n`);
    await keepLogs(options);
    say(`what there is of the run: ${folder}`);
    return 1;
  } finally {
    say(`taking down the ${target.name}`);
    await target.down();
  }
}

/** Beside the history, before the processes are taken down: containers take their logs with them. */
async function keepLogs({ target, folder }: ChaosOptions): Promise<void> {
  const logs = join(folder, 'logs.txt');
  writeFileSync(logs, await target.logs());
  say(`the last lines of all logs: ${logs}`);
}

async function breakIt(options: ChaosOptions): Promise<number> {
  const { target } = options;
  say(`bringing up ${target.nodes.length} nodes: ${target.name}`);
  for (const line of options.leftOut) say(`left out: ${line}`);
  await target.up();
  await untilReady(target.nodes);
  if (options.failovers > 0) return measureFailovers(target, options.failovers, say);
  await runDemo(target, say);
  return runChaos({ ...options, say });
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
