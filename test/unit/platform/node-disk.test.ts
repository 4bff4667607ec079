import { chmod, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { nodeDisk } from '../../../src/platform/node-disk.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ringfence-disk-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('a file that does not exist reads as null', async () => {
  expect(await nodeDisk.readText(join(folder, 'none'))).toBeNull();
});

it('replacing a file keeps its permissions and leaves nothing else behind', async () => {
  const path = join(folder, 'c.json');
  await nodeDisk.replaceText(path, 'one');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await chmod(path, 0o640);
  await nodeDisk.replaceText(path, 'zwölf');
  expect(await nodeDisk.readText(path)).toBe('zwölf');
  expect((await stat(path)).mode & 0o777).toBe(0o640);
  expect(await readdir(folder)).toEqual(['c.json']);
});

it('a failed replacement rejects and removes what it began', async () => {
  const path = join(folder, 'missing', 'c.json');
  await expect(nodeDisk.replaceText(path, 'x')).rejects.toThrow('ENOENT');
  expect(await readdir(folder)).toEqual([]);
});
