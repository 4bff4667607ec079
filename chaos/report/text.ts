/** A report for a terminal. */
import { claimOf } from '../checkers/index.ts';
import type { Verdict } from '../checkers/checker.ts';
import type { History } from '../history.ts';
import { type Figures, figuresOf, type Latency } from './figures.ts';

const INDENT = '            ';

/** Lines without newlines. */
export function textReport(
  history: History,
  verdicts: readonly Verdict[],
  figures: Figures = figuresOf(history),
): string[] {
  const { ok, refused, unknown } = figures.counts;
  return [
    `${history.run.title}: ${seconds(figures.durationMs)}`,
    `operations: ${ok} answered, ${refused} refused, ${unknown} with unknown outcome`,
    `longest time without any answer: ${seconds(figures.longestPauseMs)}`,
    ...figures.errors.map(({ kind, count }) => `${String(count).padStart(8)} ${kind}`),
    ...section('faults', figures.faults.map(faultLine)),
    ...section('worst by kind of fault', figures.faultKinds.map(faultKindLine)),
    ...section(
      'workloads',
      figures.workloads.map(
        ({ name, latency, ...counts }) =>
          `${name}: ${counts.ok} answered, ${counts.refused} refused, ${counts.unknown} unknown; ${latencyText(latency)}`,
      ),
    ),
    ...section('verdicts', verdicts.flatMap(verdictLines)),
  ];
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`)];
}

function faultLine(fault: Figures['faults'][number]): string {
  const { name, detail, fromMs, toMs } = fault;
  const what = detail === '' ? name : `${name} (${detail})`;
  return `${seconds(fromMs)}-${seconds(toMs)} ${what}: ${pausesAndErrors(fault)}`;
}

function faultKindLine(kind: Figures['faultKinds'][number]): string {
  return `${kind.name} ×${kind.count}: ${pausesAndErrors(kind)}`;
}

function pausesAndErrors(fault: Figures['faultKinds'][number] | Figures['faults'][number]): string {
  const pauses = `pause ${seconds(fault.pauseMs)}, of writes ${seconds(fault.writePauseMs)}`;
  const errors = `${fault.refused} refused, ${fault.unknown} unknown`;
  return `${pauses}, longest wait ${seconds(fault.waitMs)}, ${errors}`;
}

function verdictLines({ checker, status, judged, findings }: Verdict): string[] {
  const lines = findings.flatMap((finding) => finding.split('\n'));
  const claim = status === 'broken' ? [claimOf(checker)].filter((text) => text !== '') : [];
  return [
    `${status.padEnd(INDENT.length - 2)} ${checker} (${judged})`,
    ...[...claim, ...lines].map((line) => INDENT + line),
  ];
}

export function latencyText(latency: Latency | undefined): string {
  if (latency === undefined) return 'no answers';
  return `p50 ${millis(latency.p50)}, p99 ${millis(latency.p99)}, worst ${millis(latency.max)}`;
}

export function millis(ms: number): string {
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`;
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}
