/**
 * Flags of the command line. A small parser of our own, because `ringfence up` must hand flags that
 * it does not know on to the nodes, untouched and in order, which `node:util` cannot do.
 */

/** Wrong usage: the message is shown with a hint to `--help`, and the program exits with 2. */
export class UsageError extends Error {}

export interface FlagSpec {
  /** Without the dashes. */
  readonly name: string;
  /** What the value is called in the help; absent for a switch. */
  readonly value?: string;
  readonly help: string;
}

export interface ParsedFlags {
  /** Values of the flags given; a switch has the empty string. The last one wins. */
  readonly values: ReadonlyMap<string, string>;
  /** What is not a flag, in order. */
  readonly words: readonly string[];
  /** Flags that no spec names, with their values, as they were given. */
  readonly unknown: readonly string[];
}

/** Parses `--name value`, `--name=value` and switches. Throws a UsageError for a missing value. */
export function parseFlags(argv: readonly string[], specs: readonly FlagSpec[]): ParsedFlags {
  const values = new Map<string, string>();
  const words: string[] = [];
  const unknown: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? '';
    if (!word.startsWith('--')) {
      words.push(word);
      continue;
    }
    const equals = word.indexOf('=');
    const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
    const spec = specs.find((candidate) => candidate.name === name);
    const next = argv[i + 1];
    if (spec === undefined) {
      unknown.push(word);
      // Whether it takes a value is not known here; what does not look like a flag is one.
      if (equals < 0 && next !== undefined && !next.startsWith('--')) {
        unknown.push(next);
        i++;
      }
    } else if (spec.value === undefined) {
      if (equals >= 0) throw new UsageError(`--${name} takes no value`);
      values.set(name, '');
    } else if (equals >= 0) {
      values.set(name, word.slice(equals + 1));
    } else {
      if (next === undefined) throw new UsageError(`--${name} needs a value: ${spec.value}`);
      values.set(name, next);
      i++;
    }
  }
  return { values, words, unknown };
}

/** A whole number between `min` and `max`, or `fallback` when the flag was not given. */
export function integerFlag(
  { values }: ParsedFlags,
  name: string,
  { min, max, fallback }: { min: number; max: number; fallback: number },
): number {
  const text = values.get(name);
  if (text === undefined) return fallback;
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < min || number > max) {
    throw new UsageError(`--${name} must be a whole number from ${min} to ${max}, not '${text}'`);
  }
  return number;
}

/** Throws a UsageError when flags or words were given that the command does not know. */
export function rejectExtras({ words, unknown }: ParsedFlags): void {
  const extra = unknown[0] ?? words[0];
  if (extra !== undefined) throw new UsageError(`not understood: '${extra}'`);
}

/** The lines of a help text for flags. */
export function flagHelp(specs: readonly FlagSpec[]): string {
  const left = specs.map(
    ({ name, value }) => `  --${name}${value === undefined ? '' : ` ${value}`}`,
  );
  const width = Math.max(...left.map((text) => text.length)) + 2;
  return specs.map(({ help }, i) => `${(left[i] ?? '').padEnd(width)}${help}`).join('\n');
}
