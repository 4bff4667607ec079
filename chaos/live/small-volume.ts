/**
 * A small volume for PostgreSQL's data, so that a disk can really be full (ENOSPC) without filling the
 * machine's. As root it is a tmpfs that the run mounts and unmounts; anybody else may name a folder on
 * a small volume of their own.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Disk } from '../target.ts';

const TMPFS_MB = 700;
/** More than this is nobody's small volume: filling it could hurt the machine. */
const FREE_MB_MAX = 4096;
const MB = 1 << 20;
const CHUNKS = [MB, 4096, 1];

export class SmallVolume implements Disk {
  /** Where PostgreSQL's folder belongs. */
  readonly dir: string;
  readonly #mounted: boolean;
  readonly #ballast: string;

  private constructor(dir: string, mounted: boolean) {
    this.dir = dir;
    this.#mounted = mounted;
    this.#ballast = join(dir, 'ballast');
  }

  /** A tmpfs at this path. Needs root; throws with the reason when it cannot be mounted. */
  static mount(dir: string): SmallVolume {
    mkdirSync(dir, { recursive: true });
    run('mount', ['-t', 'tmpfs', '-o', `size=${TMPFS_MB}m,mode=755`, 'ringfence-chaos', dir]);
    return new SmallVolume(dir, true);
  }

  /** Throws when this is no folder on a volume that may be filled. */
  static check(folder: string): void {
    const { bavail, bsize } = statfsSync(folder);
    const freeMb = Math.round((bavail * bsize) / MB);
    if (freeMb <= FREE_MB_MAX) return;
    throw new Error(
      `${folder} has ${freeMb} MB free; a volume that may be filled has at most ${FREE_MB_MAX}`,
    );
  }

  /** A folder of its own on a volume that is there already, and was checked. */
  static within(folder: string): SmallVolume {
    return new SmallVolume(mkdtempSync(join(folder, 'ringfence-chaos-')), false);
  }

  whyNot(): undefined {
    return undefined;
  }

  fill(): Promise<void> {
    const file = openSync(this.#ballast, 'a');
    try {
      for (const size of CHUNKS) writeUntilFull(file, Buffer.alloc(size));
    } finally {
      closeSync(file);
    }
    return Promise.resolve();
  }

  free(): Promise<void> {
    rmSync(this.#ballast, { force: true });
    return Promise.resolve();
  }

  /** Gives the volume back; nothing may run in it any more. */
  remove(): void {
    if (this.#mounted) run('umount', [this.dir]);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** For a target whose PostgreSQL lies on the machine's own disk. */
export const NO_SMALL_VOLUME: Disk = {
  whyNot: () =>
    "PostgreSQL's data needs a small volume: run as root, or name a folder on one with --postgres-volume",
  fill: () => Promise.reject(new Error('there is no small volume')),
  free: () => Promise.resolve(),
};

function writeUntilFull(file: number, chunk: Buffer): void {
  for (;;) {
    try {
      writeSync(file, chunk);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return;
      throw error;
    }
  }
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`);
}
