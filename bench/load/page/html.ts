/** The page with charts: one file, nothing loaded from elsewhere, and every chart also as a table. Pure. */
import { describeMachine, type ScenarioResult, showValue } from '../report.ts';
import type { Newest } from '../results.ts';
import type { SideResult } from '../rounds.ts';
import { GROUPS } from '../scenario.ts';
import { type Attainment, attainments, judgements } from './attainment.ts';
import { STYLE } from './style.ts';

/** A goal reached twice over fills the bar. */
const SHARE_MAX = 2;

export function htmlPage(newest: readonly Newest[]): string {
  const groups = Object.entries(GROUPS).flatMap(([group, title]) => {
    const inGroup = newest.filter(({ scenario }) => scenario.group === group);
    return inGroup.length === 0
      ? []
      : [`<h2>${escape(title)}</h2>`, ...inGroup.map(({ scenario }) => section(scenario))];
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Ringfence: benchmarks</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>Ringfence: benchmarks</h1>
<p>Both sides of each comparison ran in turn, in one run, on one machine; figures are medians of the rounds.
How they are measured is in <code>docs/benchmarks.md</code>.</p>
${newest.length === 0 ? '<p>No run in the present format was saved yet.</p>' : goals(attainments(newest))}
${groups.join('\n')}
${newest.length === 0 ? '' : runs(newest)}
</main>
</body>
</html>
`;
}

function goals(all: readonly Attainment[]): string {
  const reached = all.filter(({ passed }) => passed).length;
  const bars = all.map(({ id, asked, reached: text, share, passed }) =>
    bar({
      label: `${id}: ${asked}`,
      text: `${text}, ${passed ? 'reached' : 'missed'}`,
      share: Math.min(share, SHARE_MAX) / SHARE_MAX,
      kind: passed ? 'pass' : 'miss',
      mark: 1 / SHARE_MAX,
    }),
  );
  const rows = all.map(({ id, title, asked, reached: text, passed }) => [
    `<code>${escape(id)}</code>`,
    ...[title, asked, text, passed ? 'reached' : 'missed'].map(escape),
  ]);
  return `<section>
<h2>Goals</h2>
<p>${reached} of ${all.length} are reached. The line in each bar is the goal; the bar ends at twice as good.</p>
<div class="chart" role="img" aria-label="How far each goal is reached; the table below has the same figures">
${bars.join('\n')}
</div>
${table('Goals', ['scenario', 'what', 'goal', 'figure', 'verdict'], rows)}
</section>`;
}

function section(scenario: ScenarioResult): string {
  const { id, title, metric, ours, peers, verdicts, syncDelayMs, notes } = scenario;
  const sides = [...peers, ours];
  const slowed = syncDelayMs > 0 ? [`Each flush of the log took ${syncDelayMs} ms more.`] : [];
  const lines = [...slowed, ...verdicts.map((verdict) => verdictLine(verdict, scenario)), ...notes];
  return `<section id="${escape(id)}">
<h3>${escape(title)}</h3>
${chart(
  `${metric.name}, ${metric.unit} (${metric.better} is better)`,
  sides,
  ours,
  ({ median }) => median.value,
  (value) => showValue(value, metric),
)}
${processorChart(sides, ours)}
${table(
  title,
  ['side', `${metric.name}, ${metric.unit}`, 'rounds', 'p50, ms', 'p99, ms', 'processor, µs/op'],
  sides.map((side) => cells(side, metric.digits)),
)}
${lines.map((line) => `<p>${escape(line)}</p>`).join('\n')}
</section>`;
}

function verdictLine(
  verdict: ScenarioResult['verdicts'][number],
  scenario: ScenarioResult,
): string {
  const label = scenario.peers.find(({ id }) => id === verdict.peer)?.label;
  const value =
    label === undefined
      ? showValue(verdict.value, scenario.metric)
      : `${verdict.value.toFixed(2)} × ${label}`;
  return [value, ...judgements(verdict)].join('; ');
}

function cells({ label, rounds, median }: SideResult, digits: number): string[] {
  const values = rounds.map(({ value }) => value);
  const range = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(digits));
  return [
    label,
    median.value.toFixed(digits),
    range.join(' to '),
    median.latency?.p50Ms.toFixed(2) ?? '',
    median.latency?.p99Ms.toFixed(2) ?? '',
    median.processorUs?.total.toFixed(1) ?? '',
  ].map(escape);
}

function processorChart(sides: readonly SideResult[], ours: SideResult): string {
  if (sides.some(({ median }) => median.processorUs === undefined)) return '';
  return chart(
    'processor time, µs an operation (less is better)',
    sides,
    ours,
    ({ median }) => median.processorUs?.total ?? 0,
    (value) => `${value.toFixed(1)} µs`,
  );
}

function chart(
  name: string,
  sides: readonly SideResult[],
  ours: SideResult,
  valueOf: (side: SideResult) => number,
  show: (value: number) => string,
): string {
  const most = Math.max(...sides.map(valueOf));
  const bars = sides.map((side) =>
    bar({
      label: side.label,
      text: show(valueOf(side)),
      share: most > 0 ? valueOf(side) / most : 0,
      kind: side === ours ? 'ours' : 'peer',
    }),
  );
  return `<div class="chart" role="img" aria-label="${escape(name)}; the table below has the same figures">
<p class="axis">${escape(name)}</p>
${bars.join('\n')}
</div>`;
}

/** Label and figure are text of the page, so that they keep their size on a phone; only the bar is drawn. */
function bar(spec: {
  label: string;
  text: string;
  /** Of the whole width, 0 to 1. */
  share: number;
  kind: 'ours' | 'peer' | 'pass' | 'miss';
  /** Where a line is drawn, 0 to 1. */
  mark?: number;
}): string {
  const width = (spec.share * 100).toFixed(1);
  const at = ((spec.mark ?? 0) * 100).toFixed(1);
  const mark =
    spec.mark === undefined ? '' : `<line class="mark" x1="${at}" x2="${at}" y1="0" y2="10"/>`;
  return `<div class="row"><span>${escape(spec.label)}</span><span class="figure">${escape(spec.text)}</span>
<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="100" height="10"/><rect class="${spec.kind}" width="${width}" height="10"/>${mark}</svg></div>`;
}

/** Cells are HTML already. */
function table(caption: string, head: readonly string[], rows: readonly string[][]): string {
  const headCells = head.map((text) => `<th scope="col">${escape(text)}</th>`).join('');
  const body = rows.map(
    ([first = '', ...rest]) =>
      `<tr><th scope="row">${first}</th>${rest.map((cell) => `<td>${cell}</td>`).join('')}</tr>`,
  );
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escape(caption)}, table"><table><caption>${escape(caption)}</caption>
<thead><tr>${headCells}</tr></thead>
<tbody>
${body.join('\n')}
</tbody></table></div>`;
}

function runs(newest: readonly Newest[]): string {
  const items = [...new Set(newest.map(({ run }) => run))].map((run) => {
    const of = newest.filter((one) => one.run === run).map(({ scenario }) => scenario.id);
    const flags = run.flags.length > 0 ? `, ${run.flags.join(' ')}` : '';
    const about = describeMachine(run.machine).join('; ');
    return `<li>${escape(`${run.startedAt.slice(0, 16)}Z, commit ${run.commit}${flags}; ${about}. Scenarios: ${of.join(', ')}.`)}</li>`;
  });
  return `<section><h2>Runs</h2><ul>
${items.join('\n')}
</ul></section>`;
}

export function escape(text: string): string {
  const names: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
  };
  return text.replace(/[&<>"]/g, (char) => names[char] ?? char);
}
