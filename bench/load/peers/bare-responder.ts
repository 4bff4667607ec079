/** Starts and drives the bare responder (bare-responder-process.ts): the limit of the runtime. */
import { type Generator, RespLoad } from '../generator/resp-load.ts';
import type { Contender } from '../load.ts';
import { startWorker } from '../worker.ts';

export async function startBareResponder(port: number, generator: Generator): Promise<Contender> {
  const program = new URL('./bare-responder-process.ts', import.meta.url);
  const worker = await startWorker(program, { name: 'the bare responder', args: [String(port)] });
  const loads = new RespLoad([port], generator);
  return {
    id: 'bare',
    label: 'bare responder on node:net',
    processes: () => [{ name: 'responder', pid: worker.pid, withChildren: false }],
    // It has no keys: every GET is answered with the same value.
    fill: () => Promise.resolve(),
    run: (load, operations) => loads.run(load, operations),
    stop: () => worker.stop(),
  };
}
