/**
 * Hosts as network namespaces on a bridge, made and removed with `ip` (root). The bridge lies in a
 * namespace of its own, so that no firewall rule of the machine (a Docker engine's, say) touches what
 * passes. This program is one more host on it, and no disturbance concerns it: clients reach every
 * node all along.
 *
 *   10.213.X.254 this program ──┐
 *   10.213.X.1   postgres ──────┤ bridge        X differs between runs on one machine
 *   10.213.X.2.. node-1, ... ───┘
 */
import { spawnSync } from 'node:child_process';
import type { Host, Network } from '../target.ts';
import type { Address, Ground } from './ground.ts';
import { Disturbances, type Disturbance } from './network.ts';
import { type FilterTool, findFilterTool, rulesOf, setRules } from './packet-filter.ts';
import { runCommand } from './run-command.ts';

const PREFIX = 'rfchaos';
const COMMAND_TIMEOUT_MS = 10_000;
const SWITCH = 'switch';

export class Netns implements Ground {
  readonly name = 'network namespaces';
  readonly network: Network;
  readonly #net = `10.213.${process.pid % 250}`;
  readonly #hosts: Host[] = [];
  readonly #filter: FilterTool;
  /** Why packets cannot be delayed; undefined: they can. */
  readonly #noDelay: string | undefined;

  /** Throws, with what is missing, when this machine or user cannot have network namespaces. */
  constructor() {
    if (process.getuid?.() !== 0)
      throw new Error('--netns makes network namespaces: run it as root');
    if (!works('ip', ['netns', 'list'])) {
      throw new Error('--netns needs the program ip (apt-get install iproute2)');
    }
    removeLeftovers();
    const filter = findFilterTool();
    if (filter === undefined) {
      throw new Error('--netns needs nft or iptables (apt-get install nftables)');
    }
    this.#filter = filter;
    this.#noDelay = this.#whyNoDelay();
    this.network = new Disturbances(
      ({ kind }) => (kind === 'delay' ? this.#noDelay : undefined),
      (active) => this.#apply(active),
    );
  }

  get trusted(): readonly string[] {
    return [`${this.#net}.0/24`];
  }

  address(host: Host): string {
    const index = this.#hosts.indexOf(host);
    if (index < 0) throw new Error(`there is no host ${host}`);
    return `${this.#net}.${index + 1}`;
  }

  storeAddress(_node: Host, postgres: Address): Address {
    return postgres;
  }

  on(host: Host, command: readonly string[]): readonly string[] {
    return ['ip', 'netns', 'exec', this.#space(host), ...command];
  }

  async open(hosts: readonly Host[]): Promise<void> {
    const bridge = this.#space(SWITCH);
    await ip('netns', 'add', bridge);
    await ip('-n', bridge, 'link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0');
    await ip('-n', bridge, 'link', 'set', 'br0', 'up');
    for (const host of hosts) await this.#plugIn(host);
    const own = this.#ownDevice();
    await ip('link', 'add', own, 'type', 'veth', 'peer', 'name', 'program', 'netns', bridge);
    await ip('-n', bridge, 'link', 'set', 'program', 'master', 'br0', 'up');
    await ip('addr', 'add', `${this.#net}.254/24`, 'dev', own);
    await ip('link', 'set', own, 'up');
  }

  async close(): Promise<void> {
    await removeSpaces(process.pid);
  }

  async #plugIn(host: Host): Promise<void> {
    this.#hosts.push(host);
    const space = this.#space(host);
    const bridge = this.#space(SWITCH);
    const port = `port${this.#hosts.length}`;
    await ip('netns', 'add', space);
    await ip('link', 'add', port, 'netns', bridge, 'type', 'veth', 'peer', 'eth0', 'netns', space);
    await ip('-n', bridge, 'link', 'set', port, 'master', 'br0', 'up');
    await ip('-n', space, 'link', 'set', 'lo', 'up');
    await ip('-n', space, 'addr', 'add', `${this.address(host)}/24`, 'dev', 'eth0');
    await ip('-n', space, 'link', 'set', 'eth0', 'up');
  }

  #space(host: Host): string {
    return `${PREFIX}${process.pid}-${host}`;
  }

  #ownDevice(): string {
    return `rfc${process.pid}`;
  }

  async #apply(active: readonly Disturbance[]): Promise<void> {
    const rules = rulesOf(active, (host) => this.address(host));
    await Promise.all(
      this.#hosts.map((host) =>
        setRules(this.#filter, rules.get(host) ?? [], (command) => this.on(host, command)),
      ),
    );
    for (const host of this.#hosts) {
      const delay = active.find((d) => d.kind === 'delay' && d.host === host);
      await this.#setDelay(host, delay?.kind === 'delay' ? delay.ms : 0);
    }
  }

  async #setDelay(host: Host, ms: number): Promise<void> {
    if (this.#noDelay !== undefined) return;
    const change = ['tc', 'qdisc', 'replace', 'dev', 'eth0', 'root', 'netem', 'delay', `${ms}ms`];
    const [command = '', ...args] = this.on(host, change);
    await runCommand(command, args, { timeoutMs: COMMAND_TIMEOUT_MS });
  }

  /** Not every kernel has netem: it is tried on a namespace of its own. */
  #whyNoDelay(): string | undefined {
    const space = this.#space('probe');
    try {
      const made = works('ip', ['netns', 'add', space]);
      const netem = ['tc', 'qdisc', 'add', 'dev', 'lo', 'root', 'netem', 'delay', '1ms'];
      if (made && works('ip', ['netns', 'exec', space, ...netem])) return undefined;
      return 'delay needs tc with netem, which this kernel does not have';
    } finally {
      works('ip', ['netns', 'delete', space]);
    }
  }
}

function ip(...args: string[]): Promise<string> {
  return runCommand('ip', args, { timeoutMs: COMMAND_TIMEOUT_MS });
}

function works(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** What a killed run left behind: namespaces whose name bears the id of a process that is gone. */
function removeLeftovers(): void {
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  const owners = [...stdout.matchAll(new RegExp(`^${PREFIX}(\\d+)-`, 'gm'))].map(([, pid]) =>
    Number(pid),
  );
  for (const owner of new Set(owners)) {
    if (works('kill', ['-0', String(owner)])) continue;
    for (const space of spacesOf(owner)) {
      for (const pid of processesIn(space)) process.kill(pid, 'SIGKILL');
      works('ip', ['netns', 'delete', space]);
    }
    works('ip', ['link', 'delete', `rfc${owner}`]);
  }
}

function spacesOf(owner: number): string[] {
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  return stdout
    .split('\n')
    .map((line) => line.split(' ')[0]!)
    .filter((name) => name.startsWith(`${PREFIX}${owner}-`));
}

function processesIn(space: string): number[] {
  const { stdout } = spawnSync('ip', ['netns', 'pids', space], { encoding: 'utf8' });
  return stdout.split('\n').filter(Boolean).map(Number);
}

/** Whatever still runs in them is ours, and is ended. */
async function removeSpaces(owner: number): Promise<void> {
  for (const space of spacesOf(owner)) {
    for (const pid of processesIn(space)) process.kill(pid, 'SIGKILL');
    await ip('netns', 'delete', space);
  }
  works('ip', ['link', 'delete', `rfc${owner}`]);
}
