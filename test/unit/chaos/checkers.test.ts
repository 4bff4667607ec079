import { describe, expect, test } from 'vitest';
import { acknowledgedPresent } from '../../../chaos/checkers/acknowledged-present.ts';
import { allOrNothing } from '../../../chaos/checkers/all-or-nothing.ts';
import { type Checker, passed, verdict } from '../../../chaos/checkers/checker.ts';
import { elements } from '../../../chaos/checkers/elements.ts';
import { claimOf, judgeRun } from '../../../chaos/checkers/index.ts';
import { knownRefusals } from '../../../chaos/checkers/known-refusals.ts';
import { memoryEqualsTable } from '../../../chaos/checkers/memory-equals-table.ts';
import { onePrimary } from '../../../chaos/checkers/one-primary.ts';
import { programOrder } from '../../../chaos/checkers/program-order.ts';
import { sameEverywhere } from '../../../chaos/checkers/same-everywhere.ts';
import { sums } from '../../../chaos/checkers/sums.ts';
import type { EndState, History, Operation, PrimarySpan } from '../../../chaos/history.ts';
import { WORKLOADS } from '../../../chaos/workloads/index.ts';
import { FakeService, type Flaw } from './fake-service.ts';
import { history, op, refused, unknown } from './histories.ts';

type Pairs = Record<string, string | null>;

function withEnd(made: History, table: Pairs, answers: Pairs = table, memory: Pairs = {}): History {
  const values = (pairs: Pairs): Map<string, string | null> => new Map(Object.entries(pairs));
  const end: EndState = {
    when: 'at the end',
    startedAtMs: 100,
    endedAtMs: 101,
    answers: new Map([['node-1', values(answers)]]),
    memory: new Map([['node-1', values(memory)]]),
    table: values(table),
  };
  made.addEnd(end);
  return made;
}

function findings(checker: Checker, made: History): readonly string[] {
  const { status, findings: found } = checker.check(made);
  expect(status).toBe(found.length === 0 ? 'holds' : 'broken');
  return found;
}

describe('acknowledged-present', () => {
  const twoWrites = [op(1, 2, 'SET k a', 'OK'), op(3, 4, 'SET k b', 'OK')];

  test('holds for the last acknowledged value, and for a later one whose outcome is unknown', () => {
    expect(findings(acknowledgedPresent, withEnd(history(...twoWrites), { k: 'b' }))).toEqual([]);
    const open = history(...twoWrites, unknown(5, 6, 'SET k c'));
    expect(findings(acknowledgedPresent, withEnd(open, { k: 'c' }))).toEqual([]);
  });

  test.each<[string, Pairs, Pairs]>([
    ['an older value in the table', { k: 'a' }, { k: 'b' }],
    ['nothing in the table', { k: null }, { k: 'b' }],
    ['an older value on a node', { k: 'b' }, { k: 'a' }],
    ['a value that nobody wrote', { k: 'x' }, { k: 'x' }],
  ])('is broken by %s', (_label, table, answers) => {
    const made = withEnd(history(...twoWrites), table, answers);
    expect(findings(acknowledgedPresent, made)).toHaveLength(1);
  });

  test('is broken by a refused write that is there, and by a counter that misses a step', () => {
    const one = history(refused(1, 2, 'SET k a'));
    expect(findings(acknowledgedPresent, withEnd(one, { k: 'a' }))).toHaveLength(1);
    const two = history(op(1, 2, 'INCR k', 1), op(3, 4, 'INCR k', 2));
    expect(findings(acknowledgedPresent, withEnd(two, { k: '1' }))).toHaveLength(1);
  });

  test('tells a loss also where a stale read hides it', () => {
    const made = history(...twoWrites, op(5, 6, 'GET k', 'a'));
    expect(findings(acknowledgedPresent, withEnd(made, { k: 'a' }))).toHaveLength(1);
  });

  test('is undecided when the end, or the row of a key, was not read', () => {
    expect(acknowledgedPresent.check(history(...twoWrites)).status).toBe('undecided');
    expect(acknowledgedPresent.check(withEnd(history(...twoWrites), {})).status).toBe('undecided');
  });
});

describe('memory-equals-table', () => {
  test('holds when every clean entry and every answer is the row', () => {
    const made = withEnd(history(), { a: '1', b: null }, { a: '1', b: null }, { a: '1' });
    expect(findings(memoryEqualsTable, made)).toEqual([]);
  });

  test.each<[string, Pairs, Pairs]>([
    ['an entry in memory that differs', { a: '1' }, { a: '2' }],
    ['an entry in memory without a row', { a: '1', b: null }, { b: '2' }],
    ['a key known as absent that has a row', { a: '1' }, { a: null }],
  ])('is broken by %s', (_label, table, memory) => {
    expect(findings(memoryEqualsTable, withEnd(history(), table, table, memory))).toHaveLength(1);
  });

  test('is broken by an answer that differs', () => {
    expect(findings(memoryEqualsTable, withEnd(history(), { a: '1' }, { a: '2' }))).toHaveLength(1);
  });

  test('is undecided when nobody looked', () => {
    expect(memoryEqualsTable.check(history()).status).toBe('undecided');
  });
});

describe('same-everywhere', () => {
  const end = (answers: Record<string, Pairs>, memory: Record<string, Pairs>): History => {
    const made = history();
    const values = (of: Record<string, Pairs>): EndState['answers'] =>
      new Map(Object.entries(of).map(([node, pairs]) => [node, new Map(Object.entries(pairs))]));
    const times = { startedAtMs: 100, endedAtMs: 101 };
    const table = new Map([['row', 'x']]);
    made.addEnd({
      when: 'at the end',
      ...times,
      answers: values(answers),
      memory: values(memory),
      table,
    });
    return made;
  };
  const one = { k: 'v', gone: null, row: 'x' };

  test('holds when all answers and all owners say the same', () => {
    expect(findings(sameEverywhere, end({ a: one, b: one }, { a: { k: 'v' } }))).toEqual([]);
  });

  test.each<[string, Record<string, Pairs>, Record<string, Pairs>]>([
    ['two answers', { a: one, b: { ...one, k: 'w' } }, {}],
    ['a key that is there for one node only', { a: one, b: { ...one, gone: 'v' } }, {}],
    ['an owner that holds another value', { a: one, b: one }, { b: { k: 'w' } }],
    ['an owner that does not hold it', { a: one, b: one }, { b: { k: null } }],
  ])('is broken by %s', (_label, answers, memory) => {
    expect(findings(sameEverywhere, end(answers, memory))).toHaveLength(1);
  });

  test('leaves keys that have a row to the table, and says when there were no others', () => {
    const different = end({ a: one, b: { ...one, row: 'y' } }, {});
    expect(findings(sameEverywhere, different)).toEqual([]);
    expect(sameEverywhere.check(end({ a: { row: 'x' } }, {})).status).toBe('not-judged');
  });
});

describe('elements', () => {
  const both = [op(1, 2, 'APPEND k a;', 2), op(3, 4, 'APPEND k b;', 4)];

  test.each<[string, Operation[]]>([
    ['a reading of all', [...both, op(5, 6, 'GET k', 'a;b;')]],
    ['a reading from between', [...both, op(2.5, 6, 'GET k', 'a;')]],
    ['an unknown one that is there', [unknown(1, 2, 'APPEND k a;'), op(5, 6, 'GET k', 'a;')]],
    ['an unknown one that is not there', [unknown(1, 2, 'APPEND k a;'), op(5, 6, 'GET k', null)]],
  ])('holds for %s', (_label, operations) => {
    expect(findings(elements, history(...operations))).toEqual([]);
  });

  test.each<[string, Operation[]]>([
    ['a lost element', [...both, op(5, 6, 'GET k', 'b;')]],
    ['an element twice', [...both, op(5, 6, 'GET k', 'a;b;b;')]],
    ['elements against the order of time', [...both, op(5, 6, 'GET k', 'b;a;')]],
    ['an element that nobody added', [...both, op(5, 6, 'GET k', 'a;b;c;')]],
    ['half an element', [...both, op(5, 6, 'GET k', 'a;b;c')]],
    ['a refused element', [refused(1, 2, 'APPEND k a;'), op(5, 6, 'GET k', 'a;')]],
    ['an element from the future', [op(1, 2, 'GET k', 'a;'), op(3, 4, 'APPEND k a;', 2)]],
  ])('is broken by %s', (_label, operations) => {
    expect(findings(elements, history(...operations))).not.toEqual([]);
  });

  test('is broken by two readings of different orders', () => {
    const overlapping = [op(1, 9, 'APPEND k a;', 2), op(1, 9, 'APPEND k b;', 4)];
    const readings = [op(10, 11, 'GET k', 'a;b;'), op(12, 13, 'GET k', 'b;a;')];
    expect(findings(elements, history(...overlapping, ...readings))).toHaveLength(1);
  });

  test('is broken by an element that is lost at the end', () => {
    expect(findings(elements, withEnd(history(...both), { k: 'a;' }, { k: 'a;b;' }))).toHaveLength(
      1,
    );
  });
});

describe('all-or-nothing and sums', () => {
  const written = op(1, 2, 'MSET a 1 b 1', 'OK');

  test('half an MSET is found in a reading and at the end', () => {
    expect(findings(allOrNothing, history(written, op(3, 4, 'MGET a b', ['1', '1'])))).toEqual([]);
    const half = history(written, op(1, 4, 'MGET a b', ['1', null]));
    expect(findings(allOrNothing, half)).toHaveLength(1);
    const end = withEnd(history(written), { a: '1', b: null }, { a: '1', b: '1' });
    expect(findings(allOrNothing, end)).toHaveLength(1);
  });

  const opened = op(1, 2, 'MSETNX a 100 b 100', 1);
  const moved = op(3, 4, 'MSET a 70 b 130', 'OK');
  const all = (values: (string | null)[]): Operation => op(1, 9, 'MGET a b c', values);

  test('a sum holds before the opening, after it, and after RENAME', () => {
    const readings = [
      all([null, null, null]),
      all(['100', '100', null]),
      all(['70', '130', null]),
      all([null, '130', '70']),
    ];
    expect(findings(sums, history(opened, moved, ...readings))).toEqual([]);
  });

  test('a sum is broken by half a transfer, by lost and by doubled money', () => {
    const readings = [
      all(['70', '100', null]),
      all(['100', null, null]),
      all(['100', '100', '100']),
    ];
    expect(findings(sums, history(opened, moved, ...readings))).toHaveLength(3);
    const end = withEnd(history(opened), { a: '100', b: '99' }, { a: '100', b: '100' });
    expect(findings(sums, end)).toHaveLength(1);
  });
});

describe('program-order', () => {
  const together = [op(1, 2, 'SET k a', 'OK'), op(1, 3, 'SET k b', 'OK')];

  test('holds when a later command sees what an earlier one did, refused ones aside', () => {
    const made = history(...together, refused(1, 4, 'SET k c'), op(1, 4, 'GET k', 'b'));
    expect(findings(programOrder, made)).toEqual([]);
  });

  test('is broken by a read that does not see the write before it, and by writes in the wrong order', () => {
    const read = history(...together, op(1, 4, 'GET k', 'a'));
    expect(findings(programOrder, read)).toHaveLength(1);
    const first = history(op(1, 2, 'SET k a', 'OK'), op(1, 2, 'GETSET k b', null));
    expect(findings(programOrder, first)).toHaveLength(1);
  });

  test('does not judge what was sent with an unknown outcome, or after it', () => {
    const made = history(op(1, 4, 'GET k', 'a'), unknown(1, 5, 'SET k a'), op(6, 7, 'GET k', null));
    expect(findings(programOrder, made)).toEqual([]);
  });
});

describe('one-primary', () => {
  const span = (node: string, from: number, to: number, slots: [number, number]): PrimarySpan => ({
    node,
    incarnation: `life of ${node}`,
    epoch: 1,
    slots,
    startedAtMs: from,
    endedAtMs: to,
  });

  function judged(...spans: PrimarySpan[]): readonly string[] {
    const made = history();
    for (const one of spans) made.addPrimary(one);
    return findings(onePrimary, made);
  }

  test('holds for one after the other, and for different slots at once', () => {
    expect(judged(span('a', 0, 5, [0, 9]), span('b', 5, 9, [0, 9]))).toEqual([]);
    expect(judged(span('a', 0, 9, [0, 9]), span('b', 0, 9, [10, 19]))).toEqual([]);
  });

  test('is broken by two nodes, or two lives of one, at once for a single slot', () => {
    expect(judged(span('a', 0, 5, [0, 9]), span('b', 4.9, 9, [9, 19]))).toHaveLength(1);
    const reborn = { ...span('a', 4, 9, [0, 9]), incarnation: 'another life' };
    expect(judged(span('a', 0, 5, [0, 9]), reborn)).toHaveLength(1);
  });

  test('is broken once for two that share many slots, among the spans of all slots one by one', () => {
    const each = Array.from({ length: 16384 }, (_, slot) => span('a', 0, 9, [slot, slot]));
    expect(judged(...each)).toEqual([]);
    expect(judged(...each, span('b', 8, 10, [7, 7]))).toHaveLength(1);
    expect(
      judged(span('a', 0, 9, [0, 99]), span('b', 8, 10, [50, 200]), span('c', 20, 30, [60, 70])),
    ).toHaveLength(1);
  });

  test('says so when nothing was recorded', () => {
    expect(onePrimary.check(history()).status).toBe('not-judged');
  });
});

test('known-refusals is broken by an error that says nothing about trying again', () => {
  expect(findings(knownRefusals, history(refused(1, 2, 'SET k a')))).toHaveLength(1);
  const fine = { ...refused(1, 2, 'SET k a'), reply: 'NOTDONE no time' };
  const noKey = { ...refused(1, 2, 'RENAME a b'), reply: 'ERR no such key' };
  expect(findings(knownRefusals, history(fine, noKey))).toEqual([]);
  expect(findings(knownRefusals, history({ ...fine, reply: 'ERR no such key' }))).toHaveLength(1);
});

test('undecided is no pass', () => {
  expect(passed([verdict('a', '', [], ['gave up'])])).toBe(false);
  expect(passed([verdict('a', '', ['wrong'])])).toBe(false);
  expect(passed([verdict('a', '', []), onePrimary.check(history())])).toBe(true);
});

test('a verdict keeps a bounded number of findings and counts the rest', () => {
  const found = Array.from({ length: 50 }, (_, i) => `finding ${i}`);
  expect(verdict('a', '', found).findings).toHaveLength(21);
  expect(verdict('a', '', found).findings.at(-1)).toBe('and 30 more');
});

describe('all workloads together', () => {
  const CLIENTS = 10;
  const STEPS = 300;

  test.each([1, 2, 3])('of a right service pass every checker (seed %i)', async (seed) => {
    const made = await new FakeService(seed, 'none').run(WORKLOADS, CLIENTS, STEPS);
    const verdicts = judgeRun(made);
    expect(verdicts.filter(({ status }) => status !== 'holds' && status !== 'not-judged')).toEqual(
      [],
    );
    expect(verdicts.every(({ checker }) => claimOf(checker) !== '')).toBe(true);
  });

  test('make the same history again from the same randomness', async () => {
    const [a, b] = await Promise.all(
      [1, 2].map(() => new FakeService(7, 'none').run(WORKLOADS, CLIENTS, 50)),
    );
    expect(a).toEqual(b);
  });

  test.each<[Flaw, string[]]>([
    ['loses-a-write', ['linearizable', 'acknowledged-present', 'elements']],
    ['reads-are-stale', ['linearizable']],
    ['does-what-it-refused', ['linearizable', 'acknowledged-present', 'elements']],
    ['does-it-twice', ['linearizable', 'elements']],
    ['half-an-mset', ['linearizable', 'all-or-nothing', 'sums']],
    ['forgets-in-the-table', ['linearizable', 'acknowledged-present', 'memory-equals-table']],
    ['wrong-error', ['known-refusals']],
    ['overtakes', ['program-order']],
  ])('of a service that %s are caught by the checkers made for it', async (flaw, expected) => {
    const made = await new FakeService(1, flaw).run(WORKLOADS, CLIENTS, STEPS);
    const broken = judgeRun(made).filter(({ status }) => status === 'broken');
    const names = broken.map(({ checker }) => checker);
    expect(names).toEqual(expect.arrayContaining(expected));
  });
});
