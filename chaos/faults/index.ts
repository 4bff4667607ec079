import type { Fault } from './fault.ts';
import { killEverything } from './kill-everything.ts';
import { killNode } from './kill-node.ts';

/** One scenario each, in this order. */
export const FAULTS: readonly Fault[] = [killNode, killEverything];
