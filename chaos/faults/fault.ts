/** Something that breaks, and is mended again, while the clients go on. */
import type { Random } from '../../src/platform/clock.ts';
import type { Host, Target } from '../target.ts';

/** What a fault takes for itself: two faults with the same part never run at the same time. */
export type Part = 'a node' | 'postgres' | 'legacy' | 'everything';

export interface FaultContext {
  readonly target: Target;
  readonly random: Random;
  readonly say: (line: string) => void;
  /** A node that no other fault has now; it stays taken until this fault is over. */
  readonly pickNode: () => Host;
}

export interface Fault {
  readonly name: string;
  /** One line for people. */
  readonly summary: string;
  readonly part: Part;
  /** Nodes it takes: at most that many are picked. */
  readonly nodes: number;
  /** Why this target cannot do it; undefined: it can. */
  whyNot(target: Target): string | undefined;
  /** Breaks and mends. Resolves when all it ended was started again (not necessarily ready yet). */
  inject(context: FaultContext): Promise<void>;
}

/** Every target has processes that can be killed, stopped, paused and started. */
export const always = (): undefined => undefined;

/** How long what was killed stays down, milliseconds. */
export const DOWN_MS = 3000;
/** Shorter than a lease (1.5 s): nobody may be removed for it. */
export const SHORT_MS = 700;
/** Longer than two leases: whoever is silent that long was replaced. */
export const LONG_MS = 5000;

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Runs `broken`, then mends even if it failed. */
export async function whileBroken(
  mend: () => Promise<void>,
  broken: () => Promise<void>,
): Promise<void> {
  try {
    await broken();
  } finally {
    await mend();
  }
}

/** All nodes but these. */
export function otherNodes(target: Target, ...hosts: Host[]): Host[] {
  return target.nodes.map(({ name }) => name).filter((name) => !hosts.includes(name));
}
