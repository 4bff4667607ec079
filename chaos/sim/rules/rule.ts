/**
 * Broken builds: a rule of the program is switched off by replacing its source text in a copy. Nothing
 * in the program itself knows of this, so there is no switch that somebody could leave on.
 */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RowName } from './rows.ts';

export interface Edit {
  /** Relative to the repository. */
  readonly file: string;
  /** Occurs exactly once in it. */
  readonly from: string;
  readonly to: string;
}

/** One rule, and how it is switched off. */
export interface Rule {
  /** The row of the table of schedules that the rule belongs to. */
  readonly row: RowName;
  /** Set where a row has more than one. */
  readonly variant?: string;
  /** What holds in the program, in one sentence. */
  readonly rule: string;
  readonly edits: readonly Edit[];
}

/** `row` or `row/variant`. */
export function nameOf({ row, variant }: Rule): string {
  return variant === undefined ? row : `${row}/${variant}`;
}

/** The text with the edit made. Throws when the text to replace is not there exactly once. */
export function edited(text: string, { file, from, to }: Edit): string {
  const parts = text.split(from);
  if (parts.length !== 2) {
    throw new Error(`${file} has this ${parts.length - 1} times instead of once: ${from}`);
  }
  return parts.join(to);
}

/** What a copy must have so that tests and the simulator run in it. */
const COPIED = ['src', 'chaos', 'test/unit/cluster', 'test/integration/storage', 'test/support'];
const COPIED_FILES = ['package.json', 'tsconfig.json', 'vitest.config.ts'];

/**
 * Copies the repository at `root` to a temporary folder, with the rule switched off there. Returns the
 * folder; the caller removes it.
 */
export async function brokenCopy(root: string, rule: Rule): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ringfence-broken-'));
  try {
    for (const path of [...COPIED, ...COPIED_FILES]) {
      await cp(join(root, path), join(folder, path), { recursive: true });
    }
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
    for (const edit of rule.edits) {
      const file = join(folder, edit.file);
      await writeFile(file, edited(await readFile(file, 'utf8'), edit));
    }
    return folder;
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}
