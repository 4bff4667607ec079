/** Builds that are broken on purpose are caught: a simulator that finds nothing might just not look. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MUTATIONS } from '../../chaos/sim/broken/index.ts';
import { apply, buildBroken } from '../../chaos/sim/broken/mutation.ts';
import { runSeeds } from '../../chaos/sim/runner.ts';

const ROOT = process.cwd();
/** On a machine that is busy with other things, milliseconds. */
const TIMEOUT_MS = 300_000;

test.each(MUTATIONS)(
  '$name is caught within $seedsMax seeds',
  async (mutation) => {
    const build = buildBroken(ROOT, mutation);
    let seed = 1;
    const caught: string[] = [];
    try {
      await runSeeds({
        root: build.root,
        faults: mutation.faults,
        workers: availableParallelism(),
        next: () => (caught.length > 0 || seed > mutation.seedsMax ? undefined : seed++),
        onReport: ({ failures }) => caught.push(...failures),
      });
    } finally {
      build.remove();
    }
    expect(caught).not.toEqual([]);
    // A build that does not run at all would be "caught" too.
    expect(caught.join('\n')).not.toMatch(/the worker ended|SyntaxError|ERR_MODULE/);
  },
  TIMEOUT_MS,
);

test('a mutation whose text is gone, or there twice, is refused', () => {
  const root = mkdtempSync(join(tmpdir(), 'ringfence-mutation-'));
  try {
    writeFileSync(join(root, 'code.ts'), 'one two two');
    const mutation = { name: 'm', file: 'code.ts', replacement: 'x' };
    expect(() => apply(root, { ...mutation, text: 'three' })).toThrow('occurs 0 times');
    expect(() => apply(root, { ...mutation, text: 'two' })).toThrow('occurs 2 times');
    apply(root, { ...mutation, text: 'one' });
  } finally {
    rmSync(root, { recursive: true });
  }
});
