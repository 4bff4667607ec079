/**
 * Where a node's processor time goes: reads a profile that `node --cpu-prof` wrote, and sums the time
 * each function was itself running (not what it called) within given windows of time.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The parts of the .cpuprofile format that are used. Times are microseconds of the monotonic clock. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  readonly startTime: number;
  readonly samples: readonly number[];
  /** Time from the sample before (from `startTime`, for the first). */
  readonly timeDeltas: readonly number[];
}

export interface SelfTime {
  readonly name: string;
  /** Share of the time in which the process was not idle, 0 to 1. */
  readonly share: number;
}

export interface ProfileSummary {
  /** Share of the windows' time in which the main thread was busy, 0 to 1. */
  readonly busy: number;
  /** Greatest first. */
  readonly functions: readonly SelfTime[];
}

type Window = readonly [startUs: number, endUs: number];

/** The file that a process wrote at its end; undefined when it wrote none. */
export function readProfileOf(pid: number, dir: string): CpuProfile | undefined {
  // CPU.<date>.<time>.<pid>.<thread>.<number>.cpuprofile
  const name = readdirSync(dir).find((file) => file.split('.')[3] === String(pid));
  if (name === undefined) return undefined;
  return JSON.parse(readFileSync(join(dir, name), 'utf8')) as CpuProfile;
}

export function summarise(profile: CpuProfile, windows: readonly Window[]): ProfileSummary {
  const names = new Map(profile.nodes.map(({ id, callFrame }) => [id, frameName(callFrame)]));
  const timeOf = new Map<string, number>();
  let idle = 0;
  let busy = 0;
  let at = profile.startTime;
  profile.samples.forEach((id, i) => {
    at += profile.timeDeltas[i] ?? 0;
    // A sample stands for the time up to the next one.
    const duration = profile.timeDeltas[i + 1] ?? 0;
    if (!windows.some(([start, end]) => at >= start && at < end)) return;
    const name = names.get(id) ?? '(unknown)';
    if (name === '(idle)') {
      idle += duration;
      return;
    }
    busy += duration;
    timeOf.set(name, (timeOf.get(name) ?? 0) + duration);
  });
  const functions = [...timeOf]
    .map(([name, time]) => ({ name, share: time / busy }))
    .toSorted((a, b) => b.share - a.share);
  return { busy: busy + idle === 0 ? 0 : busy / (busy + idle), functions };
}

/** `commit dist/cluster/lane.js:120`; what has no source keeps its name: `(garbage collector)`. */
function frameName({
  functionName,
  url,
  lineNumber,
}: CpuProfile['nodes'][number]['callFrame']): string {
  const name = functionName === '' ? '(anonymous)' : functionName;
  if (url === '') return name;
  const short = url.replace(/^.*\/(dist|node_modules)\//, (_, folder: string) =>
    folder === 'dist' ? 'dist/' : '',
  );
  return `${name} ${short}:${lineNumber + 1}`;
}

export function describeProfile(
  name: string,
  { busy, functions }: ProfileSummary,
  top: number,
): string[] {
  return [
    `  ${name}: busy ${(busy * 100).toFixed(0)}% of the time; of that`,
    ...functions
      .slice(0, top)
      .map(({ name: text, share }) => `    ${(share * 100).toFixed(1).padStart(5)}%  ${text}`),
  ];
}
