/** Where the processes of a cluster run: their addresses, the network between them, and its faults. */
import { type Host, LEGACY, type Network, POSTGRES } from '../target.ts';
import { Disturbances, silentPairs } from './network.ts';
import { OPEN, type Passage, TcpProxy } from './tcp-proxy.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Ports from a first one: Redis protocol of the nodes +0, HTTP +20, links +40, and the rest from +60. */
export const OFFSETS = { redis: 0, http: 20, link: 40, postgres: 60, legacy: 61, proxies: 62 };
export const PORTS_TAKEN = 82;
/** One place of twenty is for the spare one. */
export const NODES_MAX = 19;

export interface Ground {
  /** For sentences: "cannot be done on ...". */
  readonly name: string;
  readonly network: Network;
  address(host: Host): string;
  /** The way by which that node reaches PostgreSQL. */
  storeAddress(node: Host, postgres: Address): Address;
  /** The command, so that it runs on that host. */
  on(host: Host, command: readonly string[]): readonly string[];
  /** Networks from which PostgreSQL must let clients in, besides the loopback one. */
  readonly trusted: readonly string[];
  open(hosts: readonly Host[]): Promise<void>;
  /** Ends what is in force, and removes all that `open` made. Safe when nothing was made. */
  close(): Promise<void>;
}

const NEEDS_NETNS = 'processes of one machine share its loopback network; as root, take --netns';

/**
 * All on the loopback address. Nodes reach PostgreSQL through proxies of this program, one each, so
 * that anybody can cut that way; links between nodes are beyond reach here.
 */
export class Loopback implements Ground {
  readonly name = 'local processes';
  readonly trusted = [];
  readonly network: Network;
  readonly #proxies = new Map<Host, TcpProxy>();
  readonly #portBase: number;

  constructor(portBase: number) {
    this.#portBase = portBase;
    const disturbances = new Disturbances(
      (disturbance) => (this.#concernsProxies(disturbance) ? undefined : NEEDS_NETNS),
      (active) => {
        const silent = new Set(silentPairs(active).map(([from, to]) => `${from} ${to}`));
        const reset = new Set(active.flatMap((d) => (d.kind === 'reset' ? [d.host] : [])));
        for (const [node, proxy] of this.#proxies) {
          proxy.set(passageOf(node, silent, reset));
        }
        return Promise.resolve();
      },
    );
    this.network = disturbances;
  }

  address(): string {
    return '127.0.0.1';
  }

  storeAddress(node: Host): Address {
    const index = [...this.#proxies.keys()].indexOf(node);
    return { host: '127.0.0.1', port: this.#portBase + OFFSETS.proxies + index };
  }

  on(_host: Host, command: readonly string[]): readonly string[] {
    return command;
  }

  async open(hosts: readonly Host[]): Promise<void> {
    const postgres = { host: '127.0.0.1', port: this.#portBase + OFFSETS.postgres };
    for (const node of hosts.filter((host) => host !== POSTGRES && host !== LEGACY)) {
      const proxy = new TcpProxy(postgres);
      this.#proxies.set(node, proxy);
      await proxy.listen(this.storeAddress(node));
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#proxies.values()].map((proxy) => proxy.close()));
    this.#proxies.clear();
  }

  /** Everything it disturbs is a way to PostgreSQL. */
  #concernsProxies(disturbance: Parameters<Network['whyNot']>[0]): boolean {
    const onlyPostgres = (hosts: readonly Host[]): boolean => hosts.every((h) => h === POSTGRES);
    switch (disturbance.kind) {
      case 'split':
        return onlyPostgres(disturbance.hosts) || onlyPostgres(disturbance.others);
      case 'one-way':
        return disturbance.from === POSTGRES || disturbance.to === POSTGRES;
      case 'reset':
        return onlyPostgres(disturbance.others);
      case 'loss':
      case 'delay':
        return false;
    }
  }
}

function passageOf(node: Host, silent: ReadonlySet<string>, reset: ReadonlySet<Host>): Passage {
  return {
    toServer: OPEN.toServer && !silent.has(`${node} ${POSTGRES}`),
    toClient: OPEN.toClient && !silent.has(`${POSTGRES} ${node}`),
    reset: reset.has(node),
  };
}
