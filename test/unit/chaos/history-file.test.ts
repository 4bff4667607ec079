import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { History, type HistoryRecord } from '../../../chaos/history.ts';
import {
  encodeRecord,
  HistoryFile,
  readHistory,
  readHistoryFile,
  writeHistoryFile,
} from '../../../chaos/history-file.ts';
import { op, refused, unknown } from './histories.ts';

/** One of everything; more keys at the end than fit on a line. */
function fill(history: History): History {
  history.add(op(1.25, 2.5, 'SET k \u00ff"', 'OK'));
  history.add(op(1, 2, 'MGET a b', ['1', null]));
  history.add(op(1, 2, 'INCR c', 7));
  history.add(unknown(3, 4, 'SET k b'));
  history.add(refused(3, 4, 'SET k c'));
  history.addClocks({ startedAtMs: 1, endedAtMs: 2, lowestMs: -3.5, highestMs: 4 });
  history.addFault({ name: 'kill-node', detail: 'node-1', startedAtMs: 1, endedAtMs: 2 });
  const slots = [0, 5460] as const;
  const node = { node: 'node-1', incarnation: 'f00', epoch: 3 };
  history.addPrimary({ ...node, slots, startedAtMs: 0, endedAtMs: 9.125 });
  history.addEvent({ why: 'lost', values: new Map([['k', null]]), startedAtMs: 3, endedAtMs: 4 });
  const back = new Map([['k', 'v']]);
  history.addEvent({ why: 'perhaps', values: back, startedAtMs: 3, endedAtMs: Infinity });
  const expiresAtMs = new Map([['k', 9.5]]);
  history.addEvent({ why: 'back', values: back, expiresAtMs, startedAtMs: 3, endedAtMs: 4 });
  const many = new Map(Array.from({ length: 1200 }, (_, i) => [`k${i}`, i % 2 === 0 ? 'v' : null]));
  for (const when of ['after the faults', 'after a cold start']) {
    const answers = new Map([['node-1', many]]);
    const times = { startedAtMs: 10, endedAtMs: 12.5 };
    const memory = new Map([['node-1', new Map()]]);
    history.addEnd({ when, ...times, answers, memory, table: many });
  }
  history.addVerdict({ checker: 'stock', status: 'broken', judged: '3 keys', findings: ['k'] });
  return history;
}

const INFO = { title: 'a run', settings: { seed: '7' } };

function linesOf(): string[] {
  const lines: string[] = [];
  const sink = (record: HistoryRecord): void => {
    lines.push(...encodeRecord(record).trimEnd().split('\n'));
  };
  fill(new History(INFO, sink));
  return lines;
}

test('a history is the same after it was written to a file and read back', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ringfence-history-'));
  try {
    const path = join(folder, 'history.jsonl');
    const file = new HistoryFile(path);
    fill(new History(INFO, file.sink));
    file.close();
    expect(await readHistoryFile(path)).toEqual(fill(new History(INFO)));
    writeHistoryFile(path, fill(new History(INFO)));
    expect(await readHistoryFile(path)).toEqual(fill(new History(INFO)));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a history that is broken off in the middle of a line is read up to there', async () => {
  const [first, second, third] = linesOf();
  const read = await readHistory([first!, second!, third!.slice(0, -5)]);
  expect(read.operations).toHaveLength(1);
});

test.each<[string, string[]]>([
  ['nothing', []],
  ['no run at the beginning', linesOf().slice(1)],
  ['another format', ['["run",99,{"title":"a","settings":{}}]']],
  ['a broken line in the middle', [linesOf()[0]!, '["op",1', linesOf()[1]!]],
  ['an unknown kind', [linesOf()[0]!, '["what"]', linesOf()[1]!]],
])('%s is refused', async (_label, lines) => {
  await expect(readHistory(lines)).rejects.toThrow();
});

test('part of a history has the operations of some workloads, and all of the rest', () => {
  const whole = fill(new History(INFO));
  whole.add(op(5, 6, 'GET k', 'b', { workload: 'other' }));
  const part = whole.of(new Set(['other']));
  expect(part.operations).toHaveLength(1);
  expect(part.faults).toEqual(whole.faults);
  expect(part.ends).toEqual(whole.ends);
  expect(part.events).toEqual(whole.events);
  expect(part.clocks).toEqual(whole.clocks);
  expect(part.primaries).toEqual(whole.primaries);
  expect(part.verdicts).toEqual(whole.verdicts);
});

test('a run may leave its operations to the sink alone', () => {
  const kinds: string[] = [];
  const sink = ({ kind }: HistoryRecord): void => void kinds.push(kind);
  const history = new History(INFO, sink, { keepsOperations: false });
  history.add(op(1, 2, 'SET k a', 'OK'));
  expect(history.operations).toEqual([]);
  expect(kinds).toEqual(['run', 'operation']);
});
