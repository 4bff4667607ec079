/** Wall clocks that jump. Leases live on monotonic time and must not notice. */
import { type Fault, type FaultContext, LONG_MS, pause, type Part, whileBroken } from './fault.ts';

function clockJump({ name, offsetMs }: { name: string; offsetMs: number }): Fault {
  const seconds = Math.abs(offsetMs) / 1000;
  const way = offsetMs > 0 ? 'forward' : 'back';
  const part: Part = 'a node';
  return {
    name,
    summary: `the wall clock of a node jumps ${seconds} s ${way}, and back again`,
    part,
    nodes: 1,
    whyNot: (target) => target.clocks.whyNot(),
    async inject({ target, say, pickNode }: FaultContext) {
      const node = pickNode();
      say(`the clock of ${node} jumps ${seconds} s ${way}`);
      await whileBroken(
        () => target.clocks.set(node, 0),
        async () => {
          await target.clocks.set(node, offsetMs);
          await pause(LONG_MS);
        },
      );
      say(`the clock of ${node} is right again`);
    },
  };
}

export const clockForward = clockJump({ name: 'clock-forward', offsetMs: 30_000 });
export const clockBack = clockJump({ name: 'clock-back', offsetMs: -30_000 });
