/**
 * A real cluster for tests: node processes from dist/ on free ports, against a given database.
 *
 *   const cluster = await startCluster({ store: await server.freshDatabase(), nodes: 3 });
 *   await cluster.kill(1);              // SIGKILL; resolves when the process is gone
 *   await cluster.start(1);             // the same id and ports; resolves when it is ready
 *   await cluster.stop();               // in afterAll
 *
 * When a node does not become ready, or ends by itself, the error has the end of its log.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface ClusterNode {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly httpPort: number;
  readonly linkPort: number;
  /** Undefined while it is down. */
  readonly pid: number | undefined;
  /** Everything the node wrote, of all its lives (the last part, when it is long). */
  readonly log: string;
}

export interface ClusterOptions {
  /** URL of a database of its own. */
  readonly store: string;
  /** How many; 3 unless said. */
  readonly nodes?: number;
  /** How many of them are started at once; all, unless said. The others wait for `start`. */
  readonly started?: number;
  /** More flags for every node, without dashes: `{ 'lease-ms': '600' }`. */
  readonly flags?: Readonly<Record<string, string>>;
  /** `policies` of the configuration file. */
  readonly policies?: readonly object[];
}

export interface TestCluster {
  readonly nodes: readonly ClusterNode[];
  /** SIGKILL. Resolves when the process is gone. */
  kill(index: number): Promise<void>;
  /** Sends any signal, and does not wait. */
  signal(index: number, signal: NodeJS.Signals): void;
  /**
   * Starts a node that is down, with the id and the ports it had. Resolves when it is ready. `release`: a
   * program of another release, made by `otherRelease`, and used for this node from now on.
   */
  start(index: number, release?: string): Promise<void>;
  /** The same, and does not wait until it is ready. */
  spawn(index: number, release?: string): void;
  /** SIGTERM. Resolves when the process is gone. */
  terminate(index: number): Promise<void>;
  /** The program as it would be with these link protocol versions; a folder that `stop` removes. */
  otherRelease(versions: { readonly min: number; readonly max: number }): string;
  /** Resolves when `/readyz` of the node answers 200. */
  ready(index: number): Promise<void>;
  /** SIGTERM to all (SIGKILL to what does not end), and removes everything made. */
  stop(): Promise<void>;
}

const ROOT = join(import.meta.dirname, '..', '..');
const PROGRAM = join('dist', 'cli', 'main.js');
const VERSIONS_LINE = /PROTOCOL_VERSIONS = \{[^}]*\}/;
const READY_WITHIN_MS = 30_000;
const STOP_WITHIN_MS = 15_000;
const POLL_MS = 25;
const LOG_CHARS_MAX = 200_000;
const LOG_CHARS_SHOWN = 4000;
const PORT_FIRST = 20_000;
const PORTS_BELOW = 12_000;
/** Test runs at the same time begin in different places; one run does not use a port twice soon. */
let nextPort = (process.pid * 97) % PORTS_BELOW;

/** Resolves when all nodes are ready. Builds dist/ first when the sources have changed. */
export async function startCluster(options: ClusterOptions): Promise<TestCluster> {
  execFileSync(process.execPath, [join(ROOT, 'scripts', 'build.mjs')], { stdio: 'inherit' });
  const count = options.nodes ?? 3;
  const ports = await freePorts(count * 3);
  const folder = mkdtempSync(join(tmpdir(), 'ringfence-cluster-'));
  const configFile = join(folder, 'ringfence.config.json');
  writeFileSync(configFile, JSON.stringify({ policies: options.policies ?? [] }));
  const nodes = Array.from(
    { length: count },
    (_, i) => new NodeProcess(`node-${i + 1}`, ports.slice(i * 3, i * 3 + 3), configFile, options),
  );
  const cluster = new Cluster(nodes, folder);
  try {
    const started = nodes.slice(0, options.started ?? count);
    for (const node of started) node.spawn();
    await Promise.all(started.map((node) => node.untilReady()));
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}

class Cluster implements TestCluster {
  readonly nodes: readonly NodeProcess[];
  readonly #folder: string;

  constructor(nodes: readonly NodeProcess[], folder: string) {
    this.nodes = nodes;
    this.#folder = folder;
  }

  kill(index: number): Promise<void> {
    return this.#node(index).end('SIGKILL');
  }

  signal(index: number, signal: NodeJS.Signals): void {
    this.#node(index).signal(signal);
  }

  async start(index: number, release?: string): Promise<void> {
    this.spawn(index, release);
    await this.#node(index).untilReady();
  }

  spawn(index: number, release?: string): void {
    const node = this.#node(index);
    if (release !== undefined) node.root = release;
    node.spawn();
  }

  terminate(index: number): Promise<void> {
    return this.#node(index).end('SIGTERM');
  }

  otherRelease({ min, max }: { readonly min: number; readonly max: number }): string {
    const root = mkdtempSync(join(this.#folder, 'release-'));
    cpSync(join(ROOT, 'dist'), join(root, 'dist'), { recursive: true });
    cpSync(join(ROOT, 'package.json'), join(root, 'package.json'));
    symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
    const wire = join(root, 'dist', 'cluster', 'wire.js');
    const source = readFileSync(wire, 'utf8');
    const changed = source.replace(
      VERSIONS_LINE,
      `PROTOCOL_VERSIONS = { min: ${min}, max: ${max} }`,
    );
    if (!VERSIONS_LINE.test(source))
      throw new Error(`${wire} does not say its versions as expected`);
    writeFileSync(wire, changed);
    return root;
  }

  ready(index: number): Promise<void> {
    return this.#node(index).untilReady();
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.end('SIGTERM')));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #node(index: number): NodeProcess {
    const node = this.nodes[index];
    if (node === undefined) throw new RangeError(`there is no node with index ${index}`);
    return node;
  }
}

class NodeProcess implements ClusterNode {
  readonly id: string;
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly httpPort: number;
  readonly linkPort: number;
  readonly #args: readonly string[];
  /** The folder of the release that it runs. */
  root = ROOT;
  #child: ChildProcess | undefined;
  #log = '';

  constructor(id: string, ports: readonly number[], configFile: string, options: ClusterOptions) {
    this.id = id;
    [this.port, this.httpPort, this.linkPort] = ports as [number, number, number];
    const flags: Record<string, string> = {
      config: configFile,
      profile: 'local',
      ...options.flags,
      'node-id': id,
      port: String(this.port),
      'http-port': String(this.httpPort),
      'link-port': String(this.linkPort),
      store: options.store,
    };
    this.#args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
  }

  get pid(): number | undefined {
    return this.#running()?.pid;
  }

  get log(): string {
    return this.#log;
  }

  spawn(): void {
    if (this.#running() !== undefined) throw new Error(`${this.id} is running already`);
    // The channel makes the node end when the test runner is killed.
    const child = spawn(process.execPath, [join(this.root, PROGRAM), 'node', ...this.#args], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const keep = (chunk: Buffer): void => {
      this.#log = (this.#log + chunk.toString()).slice(-LOG_CHARS_MAX);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    this.#child = child;
  }

  signal(signal: NodeJS.Signals): void {
    this.#running()?.kill(signal);
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#running();
    if (child === undefined) return;
    const over = once(child, 'exit');
    child.kill(signal);
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
    await over;
    clearTimeout(force);
  }

  async untilReady(): Promise<void> {
    const deadline = Date.now() + READY_WITHIN_MS;
    for (;;) {
      const answer = await this.#readyAnswer();
      if (answer === undefined) return;
      if (this.#running() === undefined) throw this.#failure('ended by itself');
      if (Date.now() > deadline) throw this.#failure(`is not ready: ${answer}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Undefined when it is ready, else what it said instead. */
  async #readyAnswer(): Promise<string | undefined> {
    try {
      const response = await fetch(`http://${this.host}:${this.httpPort}/readyz`, {
        signal: AbortSignal.timeout(2000),
      });
      const body = await response.text();
      return response.status === 200 ? undefined : `${response.status} ${body}`;
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      return cause instanceof Error ? cause.message : String(cause);
    }
  }

  #running(): ChildProcess | undefined {
    const child = this.#child;
    return child?.exitCode === null && child.signalCode === null ? child : undefined;
  }

  #failure(what: string): Error {
    return new Error(
      `${this.id} ${what}. The end of its log:\n${this.#log.slice(-LOG_CHARS_SHOWN)}`,
    );
  }
}

/**
 * Free ports below the range from which the kernel takes ports of outgoing connections: one from
 * inside it could be gone again before the node listens.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let tried = 0; ports.length < count && tried < PORTS_BELOW; tried++) {
    const port = PORT_FIRST + (nextPort++ % PORTS_BELOW);
    if (await isFree(port)) ports.push(port);
  }
  if (ports.length < count) throw new Error(`fewer than ${count} ports are free`);
  return ports;
}

/** The first of `count` free ports in a row, for programs that count upwards from a port. */
export async function freePortBlock(count: number): Promise<number> {
  let block: number[] = [];
  for (let tried = 0; tried < PORTS_BELOW; tried++) {
    const [port = 0] = await freePorts(1);
    block = port - 1 === block.at(-1) ? [...block, port] : [port];
    if (block.length === count) return block[0]!;
  }
  throw new Error(`no ${count} ports in a row are free`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
  await once(server.close(), 'close');
  return true;
}
