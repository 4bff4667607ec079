/**
 * A build that is broken on purpose: one text of the sources is replaced by another in a copy of them.
 * Production code has no switch for it, so nothing can be left on.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Mutation {
  readonly name: string;
  /** Which rule is off, and what goes wrong then. */
  readonly why: string;
  /** From the root of the checkout. */
  readonly file: string;
  /** Must occur in the file exactly once. */
  readonly text: string;
  readonly replacement: string;
  /** Names of the faults under which the rule counts; the schedules have only these. */
  readonly faults: readonly string[];
  /** Some seed from 1 to this one must fail; measured, with room for changes of the generator. */
  readonly seedsMax: number;
}

/** Folders and files that a simulation runs on. */
const COPIED = ['src', 'chaos', 'package.json', 'tsconfig.json'];

export interface BrokenBuild {
  readonly root: string;
  remove(): void;
}

/** Copies the sources below `root` to a temporary folder and breaks the copy. Throws when the text is not there once. */
export function buildBroken(root: string, mutation: Mutation): BrokenBuild {
  const copy = mkdtempSync(join(tmpdir(), `ringfence-${mutation.name}-`));
  const remove = (): void => rmSync(copy, { recursive: true, force: true });
  try {
    for (const name of COPIED) cpSync(join(root, name), join(copy, name), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    apply(copy, mutation);
  } catch (error) {
    remove();
    throw error;
  }
  return { root: copy, remove };
}

/** Breaks the sources below `root`. Throws when the text is not there exactly once. */
export function apply(
  root: string,
  { name, file, text, replacement }: Omit<Mutation, 'seedsMax' | 'faults' | 'why'>,
): void {
  const path = join(root, file);
  const parts = readFileSync(path, 'utf8').split(text);
  if (parts.length !== 2) {
    throw new Error(`${name}: its text occurs ${parts.length - 1} times in ${file}, not once`);
  }
  writeFileSync(path, parts.join(replacement));
}
