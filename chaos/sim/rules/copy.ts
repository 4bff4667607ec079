/** A copy of the sources in a temporary folder, in which one rule after the other is switched off. */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { edited, type Rule } from './rule.ts';

/** What a copy must have so that the simulator and the tests of the rows run in it. */
const COPIED = [
  'src',
  'chaos',
  'test/unit/cluster',
  'test/integration/storage',
  'test/support',
  'package.json',
  'tsconfig.json',
  'vitest.config.ts',
];

export class BrokenCopy {
  readonly root: string;
  /** Texts of the files that are changed now, as they were. */
  readonly #whole = new Map<string, string>();

  /** Copies the checkout at `from`. Whoever made the copy removes it. */
  constructor(from: string) {
    this.root = mkdtempSync(join(tmpdir(), 'ringfence-broken-'));
    try {
      for (const name of COPIED)
        cpSync(join(from, name), join(this.root, name), { recursive: true });
      symlinkSync(join(from, 'node_modules'), join(this.root, 'node_modules'));
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** Switches this rule off, and the one before on again. Throws when its text is not there once. */
  breakRule(rule: Rule): void {
    this.mend();
    for (const edit of rule.edits) {
      const path = join(this.root, edit.file);
      const text = readFileSync(path, 'utf8');
      const broken = edited(text, edit);
      if (!this.#whole.has(path)) this.#whole.set(path, text);
      writeFileSync(path, broken);
    }
  }

  /** The copy is as the checkout again. */
  mend(): void {
    for (const [path, text] of this.#whole) writeFileSync(path, text);
    this.#whole.clear();
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
