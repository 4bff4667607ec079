/**
 * A report as one page that needs nothing else: no scripts, no fonts, no pictures from elsewhere. It can be
 * attached to an issue and opened years later.
 */
import { passed, type Verdict } from '../checkers/checker.ts';
import { claimOf } from '../checkers/index.ts';
import type { History } from '../history.ts';
import { AFTERMATH_MS, type Figures, figuresOf } from './figures.ts';
import { html, Markup } from './markup.ts';
import { STYLE } from './style.ts';
import { millis, seconds } from './text.ts';
import { colourByName, timeline } from './timeline.ts';

const LEGEND = [
  ['c-ok', 'answers'],
  ['c-refused', 'refused: nothing was changed'],
  ['c-unknown', 'unknown outcome'],
  ['c-p50', 'p50'],
  ['c-p99', 'p99'],
  ['c-max', 'worst'],
  ['c-gap', 'hatched: nobody was answered'],
] as const;

/** The whole document. */
export function htmlReport(
  history: History,
  verdicts: readonly Verdict[],
  figures: Figures = figuresOf(history),
): string {
  const { title } = history.run;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${title}: ${overall(verdicts)}</title>
<style>${STYLE}</style>
</head>
<body>
<a class="skip" href="#verdicts">To the verdicts</a>
<header>
<p class="quiet">Ringfence, report of a run</p>
<h1>${title}</h1>
<p class="status overall ${passed(verdicts) ? 'holds' : 'broken'}">${overall(verdicts)}</p>
${facts(history, figures)}
</header>
<main>
<h2 id="timeline">Timeline</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Timeline">
<ul class="legend">${LEGEND.map(([name, text]) => html`<li><span class="swatch ${name}" aria-hidden="true"></span>${text}</li>`)}</ul>
${timeline(figures)}
</div>
<h2 id="verdicts">Verdicts</h2>
${verdictTable(verdicts)}
<h2 id="faults">Faults</h2>
${faultTable(figures)}
<h2 id="errors">Errors</h2>
${errorTable(figures)}
<h2 id="workloads">Workloads</h2>
${workloadTable(figures)}
</main>
</body>
</html>
`.text;
}

/** In words, because colours are not seen by everybody. */
function overall(verdicts: readonly Verdict[]): string {
  const broken = verdicts.filter(({ status }) => status === 'broken').length;
  const undecided = verdicts.filter(({ status }) => status === 'undecided').length;
  if (broken > 0) return `${broken} of ${verdicts.length} checkers broken`;
  if (undecided > 0) return `${undecided} of ${verdicts.length} checkers undecided`;
  return 'no violation found';
}

function facts({ run }: History, { counts, durationMs, longestPauseMs }: Figures): Markup {
  const pairs: [string, string][] = [
    ['duration', seconds(durationMs)],
    ['answered', String(counts.ok)],
    ['refused', String(counts.refused)],
    ['unknown', String(counts.unknown)],
    ['longest time without any answer', seconds(longestPauseMs)],
    ...Object.entries(run.settings),
  ];
  return html`<dl class="facts">${pairs.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function verdictTable(verdicts: readonly Verdict[]): Markup {
  return table(
    'Verdicts',
    ['verdict', 'checker', 'claim and what was judged'],
    verdicts.map(
      ({ checker, status, judged, findings }) => html`<tr id="verdict-${checker}">
<td class="status ${status}">${status}</td><th scope="row">${checker}</th>
<td><p>${claimOf(checker)}</p><p class="quiet">${judged}</p>${explanation(findings)}</td></tr>`,
    ),
  );
}

function explanation(findings: readonly string[]): Markup {
  if (findings.length === 0) return new Markup('');
  return html`<details open><summary>What was found</summary>${findings.map((finding) => html`<pre>${finding}</pre>`)}</details>`;
}

function faultTable(figures: Figures): Markup {
  if (figures.faults.length === 0) return html`<p>Nothing was broken in this run.</p>`;
  const colours = colourByName(figures);
  const swatch = (name: string): Markup =>
    html`<span class="swatch f${colours.get(name)!}" aria-hidden="true"></span>`;
  const rows = figures.faults.map(
    (fault, i) => html`<tr id="fault-${i + 1}">
<th scope="row">${swatch(fault.name)}${fault.name}</th><td>${fault.detail}</td>
${numbers(seconds(fault.fromMs), seconds(fault.toMs))}${pausesAndErrors(fault)}</tr>`,
  );
  const kinds = figures.faultKinds.map(
    (kind) => html`<tr>
<th scope="row">${swatch(kind.name)}${kind.name}</th>${numbers(kind.count)}${pausesAndErrors(kind)}</tr>`,
  );
  const note = `Pause: nobody was answered, or no write was acknowledged. Wait: of one operation. All from the beginning of a fault until ${AFTERMATH_MS / 1000} s after its end, whatever else was broken then.`;
  return html`${table(`The worst of each kind. ${note}`, ['fault', '#times', ...PAUSES], kinds)}
${table('One by one', ['fault', 'what', '#from', '#to', ...PAUSES], rows)}`;
}

const PAUSES = ['#longest pause', '#of writes', '#longest wait', '#refused', '#unknown'];

function pausesAndErrors(fault: Figures['faultKinds'][number] | Figures['faults'][number]): Markup {
  const times = [fault.pauseMs, fault.writePauseMs, fault.waitMs].map(seconds);
  return numbers(...times, fault.refused, fault.unknown);
}

function errorTable({ errors }: Figures): Markup {
  if (errors.length === 0) return html`<p>Every operation was answered.</p>`;
  const rows = errors.map(
    ({ kind, count }) => html`<tr><th scope="row">${kind}</th>${numbers(count)}</tr>`,
  );
  return table('By code, or by text where there is none', ['error', '#operations'], rows);
}

function workloadTable({ workloads }: Figures): Markup {
  const rows = workloads.map(({ name, ok, refused, unknown, latency }) => {
    const times =
      latency === undefined ? ['', '', ''] : [latency.p50, latency.p99, latency.max].map(millis);
    return html`<tr><th scope="row">${name}</th>${numbers(ok, refused, unknown, ...times)}</tr>`;
  });
  const heads = ['workload', '#answered', '#refused', '#unknown', '#p50', '#p99', '#worst'];
  return table('Latency is that of answered operations', heads, rows);
}

/** A head that begins with # is over numbers. */
function table(caption: string, heads: readonly string[], rows: readonly Markup[]): Markup {
  const head = heads.map((text) =>
    text.startsWith('#')
      ? html`<th scope="col" class="number">${text.slice(1)}</th>`
      : html`<th scope="col">${text}</th>`,
  );
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table><caption>${caption}</caption><thead><tr>${head}</tr></thead><tbody>
${rows}
</tbody></table></div>`;
}

function numbers(...values: readonly (string | number)[]): Markup {
  return html`${values.map((value) => html`<td class="number">${value}</td>`)}`;
}
