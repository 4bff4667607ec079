import type { Target } from '../target.ts';

/** Something that breaks, and is mended again, while the clients go on. */
export interface Fault {
  readonly name: string;
  /** Resolves when all that it ended was started again (not necessarily ready yet). */
  inject(target: Target, say: (line: string) => void): Promise<void>;
}

/** How long what was killed stays down. */
export const DOWN_MS = 3000;

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
