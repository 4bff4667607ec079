/**
 * `npm run bench`: a three-node cluster and its peers, side by side on this machine, in one run.
 * Prints ratios and processor time per operation, and writes them to bench/results. docs/benchmarks.md
 * says how to read them.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findTool } from './load/find-tool.ts';
import { freeBlock } from '../src/cli/local/ports.ts';
import { UsageError } from '../src/cli/flags.ts';
import { EXIT, PACKAGE_ROOT, PlainError } from '../src/cli/program.ts';
import { describeProfile, readProfileOf, summarise } from './load/cpu-profile.ts';
import type { Contender } from './load/load.ts';
import { commitOfCheckout, describeThisMachine, fileSystemOf } from './load/machine.ts';
import { type BenchOptions, parseOptions, usage } from './load/options.ts';
import { startRedis } from './load/redis-peer.ts';
import {
  type BenchResult,
  compare,
  describeMachine,
  describeResult,
  describeScenario,
  missedFloors,
  type ScenarioResult,
} from './load/report.ts';
import { CLUSTER_PORTS, type RingfenceCluster, startCluster } from './load/ringfence-cluster.ts';
import { runInTurn } from './load/rounds.ts';
import type { PeerId, Scenario } from './load/scenarios.ts';
import { startWriteThrough } from './load/write-through-peer.ts';

/** redis-server twice, besides the cluster. */
const PORTS = CLUSTER_PORTS + 2;
const RESULTS = join(PACKAGE_ROOT, 'bench', 'results');
const PROFILE_LINES = 25;

interface Field {
  readonly cluster: RingfenceCluster;
  readonly peers: Readonly<Record<PeerId, Contender>>;
  /** Who has been filled with which prefix. */
  readonly filled: Set<string>;
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function bench(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  if (options.help) {
    say(usage());
    return EXIT.ok;
  }
  checkTools();
  const dir = makeFolder();
  const toStop: Contender[] = [];
  const stopAll = async (): Promise<void> => {
    for (const contender of toStop.splice(0).toReversed()) await contender.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  const interrupted = stopOnSignal();
  try {
    const running = measureAll(options, argv, dir, toStop, stopAll);
    running.catch(() => undefined); // when the signal wins, what breaks then is of no interest
    return await Promise.race([running, interrupted]);
  } finally {
    await stopAll();
  }
}

/** Resolves to an exit code at the first signal. */
function stopOnSignal(): Promise<number> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.once(signal, () => {
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

async function measureAll(
  options: BenchOptions,
  argv: readonly string[],
  dir: string,
  toStop: Contender[],
  stopAll: () => Promise<void>,
): Promise<number> {
  const startedAt = new Date().toISOString();
  const field = await start(options, dir, toStop);
  const machine = await describeThisMachine(dir, field.cluster.storeUrl);
  for (const line of [...describeMachine(machine), '']) say(line);
  const scenarios: ScenarioResult[] = [];
  for (const scenario of options.scenarios)
    scenarios.push(await measureOne(scenario, field, options));
  const commit = commitOfCheckout();
  const result: BenchResult = { format: 1, startedAt, commit, flags: argv, machine, scenarios };
  if (options.save) save(result);
  const { nodePids } = field.cluster;
  await stopAll();
  if (options.cpuProfileDir !== undefined) {
    printProfiles(scenarios, nodePids, options.cpuProfileDir);
  }
  const missed = missedFloors(scenarios);
  for (const line of missed) say(`floor missed: ${line}`);
  return options.floorCheck && missed.length > 0 ? EXIT.failed : EXIT.ok;
}

async function start(options: BenchOptions, dir: string, toStop: Contender[]): Promise<Field> {
  const running = async <T extends Contender>(starting: Promise<T>): Promise<T> => {
    const contender = await starting;
    toStop.push(contender);
    return contender;
  };
  const port = await freeBlock(options.port, PORTS);
  if (port === undefined) throw new PlainError(`no ${PORTS} ports in a row are free`);
  const { cpuProfileDir, nodeFlags } = options;
  if (cpuProfileDir !== undefined) mkdirSync(cpuProfileDir, { recursive: true });
  say('starting a three-node cluster, PostgreSQL, redis-server ...');
  const cluster = await running(
    startCluster({
      dir,
      port,
      cpuProfileDir: cpuProfileDir === undefined ? undefined : resolve(cpuProfileDir),
      nodeFlags,
    }),
  );
  const redisPort = port + CLUSTER_PORTS;
  const redis = await running(
    startRedis({ id: 'redis', dir, port: redisPort, durability: 'none' }),
  );
  const redisAlways = await running(
    startRedis({ id: 'redis-always', dir, port: redisPort + 1, durability: 'always' }),
  );
  const { storeUrl, postgres } = cluster;
  const writeThrough = await running(startWriteThrough({ storeUrl, postgres, redis, redisPort }));
  const peers = { redis, 'redis-always': redisAlways, 'write-through': writeThrough };
  return { cluster, peers, filled: new Set() };
}

async function measureOne(
  scenario: Scenario,
  { cluster, peers, filled }: Field,
  { durations }: BenchOptions,
): Promise<ScenarioResult> {
  say(`${scenario.title} ...`);
  // The peers go first, we go last.
  const contenders = [...scenario.peers.map((id) => peers[id]), cluster];
  for (const contender of contenders) {
    const mark = `${contender.id} ${scenario.load.prefix}`;
    if (!filled.has(mark)) await contender.fill(scenario.load.prefix);
    filled.add(mark);
  }
  const results = await runInTurn(contenders, scenario.load, durations, ({ label }, round) =>
    say(`    ${label}: ${Math.round(round.opsPerSecond)}/s`),
  );
  const ours = results.pop();
  if (ours === undefined) throw new Error('the cluster is among the contenders');
  const result = compare(scenario, ours, results);
  for (const line of [...describeScenario(result).slice(1), '']) say(line);
  return result;
}

function save(result: BenchResult): void {
  mkdirSync(RESULTS, { recursive: true });
  const stamp = result.startedAt.slice(0, 19).replaceAll(':', '');
  const file = join(RESULTS, `${stamp}-${result.commit.replace('+', '-')}`);
  writeFileSync(`${file}.json`, `${JSON.stringify(result, null, 2)}\n`);
  writeFileSync(`${file}.txt`, describeResult(result));
  say(`written: ${file}.json and .txt`);
}

function printProfiles(
  scenarios: readonly ScenarioResult[],
  nodePids: readonly number[],
  dir: string,
): void {
  const profiles = nodePids.map((pid) => readProfileOf(pid, dir));
  for (const { title, ours } of scenarios) {
    say(`\n${title}: self time`);
    const windows = ours.rounds.map(({ window }) => window);
    profiles.forEach((profile, i) => {
      const lines =
        profile === undefined
          ? [`  node-${i + 1} wrote no profile`]
          : describeProfile(`node-${i + 1}`, summarise(profile, windows), PROFILE_LINES);
      for (const line of lines) say(line);
    });
  }
}

async function main(): Promise<void> {
  try {
    process.exitCode = await bench(process.argv.slice(2));
  } catch (error) {
    const usageError = error instanceof UsageError;
    process.exitCode = usageError ? EXIT.usage : EXIT.failed;
    if (usageError) process.stderr.write(`error: ${error.message}\n\n${usage()}\n`);
    else if (error instanceof PlainError) process.stderr.write(`error: ${error.message}\n`);
    else throw error;
  }
}

await main();
