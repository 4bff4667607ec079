/** Starts and drives the hand-written write-through (write-through-process.ts). */
import { type Contender, KEY_SPACE, type Load, type Measured } from '../load.ts';
import { makeDatabase } from '../postgres.ts';
import type { ProcessGroup } from '../processor-time.ts';
import { startWorker } from '../worker.ts';

export interface RoundRequest {
  readonly operations: number;
  /** Writes under way at any time. */
  readonly outstanding: number;
  readonly prefix: string;
}

export type RoundAnswer = Omit<Measured, 'operations'>;

const PROGRAM = new URL('./write-through-process.ts', import.meta.url);

/**
 * `storeUrl`: the database server of the cluster, in which it gets a database of its own, so that both
 * sides have the same server with the same settings. `postgres`: that server's processes.
 */
export async function startWriteThrough({
  storeUrl,
  postgres,
  redis,
  redisPort,
}: {
  storeUrl: string;
  postgres: ProcessGroup;
  redis: Contender;
  redisPort: number;
}): Promise<Contender> {
  const url = await makeDatabase(storeUrl, 'bench_write_through');
  const worker = await startWorker<RoundRequest, RoundAnswer>(PROGRAM, {
    name: 'the hand-written write-through',
    args: [url, String(redisPort)],
  });
  const run = async (load: Load, operations: number): Promise<Measured> => {
    const { connections, pipeline, command, prefix } = load;
    if (command !== 'set') throw new Error('the hand-written write-through only writes');
    const request = { operations, outstanding: connections * pipeline, prefix };
    // Its client is itself, and its processor time that of the application.
    return { operations, ...(await worker.ask(request)), clientUs: 0 };
  };
  return {
    id: 'write-through',
    label: 'hand-written: pg pool of 20, then ioredis',
    processes: () => [
      { name: 'application', pid: worker.pid, withChildren: false },
      postgres,
      ...redis.processes(),
    ],
    fill: async ({ prefix }) => {
      // At random, so not quite every key; it reads none.
      await run({ command: 'set', prefix, connections: 50, pipeline: 1 }, KEY_SPACE);
    },
    run,
    stop: () => worker.stop(),
  };
}
