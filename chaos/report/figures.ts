/** The numbers of a report, counted once for the text and for the page. */
import { commandTable } from '../../src/commands/table.ts';
import { isAnswer } from '../checkers/known-refusals.ts';
import type { FaultSpan, History, Operation, Outcome } from '../history.ts';

/** A part of the run; times are milliseconds since the run's first event. */
export interface Bucket {
  readonly fromMs: number;
  readonly ok: number;
  readonly refused: number;
  readonly unknown: number;
  /** Of the operations that were answered in it; undefined: none was. */
  readonly latency: Latency | undefined;
}

/** Milliseconds. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** A time in which no operation of any client was answered. */
export interface Gap {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface FaultFigures extends Gap {
  readonly name: string;
  readonly detail: string;
  /** The longest time without an answer to anybody, from its beginning until `AFTERMATH_MS` after its end. */
  readonly pauseMs: number;
  /** The same, without an acknowledged write. */
  readonly writePauseMs: number;
  /** The longest that one operation under way in that time took. */
  readonly waitMs: number;
  readonly refused: number;
  readonly unknown: number;
}

/** All faults of one name: how often it came, and the worst of each figure. Errors are added up. */
export interface FaultKindFigures
  extends Pick<
    FaultFigures,
    'name' | 'pauseMs' | 'writePauseMs' | 'waitMs' | 'refused' | 'unknown'
  > {
  readonly count: number;
}

export interface WorkloadFigures {
  readonly name: string;
  readonly ok: number;
  readonly refused: number;
  readonly unknown: number;
  readonly latency: Latency | undefined;
}

export interface Figures {
  readonly durationMs: number;
  readonly bucketMs: number;
  readonly buckets: readonly Bucket[];
  readonly gaps: readonly Gap[];
  readonly faults: readonly FaultFigures[];
  /** In the order in which they first came. */
  readonly faultKinds: readonly FaultKindFigures[];
  readonly workloads: readonly WorkloadFigures[];
  /** By outcome and the code of the error, most frequent first. */
  readonly errors: readonly { readonly kind: string; readonly count: number }[];
  readonly counts: Readonly<Record<Outcome, number>>;
  readonly longestPauseMs: number;
}

const BUCKETS_MAX = 200;
const BUCKET_SIZES_MS = [50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000];
/** Shorter ones are usual. */
const GAP_MS = 300;
/** After a fault was mended, what follows within this time is counted as its doing. */
export const AFTERMATH_MS = 3000;

export function figuresOf(history: History): Figures {
  const zero = firstMoment(history);
  const operations = history.operations.map(withAnswer).sort((a, b) => a.endedAtMs - b.endedAtMs);
  const durationMs = lastMoment(history, zero) - zero;
  const bucketMs =
    BUCKET_SIZES_MS.find((size) => durationMs / size <= BUCKETS_MAX) ?? durationMs / BUCKETS_MAX;
  const answered = operations.filter(({ outcome }) => outcome === 'ok');
  const answers = momentsOf(answered, zero);
  const writes = momentsOf(answered.filter(isWrite), zero);
  const ends = momentsOf(operations, zero);
  const longestMs = longestOf(operations);
  const run = { operations, ends, longestMs, answers, writes, zero, durationMs };
  const faults = [...history.faults]
    .sort((a, b) => a.startedAtMs - b.startedAtMs)
    .map((fault) => faultFigures(fault, run));
  return {
    durationMs,
    bucketMs,
    buckets: bucketsOf(operations, zero, durationMs, bucketMs),
    gaps: gapsOf(answers),
    faults,
    faultKinds: faultKindsOf(faults),
    workloads: workloadFigures(operations),
    errors: errorsOf(operations),
    counts: outcomesOf(operations),
    longestPauseMs: history.longestPauseMs(),
  };
}

/** RENAME of a key that is not there is refused, for the checkers; for whoever counts failures it was answered. */
function withAnswer(operation: Operation): Operation {
  const { outcome, command, reply } = operation;
  if (outcome !== 'refused' || !isAnswer(command, String(reply))) return operation;
  return { ...operation, outcome: 'ok' };
}

function momentsOf(operations: readonly Operation[], zero: number): number[] {
  return operations.map(({ endedAtMs }) => endedAtMs - zero);
}

/** As the command is known; it may have found nothing to change. */
export function isWrite({ command: [name = ''] }: Pick<Operation, 'command'>): boolean {
  return commandTable.get(name)?.flags.includes('write') === true;
}

function firstMoment({ operations, faults }: History): number {
  let first = Infinity;
  for (const { startedAtMs } of operations) first = Math.min(first, startedAtMs);
  for (const { startedAtMs } of faults) first = Math.min(first, startedAtMs);
  return first === Infinity ? 0 : first;
}

/** At least a millisecond after the first. */
function lastMoment({ operations, faults }: History, zero: number): number {
  let last = zero + 1;
  for (const { endedAtMs } of operations) last = Math.max(last, endedAtMs);
  for (const { endedAtMs } of faults) last = Math.max(last, endedAtMs);
  return last;
}

function bucketsOf(
  operations: readonly Operation[],
  zero: number,
  durationMs: number,
  bucketMs: number,
): Bucket[] {
  const count = Math.max(1, Math.ceil(durationMs / bucketMs));
  const parts = Array.from({ length: count }, (): Operation[] => []);
  for (const operation of operations) {
    const at = Math.floor((operation.endedAtMs - zero) / bucketMs);
    parts[Math.min(count - 1, at)]!.push(operation);
  }
  return parts.map((part, i) => ({
    fromMs: i * bucketMs,
    ...outcomesOf(part),
    latency: latencyOf(part),
  }));
}

function outcomesOf(operations: readonly Operation[]): Record<Outcome, number> {
  const counts = { ok: 0, refused: 0, unknown: 0 };
  for (const { outcome } of operations) counts[outcome]++;
  return counts;
}

function latencyOf(operations: readonly Operation[]): Latency | undefined {
  const times = operations
    .filter(({ outcome }) => outcome === 'ok')
    .map(({ startedAtMs, endedAtMs }) => endedAtMs - startedAtMs)
    .sort((a, b) => a - b);
  if (times.length === 0) return undefined;
  const at = (share: number): number =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))]!;
  return { p50: at(0.5), p99: at(0.99), max: times.at(-1)! };
}

/** `moments` in order. */
function gapsOf(moments: readonly number[]): Gap[] {
  const gaps: Gap[] = [];
  for (let i = 1; i < moments.length; i++) {
    const gap = { fromMs: moments[i - 1]!, toMs: moments[i]! };
    if (gap.toMs - gap.fromMs >= GAP_MS) gaps.push(gap);
  }
  return gaps;
}

interface Run {
  /** In the order in which they ended. */
  readonly operations: readonly Operation[];
  /** The moments of these ends. */
  readonly ends: readonly number[];
  /** How long the longest of them took. */
  readonly longestMs: number;
  /** Moments of answers, and of those to writes, in order. */
  readonly answers: readonly number[];
  readonly writes: readonly number[];
  readonly zero: number;
  readonly durationMs: number;
}

function faultFigures(fault: FaultSpan, run: Run): FaultFigures {
  const { name, detail, startedAtMs: from, endedAtMs } = fault;
  const to = endedAtMs + AFTERMATH_MS;
  const span = { fromMs: from - run.zero, toMs: endedAtMs - run.zero };
  // Long runs have millions of operations and hundreds of faults: only those near the fault are looked at.
  const first = firstAtOrAfter(run.ends, span.fromMs);
  const last = firstAtOrAfter(run.ends, to - run.zero + run.longestMs + 1);
  const meanwhile = run.operations.slice(first, last).filter((o) => o.startedAtMs <= to);
  const waitMs = longestOf(meanwhile);
  const { refused, unknown } = outcomesOf(meanwhile);
  // Clients may have stopped before the aftermath is over, which is no pause.
  const window = { fromMs: span.fromMs, toMs: Math.min(to - run.zero, run.durationMs) };
  const pauseMs = longestPause(run.answers, window);
  const writePauseMs = longestPause(run.writes, window);
  return { name, detail, ...span, pauseMs, writePauseMs, waitMs, refused, unknown };
}

function longestOf(operations: readonly Operation[]): number {
  let longest = 0;
  for (const { startedAtMs, endedAtMs } of operations) {
    longest = Math.max(longest, endedAtMs - startedAtMs);
  }
  return longest;
}

/**
 * The longest time without one of these moments (in order) that begins in the window; it may end after it. What is
 * before the window does not count.
 */
export function longestPause(moments: readonly number[], { fromMs, toMs }: Gap): number {
  let last = fromMs;
  let longest = 0;
  for (let i = firstAtOrAfter(moments, fromMs); i < moments.length && last <= toMs; i++) {
    longest = Math.max(longest, moments[i]! - last);
    last = moments[i]!;
  }
  return Math.max(longest, toMs - last);
}

function firstAtOrAfter(moments: readonly number[], moment: number): number {
  let low = 0;
  let high = moments.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (moments[middle]! < moment) low = middle + 1;
    else high = middle;
  }
  return low;
}

function faultKindsOf(faults: readonly FaultFigures[]): FaultKindFigures[] {
  const names = [...new Set(faults.map(({ name }) => name))];
  return names.map((name) => {
    const own = faults.filter((fault) => fault.name === name);
    const worst = (pick: 'pauseMs' | 'writePauseMs' | 'waitMs'): number =>
      Math.max(...own.map((fault) => fault[pick]));
    const sum = (pick: 'refused' | 'unknown'): number =>
      own.reduce((total, fault) => total + fault[pick], 0);
    return {
      name,
      count: own.length,
      pauseMs: worst('pauseMs'),
      writePauseMs: worst('writePauseMs'),
      waitMs: worst('waitMs'),
      refused: sum('refused'),
      unknown: sum('unknown'),
    };
  });
}

function workloadFigures(operations: readonly Operation[]): WorkloadFigures[] {
  const names = [...new Set(operations.map(({ workload }) => workload))].sort();
  return names.map((name) => {
    const own = operations.filter(({ workload }) => workload === name);
    return { name, ...outcomesOf(own), latency: latencyOf(own) };
  });
}

/** Errors by outcome and code, most frequent first. */
export function errorsOf(operations: readonly Operation[]): { kind: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const { outcome, reply } of operations) {
    if (outcome === 'ok') continue;
    const kind = `${outcome}: ${kindOf(String(reply))}`;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts].map(([kind, count]) => ({ kind, count })).sort((a, b) => b.count - a.count);
}

/** The code of an error reply, or the text of another error without its numbers. */
function kindOf(text: string): string {
  const code = /^([A-Z]{2,}) /.exec(text)?.[1];
  if (code !== undefined && code !== 'ERR') return code;
  return text.replace(/\d+/g, 'N').slice(0, 80);
}
