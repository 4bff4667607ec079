/** Seeds that found something once (`chaos/seeds`): replayed for ever. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Focus } from './plan.ts';

export interface KeptSeed {
  readonly seed: number;
  /** Version of the generator (`plan.ts`) under which the seed meant what it found. */
  readonly generator: number;
  /** What the schedules were about among which it was found; missing: everything. */
  readonly focus?: Focus;
  /** What went wrong, and why. */
  readonly found: string;
  /** Subject of the commit that has the fix. */
  readonly fix: string;
}

/** All of them, by file name; `root` is the checkout. */
export function keptSeeds(root: string): (KeptSeed & { readonly file: string })[] {
  const folder = join(root, 'chaos', 'seeds');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((file) => ({
      file,
      ...(JSON.parse(readFileSync(join(folder, file), 'utf8')) as KeptSeed),
    }));
}
