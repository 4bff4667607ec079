/**
 * The run as one drawing: lanes with the faults, below them operations per second, errors and latency, all on
 * one axis of time, with the faults as bands behind. Inline SVG without scripts: every band is a link to its
 * row in the table, so that it is reached with the keyboard, and everything has a title.
 */
import type { Bucket, Figures, Gap } from './figures.ts';
import { html, Markup } from './markup.ts';
import { millis, seconds } from './text.ts';

const WIDTH = 1000;
/** For the labels of the axes. */
const LEFT = 64;
const RIGHT = 12;
const LANE_HEIGHT = 22;
/** More faults at once than this, with their names, share lanes without names. */
const LANES_MAX = 8;
const CHART_HEIGHT = 120;
const CHART_GAP = 30;
/** Kinds of faults have colours of their own, as far as there are any; the name is always there too. */
export const COLOURS = 8;
/** Roughly the width of a letter of a label, and of the space around a label. */
const LETTER = 6.2;
const LABEL_SPACE = 12;
const TICKS_MAX = 10;
const TICK_SIZES_MS = [100, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000, 600_000];

interface Chart {
  readonly title: string;
  readonly top: number;
  /** From a value to y. */
  readonly y: (value: number) => number;
  readonly ticks: readonly number[];
  readonly label: (value: number) => string;
  readonly body: Markup;
}

/** Gives the drawing; faults link to `#fault-1`, `#fault-2`, ... in their order. */
export function timeline(figures: Figures): Markup {
  const x = (ms: number): number =>
    LEFT + ((WIDTH - LEFT - RIGHT) * Math.min(ms, figures.durationMs)) / figures.durationMs;
  const bars = barsOf(figures, x);
  const laneCount = Math.max(0, ...bars.map(({ lane }) => lane + 1));
  const first = 16 + laneCount * LANE_HEIGHT + CHART_GAP;
  const tops = [0, 1, 2].map((i) => first + i * (CHART_HEIGHT + CHART_GAP));
  const height = tops[2]! + CHART_HEIGHT + 28;
  const charts = [
    throughput(figures, x, tops[0]!),
    errors(figures, x, tops[1]!),
    latency(figures, x, tops[2]!),
  ];
  const colours = colourByName(figures);
  return html`<svg viewBox="0 0 ${WIDTH} ${height}" role="group" aria-labelledby="timeline-title timeline-desc" class="timeline">
<title id="timeline-title">Timeline of the run</title>
<desc id="timeline-desc">Faults as bands over operations per second, errors per second and latency. The tables on this page say the same in numbers.</desc>
<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="3" height="6" class="gap-stripe"/></pattern></defs>
${bars.map((bar, i) => faultMark(bar, i + 1, { colours, top: tops[0]!, bottom: height - 28 }))}
${figures.gaps.map((gap) => gapMark(gap, x, tops[0]!))}
${charts.map((chart) => axes(chart))}
${timeAxis(figures, x, height)}
</svg>`;
}

/** How a fault is drawn: its bar in a lane, its name in the bar or to the right of it. */
interface Bar {
  readonly fault: Figures['faults'][number];
  readonly lane: number;
  readonly left: number;
  readonly width: number;
  readonly nameAt: number | undefined;
}

/** Each in the first lane that has room for the bar and the name; without a name when there is none. */
function barsOf({ faults }: Figures, x: (ms: number) => number): Bar[] {
  const ends: number[] = [];
  return faults.map((fault) => {
    const left = x(fault.fromMs);
    const width = Math.max(2, x(fault.toMs) - left);
    const name = fault.name.length * LETTER + LABEL_SPACE;
    const right = name <= width ? left + width : left + width + name;
    const free = ends.findIndex((end) => end <= left);
    const lane = free >= 0 ? free : ends.length;
    if (right > WIDTH || lane >= LANES_MAX) {
      const emptiest = lane < LANES_MAX ? lane : ends.indexOf(Math.min(...ends));
      ends[emptiest] = Math.max(ends[emptiest] ?? 0, left + width);
      return { fault, lane: emptiest, left, width, nameAt: undefined };
    }
    ends[lane] = right;
    return { fault, lane, left, width, nameAt: name <= width ? left + 5 : left + width + 4 };
  });
}

function faultMark(
  { fault, lane, left, width, nameAt }: Bar,
  number: number,
  page: { colours: ReadonlyMap<string, number>; top: number; bottom: number },
): Markup {
  const y = 14 + lane * LANE_HEIGHT;
  const about = `${fault.name} ${fault.detail}, ${seconds(fault.fromMs)} to ${seconds(fault.toMs)}`;
  const name =
    nameAt === undefined
      ? new Markup('')
      : html`<text x="${round(nameAt)}" y="${y + 13}">${fault.name}</text>`;
  return html`<a href="#fault-${number}" class="fault f${page.colours.get(fault.name)!}" aria-label="${about}"><title>${about}</title>
<rect x="${round(left)}" y="${page.top}" width="${round(width)}" height="${page.bottom - page.top}" class="band"/>
<rect x="${round(left)}" y="${y}" width="${round(width)}" height="${LANE_HEIGHT - 4}" rx="3" class="lane"/>${name}</a>`;
}

export function colourByName({ faults }: Figures): ReadonlyMap<string, number> {
  const names = [...new Set(faults.map(({ name }) => name))];
  return new Map(names.map((name, i) => [name, i % COLOURS]));
}

function gapMark(gap: Gap, x: (ms: number) => number, top: number): Markup {
  const left = x(gap.fromMs);
  const text = `nobody was answered for ${seconds(gap.toMs - gap.fromMs)}`;
  return html`<rect x="${round(left)}" y="${top}" width="${round(x(gap.toMs) - left)}" height="${CHART_HEIGHT}" fill="url(#hatch)"><title>${text}</title></rect>`;
}

function throughput(figures: Figures, x: (ms: number) => number, top: number): Chart {
  const rate = perSecond(figures);
  const values = figures.buckets.map(({ ok }) => rate(ok));
  const { y, ticks } = linear(values, top);
  const steps = figures.buckets.flatMap(({ fromMs }, i) => {
    const level = round(y(values[i]!));
    return [`${round(x(fromMs))},${level}`, `${round(x(fromMs + figures.bucketMs))},${level}`];
  });
  const base = top + CHART_HEIGHT;
  const body = html`<polygon class="area-ok" points="${round(x(0))},${base} ${steps.join(' ')} ${round(x(figures.durationMs))},${base}"/>
<polyline class="line-ok" points="${steps.join(' ')}"/>`;
  return { title: 'answers per second', top, y, ticks, label: String, body };
}

function errors(figures: Figures, x: (ms: number) => number, top: number): Chart {
  const rate = perSecond(figures);
  const { y, ticks } = linear(
    figures.buckets.map(({ refused, unknown }) => rate(refused + unknown)),
    top,
  );
  const bars = figures.buckets
    .filter(({ refused, unknown }) => refused + unknown > 0)
    .map((bucket) => errorBars(bucket, figures, { x, y, rate }));
  return { title: 'errors per second', top, y, ticks, label: String, body: html`${bars}` };
}

function errorBars(
  { fromMs, refused, unknown }: Bucket,
  { bucketMs }: Figures,
  {
    x,
    y,
    rate,
  }: { x: (ms: number) => number; y: (value: number) => number; rate: (count: number) => number },
): Markup {
  const left = round(x(fromMs));
  const width = round(Math.max(1, x(fromMs + bucketMs) - x(fromMs) - 0.5));
  const middle = y(rate(refused));
  const top = y(rate(refused + unknown));
  return html`<g><title>${seconds(fromMs)}: ${refused} refused, ${unknown} unknown</title><rect class="bar-refused" x="${left}" y="${round(middle)}" width="${width}" height="${round(y(0) - middle)}"/><rect class="bar-unknown" x="${left}" y="${round(top)}" width="${width}" height="${round(middle - top)}"/></g>`;
}

/** On a logarithmic scale from a tenth of a millisecond: failovers are a thousand times a usual answer. */
function latency(figures: Figures, x: (ms: number) => number, top: number): Chart {
  const worst = Math.max(10, ...figures.buckets.map((bucket) => bucket.latency?.max ?? 0));
  const decades = Math.ceil(Math.log10(worst)) + 1;
  const y = (ms: number): number =>
    top + CHART_HEIGHT * (1 - (Math.log10(Math.max(0.1, ms)) + 1) / decades);
  const ticks = Array.from({ length: decades + 1 }, (_, i) => 10 ** (i - 1));
  const line = (name: 'p50' | 'p99' | 'max'): Markup[] =>
    pieces(figures.buckets).map((piece) => {
      const points = piece.map(
        ({ fromMs, latency: of }) =>
          `${round(x(fromMs + figures.bucketMs / 2))},${round(y(of![name]))}`,
      );
      // A single point needs a second one to be seen.
      return html`<polyline class="line-${name}" points="${points.join(' ')} ${points.at(-1)!}"/>`;
    });
  const body = html`${line('max')}${line('p99')}${line('p50')}`;
  return { title: 'latency (p50, p99, worst)', top, y, ticks, label: millis, body };
}

/** Runs of buckets with answers. */
function pieces(buckets: readonly Bucket[]): Bucket[][] {
  const found: Bucket[][] = [];
  let current: Bucket[] = [];
  for (const bucket of buckets) {
    if (bucket.latency !== undefined) {
      if (current.length === 0) found.push(current);
      current.push(bucket);
    } else {
      current = [];
    }
  }
  return found;
}

function perSecond({ bucketMs }: Figures): (count: number) => number {
  return (count) => (count * 1000) / bucketMs;
}

function linear(values: readonly number[], top: number): Pick<Chart, 'y' | 'ticks'> {
  const step = niceStep(Math.max(1, ...values) / 3);
  const max = step * Math.ceil(Math.max(1, ...values) / step);
  const ticks = Array.from({ length: Math.round(max / step) + 1 }, (_, i) => i * step);
  return { y: (value) => top + CHART_HEIGHT * (1 - value / max), ticks };
}

/** 1, 2 or 5 times a power of ten, at least 1. */
function niceStep(wanted: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, wanted)));
  const factor = [1, 2, 5, 10].find((one) => one * power >= wanted)!;
  return factor * power;
}

function axes({ title, top, y, ticks, label, body }: Chart): Markup {
  return html`<g><text x="${LEFT}" y="${top - 8}" class="chart-title">${title}</text>
${ticks.map((tick) => html`<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${round(y(tick))}" y2="${round(y(tick))}" class="grid"/><text x="${LEFT - 6}" y="${round(y(tick) + 4)}" class="tick" text-anchor="end">${label(tick)}</text>`)}
${body}</g>`;
}

function timeAxis({ durationMs }: Figures, x: (ms: number) => number, height: number): Markup {
  const step =
    TICK_SIZES_MS.find((size) => durationMs / size <= TICKS_MAX) ?? durationMs / TICKS_MAX;
  const ticks = Array.from({ length: Math.floor(durationMs / step) + 1 }, (_, i) => i * step);
  const digits = step < 1000 ? 1 : 0;
  return html`${ticks.map((tick) => html`<text x="${round(x(tick))}" y="${height - 8}" class="tick" text-anchor="middle">${(tick / 1000).toFixed(digits)} s</text>`)}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
