/**
 * What a metric is: a name, a kind, words for people, and how its numbers are read off the facts of a
 * node. Tables of these (`registry.ts`) are the only place where metrics are defined; the answer to
 * `/metrics` and `docs/metrics.md` are both made from them.
 */

/** A counter only ever grows, and begins at 0 with the process or with a life of the node. */
export type MetricKind = 'counter' | 'gauge';

/** One number; `labels` has the values in the order of the metric's label names. */
export interface Sample {
  readonly labels: readonly string[];
  readonly value: number;
}

export interface Metric<Facts> {
  /** With the unit in it (`_seconds`, `_bytes`), and `_total` at the end of a counter. */
  readonly name: string;
  readonly kind: MetricKind;
  /** One sentence. */
  readonly help: string;
  /** Names of labels; none for a single number. */
  readonly labels: readonly string[];
  /** The numbers at present; none where there is nothing to tell. */
  read(facts: Facts): readonly Sample[];
}

/** A family of metrics, a section of the reference page. */
export interface MetricGroup<Facts> {
  readonly title: string;
  readonly metrics: readonly Metric<Facts>[];
}

type Read<Facts> = (facts: Facts) => number | null;
/** Values of the labels in order, then the number. */
type ReadRows<Facts> = (facts: Facts) => readonly (readonly [...labels: string[], value: number])[];

/** A metric without labels; null while there is no such number. */
export function single<Facts>(
  kind: MetricKind,
  name: string,
  help: string,
  read: Read<Facts>,
): Metric<Facts> {
  return {
    name,
    kind,
    help,
    labels: [],
    read(facts) {
      const value = read(facts);
      return value === null ? [] : [{ labels: [], value }];
    },
  };
}

/** A metric with one number for each combination of the labels' values. */
export function labelled<Facts>(
  kind: MetricKind,
  name: string,
  help: string,
  labels: readonly string[],
  read: ReadRows<Facts>,
): Metric<Facts> {
  return {
    name,
    kind,
    help,
    labels,
    read: (facts) =>
      read(facts).map((row) => ({
        labels: row.slice(0, -1) as string[],
        value: row.at(-1) as number,
      })),
  };
}

const NAME = /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/;
/** Units that must not be in a name: Prometheus has base units only. */
const SCALED_UNIT =
  /_(ms|milliseconds|us|microseconds|minutes|kb|mb|kilobytes|megabytes|percent)(_|$)/;
/** Endings that a scraper gives a meaning, and labels that it sets itself. */
const RESERVED_ENDING = /_(count|sum|bucket|created)$/;
const RESERVED_LABELS: ReadonlySet<string> = new Set(['le', 'quantile', 'job', 'instance']);

/** What is wrong with the definitions, one sentence each; empty when nothing is. */
export function metricProblems(metrics: readonly Metric<never>[]): string[] {
  const names = new Set<string>();
  return metrics.flatMap((metric) => {
    const found = problemsOf(metric);
    if (names.has(metric.name)) found.push('there are two of that name');
    names.add(metric.name);
    return found.map((problem) => `${metric.name}: ${problem}`);
  });
}

function problemsOf({ name, kind, help, labels }: Metric<never>): string[] {
  const found: string[] = [];
  if (!NAME.test(name)) found.push('the name is not lower case with single underscores');
  if (SCALED_UNIT.test(name)) found.push('the unit is not a base unit (seconds, bytes)');
  if (RESERVED_ENDING.test(name)) found.push('the ending has a meaning of its own');
  if (kind === 'counter' && !name.endsWith('_total')) found.push('a counter ends with _total');
  if (kind === 'gauge' && name.endsWith('_total')) found.push('only a counter ends with _total');
  if (!/^[A-Z0-9][^\n]*\.$/.test(help)) found.push('the help is not one sentence');
  if (new Set(labels).size < labels.length) found.push('a label is there twice');
  for (const label of labels) {
    if (!NAME.test(label)) found.push(`label ${label}: not lower case with single underscores`);
    if (RESERVED_LABELS.has(label)) found.push(`label ${label}: the name is the scraper's`);
  }
  return found;
}
