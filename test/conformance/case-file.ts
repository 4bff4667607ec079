/**
 * The case files: scenarios as text, one command a line, as one would type them into redis-cli.
 * README.md in this folder describes the format; this file parses it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** How a step talks to the server. */
export type Action =
  /** Send the command, read one reply. */
  | { readonly kind: 'command' }
  /** Like `command`, but sent together with the pipelined steps beside it. */
  | { readonly kind: 'pipelined' }
  /** Send bytes as they are, then read so many replies. */
  | { readonly kind: 'raw'; readonly replies: number }
  /** Send the command and read nothing. */
  | { readonly kind: 'silent' }
  /** Send the bytes (`raw`) or the command, then read everything up to the end of the connection. */
  | { readonly kind: 'close'; readonly raw: boolean }
  /** Send nothing; the connection is expected to be closed by the server. */
  | { readonly kind: 'closed' }
  /** Repeat the command until its reply, as text, is this one. */
  | { readonly kind: 'until'; readonly text: string }
  /** SCAN and continue with the cursors that come back; the reply is all keys, once each, sorted. */
  | { readonly kind: 'scan' };

/** How a reply that cannot be the same twice is made comparable; see `matchers.ts`. */
export interface Matcher {
  readonly name: string;
  readonly argument: string;
}

export interface Step {
  /** The line as written: the step's name in recordings and messages. */
  readonly line: string;
  readonly connection: number;
  readonly action: Action;
  readonly matcher: Matcher | null;
  /** Arguments with escapes resolved, and `${...}` not yet. */
  readonly args: readonly string[];
}

export interface Scenario {
  readonly family: string;
  readonly title: string;
  /** All its connections go to one node, because it is about a connection or about one node's state. */
  readonly oneNode: boolean;
  readonly steps: readonly Step[];
}

const TITLE = '=== ';
const ONE_NODE = '%one-node';

/** All scenarios below `folder`, by file name, in the order written. */
export function loadScenarios(folder: string): Scenario[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.txt'));
  return files
    .sort()
    .flatMap((name) =>
      parseCaseFile(readFileSync(join(folder, name), 'utf8'), name.replace(/\.txt$/, '')),
    );
}

/** Parses one case file. Throws with file and line number on what it does not understand. */
export function parseCaseFile(text: string, family: string): Scenario[] {
  const scenarios: { title: string; oneNode: boolean; steps: Step[] }[] = [];
  let fileOneNode = false;
  for (const [index, rawLine] of text.split('\n').entries()) {
    const line = rawLine.trim();
    if (line === '' || line.startsWith('#')) continue;
    try {
      const current = scenarios.at(-1);
      if (line.startsWith(TITLE)) {
        scenarios.push({ title: line.slice(TITLE.length), oneNode: fileOneNode, steps: [] });
      } else if (line === ONE_NODE) {
        if (current) current.oneNode = true;
        else fileOneNode = true;
      } else if (current) current.steps.push(parseStep(line));
      else throw new Error('a step before the first title');
    } catch (error) {
      throw new Error(`${family}.txt:${index + 1}: ${line}`, { cause: error });
    }
  }
  refuseDuplicates(scenarios, family);
  return scenarios.map((scenario) => ({ family, ...scenario }));
}

function refuseDuplicates(scenarios: readonly { title: string }[], family: string): void {
  const seen = new Set<string>();
  for (const { title } of scenarios) {
    if (seen.has(title)) throw new Error(`${family}.txt: two scenarios are called "${title}"`);
    seen.add(title);
  }
}

/** `[@connection] [~matcher] [!action | '|'] argument...` */
export function parseStep(line: string): Step {
  let rest = line;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    const match = pattern.exec(rest);
    if (match) rest = rest.slice(match[0].length).trimStart();
    return match;
  };
  const connection = Number(take(/^@(\d+)(?=\s)/)?.[1] ?? 1);
  const matcher = parseMatcher(take);
  const pipelined = take(/^\|(?=\s)/) !== null;
  const action = take(/^!([a-z]+)(?:\(([^)]*)\))?(?=\s|$)/);
  return {
    line,
    connection,
    matcher,
    action: action
      ? parseAction(action[1]!, action[2] ?? '')
      : { kind: pipelined ? 'pipelined' : 'command' },
    args: splitArguments(rest),
  };
}

function parseMatcher(take: (pattern: RegExp) => RegExpExecArray | null): Matcher | null {
  const regex = take(/^~match\/((?:[^/\\]|\\.)*)\/(?=\s)/);
  if (regex) return { name: 'match', argument: regex[1]! };
  const named = take(/^~([a-z-]+)(?:\(([^)]*)\))?(?=\s)/);
  return named ? { name: named[1]!, argument: named[2] ?? '' } : null;
}

function parseAction(name: string, argument: string): Action {
  switch (name) {
    case 'raw':
      return argument === 'close'
        ? { kind: 'close', raw: true }
        : { kind: 'raw', replies: Number(argument) };
    case 'silent':
      return { kind: 'silent' };
    case 'close':
      return { kind: 'close', raw: false };
    case 'closed':
      return { kind: 'closed' };
    case 'until':
      return { kind: 'until', text: argument };
    case 'scan':
      return { kind: 'scan' };
    default:
      throw new Error(`unknown action !${name}`);
  }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', a: '\x07', b: '\b' };

/** redis-cli's quoting: words, "double quotes with \xHH \n \r \t escapes", 'single quotes as they are'. */
export function splitArguments(line: string): string[] {
  const args: string[] = [];
  let at = 0;
  while (at < line.length) {
    if (line[at] === ' ' || line[at] === '\t') {
      at++;
      continue;
    }
    const quote = line[at] === '"' || line[at] === "'" ? line[at]! : null;
    const word = quote ? readQuoted(line, at + 1, quote) : readBare(line, at);
    args.push(word.text);
    at = word.next;
  }
  return args;
}

function readBare(line: string, start: number): { text: string; next: number } {
  let next = start;
  while (next < line.length && line[next] !== ' ' && line[next] !== '\t') next++;
  return { text: line.slice(start, next), next };
}

function readQuoted(line: string, start: number, quote: string): { text: string; next: number } {
  let text = '';
  for (let at = start; at < line.length; at++) {
    const char = line[at]!;
    if (char === quote) return { text, next: at + 1 };
    if (char !== '\\' || quote === "'") {
      text += char;
      continue;
    }
    const escaped = line[++at];
    if (escaped === 'x') {
      text += String.fromCharCode(parseInt(line.slice(at + 1, at + 3), 16));
      at += 2;
    } else if (escaped !== undefined) text += ESCAPES[escaped] ?? escaped;
  }
  throw new Error('a quotation mark is missing');
}
