/**
 * The processes of a local cluster, their order at start and stop, and what is printed about them.
 * Order: PostgreSQL and the legacy API, then the nodes; the other way round at the end.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Admin } from '../admin/admin.ts';
import { EXTENSION, PlainError, programArguments, version } from '../program.ts';
import { httpProblem } from './http-probe.ts';
import { writeNodeConfigFile } from './node-config-file.ts';
import { RequestWatch, type UpRequest } from './requests.ts';
import { nodeName, nodeNumber, rememberedNodes, rememberNodes } from './node-list.ts';
import { type FlexiblePort, type NodePlan, nodeNumbers, planNodes, type UpPlan } from './plan.ts';
import { freeBlock, isFree } from './ports.ts';
import {
  clearLeftovers,
  databaseReady,
  databaseUrl,
  initialiseData,
  onLoopback,
  spawnPostgres,
} from './postgres.ts';
import { preparePostgresHome } from './postgres-home.ts';
import {
  liveProcess,
  readPidFile,
  removePidFile,
  waitUntilGone,
  writePidFile,
} from './process-files.ts';
import { RESTART, Supervised } from './supervised.ts';

const NODE_STOP_WITHIN_MS = 15_000;
const POSTGRES_STOP_WITHIN_MS = 20_000;
const READY_WITHIN_MS = 60_000;
const WORD_EVERY_MS = 5000;
const POLL_MS = 50;
const LOG_LINES_SHOWN = 15;

export class LocalCluster {
  readonly #plan: UpPlan;
  readonly #say: (line: string) => void;
  readonly #nodeProgram: readonly string[];
  /** In the order of starting. */
  readonly #running: Supervised[] = [];
  #stopping: Promise<void> | undefined;
  /** The nodes, and what more of them need. */
  readonly #nodes: { plan: NodePlan; child: Supervised }[] = [];
  #surroundings = { store: '', configFile: '', httpPort: 0 };
  #requests: RequestWatch | undefined;
  #locked = false;

  /** `nodeProgram`: arguments for `process.execPath` that run a node; a test puts in its own. */
  constructor(
    plan: UpPlan,
    say: (line: string) => void,
    nodeProgram: readonly string[] = [...programArguments(), 'node'],
  ) {
    this.#plan = plan;
    this.#say = say;
    this.#nodeProgram = nodeProgram;
  }

  /** Resolves when all nodes are ready. Rejects with a PlainError; `stop` must be called then too. */
  async start(): Promise<void> {
    const plan = this.#plan;
    mkdirSync(plan.dir, { recursive: true });
    this.#lock();
    await this.#endOrphans();
    if (plan.fresh) this.#removeData();
    // A server left by a killed `up` holds the very port that is checked next.
    const home =
      typeof plan.store === 'string' ? undefined : await preparePostgresHome(plan.dir, this.#say);
    if (home !== undefined) await clearLeftovers(home.dataDir, this.#say);

    const numbers = nodeNumbers(plan, this.#nodesLeft());
    const ports = await this.#settlePorts(numbers);
    const nodes = planNodes(plan, numbers, ports.http);
    const legacyUrl = this.#startLegacy(ports.legacy);
    let store = plan.store;
    if (typeof store !== 'string') {
      const place = onLoopback(ports.postgres);
      if (home === undefined) throw new Error('the home of the embedded server was prepared above');
      await initialiseData(home, this.#say);
      const server = this.#supervise('postgres', 'SIGINT', POSTGRES_STOP_WITHIN_MS, (log) =>
        spawnPostgres(home, place, log),
      );
      await databaseReady(place, this.#say, () => this.#failure(server));
      store = databaseUrl(place);
    }
    const configFile = join(plan.dir, 'node.config.json');
    writeNodeConfigFile({ userFile: plan.configFile, target: configFile, legacyUrl });
    this.#surroundings = { store, configFile, httpPort: ports.http };
    const started = nodes.map((node) => this.#startNode(node));
    await Promise.all(started.map((node, i) => this.#untilReady(node, nodes[i])));
    this.#remember();
    await this.#applySettings(nodes[0]);
    this.#requests = new RequestWatch(plan.dir, (request) => this.#onRequest(request));
    this.#describe(nodes, { store, legacyUrl });
  }

  /** Where the first of the nodes listens for clients. */
  get firstPort(): number {
    return this.#nodes[0]?.plan.port ?? this.#plan.port;
  }

  /** Stops everything in order; safe to call again. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  /** Kills everything now; PostgreSQL by the signal that it survives without damage. */
  kill(): void {
    for (const child of this.#running) {
      child.kill(child.name === 'postgres' ? 'SIGQUIT' : 'SIGKILL');
    }
  }

  async #stopAll(): Promise<void> {
    this.#requests?.stop();
    const [first, rest] = [
      this.#running.filter(({ name }) => name.startsWith('node-')),
      this.#running.filter(({ name }) => !name.startsWith('node-')),
    ];
    await Promise.all(first.map((node) => node.stop()));
    for (const child of rest) await child.stop();
    if (this.#locked) removePidFile(this.#lockFile());
  }

  // -- before the start ---------------------------------------------------------------------------

  #lockFile(): string {
    return join(this.#plan.dir, 'up.pid');
  }

  #lock(): void {
    const other = liveProcess(this.#lockFile(), /ringfence up/);
    if (other !== undefined && other !== process.pid) {
      throw new PlainError(
        `a cluster is already running from ${this.#plan.dir} (pid ${other}); stop it, or use another --dir`,
      );
    }
    writePidFile(this.#lockFile(), process.pid);
    this.#locked = true;
  }

  /** Nodes and legacy API of an `up` that was killed end by themselves; this waits, then insists. */
  async #endOrphans(): Promise<void> {
    // Also of nodes that this run does not have: it may be smaller, or the other one had grown.
    const files = readdirSync(this.#plan.dir).filter((file) => /^node-\d+\.pid$/.test(file));
    const names = files.map((file) => file.slice(0, -'.pid'.length));
    for (const name of [...names, 'legacy']) {
      const file = join(this.#plan.dir, `${name}.pid`);
      const pid = liveProcess(file, /ringfence (node|legacy)/);
      if (pid !== undefined && !(await waitUntilGone(pid, 5000))) {
        this.#say(`killing ${name} (pid ${pid}), left by an earlier run`);
        process.kill(pid, 'SIGKILL');
        await waitUntilGone(pid, 5000);
      }
      if (pid === undefined && readPidFile(file) === undefined) continue;
      removePidFile(file);
    }
  }

  #removeData(): void {
    const data = join(this.#plan.dir, 'postgres');
    if (!existsSync(data)) return;
    const real = realpathSync(data);
    if (!existsSync(join(real, 'PG_VERSION'))) {
      throw new PlainError(`${real} is not a PostgreSQL data folder; it is left alone`);
    }
    if (liveProcess(join(real, 'postmaster.pid'), /postgres/) !== undefined) {
      throw new PlainError(`a PostgreSQL server is running in ${real}; start without --fresh once`);
    }
    this.#say('throwing the data of earlier runs away (--fresh)');
    rmSync(real, { recursive: true });
    rmSync(data, { recursive: true, force: true });
  }

  /** The nodes that the cluster of this folder had, unless that is not to count. */
  #nodesLeft(): readonly number[] | undefined {
    const { dir, fresh, nodes } = this.#plan;
    if (fresh || nodes !== undefined) return undefined;
    const left = rememberedNodes(dir);
    if (left !== undefined && String(left) !== String(nodeNumbers(this.#plan, undefined))) {
      const names = left.map(nodeName).join(', ');
      this.#say(`starting ${names}, as the cluster was left (--nodes N for the first N)`);
    }
    return left;
  }

  /** From now on the cluster has these nodes, also when it is started again. */
  #remember(): void {
    const numbers = this.#nodes.map(({ plan }) => nodeNumber(plan.name));
    const known = numbers.filter((number) => number !== undefined);
    if (known.length > 0) rememberNodes(this.#plan.dir, known);
  }

  /** Finds every port that is taken, moves what may move, and names the rest all at once. */
  async #settlePorts(
    nodes: readonly number[],
  ): Promise<{ http: number; postgres: number; legacy: number }> {
    const { port, linkPort, http, store, legacy } = this.#plan;
    const taken: string[] = [];
    /** `numbers`: 1 for the port itself, 2 for the one after it, ... */
    const check = async (from: number, numbers: readonly number[], flag: string): Promise<void> => {
      for (const number of numbers) {
        const at = from + number - 1;
        if (!(await isFree(at))) taken.push(`port ${at} is taken; use another with --${flag}`);
      }
    };
    const settle = async (wanted: FlexiblePort, numbers: readonly number[]): Promise<number> => {
      const found = wanted.movable ? await freeBlock(wanted.port, Math.max(...numbers)) : undefined;
      if (found === undefined) await check(wanted.port, numbers, wanted.flag);
      else if (found !== wanted.port) {
        this.#say(`port ${wanted.port} is taken, using ${found} (--${wanted.flag})`);
      }
      return found ?? wanted.port;
    };
    await check(port, nodes, 'port');
    await check(linkPort, nodes, 'link-port');
    const settled = {
      http: await settle(http, nodes),
      postgres: typeof store === 'string' ? 0 : await settle(store, [1]),
      legacy: typeof legacy === 'object' ? await settle(legacy, [1]) : 0,
    };
    if (taken.length > 0) throw new PlainError(taken.join('\n  '));
    return settled;
  }

  // -- the processes ------------------------------------------------------------------------------

  #supervise(
    name: string,
    stopSignal: NodeJS.Signals,
    stopWithinMs: number,
    start: (log: number) => ReturnType<typeof spawn>,
  ): Supervised {
    const file = (ending: string): string => join(this.#plan.dir, `${name}.${ending}`);
    const child = new Supervised(
      {
        name,
        pidFile: file('pid'),
        logFile: file('log'),
        stopSignal,
        stopWithinMs,
        spawn: start,
      },
      { ...RESTART, enabled: this.#plan.restart },
      (line) => this.#say(line),
    );
    if (this.#stopping !== undefined) throw new PlainError('stopped while starting');
    this.#running.push(child);
    child.start();
    return child;
  }

  /** A child of this same program, with a channel that tells it when we are gone. */
  #superviseOwn(name: string, args: readonly string[]): Supervised {
    return this.#supervise(name, 'SIGTERM', NODE_STOP_WITHIN_MS, (log) =>
      spawn(process.execPath, [...args], {
        detached: true,
        stdio: ['ignore', log, log, 'ipc'],
      }),
    );
  }

  /** Returns the URL template of the legacy API, if there is one. */
  #startLegacy(port: number): string | undefined {
    const { legacy } = this.#plan;
    if (typeof legacy !== 'object') return legacy;
    this.#superviseOwn('legacy', [...programArguments(), 'legacy', '--port', String(port)]);
    return `http://127.0.0.1:${port}/legacy/data/{key}`;
  }

  #startNode(node: NodePlan): Supervised {
    const { store, configFile } = this.#surroundings;
    // What the user passed on comes before ours, so that ports and names stay as planned.
    const child = this.#superviseOwn(node.name, [
      ...this.#nodeProgram,
      ...['--config', configFile, '--profile', 'local', '--replicas', String(this.#plan.replicas)],
      ...this.#plan.nodeFlags,
      ...[
        '--node-id',
        node.name,
        '--port',
        String(node.port),
        '--link-port',
        String(node.linkPort),
      ],
      ...['--http-port', String(node.httpPort), '--store', store],
    ]);
    this.#nodes.push({ plan: node, child });
    return child;
  }

  // -- while it runs ------------------------------------------------------------------------------

  /** `ringfence cluster add` and `remove`, run elsewhere on this machine. */
  #onRequest(request: UpRequest): Promise<NodePlan | undefined> {
    return request.kind === 'add' ? this.#add() : this.#remove(request);
  }

  async #add(): Promise<NodePlan> {
    const last = Math.max(0, ...this.#nodes.map(({ plan }) => nodeNumber(plan.name) ?? 0));
    const [plan] = planNodes(this.#plan, [last + 1], this.#surroundings.httpPort);
    if (plan === undefined) throw new Error('one number is one node');
    for (const port of [plan.port, plan.linkPort, plan.httpPort])
      if (!(await isFree(port)))
        throw new PlainError(`port ${port} is taken, ${plan.name} needs it`);
    await this.#untilReady(this.#startNode(plan), plan);
    this.#remember();
    this.#say(`${plan.name} was added: redis://127.0.0.1:${plan.port}`);
    return plan;
  }

  async #remove({ node, port }: { node: string; port: number }): Promise<NodePlan | undefined> {
    const at = this.#nodes.findIndex(({ plan }) => plan.name === node && plan.port === port);
    const [found] = at < 0 ? [] : this.#nodes.splice(at, 1);
    if (found === undefined) return undefined;
    await found.child.stop();
    this.#running.splice(this.#running.indexOf(found.child), 1);
    this.#remember();
    this.#say(`${node} was removed`);
    return found.plan;
  }

  /**
   * A cluster that was there before keeps its number of replicas, which is in the database; one that was
   * asked for with a flag is brought about. Where one node leads, it is the first.
   */
  async #applySettings(node: NodePlan | undefined): Promise<void> {
    const { replicas, replicasGiven } = this.#plan;
    if (node === undefined) return;
    try {
      const admin = await Admin.open({ host: '127.0.0.1', port: node.port }, undefined);
      const { lead, wantedReplicas } = await admin.status();
      if (replicasGiven && wantedReplicas !== replicas)
        await admin.send('CLUSTER', 'SET-REPLICAS', String(replicas));
      // Who founded the cluster is chance, and clients go to the first node.
      if (lead !== null && lead !== node.name) await admin.send('CLUSTER', 'SET-LEAD', node.name);
      admin.close();
    } catch (error) {
      // With a password of its own, say: the cluster runs all the same.
      if (!(error instanceof PlainError)) throw error;
      if (replicasGiven)
        this.#say(`--replicas ${replicas} could not be asked for: ${error.message}`);
    }
  }

  async #untilReady(child: Supervised, node: NodePlan | undefined): Promise<void> {
    if (node === undefined) return;
    const url = `http://127.0.0.1:${node.httpPort}/readyz`;
    const startedAtMs = Date.now();
    let nextWordAtMs = startedAtMs + WORD_EVERY_MS;
    for (;;) {
      const answer = await httpProblem(url);
      if (answer === undefined) return;
      const problem = this.#failure(child);
      if (problem !== undefined) throw new PlainError(problem);
      const now = Date.now();
      if (now - startedAtMs > READY_WITHIN_MS) {
        throw new PlainError(`${node.name} is not ready (${url}: ${answer}). ${tail(child)}`);
      }
      if (now > nextWordAtMs) {
        this.#say(`waiting for ${node.name}: ${answer}`);
        nextWordAtMs = now + WORD_EVERY_MS;
      }
      await delay(POLL_MS);
    }
  }

  /** Why a child that should be coming up never will. At the start, one death is enough. */
  #failure(child: Supervised): string | undefined {
    if (this.#stopping !== undefined) return 'stopped while starting';
    return child.state === 'running' ? undefined : `${child.name} does not start. ${tail(child)}`;
  }

  // -- what people see ----------------------------------------------------------------------------

  #describe(
    nodes: readonly NodePlan[],
    { store, legacyUrl }: { store: string; legacyUrl: string | undefined },
  ): void {
    const rows = [
      ...nodes.map(({ name, port, httpPort }) => [
        name,
        `redis://127.0.0.1:${port}   http://127.0.0.1:${httpPort}`,
      ]),
      ['PostgreSQL', hidePassword(store)],
      ['legacy API', legacyUrl ?? 'none'],
      ['data, logs, pids', this.#plan.dir],
    ];
    this.#say(`ringfence ${version()}${EXTENSION === '.ts' ? ' (from source)' : ''}`);
    for (const [what, where] of rows) this.#say(`  ${(what ?? '').padEnd(18)}${where}`);
  }
}

function hidePassword(url: string): string {
  return url.replace(/^(\w+:\/\/[^:@/]+):[^@/]*@/, '$1:***@');
}

function tail({ logFile }: Supervised): string {
  if (!existsSync(logFile)) return `Its log is ${logFile}`;
  const lines = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-LOG_LINES_SHOWN);
  return `The end of ${logFile}:\n  ${lines.join('\n  ')}`;
}
