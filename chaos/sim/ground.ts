/** What faults work on: the cluster of one schedule, which of its nodes are in trouble, and the log. */
import type { CheckerName } from '../workloads/workload.ts';
import type { Sim } from './cluster.ts';
import { Dangers } from './dangers.ts';
import type { Content } from './database/tables.ts';
import type { SessionRole } from './database/database.ts';
import type { SeededRandom } from './random.ts';

/** Something that breaks, and is mended again, while the clients go on. */
export interface SimFault {
  readonly name: string;
  /** Names of workloads of which one must be at work for the fault to matter; missing: any. */
  readonly workloads?: readonly string[];
  /** Checkers that ask for more than holds under it: no workload that they judge is at work. */
  readonly breaks?: readonly CheckerName[];
  /** No request fails for it: what is promised of joins and other changes. */
  readonly harmless?: true;
  /** Nothing is in trouble but the nodes that it endangers. */
  readonly confined?: true;
  /** Breaks and mends. Resolves when all that it ended was started again (not necessarily ready yet). */
  inject(ground: Ground, random: SeededRandom): Promise<void>;
}

export interface GroundOptions {
  readonly sim: Sim;
  readonly nodes: readonly string[];
  readonly clients: readonly string[];
  /** Those that trouble with one session of a node may befall. */
  readonly sessions: readonly SessionRole[];
  readonly say: (line: string) => void;
}

/** The modelled PostgreSQL's machine, as the network knows it. */
export const DATABASE = 'database';

export class Ground {
  readonly sim: Sim;
  readonly clients: readonly string[];
  readonly sessions: readonly SessionRole[];
  readonly say: (line: string) => void;
  readonly #nodes: string[];
  readonly #taken = new Set<string>();
  /** Nodes whose process or machine does not run as it should, with the number of reasons. */
  readonly #disturbed = new Map<string, number>();
  readonly #disturbedUntilMs = new Map<string, number>();
  readonly #dangers = new Dangers();
  /** Nodes that may have been in trouble at some time. */
  readonly endangered = new Set<string>();
  #joined = 0;
  /** Cuts between machines that are not healed. */
  cuts = 0;
  /** The database is down or unreachable for all: one such fault at a time. */
  databaseTaken = false;
  /** When the database was lost with its newest commits, and what is left. */
  readonly lostCommits: { readonly content: Content; readonly atMs: number }[] = [];

  /** When somebody flushed; without an end: whether and when all of it was done is not known. */
  readonly flushes: { readonly startedAtMs: number; readonly endedAtMs: number }[] = [];

  constructor({ sim, nodes, clients, sessions, say }: GroundOptions) {
    this.sim = sim;
    this.#nodes = [...nodes];
    this.clients = clients;
    this.sessions = sessions;
    this.say = say;
  }

  /** Members, those that are down included. */
  get nodes(): readonly string[] {
    return this.#nodes;
  }

  /** A node that no other fault has; it stays taken until `release`. Undefined: there is none. */
  take(random: SeededRandom): string | undefined {
    const free = this.#nodes.filter((name) => !this.#taken.has(name));
    if (free.length === 0) return undefined;
    const name = random.pick(free);
    this.#taken.add(name);
    return name;
  }

  release(name: string): void {
    this.#taken.delete(name);
  }

  /** The node is not expected to answer in time from now on, until `calm`. */
  disturb(name: string): void {
    this.#disturbed.set(name, (this.#disturbed.get(name) ?? 0) + 1);
  }

  calm(name: string): void {
    this.#disturbed.set(name, (this.#disturbed.get(name) ?? 1) - 1);
    this.#disturbedUntilMs.set(name, this.sim.time.monotonicMs());
  }

  /** Since that moment nothing kept the node from answering in time. */
  isCalmSince(name: string, sinceMs: number): boolean {
    if ((this.#disturbed.get(name) ?? 0) > 0) return false;
    return (this.#disturbedUntilMs.get(name) ?? Number.NEGATIVE_INFINITY) < sinceMs;
  }

  /** These nodes may be removed from the cluster for what happens now, `lives` times in all. */
  endanger(nodes: readonly string[], lives = 1): void {
    for (const name of nodes) this.endangered.add(name);
    this.#dangers.add(nodes, lives);
  }

  /** A life of the node was removed. False: nothing has happened for which it may be. */
  accountsFor(node: string): boolean {
    return this.#dangers.accountFor(node);
  }

  /** Starts a node that was not there before. Undefined: there are enough. */
  join(): string | undefined {
    if (this.#nodes.length >= NODES_MAX) return undefined;
    const name = `extra-${++this.#joined}`;
    this.#nodes.push(name);
    this.start(name);
    return name;
  }

  /** The same, for a fault that has it alone. */
  takeNew(): string | undefined {
    const name = this.join();
    if (name !== undefined) this.#taken.add(name);
    return name;
  }

  /** It is no member any more, and its process is gone. */
  forget(name: string): void {
    this.#nodes.splice(this.#nodes.indexOf(name), 1);
  }

  start(name: string): void {
    this.say(`start ${name}`);
    this.sim.startNode(name);
  }

  kill(name: string, how: { silent?: boolean } = {}): void {
    this.say(`kill ${name}${how.silent === true ? ' without a word' : ''}`);
    this.sim.network.killHost(this.sim.node(name).host, how);
  }

  /** SIGTERM: finishes what is under way and leaves; then the process is gone. */
  async stop(name: string): Promise<void> {
    this.say(`stop ${name}`);
    const node = this.sim.node(name);
    await Promise.race([node.parts.stop(), this.sim.sleep(STOP_MS_MAX)]);
    if (!node.host.dead) this.sim.network.killHost(node.host);
  }

  sleep(ms: number): Promise<void> {
    return this.sim.sleep(ms);
  }

  /** Waits for a moment. False: it did not come soon. */
  async until(condition: () => boolean): Promise<boolean> {
    const untilMs = this.sim.time.monotonicMs() + MOMENT_WAIT_MS_MAX;
    while (!condition()) {
      if (this.sim.time.monotonicMs() >= untilMs) return false;
      await this.sleep(LOOK_MS);
    }
    return true;
  }
}

/** Larger clusters cost more time than they show. */
const NODES_MAX = 8;

/** How long a moment is waited for that need not come, and how often it is looked for, milliseconds. */
const MOMENT_WAIT_MS_MAX = 2_000;
const LOOK_MS = 0.5;

/** Whoever started a process kills it when it takes longer to end, milliseconds. */
const STOP_MS_MAX = 10_000;
