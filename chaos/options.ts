/** From the flags of `npm run chaos` to what will be done; what cannot be done is refused before anything starts. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Fault } from './faults/fault.ts';
import { FAULTS, faultsByName, refusals } from './faults/index.ts';
import { FakeClocks } from './live/clocks.ts';
import { DockerTarget } from './live/docker-target.ts';
import { Loopback, NODES_MAX, PORTS_TAKEN } from './live/ground.ts';
import { Netns } from './live/netns.ts';
import { ProcessTarget } from './live/process-target.ts';
import { SmallVolume } from './live/small-volume.ts';
import type { Target } from './target.ts';
import { WORKLOADS } from './workloads/index.ts';
import type { Workload } from './workloads/workload.ts';

/** A wrong flag, or one that asks for what cannot be done here: exit code 2. */
export class UsageError extends Error {}

export interface ChaosOptions {
  readonly target: Target;
  readonly faults: readonly Fault[];
  /** Faults that were not asked for by name and that this target cannot do, with reasons. */
  readonly leftOut: readonly string[];
  readonly workloads: readonly Workload[];
  readonly mixed: boolean;
  /** Undefined: each fault once. */
  readonly ms: number | undefined;
  readonly seed: number;
  /** Kills to measure instead of a run; 0: a run. */
  readonly failovers: number;
  /** Where history, report and logs go. */
  readonly folder: string;
}

const FLAGS = {
  docker: { type: 'boolean', default: false },
  netns: { type: 'boolean', default: false },
  faults: { type: 'string' },
  workloads: { type: 'string' },
  mixed: { type: 'boolean', default: false },
  minutes: { type: 'string' },
  seed: { type: 'string' },
  failover: { type: 'string' },
  nodes: { type: 'string', default: '3' },
  port: { type: 'string', default: '21000' },
  'postgres-volume': { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

const SEED_MAX = 0xffff_ffff;

export function helpText(): string {
  const width = Math.max(...FAULTS.map(({ name }) => name.length)) + 2;
  const faults = FAULTS.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`);
  const workloads = WORKLOADS.map(({ name }) => name).join(', ');
  return `Usage: npm run chaos -- [flags]

Starts a cluster, lets clients work on it, breaks things, and checks what the clients were told.

  --docker               the containers of docker-compose.yml instead of local processes
  --netns                hosts in network namespaces, as root: every fault of the network
  --faults A,B           only these; asking for one that cannot be done here is an error
  --mixed                faults drawn at random, some of them two at a time
  --minutes M            how long (with --mixed 5; else each fault once)
  --seed N               draws the same faults again
  --workloads A,B        only these: ${workloads}
  --failover N           measure N times how long writes wait after kill -9 of a node, and nothing else
  --nodes N              3 to ${NODES_MAX}, with local processes and --netns (3)
  --port PORT            the first of ${PORTS_TAKEN} ports of the local processes (21000)
  --postgres-volume DIR  a folder on a small volume of your own, for disk-full without root
  --help                 this text

Faults:
${faults.join('\n')}

Exit code 0 when every checker holds, 1 when one does not or the cluster did not come up, 2 for wrong usage.
`;
}

/** Undefined when help was asked for. Throws a UsageError. */
export function readOptions(argv: readonly string[]): ChaosOptions | undefined {
  const flags = parse(argv);
  if (flags.help) return undefined;
  const asked = flags.faults === undefined ? undefined : byName(flags.faults);
  const folder = join('.ringfence', 'chaos', new Date().toISOString().replaceAll(/[:.]/g, '-'));
  const target = makeTarget(flags, asked ?? FAULTS, folder);
  const refused = refusals(asked ?? FAULTS, target);
  if (asked !== undefined && refused.length > 0) throw new UsageError(refused.join('\n'));
  const minutes = flags.minutes ?? (flags.mixed ? '5' : undefined);
  return {
    target,
    faults: asked ?? FAULTS.filter((fault) => fault.whyNot(target) === undefined),
    leftOut: refused,
    workloads: chooseWorkloads(flags.workloads),
    mixed: flags.mixed,
    ms: minutes === undefined ? undefined : number('minutes', minutes, 0.01, 10_000) * 60_000,
    seed:
      flags.seed === undefined
        ? Math.floor(Math.random() * SEED_MAX)
        : integer('seed', flags.seed, 0, SEED_MAX),
    failovers: flags.failover === undefined ? 0 : integer('failover', flags.failover, 1, 1000),
    folder,
  };
}

type Flags = ReturnType<typeof parse>;

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: FLAGS }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function byName(list: string): Fault[] {
  try {
    return faultsByName(list.split(',').filter(Boolean));
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function chooseWorkloads(list: string | undefined): readonly Workload[] {
  if (list === undefined) return WORKLOADS;
  return list.split(',').map((name) => {
    const found = WORKLOADS.find((workload) => workload.name === name);
    if (found === undefined) throw new UsageError(`there is no workload '${name}'`);
    return found;
  });
}

/** Reasons that lie in this machine (no Docker, not root) are wrong usage too. */
function makeTarget(flags: Flags, faults: readonly Fault[], folder: string): Target {
  if (flags.docker && flags.netns) throw new UsageError('--docker or --netns, not both');
  const nodes = integer('nodes', flags.nodes, 3, NODES_MAX);
  const portBase = integer('port', flags.port, 1, 65_536 - PORTS_TAKEN);
  try {
    if (flags.docker) return new DockerTarget();
    const wants = (name: string): boolean => faults.some((fault) => fault.name.startsWith(name));
    const volume = wants('disk-full') ? volumeMaker(flags['postgres-volume']) : undefined;
    return new ProcessTarget({
      ground: flags.netns ? new Netns() : new Loopback(portBase),
      nodes,
      portBase,
      logs: join(folder, 'logs'),
      ...(volume === undefined ? {} : { volume }),
      clocks: wants('clock-') && FakeClocks.whyNot() === undefined,
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function volumeMaker(folder: string | undefined): ((dir: string) => SmallVolume) | undefined {
  if (folder !== undefined) {
    SmallVolume.check(folder);
    return () => SmallVolume.within(folder);
  }
  return process.getuid?.() === 0 ? (dir) => SmallVolume.mount(dir) : undefined;
}

function number(flag: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= min && value <= max) return value;
  throw new UsageError(`--${flag} must be a number from ${min} to ${max}, not '${text}'`);
}

function integer(flag: string, text: string, min: number, max: number): number {
  const value = number(flag, text, min, max);
  if (Number.isInteger(value)) return value;
  throw new UsageError(`--${flag} must be a whole number, not '${text}'`);
}
