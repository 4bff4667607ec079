/**
 * Clients that work without pause on a modelled cluster while its membership changes, and know what
 * every reply has to be.
 *
 * Each client counts on keys of its own, so the reply to its nth INCR is n. After each it asks another
 * node for the key, and must get n (reads are linearizable); every few steps it writes two keys of
 * different slots at once and reads them through another node. Anything else is kept in `failures`.
 */
import type { Sim } from '../../../chaos/sim/cluster.ts';

export interface LoadOptions {
  /** A node dies meanwhile: a write may be answered with UNKNOWN, and only that. */
  readonly mayBeUnknown?: boolean;
  /** Keys that live in memory only are counted too. */
  readonly withNone?: boolean;
}

const CLIENTS_PER_NODE = 3;
const KEYS_PER_CLIENT = 5;
const PAUSE_MS = 2;
const PAIR_EVERY = 4;

export class SteadyLoad {
  readonly failures: string[] = [];
  /** Replies so far. */
  replies = 0;
  /** Longest time between two acknowledged writes, all clients together, virtual milliseconds. */
  longestGapMs = 0;
  readonly #sim: Sim;
  readonly #nodes: readonly string[];
  readonly #options: LoadOptions;
  readonly #counts = new Map<string, { least: number; most: number }>();
  readonly #loops: Promise<void>[] = [];
  #lastWriteMs: number;
  #stopping = false;

  /** Clients on each of `nodes`, which must outlive the load. */
  constructor(sim: Sim, nodes: readonly string[], options: LoadOptions = {}) {
    this.#sim = sim;
    this.#nodes = nodes;
    this.#options = options;
    this.#lastWriteMs = sim.time.monotonicMs();
    for (const node of nodes)
      for (let i = 0; i < CLIENTS_PER_NODE; i++) this.#loops.push(this.#work(node, `${node}${i}`));
  }

  /** Ends the clients and compares what they know with the table and with every node's answer. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#sim.wait(Promise.all(this.#loops));
    for (const [key, { least, most }] of this.#counts) {
      if (!key.startsWith('none:')) this.#expect(`the row of ${key}`, this.#row(key), least, most);
      for (const node of this.#nodes) {
        const reply = await this.#sim.wait(this.#sim.client(node).send('GET', key));
        this.#expect(`${key} on ${node}`, numberOf(reply), least, most);
      }
    }
  }

  #row(key: string): number {
    return Number(this.#sim.database.valueOf(key) ?? 0);
  }

  async #work(node: string, name: string): Promise<void> {
    const prefixes = this.#options.withNone === true ? ['load:', 'none:'] : ['load:'];
    for (let step = 0; !this.#stopping; step++) {
      const prefix = prefixes[step % prefixes.length]!;
      await this.#count(node, `${prefix}${name}:${step % KEYS_PER_CLIENT}`);
      if (step % PAIR_EVERY === 0) await this.#pair(node, name, step);
      await this.#pause();
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#sim.time.after(PAUSE_MS, resolve));
  }

  #other(node: string): string {
    return this.#nodes[(this.#nodes.indexOf(node) + 1) % this.#nodes.length]!;
  }

  async #count(node: string, key: string): Promise<void> {
    const count = this.#counts.get(key) ?? { least: 0, most: 0 };
    this.#counts.set(key, count);
    const reply = await this.#ask(node, 'INCR', key);
    if (reply.startsWith('-UNKNOWN') && this.#options.mayBeUnknown === true) {
      count.most++;
    } else {
      this.#expect(
        `INCR ${key} on ${node}: ${reply}`,
        numberOf(reply),
        count.least + 1,
        count.most + 1,
      );
      count.least = count.most = numberOf(reply);
      this.#acknowledged();
    }
    const read = await this.#ask(this.#other(node), 'GET', key);
    this.#expect(`GET ${key} after INCR: ${read}`, numberOf(read), count.least, count.most);
  }

  async #pair(node: string, name: string, step: number): Promise<void> {
    const [left, right] = [`left:${name}`, `right:${name}`];
    const reply = await this.#ask(node, 'MSET', left, String(step), right, String(step));
    if (reply.startsWith('-UNKNOWN') && this.#options.mayBeUnknown === true) return;
    if (reply !== '+OK') this.#fail(`MSET on ${node}: ${reply}`);
    const read = await this.#ask(this.#other(node), 'MGET', left, right);
    const length = String(step).length;
    if (read !== `*2 $${length} ${step} $${length} ${step}`) this.#fail(`MGET ${step}: ${read}`);
  }

  async #ask(node: string, ...words: string[]): Promise<string> {
    const reply = await this.#sim.client(node).send(...words);
    this.replies++;
    return reply;
  }

  #acknowledged(): void {
    const now = this.#sim.time.monotonicMs();
    this.longestGapMs = Math.max(this.longestGapMs, now - this.#lastWriteMs);
    this.#lastWriteMs = now;
  }

  #expect(what: string, value: number, least: number, most: number): void {
    if (value >= least && value <= most) return;
    this.#fail(`${what}: expected ${least}..${most}, got ${value}`);
  }

  #fail(text: string): void {
    this.failures.push(`at ${this.#sim.time.monotonicMs()}: ${text}`);
  }
}

/** `:3` and `$1 3` are 3, nil is 0; anything else is not a number. */
function numberOf(reply: string): number {
  if (reply === '$-1') return 0;
  if (reply.startsWith(':')) return Number(reply.slice(1));
  return reply.startsWith('$') ? Number(reply.split(' ')[1]) : Number.NaN;
}
