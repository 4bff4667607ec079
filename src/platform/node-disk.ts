import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import type { Disk } from './disk.ts';

/** Files of this machine. */
export const nodeDisk: Disk = {
  async readText(path) {
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  },

  async replaceText(path, text) {
    // A name beside the file, so that the rename stays within one file system.
    const temporary = `${path}.${process.pid}.tmp`;
    const mode = await modeOf(path);
    try {
      const file = await open(temporary, 'w', mode);
      try {
        await file.writeFile(text, 'utf8');
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  },
};

/** Permissions of the file that is replaced; a new one is for its owner only, since it may hold passwords. */
async function modeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).mode & 0o777;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0o600;
    throw error;
  }
}
