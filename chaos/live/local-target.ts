/** Processes on this machine, run by `ringfence up`, which starts again what is killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { NodeAddress, Target } from '../target.ts';

const PROGRAM = join(import.meta.dirname, '..', '..', 'dist', 'cli', 'main.js');
const UP_WITHIN_MS = 60_000;

export interface LocalOptions {
  readonly nodes: number;
  /** Ports from here: Redis protocol +0, HTTP +20, links +40, PostgreSQL +60, legacy +61. */
  readonly portBase: number;
}

export class LocalTarget implements Target {
  readonly name = 'local processes';
  readonly nodes: readonly NodeAddress[];
  readonly #portBase: number;
  readonly #dir = mkdtempSync(join(tmpdir(), 'ringfence-chaos-'));
  #up: ChildProcess | undefined;

  constructor({ nodes, portBase }: LocalOptions) {
    this.#portBase = portBase;
    this.nodes = Array.from({ length: nodes }, (_, i) => ({
      name: `node-${i + 1}`,
      host: '127.0.0.1',
      port: portBase + i,
      httpPort: portBase + 20 + i,
    }));
  }

  async up(): Promise<void> {
    // For root, PostgreSQL runs as another user; where that one may not enter, the data would be kept elsewhere.
    chmodSync(this.#dir, 0o755);
    const base = this.#portBase;
    const ports = {
      port: 0,
      'http-port': 20,
      'link-port': 40,
      'postgres-port': 60,
      'legacy-port': 61,
    };
    const flags = Object.entries(ports).flatMap(([name, offset]) => [
      `--${name}`,
      `${base + offset}`,
    ]);
    const size = ['--nodes', String(this.nodes.length), '--dir', this.#dir];
    const env = { ...process.env };
    delete env.RINGFENCE_STORE;
    const child = spawn(process.execPath, [PROGRAM, 'up', ...size, ...flags], {
      cwd: this.#dir,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#up = child;
    await untilLine(child, /^ready/m);
  }

  async down(): Promise<void> {
    const child = this.#up;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    rmSync(this.#dir, { recursive: true, force: true });
  }

  killNode(index: number): Promise<void> {
    this.#kill(this.nodes[index]!.name);
    return Promise.resolve();
  }

  /** `ringfence up` does it, two seconds after the death. */
  startNode(): Promise<void> {
    return Promise.resolve();
  }

  async killEverything(): Promise<void> {
    const up = this.#up!;
    // The supervisor goes first, or it would start again what dies.
    up.kill('SIGKILL');
    for (const { name } of this.nodes) this.#kill(name);
    this.#kill('postgres');
    if (up.exitCode === null && up.signalCode === null) await once(up, 'exit');
  }

  startEverything(): Promise<void> {
    return this.up();
  }

  async queryPairs(sql: string): Promise<Map<string, string>> {
    const port = this.#portBase + 60;
    const client = new pg.Client(`postgres://admin@127.0.0.1:${port}/cache_db`);
    await client.connect();
    try {
      const { rows } = await client.query<[string, string]>({ text: sql, rowMode: 'array' });
      return new Map(rows);
    } finally {
      await client.end();
    }
  }

  #kill(name: string): void {
    process.kill(Number(readFileSync(join(this.#dir, `${name}.pid`), 'utf8')), 'SIGKILL');
  }
}

/** Resolves when the output has a line of that form; rejects when the process ends before. */
function untilLine(child: ChildProcess, line: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = '';
    const timer = setTimeout(() => {
      reject(new Error(`not ready within ${UP_WITHIN_MS / 1000} s:\n${output}`));
    }, UP_WITHIN_MS);
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (!line.test(output)) return;
      clearTimeout(timer);
      resolve();
    });
    child.once('exit', () => {
      clearTimeout(timer);
      reject(new Error(`ringfence up ended:\n${output}`));
    });
  });
}
