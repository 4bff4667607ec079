/**
 * `npm run chaos`: a real cluster, real faults, and clients that remember what they were told.
 * Without flags the cluster is processes of this machine; with --docker it is docker-compose.yml.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FAULTS } from './faults/index.ts';
import type { Fault } from './faults/fault.ts';
import { runDemo } from './live/demo.ts';
import { DockerTarget } from './live/docker-target.ts';
import { LocalTarget } from './live/local-target.ts';
import { runScenario, type Verdict } from './live/scenario.ts';
import { type Target, untilReady } from './target.ts';

const REPORTS = join('.ringfence', 'chaos');
const SHOWN_MAX = 10;

const HELP = `Usage: npm run chaos -- [flags]

  --docker        break the containers of docker-compose.yml instead of local processes
  --fault NAME    only this fault: ${FAULTS.map(({ name }) => name).join(', ')}
  --port PORT     first port of the local processes (21000); the 70 above it are used too
  --help

Exit code 0 when every checker holds, 1 when one does not or the cluster did not come up.
`;

process.exitCode = await main();

async function main(): Promise<number> {
  let options: ReturnType<typeof parseOptions>;
  try {
    options = parseOptions();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const target = options.docker
    ? new DockerTarget()
    : new LocalTarget({ nodes: 3, portBase: options.port });
  return runAll(target, options.faults);
}

function parseOptions(): { docker: boolean; help: boolean; port: number; faults: Fault[] } {
  const { values } = parseArgs({
    options: {
      docker: { type: 'boolean', default: false },
      fault: { type: 'string' },
      port: { type: 'string', default: '21000' },
      help: { type: 'boolean', default: false },
    },
  });
  const faults = FAULTS.filter(({ name }) => values.fault === undefined || name === values.fault);
  if (faults.length === 0) throw new Error(`there is no fault '${values.fault}'`);
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 1 || port > 65_000) {
    throw new Error(`--port must be a number from 1 to 65000, not '${values.port}'`);
  }
  return { docker: values.docker, help: values.help, port, faults };
}

async function runAll(target: Target, faults: readonly Fault[]): Promise<number> {
  // A stop in the middle must not leave a cluster running.
  const stopped = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => reject(new Error(`stopped by ${signal}`)));
    }
  });
  try {
    return await Promise.race([runFaults(target, faults), stopped]);
  } catch (error) {
    process.stderr.write(`chaos: ${error instanceof Error ? error.message : String(error)}\n`);
    if (target instanceof DockerTarget) process.stderr.write(await target.logs());
    return 1;
  } finally {
    say(`taking down the ${target.name}`);
    await target.down();
  }
}

async function runFaults(target: Target, faults: readonly Fault[]): Promise<number> {
  say(`bringing up ${target.nodes.length} nodes: ${target.name}`);
  await target.up();
  await untilReady(target);
  await runDemo(target, say);
  const verdicts: Verdict[] = [];
  for (const fault of faults) {
    say(`${fault.name}:`);
    const verdict = await runScenario(target, fault, (line) => say(`  ${line}`));
    report(verdict);
    verdicts.push(verdict);
  }
  const broken = verdicts.filter(({ violations }) => [...violations.values()].flat().length > 0);
  say(`${verdicts.length - broken.length} of ${verdicts.length} faults survived`);
  return broken.length === 0 ? 0 : 1;
}

function report({
  fault,
  acknowledged,
  failed,
  unknown,
  longestPauseMs,
  violations,
  history,
}: Verdict): void {
  say(`  writes: ${acknowledged} acknowledged, ${failed} failed, ${unknown} with unknown outcome`);
  say(`  longest time without an acknowledged write: ${longestPauseMs} ms`);
  for (const [checker, found] of violations) {
    say(`  ${found.length === 0 ? 'holds ' : 'BROKEN'} ${checker}`);
    for (const line of found.slice(0, SHOWN_MAX)) say(`         ${line}`);
    if (found.length > SHOWN_MAX) say(`         and ${found.length - SHOWN_MAX} more`);
  }
  mkdirSync(REPORTS, { recursive: true });
  const file = join(REPORTS, `${fault}.jsonl`);
  writeFileSync(
    file,
    history.operations.map((operation) => `${JSON.stringify(operation)}\n`).join(''),
  );
  say(`  history: ${file}`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
