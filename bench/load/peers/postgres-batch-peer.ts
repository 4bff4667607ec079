/**
 * PostgreSQL's own best: batches of upserts of many rows, nothing around them. Which size of a batch, how
 * many connections and which of two ways (arrays by `unnest`, COPY into a temporary table) are best on this
 * machine is found out by trying, once, before the first round.
 */
import { type Contender, type Load, type Measured } from '../load.ts';
import { makeDatabase } from '../postgres.ts';
import type { ProcessGroup } from '../processor-time.ts';
import { startWorker } from '../worker.ts';
import { type BatchShape, CANDIDATES, describeShape, improves } from './batch-shape.ts';

export interface BatchRequest extends BatchShape {
  readonly operations: number;
  readonly prefix: string;
}

export type BatchAnswer = Measured;

const PROGRAM = new URL('./postgres-batch-process.ts', import.meta.url);
const CALIBRATION_ROWS = 30_000;

export async function startPostgresBatch(
  { storeUrl, postgres }: { storeUrl: string; postgres: ProcessGroup },
  say: (line: string) => void,
): Promise<Contender> {
  const url = await makeDatabase(storeUrl, 'bench_batch');
  const worker = await startWorker<BatchRequest, BatchAnswer>(PROGRAM, {
    name: "PostgreSQL's batches",
    args: [url],
  });
  let best: BatchShape | undefined;
  const ask = async (
    shape: BatchShape,
    { prefix }: Load,
    operations: number,
  ): Promise<Measured> => ({
    ...(await worker.ask({ ...shape, prefix, operations })),
    clientUs: 0,
  });
  const calibrate = async (load: Load): Promise<BatchShape> => {
    let found: BatchShape | undefined;
    let rate = 0;
    for (const shape of CANDIDATES) {
      const { opsPerSecond } = await ask(shape, load, CALIBRATION_ROWS);
      if (found === undefined || improves(opsPerSecond, rate))
        [found, rate] = [shape, opsPerSecond];
    }
    if (found === undefined) throw new Error('there are no candidates');
    say(`    best batches of PostgreSQL: ${describeShape(found)}, ${Math.round(rate)} rows/s`);
    return found;
  };
  return {
    id: 'postgres-batch',
    get label() {
      return `PostgreSQL, best batches${best === undefined ? '' : ` (${describeShape(best)})`}`;
    },
    processes: () => [{ name: 'application', pid: worker.pid, withChildren: false }, postgres],
    // The candidates write all keys over and over.
    fill: async (load) => {
      best = await calibrate(load);
    },
    run: (load, operations) => {
      if (best === undefined) throw new Error('the batches were not calibrated');
      return ask(best, load, operations);
    },
    stop: () => worker.stop(),
  };
}
