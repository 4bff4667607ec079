/**
 * Wall clocks of nodes that can be moved while they run: libfaketime answers for the system's clock,
 * with an offset that it reads from a file. Monotonic time is left alone, as on a machine whose clock
 * somebody sets.
 */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clocks, Host } from '../target.ts';

/** The variant for programs with threads. */
const LIBRARY = 'libfaketimeMT.so.1';
const REASON = `it needs ${LIBRARY} (apt-get install faketime)`;

export class FakeClocks implements Clocks {
  readonly #dir: string;

  /** `dir` keeps one file per node. */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Why nodes on this machine cannot have such a clock; undefined: they can. */
  static whyNot(): string | undefined {
    return findLibrary() === undefined ? REASON : undefined;
  }

  whyNot(): undefined {
    return undefined;
  }

  set(node: Host, offsetMs: number): Promise<void> {
    const sign = offsetMs < 0 ? '-' : '+';
    writeFileSync(this.#file(node), `${sign}${Math.abs(offsetMs) / 1000}\n`);
    return Promise.resolve();
  }

  environment(node: Host): NodeJS.ProcessEnv {
    void this.set(node, 0);
    return {
      LD_PRELOAD: findLibrary(),
      FAKETIME_TIMESTAMP_FILE: this.#file(node),
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      FAKETIME_CACHE_DURATION: '1',
    };
  }

  #file(node: Host): string {
    return join(this.#dir, `${node}.clock`);
  }
}

export const NO_CLOCKS: Clocks = {
  whyNot: () => REASON,
  set: () => Promise.reject(new Error(REASON)),
};

function findLibrary(): string | undefined {
  const root = '/usr/lib';
  if (!existsSync(root)) return undefined;
  const folders = ['', ...readdirSync(root).filter((name) => name.endsWith('-linux-gnu'))];
  return folders
    .map((folder) => join(root, folder, 'faketime', LIBRARY))
    .find((file) => existsSync(file));
}
