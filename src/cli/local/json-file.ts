/** Small JSON files that one process writes and another one reads. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';

/** A reader sees all of it or nothing. */
export function writeWhole(file: string, content: object): void {
  writeFileSync(`${file}.new`, JSON.stringify(content));
  renameSync(`${file}.new`, file);
}

/** The content; undefined when there is no such file, or what is in it is no JSON, so not ours. */
export function readWhole(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
