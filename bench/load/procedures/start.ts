/** How long a start takes: one node to its first answer, and the whole of `npm start`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PACKAGE_ROOT, PlainError } from '../../../src/cli/program.ts';
import { atExit } from '../at-exit.ts';
import type { Field } from '../field.ts';
import type { Metric } from '../goals.ts';
import { clusterPorts } from '../peers/ringfence-cluster.ts';
import { makeDatabase } from '../postgres.ts';
import type { Figures } from '../report.ts';
import { type Round, sideResult } from '../rounds.ts';
import type { Scenario } from '../scenario.ts';

type Spec = Pick<Scenario, 'id' | 'title' | 'group' | 'demands'>;

const SECONDS: Metric = { name: 'time', unit: 's', better: 'less', digits: 2 };
const ANSWERS_WITHIN_MS = 30_000;
const RETRY_MS = 5;
const REQUEST = '*2\r\n$3\r\nGET\r\n$5\r\nfirst\r\n';

/** A node that was there before, on a database with its schema: what a restart or an update costs. */
export function startNode(spec: Spec): Scenario {
  return { ...spec, metric: SECONDS, targets: ['cluster'], measure: measureNode };
}

async function measureNode(field: Field): Promise<Figures> {
  const { storeUrl } = await field.get('cluster');
  const store = await makeDatabase(storeUrl, 'bench_start');
  const port = await field.ports(3);
  // The first start makes the schema.
  await startOnce(field, store, port);
  const rounds: Round[] = [];
  for (let i = 0; i < field.options.durations.rounds; i++) {
    rounds.push({ value: await startOnce(field, store, port) });
  }
  return { ours: sideResult('ringfence', 'ringfence node', rounds), peers: [] };
}

/** Seconds from the start of the process to the first answer that is no error. */
async function startOnce(field: Field, store: string, port: number): Promise<number> {
  const program = join(PACKAGE_ROOT, 'dist', 'cli', 'main.js');
  const startedAtMs = performance.now();
  const child = spawn(
    process.execPath,
    [
      ...[program, 'node', '--node-id', 'bench-start', '--store', store, '--profile', 'local'],
      ...['--port', String(port), '--link-port', String(port + 1), '--http-port', String(port + 2)],
      ...['--replicas', '1', '--loglevel', 'warning'],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], cwd: field.options.dir },
  );
  let log = '';
  child.stdout.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-4000)));
  const running = field.add(stoppable(child, child.pid ?? 0));
  await firstAnswer(port, child, () => log);
  const seconds = (performance.now() - startedAtMs) / 1000;
  await field.end(running);
  return seconds;
}

/** Asks again and again, each time on a new connection, until there is an answer. */
async function firstAnswer(port: number, child: ChildProcess, log: () => string): Promise<void> {
  const deadlineMs = performance.now() + ANSWERS_WITHIN_MS;
  while (!(await isAnswered(port))) {
    if (child.exitCode !== null || performance.now() > deadlineMs) {
      throw new PlainError(`the node does not answer:\n${log()}`);
    }
    await delay(RETRY_MS);
  }
}

function isAnswered(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(REQUEST));
    socket.once('data', (chunk) => {
      resolve(!chunk.toString('latin1').startsWith('-'));
      socket.destroy();
    });
    // Nobody listens yet, or it was closed without an answer: no.
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}

/** A checkout as `git clone` and `npm ci` leave it: nothing is built, and there is no database yet. */
export function startFromPackage(spec: Spec): Scenario {
  return { ...spec, metric: SECONDS, targets: [], measure: measurePackage };
}

/** What `npm start` starts. */
const NODES = 3;
/** What `npm start` reads of a checkout. */
const PARTS = [
  'src',
  'scripts',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
];

async function measurePackage(field: Field): Promise<Figures> {
  const rounds: Round[] = [];
  for (let i = 0; i < field.options.durations.rounds; i++) {
    const checkout = join(field.options.dir, `checkout-${i}`);
    mkdirSync(checkout);
    for (const part of PARTS) {
      cpSync(join(PACKAGE_ROOT, part), join(checkout, part), { recursive: true });
    }
    symlinkSync(join(PACKAGE_ROOT, 'node_modules'), join(checkout, 'node_modules'));
    rounds.push({ value: await npmStart(field, checkout) });
    rmSync(checkout, { recursive: true });
  }
  return {
    ours: sideResult('ringfence', 'npm start', rounds),
    peers: [],
    notes: ['build, initdb and three nodes'],
  };
}

async function npmStart(field: Field, checkout: string): Promise<number> {
  const port = await field.ports(clusterPorts(NODES));
  const startedAtMs = performance.now();
  const child = spawn(
    'npm',
    [
      ...['start', '--', '--legacy', 'none', '--dir', join(checkout, '.ringfence')],
      ...['--port', String(port), '--link-port', String(port + NODES)],
      ...['--http-port', String(port + 2 * NODES), '--postgres-port', String(port + 3 * NODES)],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], cwd: checkout, detached: true },
  );
  // npm does not hand signals on in every version; its whole group gets them.
  const running = field.add(stoppable(child, -(child.pid ?? 0)));
  await untilLine(child, /^ready/m);
  const seconds = (performance.now() - startedAtMs) / 1000;
  field.say(`    ${seconds.toFixed(2)} s`);
  await field.end(running);
  return seconds;
}

async function untilLine(child: ChildProcess, line: RegExp): Promise<void> {
  let log = '';
  const printed = new Promise<void>((resolve) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-8000);
      if (line.test(log)) resolve();
    });
  });
  const ended = once(child, 'exit').then(() => {
    throw new PlainError(`npm start ended:\n${log}`);
  });
  await Promise.race([printed, ended]);
}

/** Stops it in order; also when this process ends without doing so. `pid` negative: its whole group. */
function stoppable(child: ChildProcess, pid: number): { stop(): Promise<void> } {
  const ask = (): void => {
    if (child.exitCode === null && child.signalCode === null) process.kill(pid, 'SIGTERM');
  };
  const forget = atExit(ask);
  const exited = once(child, 'exit');
  return {
    async stop() {
      forget();
      ask();
      await exited;
    },
  };
}
