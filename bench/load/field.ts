/**
 * Everything that a run has started: peers and clusters by name, each started when it is first asked for and
 * stopped when no scenario needs it any more, and what a scenario starts for itself.
 */
import { join } from 'node:path';
import { freeBlock } from '../../src/cli/local/ports.ts';
import { PlainError } from '../../src/cli/program.ts';
import { type Generator, startGenerator } from './generator/resp-load.ts';
import { type Contender, fillMark, type Load } from './load.ts';
import type { Durations } from './rounds.ts';
import {
  type ClusterSpec,
  type RingfenceCluster,
  startCluster,
} from './peers/ringfence-cluster.ts';
import { NEEDS, STARTERS, type TargetId, type Targets } from './targets.ts';

export interface FieldOptions {
  /** A folder of the run, on the disk that is measured. */
  readonly dir: string;
  /** First port to look for free ones. */
  readonly port: number;
  readonly durations: Durations;
  /** Share of the keys of scenarios with millions of them, 0 to 1. */
  readonly keysShare: number;
  readonly cpuProfileDir: string | undefined;
  readonly nodeFlags: readonly string[];
  readonly say: (line: string) => void;
}

interface Stoppable {
  stop(): Promise<void>;
}

export class Field {
  readonly options: FieldOptions;
  readonly #targets = new Map<TargetId, Promise<Contender>>();
  /** In the order of their start. */
  readonly #running: Stoppable[] = [];
  readonly #filled = new Map<string, Set<string>>();
  readonly #once = new Map<string, Promise<unknown>>();
  #nextPort: number;
  #generator: Promise<Generator> | undefined;

  constructor(options: FieldOptions) {
    this.options = options;
    this.#nextPort = options.port;
  }

  get say(): (line: string) => void {
    return this.options.say;
  }

  /** The target of this name, started if it is not there yet. */
  async get<T extends TargetId>(id: T): Promise<Targets[T]> {
    let target = this.#targets.get(id);
    if (target === undefined) {
      this.say(`  starting ${id} ...`);
      target = this.#start(id);
      this.#targets.set(id, target);
    }
    return (await target) as Targets[T];
  }

  async #start(id: TargetId): Promise<Contender> {
    const target = await STARTERS[id](this);
    this.#running.push(target);
    return target;
  }

  /** Our own load generator: one process for the whole run. */
  generator(): Promise<Generator> {
    this.#generator ??= startGenerator().then((generator) => {
      this.#running.unshift(generator);
      return generator;
    });
    return this.#generator;
  }

  /** A cluster for one scenario, which stops it with `end`. */
  async cluster(
    spec: Omit<ClusterSpec, 'home' | 'port' | 'label'> & Partial<ClusterSpec>,
  ): Promise<{
    readonly cluster: RingfenceCluster;
    /** Its folder and ports, to start it again. */
    readonly spec: ClusterSpec;
  }> {
    const full: ClusterSpec = {
      label: 'ringfence',
      home: join(this.options.dir, spec.id),
      port: spec.port ?? (await this.ports(3 * spec.nodes + 1)),
      nodeFlags: this.options.nodeFlags,
      ...spec,
    };
    const cluster = await startCluster(full, await this.generator());
    this.#running.push(cluster);
    return { cluster, spec: full };
  }

  /** Something that a scenario has started: stopped with everything else, if not with `end` before. */
  add<T extends Stoppable>(running: T): T {
    this.#running.push(running);
    return running;
  }

  async end(running: Stoppable): Promise<void> {
    const at = this.#running.indexOf(running);
    if (at >= 0) this.#running.splice(at, 1);
    await running.stop();
  }

  /** Fills a contender with the keys of a load, unless it has them. */
  async fill(contender: Contender, load: Load): Promise<void> {
    const mark = fillMark(load);
    if (mark === undefined) return;
    const marks = this.#filled.get(contender.id) ?? new Set();
    this.#filled.set(contender.id, marks);
    if (!marks.has(mark)) await contender.fill(load);
    marks.add(mark);
  }

  /** What `make` gave when it was first called under this name. */
  once<T>(name: string, make: () => Promise<T>): Promise<T> {
    const made = this.#once.get(name) ?? make();
    this.#once.set(name, made);
    return made as Promise<T>;
  }

  /** Stops the targets that are not needed any more. */
  async keep(needed: readonly TargetId[]): Promise<void> {
    const kept = new Set(needed.flatMap((id) => [id, ...NEEDS[id]]));
    for (const [id, target] of [...this.#targets].toReversed()) {
      if (kept.has(id)) continue;
      this.#targets.delete(id);
      const contender = await target;
      this.#filled.delete(contender.id);
      await this.end(contender);
    }
  }

  async stopAll(): Promise<void> {
    for (const running of this.#running.splice(0).toReversed()) await running.stop();
  }

  /** The first of `count` free ports in a row, which nobody else of this run gets. */
  async ports(count: number): Promise<number> {
    const from = this.#nextPort;
    // Taken at once: two that start together must not find the same ports free.
    this.#nextPort += count;
    const port = await freeBlock(from, count);
    if (port === undefined) throw new PlainError(`no ${count} ports in a row are free`);
    this.#nextPort = Math.max(this.#nextPort, port + count);
    return port;
  }
}
