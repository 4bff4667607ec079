/** The tables of docs/benchmarks.md. Pure. */
import { describeMachine, type ScenarioResult, showValue } from '../report.ts';
import type { Newest } from '../results.ts';
import type { SideResult } from '../rounds.ts';
import { GROUPS } from '../scenario.ts';
import { judgements } from './attainment.ts';

const BEGIN =
  '<!-- figures: begin (written by `npm run bench -- --page`; changes by hand are lost) -->';
const END = '<!-- figures: end -->';

/** The page with its tables exchanged; the prose around them stays. Throws when the marks are missing. */
export function withFigures(page: string, newest: readonly Newest[]): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`the page has no lines ${BEGIN} and ${END}`);
  return `${page.slice(0, begin)}${BEGIN}\n\n${figures(newest)}\n\n${page.slice(end)}`;
}

function figures(newest: readonly Newest[]): string {
  if (newest.length === 0) return 'No run in the present format was saved yet: `npm run bench`.';
  const tables = Object.entries(GROUPS).flatMap(([group, title]) => {
    const inGroup = newest.filter(({ scenario }) => scenario.group === group);
    return inGroup.length === 0 ? [] : [`### ${title}`, tableOf(inGroup)];
  });
  return [...tables, ...sources(newest)].join('\n\n');
}

const HEAD = `| | what | peer | Ringfence | ratio (rounds) | asked | µs/op, peer | Ringfence |
|---|---|---|---|---|---|---|---|`;

function tableOf(newest: readonly Newest[]): string {
  return [HEAD, ...newest.flatMap(({ scenario }) => rowsOf(scenario))].join('\n');
}

function rowsOf(scenario: ScenarioResult): string[] {
  const { id, title, metric, ours, peers, verdicts, syncDelayMs } = scenario;
  const what = syncDelayMs > 0 ? `${title}; flushes ${syncDelayMs} ms longer` : title;
  return verdicts.map((verdict) => {
    const peer = peers.find((side) => side.id === verdict.peer);
    const digits = peer === undefined ? metric.digits : 2;
    const range = verdict.range.map((end) => end.toFixed(digits)).join(' to ');
    return row([
      `\`${id}\``,
      what,
      peer === undefined ? '' : `${peer.label}: ${showValue(peer.median.value, metric)}`,
      showValue(ours.median.value, metric),
      `${peer === undefined ? '' : `${verdict.value.toFixed(2)} `}(${range})`,
      judgements(verdict).join('; ').replaceAll('MISS', '**MISS**'),
      processor(peer),
      processor(ours),
    ]);
  });
}

function processor(side: SideResult | undefined): string {
  return side?.median.processorUs?.total.toFixed(1) ?? '';
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** Which run each figure is from: they need not all be of one. */
function sources(newest: readonly Newest[]): string[] {
  const runs = new Set(newest.map(({ run }) => run));
  return [...runs].map((run) => {
    const ids = newest.filter((one) => one.run === run).map(({ scenario }) => `\`${scenario.id}\``);
    const flags = run.flags.length > 0 ? `, \`${run.flags.join(' ')}\`` : '';
    const what = ids.length === newest.length ? 'All figures' : ids.join(', ');
    return `${what}: ${run.startedAt.slice(0, 16)}Z, commit ${run.commit}${flags}; ${describeMachine(run.machine).join('; ')}.`;
  });
}
