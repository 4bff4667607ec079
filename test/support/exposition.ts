/**
 * Reads Prometheus's text format 0.0.4, and takes nothing that the format or a scraper does not: one
 * HELP and one TYPE a family and in this order, all samples of a family together, labels in quotes with
 * known escapes, no series twice, a counter that is finite and not below 0, a line feed at the end.
 */
export interface Family {
  readonly name: string;
  readonly kind: string;
  readonly help: string;
  /** By labels as text, `{db="0"}`; '' without labels. */
  readonly samples: ReadonlyMap<string, number>;
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const HELP_LINE = new RegExp(`^# HELP (${NAME}) ((?:[^\\\\]|\\\\[\\\\n])*)$`);
const TYPE_LINE = new RegExp(`^# TYPE (${NAME}) (counter|gauge)$`);
const SAMPLE_LINE = new RegExp(`^(${NAME})(\\{${LABEL}(?:,${LABEL})*\\})? (\\S+)$`);
const VALUE = /^(?:[+-]?Inf|NaN|[+-]?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)$/;

/** Families by name, in order. Throws an error that names the first bad line. */
export function parseExposition(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the text does not end with a line feed');
  const families = new Map<string, Family & { samples: Map<string, number> }>();
  const lines = text.slice(0, -1).split('\n');
  for (let at = 0; at < lines.length; ) {
    const [, name = '', help = ''] = HELP_LINE.exec(lines[at]!) ?? fail(lines[at]!, 'no HELP');
    const [, typed, kind = ''] = TYPE_LINE.exec(lines[at + 1] ?? '') ?? fail(name, 'no TYPE');
    if (typed !== name) fail(name, 'HELP and TYPE of different metrics');
    if (families.has(name)) fail(name, 'the family is there twice');
    const samples = new Map<string, number>();
    for (at += 2; at < lines.length && !lines[at]!.startsWith('#'); at++) {
      const [labels, value] = parseSample(lines[at]!, name);
      if (samples.has(labels)) fail(lines[at]!, 'the series is there twice');
      if (kind === 'counter' && !(value >= 0 && Number.isFinite(value)))
        fail(lines[at]!, 'no value of a counter');
      samples.set(labels, value);
    }
    families.set(name, { name, kind, help, samples });
  }
  return families;
}

function parseSample(line: string, family: string): [labels: string, value: number] {
  const [, name, labels = '', value = ''] = SAMPLE_LINE.exec(line) ?? fail(line, 'no sample');
  if (name !== family) fail(line, `a sample among those of ${family}`);
  if (!VALUE.test(value)) fail(line, 'no number');
  const labelNames = [...labels.matchAll(/([a-zA-Z0-9_]+)="/g)].map(([, label]) => label);
  if (new Set(labelNames).size < labelNames.length) fail(line, 'a label twice');
  return [labels, Number(value.replace('Inf', 'Infinity'))];
}

function fail(line: string, problem: string): never {
  throw new Error(`${problem}: ${line}`);
}

/** The one number of a metric without labels, or of the series with these labels. */
export function valueOf(families: ReadonlyMap<string, Family>, name: string, labels = ''): number {
  const value = families.get(name)?.samples.get(labels);
  if (value === undefined) throw new Error(`there is no ${name}${labels}`);
  return value;
}
