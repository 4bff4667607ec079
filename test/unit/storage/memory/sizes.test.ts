import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { mapBytes, mapGrows, stringBytes } from '../../../../src/storage/memory/sizes.ts';

const run = promisify(execFile);
const script = fileURLToPath(new URL('heap-growth.ts', import.meta.url));

interface Growth {
  name: string;
  heapPerKey: number;
  accountedPerKey: number;
}

describe('byte accounting', () => {
  it('is within 15 % of what the heap grows by, for small and large keys and values', async () => {
    const flags = ['--expose-gc', '--import', 'tsx', script, '100000'];
    const { stdout } = await run(process.execPath, flags);
    const growths = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Growth);
    expect(growths).toHaveLength(5);
    for (const { name, heapPerKey, accountedPerKey } of growths) {
      const ratio = accountedPerKey / heapPerKey;
      expect(ratio, name).toBeGreaterThan(0.85);
      expect(ratio, name).toBeLessThan(1.15);
    }
  });

  it('strings cost their header and whole words, and those that V8 shares cost nothing', () => {
    expect([0, 1, 2, 8, 9, 64].map((length) => stringBytes('x'.repeat(length)))).toEqual([
      0, 0, 24, 24, 32, 80,
    ]);
  });

  it('a map changes its size class exactly where mapGrows says so', () => {
    for (let size = 1; size < 5000; size++) {
      expect(mapGrows(size), `size ${size}`).toBe(mapBytes(size) !== mapBytes(size - 1));
    }
  });
});
