/** A short chaos run for a test: what it said, whether every checker held. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { faultsByName } from '../../../chaos/faults/index.ts';
import type { Ground } from '../../../chaos/live/ground.ts';
import { ProcessTarget } from '../../../chaos/live/process-target.ts';
import { runChaos } from '../../../chaos/live/run.ts';
import { untilReady } from '../../../chaos/target.ts';
import { WORKLOADS } from '../../../chaos/workloads/index.ts';

const STOCK = 2000;

/** Each fault once, then the cold start and all checkers. Rejects when the cluster does not come back. */
export async function shortRun(
  ground: Ground,
  portBase: number,
  faults: readonly string[],
): Promise<{ code: number; said: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'ringfence-chaos-test-'));
  const target = new ProcessTarget({ ground, nodes: 3, portBase, logs: join(folder, 'logs') });
  const lines: string[] = [];
  let passed = false;
  try {
    await target.up();
    await untilReady(target.nodes);
    const code = await runChaos({
      target,
      folder,
      faults: faultsByName(faults),
      workloads: WORKLOADS,
      mixed: false,
      ms: undefined,
      seed: 1,
      stock: STOCK,
      say: (line) => lines.push(line),
    });
    passed = code === 0;
    return { code, said: lines.join('\n') };
  } catch (error) {
    throw new Error(`${String(error)}\n${lines.join('\n')}\n${await target.logs()}`, {
      cause: error,
    });
  } finally {
    await target.down();
    // What did not pass is kept: `said` tells where, and how to judge it again.
    if (passed) rmSync(folder, { recursive: true, force: true });
  }
}
