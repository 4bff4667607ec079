/** The containers of docker-compose.yml, under a project name of their own. */
import { spawnSync } from 'node:child_process';
import { hostname } from 'node:os';
import { join } from 'node:path';
import {
  type Disk,
  type Host,
  LEGACY,
  type NodeAddress,
  POSTGRES,
  type Target,
} from '../target.ts';
import type { Clocks } from '../target.ts';
import { Disturbances, type Disturbance } from './network.ts';
import { type FilterTool, findFilterTool, type Rule, rulesOf, setRules } from './packet-filter.ts';
import { runCommand } from './run-command.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const PROJECT = 'ringfence-chaos';
const COMMAND_TIMEOUT_MS = 60_000;
/** Building the image installs packages. */
const BUILD_TIMEOUT_MS = 600_000;
const POSTGRES_WITHIN_MS = 60_000;
/** Of each container, for a report of a failure. */
const LOG_LINES = 5000;
const POLL_MS = 100;
/** The cluster network and its fixed addresses, as in docker-compose.yml. */
const CLUSTER_NETWORK = `${PROJECT}_cluster`;
const CLUSTER_ADDRESSES: Readonly<Record<Host, string>> = {
  node1: '172.29.72.11',
  node2: '172.29.72.12',
  node3: '172.29.72.13',
  [POSTGRES]: '172.29.72.2',
};

export class DockerTarget implements Target {
  readonly name = 'containers';
  readonly nodes: readonly NodeAddress[] = [1, 2, 3].map((i) => ({
    name: `node${i}`,
    host: '127.0.0.1',
    port: 7000 + i,
    httpPort: 8080 + i,
  }));
  readonly spare = undefined;
  readonly network = new Disturbances(
    (disturbance) => this.#whyNot(disturbance),
    (active) => this.#apply(active),
  );
  readonly disk: Disk = refusal(
    'the volume of the compose file is on the disk of the Docker engine; local processes and --netns can do it',
  );
  readonly clocks: Clocks = {
    whyNot: () =>
      'containers have the clock of their machine; local processes and --netns can do it',
    set: () => Promise.reject(new Error('containers have the clock of their machine')),
  };
  readonly #compose = findCompose();
  readonly #filter = findContainerFilter();
  /** Containers keep their id while they are stopped and started. */
  readonly #containers = new Map<Host, string>();
  /** Hosts that are off the cluster network now. */
  readonly #off = new Set<Host>();
  /** Containers that were ended or paused by us. */
  readonly #down = new Set<Host>();
  readonly #paused = new Set<Host>();

  async up(): Promise<void> {
    await this.#run(['build'], BUILD_TIMEOUT_MS);
    await this.#run(['up', '-d'], BUILD_TIMEOUT_MS);
  }

  async down(): Promise<void> {
    for (const host of this.#paused) await this.resume(host);
    await this.#run(['down', '--volumes', '--remove-orphans', '--timeout', '10']);
  }

  async kill(...hosts: Host[]): Promise<void> {
    for (const host of hosts) this.#down.add(host);
    await this.#run(['kill', ...hosts.map(serviceOf)]);
  }

  async stop(host: Host): Promise<void> {
    this.#down.add(host);
    await this.#run(['stop', serviceOf(host)]);
  }

  async start(...hosts: Host[]): Promise<void> {
    await this.#run(['start', ...hosts.map(serviceOf)]);
    for (const host of hosts) this.#down.delete(host);
    // A container that was started anew has a network of its own, without any rule.
    await this.network.renew();
    if (hosts.includes(POSTGRES)) await this.#untilPostgres();
  }

  async pause(host: Host): Promise<void> {
    await this.#run(['pause', serviceOf(host)]);
    this.#paused.add(host);
  }

  async resume(host: Host): Promise<void> {
    await this.#run(['unpause', serviceOf(host)]);
    this.#paused.delete(host);
  }

  /** The engine starts again what ends by itself, and counts. */
  async deaths(): Promise<string[]> {
    const found: string[] = [];
    for (const { name } of this.nodes) {
      const format = '{{.RestartCount}} {{.State.Running}}';
      const answer = await docker('inspect', '-f', format, await this.#container(name));
      const [count, running] = answer.trim().split(' ');
      if (count !== '0') found.push(`${name} ended by itself ${count} times`);
      if (running !== 'true' && !this.#down.has(name)) found.push(`${name} ended by itself`);
    }
    return found;
  }

  async legacyFaults(query: string): Promise<void> {
    const url = `http://127.0.0.1:8001/legacy/faults?${query}`;
    const response = await fetch(url, { method: 'POST' });
    if (!response.ok) throw new Error(`${url}: ${response.status}`);
  }

  async query(sql: string): Promise<string[][]> {
    // A separator that no key or value of a workload has.
    const psql = ['psql', '-U', 'admin', '-d', 'cache_db', '-At', '-F', '\t', '-c', sql];
    const output = await docker('exec', 'postgres_db', ...psql);
    return output
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split('\t'));
  }

  logs(): Promise<string> {
    return this.#run(['logs', '--tail', String(LOG_LINES), '--no-color']);
  }

  #whyNot(disturbance: Disturbance): string | undefined {
    if (disturbance.kind === 'delay') return NO_DELAY;
    if ('tool' in this.#filter || this.#isolated(disturbance) !== undefined) return undefined;
    return `${this.#filter.missing}; without that a node can only be taken off the cluster network as a whole`;
  }

  async #apply(active: readonly Disturbance[]): Promise<void> {
    if (!('tool' in this.#filter)) {
      return this.#disconnect(active.flatMap((d) => this.#isolated(d) ?? []));
    }
    const { tool } = this.#filter;
    const rules = rulesOf(active, (host) => CLUSTER_ADDRESSES[host]!);
    const hosts = Object.keys(CLUSTER_ADDRESSES);
    const pids = await this.#processIds(hosts);
    await Promise.all(
      hosts.map((host, i) => this.#setRules(tool, host, pids[i]!, rules.get(host) ?? [])),
    );
  }

  /** Does nothing where the container does not run: its rules are set when it is started. */
  async #setRules(
    tool: FilterTool,
    host: Host,
    pid: string,
    rules: readonly Rule[],
  ): Promise<void> {
    if (pid === '0') return;
    const enter = ['nsenter', '--target', pid, '--net'];
    try {
      await setRules(tool, rules, (command) => [...enter, ...command]);
    } catch (error) {
      // Another fault may have ended it in this moment.
      const [now] = await this.#processIds([host]);
      if (now === pid) throw error;
    }
  }

  /** Of the first process of each container, as the machine of the engine counts; `0`: it does not run. */
  async #processIds(hosts: readonly Host[]): Promise<string[]> {
    const ids = await Promise.all(hosts.map((host) => this.#container(host)));
    const answer = await docker('inspect', '-f', '{{.State.Pid}}', ...ids);
    return answer.trim().split('\n');
  }

  /** The host that is cut from all others, if that is what is disturbed. */
  #isolated(disturbance: Disturbance): Host | undefined {
    if (disturbance.kind !== 'split') return undefined;
    const { hosts, others } = disturbance;
    const [host] = hosts;
    const rest = [POSTGRES, ...this.nodes.map(({ name }) => name)].filter((h) => h !== host);
    const all = hosts.length === 1 && rest.every((other) => others.includes(other));
    return all ? host : undefined;
  }

  async #disconnect(hosts: readonly Host[]): Promise<void> {
    for (const host of this.#off) {
      if (hosts.includes(host)) continue;
      const address = CLUSTER_ADDRESSES[host]!;
      const how = ['--ip', address, '--alias', serviceOf(host)];
      await docker('network', 'connect', ...how, CLUSTER_NETWORK, await this.#container(host));
      this.#off.delete(host);
    }
    for (const host of hosts) {
      if (this.#off.has(host)) continue;
      const container = await this.#container(host);
      await docker('network', 'disconnect', CLUSTER_NETWORK, container);
      this.#off.add(host);
    }
  }

  async #container(host: Host): Promise<string> {
    const known = this.#containers.get(host);
    if (known !== undefined) return known;
    const id = (await this.#run(['ps', '-q', serviceOf(host)])).trim();
    if (id === '') throw new Error(`there is no container of ${serviceOf(host)}`);
    this.#containers.set(host, id);
    return id;
  }

  async #untilPostgres(): Promise<void> {
    const deadline = performance.now() + POSTGRES_WITHIN_MS;
    for (;;) {
      try {
        await this.query('SELECT 1');
        return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    }
  }

  #run(args: readonly string[], timeoutMs = COMMAND_TIMEOUT_MS): Promise<string> {
    const [command, ...first] = this.#compose;
    const all = [...first, '-p', PROJECT, '-f', join(ROOT, 'docker-compose.yml'), ...args];
    return runCommand(command!, all, { cwd: ROOT, timeoutMs });
  }
}

const NO_DELAY = 'delays need netem, and only --netns asks for it';

/** A packet filter that can be used inside the containers, or what is missing for it. */
type ContainerFilter = { readonly tool: FilterTool } | { readonly missing: string };

/** A container's network is entered from the machine whose kernel it shares. */
function findContainerFilter(): ContainerFilter {
  if (process.getuid?.() !== 0) return { missing: 'cutting single links takes root' };
  const { stdout } = spawnSync('docker', ['info', '-f', '{{.Name}}'], { encoding: 'utf8' });
  if (stdout.trim() !== hostname()) {
    return { missing: 'cutting single links takes the machine that the Docker engine runs on' };
  }
  if (spawnSync('nsenter', ['--version'], { stdio: 'ignore' }).status !== 0) {
    return { missing: 'cutting single links takes nsenter (apt-get install util-linux)' };
  }
  const tool = findFilterTool();
  if (tool === undefined) {
    return { missing: 'cutting single links takes nft or iptables (apt-get install nftables)' };
  }
  return { tool };
}

function serviceOf(host: Host): string {
  if (host === POSTGRES) return 'postgres_db';
  return host === LEGACY ? 'legacy_api' : host;
}

function refusal(reason: string): Disk {
  return {
    whyNot: () => reason,
    fill: () => Promise.reject(new Error(reason)),
    free: () => Promise.resolve(),
  };
}

function docker(...args: string[]): Promise<string> {
  return runCommand('docker', args, { timeoutMs: COMMAND_TIMEOUT_MS });
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
