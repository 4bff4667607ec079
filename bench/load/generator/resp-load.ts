/** Loads and fills for everything that speaks the Redis protocol: the same clients for all sides. */
import { fillMark, KEY_SPACE, type Load, type Measured, type Route } from '../load.ts';
import { redisBenchmark } from '../redis-benchmark.ts';
import { startWorker, type Worker } from '../worker.ts';
import type { GeneratorAnswer, GeneratorRequest } from './request.ts';
import { readSlots, targetsOf } from './routes.ts';

export type Generator = Worker<GeneratorRequest, GeneratorAnswer>;

const SLOTS = 16_384;
/** With this many random draws a slot, one key in 3000 is left out by a fill of `--cluster`. */
const DRAWS_PER_SLOT = 8;
const FILL_CONNECTIONS = 50;
const FILL_PIPELINE = 16;

export function startGenerator(): Promise<Generator> {
  return startWorker(new URL('./process.ts', import.meta.url), { name: 'the load generator' });
}

/** Sends to one server, or to the nodes of a cluster. */
export class RespLoad {
  readonly #ports: readonly number[];
  readonly #generator: Generator;
  readonly #fillRoute: Route;

  /** `fillRoute`: `primaries` where a node refuses other nodes' keys. */
  constructor(ports: readonly number[], generator: Generator, fillRoute: Route = 'any') {
    this.#ports = ports;
    this.#generator = generator;
    this.#fillRoute = fillRoute;
  }

  async run(load: Load, operations: number): Promise<Measured> {
    if (load.client !== 'own')
      return redisBenchmark(this.#ports[load.node ?? 0]!, load, operations);
    const request = await this.#request(load, load.route ?? 'any');
    const answer = await this.#generator.ask({ ...request, order: 'random', operations });
    if (answer.nulls > 0) throw new Error(`${answer.nulls} keys were not found`);
    return answer;
  }

  /** Writes all keys, then reads them back. Rejects when one fails or is missing. */
  async fill(load: Load): Promise<void> {
    if (fillMark(load) === undefined) return;
    if (load.client === 'redis-benchmark --cluster') {
      const set = { ...load, command: 'set', pipeline: FILL_PIPELINE } as const;
      await redisBenchmark(this.#first(), set, SLOTS * DRAWS_PER_SLOT);
      return;
    }
    const { waitFor: _, ratePerSecond: __, ...plain } = load;
    const many = {
      ...plain,
      command: 'set' as const,
      connections: FILL_CONNECTIONS,
      pipeline: FILL_PIPELINE,
    };
    const request = await this.#request(many, this.#fillRoute);
    const all = { ...request, order: 'sequence', operations: 0 } as const;
    await this.#generator.ask(all);
    const { nulls } = await this.#generator.ask({ ...all, command: 'get' });
    if (nulls > 0) throw new Error(`${nulls} keys are not there that were just written`);
  }

  async #request(
    load: Load,
    route: Route,
  ): Promise<Omit<GeneratorRequest, 'order' | 'operations'>> {
    const { command, prefix, connections, pipeline, keySpace = KEY_SPACE } = load;
    if (command === 'mget') throw new Error('the own generator sends no MGET');
    const asks = route !== 'any' && route !== 'everywhere';
    const ranges = asks ? await readSlots(this.#first()) : [];
    const { hotKey, waitFor, ratePerSecond } = load;
    return {
      targets: targetsOf(route, this.#ports, ranges),
      ...{ command, prefix, connections, pipeline, keySpace },
      ...(hotKey === undefined ? {} : { hotKey }),
      ...(waitFor === undefined || command !== 'set' ? {} : { waitFor }),
      ...(ratePerSecond === undefined ? {} : { ratePerSecond }),
    };
  }

  #first(): number {
    const [port] = this.#ports;
    if (port === undefined) throw new Error('there is no node to send to');
    return port;
  }
}
