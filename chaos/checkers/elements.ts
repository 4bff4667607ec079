/**
 * Elements that are added to a key, each of them once in the life of a cluster, against everything that was
 * read of it: nothing lost, nothing twice, nothing that was refused, and always the same order, which is that of
 * real time where one ended before the other began. It needs no search, so it decides also where many
 * unknown outcomes leave the search for an order undecided.
 */
import type { History, Operation, ReplyValue } from '../history.ts';
import { type Checker, verdict } from './checker.ts';

const NAME = 'elements';

/** A type of values that elements are added to. */
interface Family {
  /** The element that a command adds to its key; undefined: it adds none. */
  readonly added: (command: readonly string[]) => string | undefined;
  /** The elements that a reply shows; undefined: the command does not read them. */
  readonly read: (command: readonly string[], reply: ReplyValue) => readonly string[] | undefined;
  /** Whether elements stay in the order in which they were added. */
  readonly ordered: boolean;
}

/** APPEND of elements that end with a semicolon. */
const strings: Family = {
  added: ([name, , element]) => (name === 'APPEND' ? element : undefined),
  read: ([name], reply) => (name === 'GET' ? split((reply ?? '') as string) : undefined),
  ordered: true,
};

/** Lists (RPUSH, LRANGE) and sets (SADD, SMEMBERS) join here. */
const FAMILIES: readonly Family[] = [strings];

const split = (text: string): readonly string[] => text.match(/[^;]*;|[^;]+$/g) ?? [];

export const elements: Checker = {
  name: NAME,
  claim: 'Of unique elements that were appended nothing is lost, twice or in another order.',
  check(history) {
    const findings: string[] = [];
    let readings = 0;
    let additions = 0;
    for (const family of FAMILIES) {
      for (const [key, seen] of collect(family, history)) {
        additions += seen.additions.size;
        readings += seen.readings.length;
        findings.push(...judgeKey(family, seen).map((what) => `${key}: ${what}`));
      }
    }
    return verdict(NAME, `${additions} elements, ${readings} readings`, findings);
  },
};

interface Reading {
  readonly what: string;
  readonly elements: readonly string[];
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

interface Seen {
  readonly additions: Map<string, Operation>;
  readonly readings: Reading[];
}

function collect(family: Family, { operations, ends }: History): Map<string, Seen> {
  const keys = new Map<string, Seen>();
  for (const operation of operations) {
    const element = family.added(operation.command);
    if (element === undefined) continue;
    const key = operation.command[1]!;
    const seen = keys.get(key) ?? { additions: new Map(), readings: [] };
    keys.set(key, seen);
    seen.additions.set(element, operation);
  }
  for (const { command, outcome, reply, client, startedAtMs, endedAtMs } of operations) {
    const shown = outcome === 'ok' ? family.read(command, reply) : undefined;
    if (shown === undefined) continue;
    const what = `what ${client} read at ${startedAtMs.toFixed(3)}-${endedAtMs.toFixed(3)} ms`;
    keys.get(command[1]!)?.readings.push({ what, elements: shown, startedAtMs, endedAtMs });
  }
  for (const { when, answers, table } of ends) {
    for (const [place, values] of [...answers, ['the table', table] as const]) {
      for (const [key, seen] of keys) {
        const shown = values.has(key) ? family.read(['GET'], values.get(key)!) : undefined;
        const times = { startedAtMs: Infinity, endedAtMs: Infinity };
        if (shown !== undefined) {
          seen.readings.push({ what: `${place} ${when}`, elements: shown, ...times });
        }
      }
    }
  }
  return keys;
}

function judgeKey({ ordered }: Family, { additions, readings }: Seen): string[] {
  const findings = readings.flatMap((reading) => judgeReading(additions, reading));
  return ordered ? [...findings, ...judgeOrder(additions, readings)] : findings;
}

function judgeReading(additions: Seen['additions'], reading: Reading): string[] {
  const { what, elements: shown, startedAtMs, endedAtMs } = reading;
  const found = new Set(shown);
  const findings: string[] = [];
  if (found.size < shown.length) {
    const twice = shown.filter((element, i) => shown.indexOf(element) < i);
    findings.push(`${what} has ${twice.join(' ')} twice`);
  }
  for (const element of found) {
    const addition = additions.get(element);
    if (addition === undefined) findings.push(`${what} has ${element}, which nobody added`);
    else if (addition.outcome === 'refused') {
      findings.push(`${what} has ${element}, which was refused (${String(addition.reply)})`);
    } else if (addition.startedAtMs > endedAtMs) {
      findings.push(`${what} has ${element}, which was sent later`);
    }
  }
  for (const [element, { outcome, endedAtMs: addedAtMs, client }] of additions) {
    if (outcome !== 'ok' || addedAtMs >= startedAtMs || found.has(element)) continue;
    findings.push(
      `${what} lacks ${element} of ${client}, acknowledged at ${addedAtMs.toFixed(3)} ms`,
    );
  }
  return findings;
}

/** All readings are beginnings of the longest one, and that one is in the order of real time. */
function judgeOrder(additions: Seen['additions'], readings: readonly Reading[]): string[] {
  let longest: Reading | undefined;
  for (const reading of readings) {
    if (longest === undefined || reading.elements.length > longest.elements.length)
      longest = reading;
  }
  if (longest === undefined) return [];
  const order = longest.elements;
  const findings: string[] = [];
  for (const { what, elements: shown } of readings) {
    const at = shown.findIndex((element, i) => element !== order[i]);
    if (at < 0) continue;
    findings.push(`${what} has ${shown[at]} as element ${at}, ${longest.what} has ${order[at]}`);
  }
  return [...findings, ...againstTime(additions, order)];
}

/** Elements that come before one that was acknowledged before they were sent. */
function againstTime(additions: Seen['additions'], order: readonly string[]): string[] {
  const findings: string[] = [];
  let earliest: { element: string; endedAtMs: number } | undefined;
  for (const element of order.toReversed()) {
    const addition = additions.get(element);
    if (addition === undefined) continue;
    const { startedAtMs, endedAtMs, outcome } = addition;
    if (earliest !== undefined && earliest.endedAtMs < startedAtMs) {
      findings.push(
        `${element} is before ${earliest.element}, which was acknowledged before it was sent`,
      );
    }
    if (outcome === 'ok' && endedAtMs < (earliest?.endedAtMs ?? Infinity)) {
      earliest = { element, endedAtMs };
    }
  }
  return findings;
}
