/** The containers of docker-compose.yml, under a project name of their own. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { NodeAddress, Target } from '../target.ts';
import { runCommand } from './run-command.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const PROJECT = 'ringfence-chaos';
const COMMAND_TIMEOUT_MS = 60_000;
/** Building the image installs packages. */
const BUILD_TIMEOUT_MS = 600_000;

export class DockerTarget implements Target {
  readonly name = 'containers';
  readonly nodes: readonly NodeAddress[] = [1, 2, 3].map((i) => ({
    name: `node${i}`,
    host: '127.0.0.1',
    port: 7000 + i,
    httpPort: 8080 + i,
  }));
  readonly #compose = findCompose();

  async up(): Promise<void> {
    await this.#run(['build'], BUILD_TIMEOUT_MS);
    await this.#run(['up', '-d'], BUILD_TIMEOUT_MS);
  }

  async down(): Promise<void> {
    await this.#run(['down', '--volumes', '--remove-orphans', '--timeout', '10']);
  }

  async killNode(index: number): Promise<void> {
    await this.#run(['kill', this.nodes[index]!.name]);
  }

  async startNode(index: number): Promise<void> {
    await this.#run(['start', this.nodes[index]!.name]);
  }

  async killEverything(): Promise<void> {
    await this.#run(['kill', ...this.nodes.map(({ name }) => name), 'postgres_db']);
  }

  async startEverything(): Promise<void> {
    await this.#run(['start', 'postgres_db', ...this.nodes.map(({ name }) => name)]);
  }

  async queryPairs(sql: string): Promise<Map<string, string>> {
    const psql = ['psql', '-U', 'admin', '-d', 'cache_db', '-At', '-F', '\t', '-c', sql];
    const output = await runCommand('docker', ['exec', 'postgres_db', ...psql], {
      timeoutMs: COMMAND_TIMEOUT_MS,
    });
    const pairs = output
      .split('\n')
      .filter((line) => line !== '')
      .map((line): [string, string] => {
        const [key = '', value = ''] = line.split('\t');
        return [key, value];
      });
    return new Map(pairs);
  }

  /** The last lines of every container's log, for a report of a failure. */
  logs(): Promise<string> {
    return this.#run(['logs', '--tail', '40', '--no-color']);
  }

  #run(args: readonly string[], timeoutMs = COMMAND_TIMEOUT_MS): Promise<string> {
    const [command, ...first] = this.#compose;
    const all = [...first, '-p', PROJECT, '-f', join(ROOT, 'docker-compose.yml'), ...args];
    return runCommand(command!, all, { cwd: ROOT, timeoutMs });
  }
}

/** The plugin of a current Docker, or the program of before. */
function findCompose(): readonly string[] {
  const works = (command: string, ...args: string[]): boolean =>
    spawnSync(command, args, { stdio: 'ignore' }).status === 0;
  if (!works('docker', 'version')) {
    throw new Error('docker is not installed, or its engine is not running (docker version fails)');
  }
  if (works('docker', 'compose', 'version')) return ['docker', 'compose'];
  if (works('docker-compose', 'version')) return ['docker-compose'];
  throw new Error('neither docker compose nor docker-compose is installed');
}
