/** The production Platform: this machine's clocks, timers, randomness and TCP. */
import { createNodeTimers, nodeClock } from './node-clock.ts';
import { createNodeRandom } from './node-random.ts';
import { createNodeTransport } from './node-transport.ts';
import type { Platform } from './platform.ts';

export function createNodePlatform(): Platform {
  return {
    clock: nodeClock,
    timers: createNodeTimers(),
    random: createNodeRandom(),
    transport: createNodeTransport(),
  };
}
