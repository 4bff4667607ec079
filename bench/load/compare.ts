/**
 * `--compare REF`: has an operation become dearer since that commit? Builds it beside this checkout, runs both
 * in turn on this machine, and compares processor time an operation, which a busy machine changes less than
 * throughput. Both use the dependencies that are installed here. It warns, and never fails for that.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, PACKAGE_ROOT, PlainError } from '../../src/cli/program.ts';
import type { Field } from './field.ts';
import type { Load } from './load.ts';
import type { BenchOptions } from './options.ts';
import type { RingfenceCluster } from './peers/ringfence-cluster.ts';
import { judgePairs } from './regression.ts';
import { type Durations, runInTurn, type Side } from './rounds.ts';
import { withField } from './surroundings.ts';

const KEYS = 20_000;
const GET: Load = { command: 'get', prefix: 'key:', keySpace: KEYS, connections: 50, pipeline: 1 };
const LOADS: readonly { readonly title: string; readonly load: Load }[] = [
  { title: 'GET, 50 connections', load: GET },
  { title: 'SET through to PostgreSQL, 50 connections', load: { ...GET, command: 'set' } },
];
/** Short: all of it is to fit into a minute. A fresh process needs its warm-up more than many rounds. */
const DURATIONS: Durations = { rounds: 3, roundSeconds: 1, warmUpSeconds: 3 };

type Say = (line: string) => void;

/** Resolves to the exit code. */
export function runComparison(options: BenchOptions, say: Say): Promise<number> {
  const { port, nodeFlags, compareWith: ref } = options;
  const about = {
    ...{ port, nodeFlags, say },
    ...{ durations: DURATIONS, keysShare: 1, cpuProfileDir: undefined },
  };
  return withField(about, (field) => compare(field, ref, say));
}

async function compare(field: Field, ref: string, say: Say): Promise<number> {
  const commit = resolveCommit(ref);
  say(`building ${ref} (${commit.slice(0, 7)}) ...`);
  const checkout = checkOut(field, commit);
  build(checkout);
  build(PACKAGE_ROOT);
  const before = await started(field, 'before', ref, checkout);
  const now = await started(field, 'now', 'this checkout', PACKAGE_ROOT);
  let dearer = 0;
  for (const { title, load } of LOADS) {
    const sides = [before, now].map((contender): Side => {
      const { id, label } = contender;
      return { contender, load, id, label };
    });
    for (const { contender } of sides) await field.fill(contender, load);
    const results = await runInTurn(
      sides,
      DURATIONS,
      ({ opsPerSecond }) => opsPerSecond,
      () => undefined,
    );
    const [beforeUs = [], nowUs = []] = results.map(({ rounds }) =>
      rounds.map(({ processorUs }) => processorUs?.total ?? Number.NaN),
    );
    const verdict = judgePairs({ title, beforeUs, nowUs });
    if (verdict.dearer) dearer++;
    say(verdict.line);
  }
  say(
    dearer === 0
      ? `nothing is clearly dearer than in ${ref}`
      : `${dearer} of ${LOADS.length} are dearer`,
  );
  return EXIT.ok;
}

function resolveCommit(ref: string): string {
  const { status, stdout } = git(['rev-parse', '--verify', '--quiet', `${ref}^{commit}`]);
  if (status !== 0) throw new PlainError(`--compare: there is no commit '${ref}' in this checkout`);
  return stdout.trim();
}

/** A worktree in the folder of the run, which git forgets again at the end. */
function checkOut(field: Field, commit: string): string {
  const folder = join(field.options.dir, 'before-checkout');
  const { status, stderr } = git(['worktree', 'add', '--detach', '--force', folder, commit]);
  if (status !== 0) throw new PlainError(`the worktree could not be made:\n${stderr}`);
  field.add({
    stop: () => {
      git(['worktree', 'remove', '--force', folder]);
      return Promise.resolve();
    },
  });
  symlinkSync(join(PACKAGE_ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

function git(args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync('git', ['-C', PACKAGE_ROOT, ...args], { encoding: 'utf8' });
}

function build(root: string): void {
  const script = join(root, 'scripts', 'build.mjs');
  if (!existsSync(script))
    throw new PlainError(`${root} has no scripts/build.mjs: too old to compare`);
  execFileSync(process.execPath, [script], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
}

async function started(
  field: Field,
  id: string,
  label: string,
  root: string,
): Promise<RingfenceCluster> {
  const { cluster } = await field.cluster({ id, label, root, nodes: 3, replicas: 3 });
  return cluster;
}
