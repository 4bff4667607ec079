/**
 * A history as JSON lines, each an array that begins with its kind, so that a run of a million operations
 * is some 100 MB and `grep` finds the operations of a key. A run that is killed leaves a file that can be read
 * up to its last whole line.
 *
 *     ["run",2,{"title":"kill-node","settings":{"nodes":"3"}}]
 *     ["op",12.031,13.5,"c1","node-2","registers","ok",["SET","k","v1"],"OK"]
 *     ["fault",1000,4000.25,"kill-node","node-2"]
 *     ["primary",0,1000,"node-2","9f..",3,0,5460]
 *     ["event",2000,null,"all owners are lost",[["k",null]]]   without an end: from then on, or never; a list of moments of expiry may follow
 *     ["clocks",1000,1050,3000.5,3001]
 *     ["end","after the faults","answers","node-1",[["k","v1"],["gone",null]]]   or "memory"; "table" has no node
 *     ["verdict","no-node-ends-by-itself","broken","all processes",["node-1 ended by itself"]]
 *     ["read","after the faults",9000,9100.5]
 */
import { closeSync, createReadStream, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Verdict } from './checkers/checker.ts';
import {
  type EndState,
  History,
  type HistoryRecord,
  type HistorySink,
  type Operation,
  type ReplyValue,
  type Values,
} from './history.ts';

/** Raised when a row changes its meaning; older files are then refused, not misread. */
const FORMAT = 2;
/** Pairs of one `end` line, which keeps lines short enough for any tool. */
const PAIRS_PER_LINE = 500;

/** Characters collected before they are written. */
const BUFFER_CHARACTERS = 1 << 16;

type Row = readonly [string, ...unknown[]];

/**
 * A file that takes the records of a run as they come. Writing is synchronous, so nothing piles up; what is left in the
 * buffer is written when it is closed, and also when the process ends before that.
 */
export class HistoryFile {
  readonly #descriptor: number;
  readonly #onExit = (): void => this.#flush();
  #buffer = '';

  /** Replaces a file of that name. */
  constructor(path: string) {
    this.#descriptor = openSync(path, 'w');
    process.once('exit', this.#onExit);
  }

  /** For a `History`. */
  readonly sink: HistorySink = (record) => {
    this.#buffer += encodeRecord(record);
    if (this.#buffer.length >= BUFFER_CHARACTERS) this.#flush();
  };

  close(): void {
    process.off('exit', this.#onExit);
    this.#flush();
    closeSync(this.#descriptor);
  }

  #flush(): void {
    writeSync(this.#descriptor, this.#buffer);
    this.#buffer = '';
  }
}

/** A whole history that was not written as it came. */
export function writeHistoryFile(path: string, history: History): void {
  const file = new HistoryFile(path);
  file.sink({ kind: 'run', run: history.run });
  for (const operation of history.operations) file.sink({ kind: 'operation', operation });
  for (const fault of history.faults) file.sink({ kind: 'fault', fault });
  for (const primary of history.primaries) file.sink({ kind: 'primary', primary });
  for (const event of history.events) file.sink({ kind: 'event', event });
  for (const clocks of history.clocks) file.sink({ kind: 'clocks', clocks });
  for (const end of history.ends) file.sink({ kind: 'end', end });
  for (const verdict of history.verdicts) file.sink({ kind: 'verdict', verdict });
  file.close();
}

/** Rejects when there is no such file, and as `readHistory`. */
export function readHistoryFile(path: string): Promise<History> {
  return readHistory(createInterface({ input: createReadStream(path), crlfDelay: Infinity }));
}

/** The lines of one record, each with its newline. */
export function encodeRecord(record: HistoryRecord): string {
  return rowsOf(record)
    .map((row) => `${JSON.stringify(row)}\n`)
    .join('');
}

function rowsOf(record: HistoryRecord): Row[] {
  switch (record.kind) {
    case 'run':
      return [['run', FORMAT, record.run]];
    case 'operation': {
      const { startedAtMs, endedAtMs, client, node, workload, outcome, command, reply } =
        record.operation;
      const times = [micros(startedAtMs), micros(endedAtMs)];
      return [['op', ...times, client, node, workload, outcome, command, reply]];
    }
    case 'fault': {
      const { startedAtMs, endedAtMs, name, detail } = record.fault;
      return [['fault', micros(startedAtMs), micros(endedAtMs), name, detail]];
    }
    case 'primary': {
      const { startedAtMs, endedAtMs, node, incarnation, epoch, slots } = record.primary;
      const times = [micros(startedAtMs), micros(endedAtMs)];
      return [['primary', ...times, node, incarnation, epoch, ...slots]];
    }
    case 'event': {
      const { startedAtMs, endedAtMs, why, values, expiresAtMs } = record.event;
      const end = endedAtMs === Infinity ? null : micros(endedAtMs);
      const limits = expiresAtMs === undefined ? [] : [[...expiresAtMs]];
      return [['event', micros(startedAtMs), end, why, [...values], ...limits]];
    }
    case 'clocks': {
      const { startedAtMs, endedAtMs, lowestMs, highestMs } = record.clocks;
      return [['clocks', ...[startedAtMs, endedAtMs, lowestMs, highestMs].map(micros)]];
    }
    case 'end':
      return endRows(record.end);
    case 'verdict': {
      const { checker, status, judged, findings } = record.verdict;
      return [['verdict', checker, status, judged, findings]];
    }
  }
}

/** Three digits behind the point: rounding keeps the order, and moments that become equal count as concurrent. */
function micros(moment: number): number {
  return Math.round(moment * 1000) / 1000;
}

function endRows({ when, answers, memory, table, startedAtMs, endedAtMs }: EndState): Row[] {
  const rows: Row[] = [['read', when, micros(startedAtMs), micros(endedAtMs)]];
  for (const [node, values] of answers) rows.push(...valueRows([when, 'answers', node], values));
  for (const [node, values] of memory) rows.push(...valueRows([when, 'memory', node], values));
  rows.push(...valueRows([when, 'table', ''], table));
  return rows;
}

/** At least one row, so that a node with nothing in it is known to have been looked at. */
function valueRows(place: readonly string[], values: Values): Row[] {
  const pairs = [...values];
  const rows: Row[] = [];
  for (let at = 0; at === 0 || at < pairs.length; at += PAIRS_PER_LINE) {
    rows.push(['end', ...place, pairs.slice(at, at + PAIRS_PER_LINE)]);
  }
  return rows;
}

/**
 * Reads what `encodeRecord` wrote. A last line that is broken off is left out. Rejects when the text is no
 * history, or one of another format.
 */
export async function readHistory(
  lines: AsyncIterable<string> | Iterable<string>,
): Promise<History> {
  const end = new EndReader();
  let history: History | undefined;
  let previous: string | undefined;
  const read = (line: string): void => {
    const row = JSON.parse(line) as Row;
    if (history === undefined) history = beginning(row);
    else readRow(row, history, end);
  };
  for await (const line of lines) {
    if (previous !== undefined) read(previous);
    previous = line;
  }
  if (previous !== undefined && (history === undefined || isWhole(previous))) read(previous);
  if (history === undefined) throw new Error('an empty history');
  for (const state of end.states()) history.addEnd(state);
  return history;
}

function isWhole(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

function beginning(row: Row): History {
  if (!Array.isArray(row) || row[0] !== 'run')
    throw new Error('no history: it begins with its run');
  if (row[1] !== FORMAT) throw new Error(`a history of format ${String(row[1])}, not ${FORMAT}`);
  return new History(row[2] as History['run']);
}

function readRow(row: Row, history: History, end: EndReader): void {
  switch (row[0]) {
    case 'op':
      return history.add(readOperation(row));
    case 'fault': {
      const [, startedAtMs, endedAtMs, name, detail] = row as [
        string,
        number,
        number,
        string,
        string,
      ];
      return history.addFault({ name, detail, startedAtMs, endedAtMs });
    }
    case 'primary': {
      const [, startedAtMs, endedAtMs, node, incarnation, epoch, first, last] = row as [
        string,
        number,
        number,
        string,
        string,
        number,
        number,
        number,
      ];
      const slots = [first, last] as const;
      return history.addPrimary({ node, incarnation, epoch, slots, startedAtMs, endedAtMs });
    }
    case 'event': {
      const [, startedAtMs, endedAtMs, why, pairs, limits] = row as [
        string,
        number,
        number | null,
        string,
        [string, string | null][],
        [string, number][]?,
      ];
      return history.addEvent({
        why,
        values: new Map(pairs),
        ...(limits === undefined ? {} : { expiresAtMs: new Map(limits) }),
        startedAtMs,
        endedAtMs: endedAtMs ?? Infinity,
      });
    }
    case 'clocks': {
      const [, startedAtMs, endedAtMs, lowestMs, highestMs] = row as [
        string,
        number,
        number,
        number,
        number,
      ];
      return history.addClocks({ startedAtMs, endedAtMs, lowestMs, highestMs });
    }
    case 'read': {
      const [, when, startedAtMs, endedAtMs] = row as [string, string, number, number];
      return end.at(when, { startedAtMs, endedAtMs });
    }
    case 'end':
      return end.add(row);
    case 'verdict': {
      const [, checker, status, judged, findings] = row as [
        string,
        string,
        Verdict['status'],
        string,
        string[],
      ];
      return history.addVerdict({ checker, status, judged, findings });
    }
    default:
      throw new Error(`a row of an unknown kind: '${row[0]}'`);
  }
}

function readOperation(row: Row): Operation {
  const [, startedAtMs, endedAtMs, client, node, workload, outcome, command, reply] = row as [
    string,
    number,
    number,
    string,
    string,
    string,
    Operation['outcome'],
    string[],
    ReplyValue,
  ];
  return { workload, client, node, command, startedAtMs, endedAtMs, outcome, reply };
}

/** Puts the lines of end states together again. */
class EndReader {
  readonly #ends = new Map<string, EndInParts>();

  at(when: string, times: EndInParts['times']): void {
    this.#end(when).times = times;
  }

  add(row: Row): void {
    const [, when, place, node, pairs] = row as [
      string,
      string,
      'answers' | 'memory' | 'table',
      string,
      [string, string | null][],
    ];
    const end = this.#end(when);
    const values = end[place].get(node) ?? new Map<string, string | null>();
    end[place].set(node, values);
    for (const [key, value] of pairs) values.set(key, value);
  }

  #end(when: string): EndInParts {
    const end = this.#ends.get(when) ?? {
      times: { startedAtMs: 0, endedAtMs: 0 },
      answers: new Map(),
      memory: new Map(),
      table: new Map(),
    };
    this.#ends.set(when, end);
    return end;
  }

  states(): EndState[] {
    return [...this.#ends].map(([when, { times, answers, memory, table }]) => ({
      when,
      ...times,
      answers,
      memory,
      table: table.get('') ?? new Map<string, string | null>(),
    }));
  }
}

interface EndInParts
  extends Record<'answers' | 'memory' | 'table', Map<string, Map<string, string | null>>> {
  times: Pick<EndState, 'startedAtMs' | 'endedAtMs'>;
}
