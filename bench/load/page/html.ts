/** The page with charts: one file, nothing loaded from elsewhere, and every chart also as a table. Pure. */
import { html, type Markup } from '../../../chaos/report/markup.ts';
import { describeMachine, type ScenarioResult, showValue } from '../report.ts';
import type { Newest } from '../results.ts';
import type { SideResult } from '../rounds.ts';
import { GROUPS } from '../scenario.ts';
import { type Attainment, attainments, judgements } from './attainment.ts';
import { STYLE } from './style.ts';

/** A goal reached twice over fills the bar. */
const SHARE_MAX = 2;

export function htmlPage(newest: readonly Newest[]): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>Ringfence: benchmarks</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>Ringfence: benchmarks</h1>
<p>Both sides of each comparison ran in turn, in one run, on one machine; figures are medians of the rounds.
How they are measured is in <code>docs/benchmarks.md</code>.</p>
${newest.length === 0 ? html`<p>No run in the present format was saved yet.</p>` : content(newest)}
</main>
</body>
</html>
`.text;
}

function content(newest: readonly Newest[]): Markup {
  const groups = Object.entries(GROUPS).flatMap(([group, title]) => {
    const inGroup = newest.filter(({ scenario }) => scenario.group === group);
    if (inGroup.length === 0) return [];
    return [html`<h2>${title}</h2>\n${inGroup.map(({ scenario }) => section(scenario))}`];
  });
  return html`${goals(attainments(newest))}\n${groups}\n${runs(newest)}`;
}

function goals(all: readonly Attainment[]): Markup {
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
    ...[id, title, asked, text, passed ? 'reached' : 'missed'],
  ]);
  return html`<section>
<h2>Goals</h2>
<p>${reached} of ${all.length} are reached. The line in each bar is the goal; the bar ends at twice as good.</p>
<div class="chart" role="img" aria-label="How far each goal is reached; the table below has the same figures">
${bars}
</div>
${table('Goals', ['scenario', 'what', 'goal', 'figure', 'verdict'], rows)}
</section>`;
}

function section(scenario: ScenarioResult): Markup {
  const { id, title, metric, ours, peers, verdicts, syncDelayMs, notes } = scenario;
  const sides = [...peers, ours];
  const slowed = syncDelayMs > 0 ? [`Each flush of the log took ${syncDelayMs} ms more.`] : [];
  const lines = [...slowed, ...verdicts.map((verdict) => verdictLine(verdict, scenario)), ...notes];
  const head = ['side', `${metric.name}, ${metric.unit}`, 'rounds', 'p50, ms', 'p99, ms'];
  return html`<section id="${id}">
<h3>${title}</h3>
${chart({
  name: `${metric.name}, ${metric.unit} (${metric.better} is better)`,
  sides,
  ours,
  valueOf: ({ median }) => median.value,
  show: (value) => showValue(value, metric),
})}
${processorChart(sides, ours)}
${table(
  title,
  [...head, 'processor, µs/op'],
  sides.map((side) => cells(side, metric.digits)),
)}
${lines.map((line) => html`<p>${line}</p>`)}
</section>`;
}

function verdictLine(
  verdict: ScenarioResult['verdicts'][number],
  { peers, metric }: ScenarioResult,
): string {
  const label = peers.find(({ id }) => id === verdict.peer)?.label;
  const value =
    label === undefined
      ? showValue(verdict.value, metric)
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
  ];
}

/** Nothing where a side's processor time was not measured. */
function processorChart(sides: readonly SideResult[], ours: SideResult): readonly Markup[] {
  if (sides.some(({ median }) => median.processorUs === undefined)) return [];
  const drawn = chart({
    name: 'processor time, µs an operation (less is better)',
    sides,
    ours,
    valueOf: ({ median }) => median.processorUs?.total ?? 0,
    show: (value) => `${value.toFixed(1)} µs`,
  });
  return [drawn];
}

function chart(spec: {
  readonly name: string;
  readonly sides: readonly SideResult[];
  readonly ours: SideResult;
  readonly valueOf: (side: SideResult) => number;
  readonly show: (value: number) => string;
}): Markup {
  const { name, sides, ours, valueOf, show } = spec;
  const most = Math.max(...sides.map(valueOf));
  const bars = sides.map((side) =>
    bar({
      label: side.label,
      text: show(valueOf(side)),
      share: most > 0 ? valueOf(side) / most : 0,
      kind: side === ours ? 'ours' : 'peer',
    }),
  );
  return html`<div class="chart" role="img" aria-label="${name}; the table below has the same figures">
<p class="axis">${name}</p>
${bars}
</div>`;
}

/** Label and figure are text of the page, so that they keep their size on a phone; only the bar is drawn. */
function bar(spec: {
  readonly label: string;
  readonly text: string;
  /** Of the whole width, 0 to 1. */
  readonly share: number;
  readonly kind: 'ours' | 'peer' | 'pass' | 'miss';
  /** Where a line is drawn, 0 to 1. */
  readonly mark?: number;
}): Markup {
  const { label, text, share, kind, mark } = spec;
  const at = ((mark ?? 0) * 100).toFixed(1);
  const line =
    mark === undefined ? [] : [html`<line class="mark" x1="${at}" x2="${at}" y1="0" y2="10"/>`];
  return html`<div class="row"><span>${label}</span><span class="figure">${text}</span>
<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="100" height="10"/><rect class="${kind}" width="${(share * 100).toFixed(1)}" height="10"/>${line}</svg></div>`;
}

function table(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): Markup {
  const body = rows.map(
    ([first = '', ...rest]) =>
      html`<tr><th scope="row">${first}</th>${rest.map((cell) => html`<td>${cell}</td>`)}</tr>`,
  );
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}, table"><table><caption>${caption}</caption>
<thead><tr>${head.map((text) => html`<th scope="col">${text}</th>`)}</tr></thead>
<tbody>
${body}
</tbody></table></div>`;
}

/** Which run each figure is from: they need not all be of one. */
function runs(newest: readonly Newest[]): Markup {
  const items = [...new Set(newest.map(({ run }) => run))].map((run) => {
    const ids = newest.filter((one) => one.run === run).map(({ scenario }) => scenario.id);
    const flags = run.flags.length > 0 ? `, ${run.flags.join(' ')}` : '';
    const about = describeMachine(run.machine).join('; ');
    return html`<li>${run.startedAt.slice(0, 16)}Z, commit ${run.commit}${flags}; ${about}. Scenarios: ${ids.join(', ')}.</li>`;
  });
  return html`<section><h2>Runs</h2><ul>
${items}
</ul></section>`;
}
