/**
 * The text that Prometheus scrapes: its text format, version 0.0.4.
 *
 *     # HELP ringfence_keys Live keys in this node's memory.
 *     # TYPE ringfence_keys gauge
 *     ringfence_keys{db="0"} 12
 *
 * Source: "Exposition formats" in the Prometheus documentation. ADR 0015 says why this is not a library.
 */
import type { Metric, Sample } from './metric.ts';

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** One metric after the other, each with its samples together, as the format asks for. */
export function exposition<Facts>(metrics: readonly Metric<Facts>[], facts: Facts): string {
  return metrics.map((metric) => family(metric, metric.read(facts))).join('');
}

function family({ name, kind, help, labels }: Metric<never>, samples: readonly Sample[]): string {
  const lines = [`# HELP ${name} ${escapeHelp(help)}\n`, `# TYPE ${name} ${kind}\n`];
  // A series that is there twice makes a scraper refuse the whole answer, so the first one stands for it.
  const seen = new Set<string>();
  for (const sample of samples) {
    const series = name + labelText(labels, sample.labels);
    if (seen.has(series)) continue;
    seen.add(series);
    lines.push(`${series} ${valueText(sample.value)}\n`);
  }
  return lines.join('');
}

function labelText(names: readonly string[], values: readonly string[]): string {
  if (names.length === 0) return '';
  const pairs = names.map((name, i) => `${name}="${escapeLabel(values[i] ?? '')}"`);
  return `{${pairs.join(',')}}`;
}

/** As Go's `ParseFloat` reads it, which takes all that JavaScript prints but these. */
function valueText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
