import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judge } from '../../../chaos/checkers/linearizability/judge.ts';
import { keyspaceModel } from '../../../chaos/checkers/linearizability/keyspace-model.ts';
import { linearizable } from '../../../chaos/checkers/linearizable.ts';
import type { KeyEvent, Operation } from '../../../chaos/history.ts';
import {
  type Drawn,
  drawn,
  history,
  isLinearizableByDefinition,
  mutation,
  op,
  play,
  refused,
  unknown,
} from './histories.ts';

const ENOUGH = 100_000;

function statusOf(...operations: Operation[]): string {
  return linearizable.check(history(...operations)).status;
}

describe('a register', () => {
  test.each<[string, Operation[]]>([
    ['nothing', []],
    ['reads of a key that nobody wrote', [op(1, 2, 'GET k', null)]],
    ['a read of the last write', [op(1, 2, 'SET k a', 'OK'), op(3, 4, 'GET k', 'a')]],
    [
      'a read that overlaps a write and sees the value before',
      [op(1, 2, 'SET k a', 'OK'), op(3, 6, 'SET k b', 'OK'), op(4, 5, 'GET k', 'a')],
    ],
    [
      'two writes at once, seen in either order',
      [op(1, 5, 'SET k a', 'OK'), op(1, 5, 'SET k b', 'OK'), op(6, 7, 'GET k', 'a')],
    ],
    [
      'a write with unknown outcome that is seen long after',
      [unknown(1, 2, 'SET k a'), op(3, 4, 'SET k b', 'OK'), op(50, 51, 'GET k', 'a')],
    ],
    [
      'a write with unknown outcome that is never seen',
      [op(1, 2, 'SET k b', 'OK'), unknown(3, 4, 'SET k a'), op(50, 51, 'GET k', 'b')],
    ],
    [
      'an end and a beginning at the same moment, which count as concurrent',
      [op(1, 2, 'SET k a', 'OK'), op(2, 3, 'GET k', null)],
    ],
  ])('holds for %s', (_label, operations) => {
    expect(statusOf(...operations)).toBe('holds');
  });

  const a = op(1, 2, 'SET k a', 'OK');
  test.each<[string, Operation[]]>([
    ['a stale read', [a, op(3, 4, 'SET k b', 'OK'), op(5, 6, 'GET k', 'a')]],
    ['a lost write', [a, op(3, 4, 'GET k', null)]],
    ['a value that nobody wrote', [a, op(3, 4, 'GET k', 'b')]],
    ['a refused write that is seen', [refused(1, 2, 'SET k a'), op(3, 4, 'GET k', 'a')]],
    ['a value from before it was sent', [op(1, 2, 'GET k', 'b'), op(3, 4, 'SET k b', 'OK')]],
    [
      'new, then old, while the write is under way',
      [a, op(3, 9, 'SET k b', 'OK'), op(4, 5, 'GET k', 'b'), op(6, 7, 'GET k', 'a')],
    ],
    [
      'a write with unknown outcome that happens twice',
      [
        unknown(1, 2, 'SET k a'),
        op(3, 4, 'GET k', 'a'),
        op(5, 6, 'SET k b', 'OK'),
        op(7, 8, 'GET k', 'a'),
      ],
    ],
    ['two SET NX that both succeed', [op(1, 5, 'SET k a NX', 'OK'), op(1, 5, 'SET k b NX', 'OK')]],
    ['a GETSET that skips a value', [a, op(3, 4, 'GETSET k b', null)]],
    ['a DEL that is answered with 1 twice', [a, op(3, 6, 'DEL k', 1), op(3, 6, 'DEL k', 1)]],
  ])('is broken by %s', (_label, operations) => {
    expect(statusOf(...operations)).toBe('broken');
  });

  test('keys are judged apart, and the verdict names the broken one', () => {
    const { findings } = linearizable.check(
      history(
        op(1, 2, 'SET good a', 'OK'),
        op(1, 2, 'SET bad a', 'OK'),
        op(3, 4, 'GET good', 'a'),
        op(3, 4, 'GET bad', null),
      ),
    );
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatch(/^bad: /);
  });
});

describe('counters and several keys', () => {
  test.each<[string, Operation[]]>([
    ['an answer twice', [op(1, 2, 'INCR k', 1), op(3, 4, 'INCR k', 1)]],
    ['an answer skipped', [op(1, 2, 'INCR k', 1), op(3, 4, 'INCR k', 3)]],
    ['an increment that is gone', [op(1, 2, 'INCR k', 1), op(3, 4, 'GET k', null)]],
    [
      'half an MSET',
      [
        op(1, 2, 'MSET a 1 b 1', 'OK'),
        op(1, 5, 'MSET a 2 b 2', 'OK'),
        op(3, 4, 'MGET a b', ['2', '1']),
      ],
    ],
    [
      'a key that is still there after RENAME',
      [op(1, 2, 'SET a 1', 'OK'), op(3, 4, 'RENAME a b', 'OK'), op(5, 6, 'MGET a b', ['1', '1'])],
    ],
  ])('are broken by %s', (_label, operations) => {
    expect(statusOf(...operations)).toBe('broken');
  });

  test('hold for unknown increments that happened late', () => {
    const two = [unknown(1, 2, 'INCR k'), unknown(1, 2, 'INCR k')];
    expect(statusOf(...two, op(3, 4, 'GET k', null), op(5, 6, 'INCR k', 3))).toBe('holds');
    expect(statusOf(...two, op(3, 4, 'GET k', null), op(5, 6, 'INCR k', 4))).toBe('broken');
  });

  test('hold for an MSET under way that is seen as a whole or not at all', () => {
    const none = op(3, 4, 'MGET a b', [null, null]);
    const all = op(3, 4, 'MGET a b', ['2', '2']);
    expect(statusOf(op(1, 5, 'MSET a 2 b 2', 'OK'), none, all)).toBe('holds');
  });
});

test('what was found at the end counts as reads after everything else', () => {
  const made = history(op(1, 2, 'SET k a', 'OK'));
  made.addEnd({
    when: 'after the faults',
    startedAtMs: 10,
    endedAtMs: 11,
    answers: new Map([['node-1', new Map([['k', 'a']])]]),
    memory: new Map(),
    table: new Map([['k', null]]),
  });
  const { status, findings } = linearizable.check(made);
  expect(status).toBe('broken');
  expect(findings[0]).toContain('the table');
});

describe('what happened to a key without a client', () => {
  const written = op(1, 2, 'SET k a', 'OK');
  const lost = (startedAtMs: number, endedAtMs = Infinity): KeyEvent => ({
    why: 'lost',
    values: new Map([['k', null]]),
    startedAtMs,
    endedAtMs,
  });
  const judged = (event: KeyEvent, ...operations: Operation[]): string => {
    const made = history(...operations);
    made.addEvent(event);
    return linearizable.check(made).status;
  };

  test('may be seen from then on, or never', () => {
    expect(judged(lost(3), written, op(4, 5, 'GET k', null))).toBe('holds');
    expect(judged(lost(3), written, op(4, 5, 'GET k', 'a'))).toBe('holds');
  });

  test.each<[string, KeyEvent, Operation[]]>([
    ['that is seen before', lost(6), [op(4, 5, 'GET k', null)]],
    [
      'that is seen and then not any more',
      lost(3),
      [op(4, 5, 'GET k', null), op(6, 7, 'GET k', 'a')],
    ],
    ['of another value', lost(3), [op(4, 5, 'GET k', 'b')]],
    ['that surely happened and is not seen', lost(3, 4), [op(5, 6, 'GET k', 'a')]],
  ])('is no excuse for something %s', (_label, event, operations) => {
    expect(judged(event, written, ...operations)).toBe('broken');
  });

  test('concerns its keys only, and several of them at one moment', () => {
    const event = {
      ...lost(3, 9),
      values: new Map([
        ['a', null],
        ['b', '2'],
        ['c', null],
      ]),
    };
    const opened = op(1, 2, 'MSET a 1 b 1', 'OK');
    expect(judged(event, opened, op(4, 5, 'MGET a b', [null, '2']))).toBe('holds');
    expect(judged(event, opened, op(4, 5, 'MGET a b', ['1', '2']))).toBe('broken');
    expect(judged(event, op(1, 2, 'SET d 1', 'OK'), op(10, 11, 'GET d', '1'))).toBe('holds');
  });
});

const COMMANDS: [label: string, commands: string, keys: string[]][] = [
  [
    'registers',
    'GET k, GET k, SET k %, SET k %, DEL k, SET k % NX, GETSET k %, GETDEL k, SET k % XX GET',
    ['k'],
  ],
  ['counters', 'GET k, INCR k, INCR k, INCRBY k 10, DECR k', ['k']],
  ['appends', 'GET k, APPEND k %;, APPEND k %;, STRLEN k', ['k']],
  [
    'commands on several keys',
    'MSET a % b %, MGET a b, MGET b c, RENAME a b, COPY b c REPLACE, MSETNX b % c %, DEL a c, SET b %',
    ['a', 'b', 'c'],
  ],
];

describe.each(COMMANDS)('%s', (_label, list, keys) => {
  const commands = list.split(', ').map((command) => command.split(' '));
  const model = keyspaceModel(keys);
  const judged = (operations: readonly Operation[]): string =>
    judge({ keys, operations }, ENOUGH).status;

  test('every history that the model made holds', () => {
    fc.assert(
      fc.property(drawn(commands, 60), (steps) => {
        expect(judged(play(model, steps))).toBe('holds');
      }),
      { numRuns: 400 },
    );
  });

  test('small histories, right or wrong, get the verdict of the definition', () => {
    let wrong = 0;
    fc.assert(
      fc.property(
        drawn(commands, 6),
        fc.array(mutation(), { maxLength: 2 }),
        (steps, mutations) => {
          const operations = mutations.reduce((all, mutate) => mutate(all), play(model, steps));
          const right = isLinearizableByDefinition(model, operations);
          if (!right) wrong++;
          expect(judged(operations)).toBe(right ? 'holds' : 'broken');
        },
      ),
      { numRuns: 2000 },
    );
    expect(wrong).toBeGreaterThan(100);
  });
});

describe('bounds', () => {
  test('a long history without mistakes needs few configurations an operation', () => {
    const commands = ['SET k %', 'GET k', 'GETSET k %'].map((text) => text.split(' '));
    const steps = Array.from(
      { length: 20_000 },
      (_, i): Drawn => ({
        command: commands[i % 3]!,
        before: i % 6,
        after: (i * 7) % 6,
        fate: i % 1000 === 999 ? 'unknown-done' : 'ok',
      }),
    );
    const operations = play(keyspaceModel(['k']), steps);
    expect(judge({ keys: ['k'], operations }, 40 * operations.length).status).toBe('holds');
  });

  test('what would need more work than allowed is undecided, not right', () => {
    const writes = Array.from({ length: 10 }, (_, i) => op(1, 50, `SET k ${i}`, 'OK'));
    const operations = [...writes, op(60, 61, 'GET k', 'none of them')];
    expect(judge({ keys: ['k'], operations }, 100).status).toBe('undecided');
    expect(judge({ keys: ['k'], operations }, ENOUGH).status).toBe('broken');
  });
});

test('elements that overlap are not tried in every order when a reading shows the right one', () => {
  const appended = Array.from({ length: 14 }, (_, i) => op(1, 50, `APPEND k ${i};`, 0));
  const text = appended.map(({ command }) => command[2]!).join('');
  const lengths = appended.map((one, i) => ({
    ...one,
    reply: appended.slice(0, i + 1).reduce((sum, { command }) => sum + command[2]!.length, 0),
  }));
  const right = [...lengths, op(60, 61, 'GET k', text)];
  const wrong = [...lengths, op(60, 61, 'GET k', text.slice(2))];
  expect(judge({ keys: ['k'], operations: right }, 2000).status).toBe('holds');
  expect(judge({ keys: ['k'], operations: wrong }, 2000).status).toBe('broken');
});

test('an explanation is a small history that is still wrong, and the possible value before it', () => {
  const noise = Array.from({ length: 100 }, (_, i) => [
    op(10 * i, 10 * i + 1, `SET k v${i}`, 'OK'),
    op(10 * i + 2, 10 * i + 3, 'GET k', `v${i}`),
  ]).flat();
  const wrong = op(2000, 2001, 'GET k', 'v98', { client: 'c7', node: 'node-3' });
  const { findings } = linearizable.check(history(...noise, wrong));
  expect(findings[0]).toMatchInlineSnapshot(`
    "k: no order of the operations explains the one marked with >
      at first the value can only be "v94"; then:
        982.000-983.000 ms c1 on node-1: GET k -> "v98"
        992.000-993.000 ms c1 on node-1: GET k -> "v99"
      > 2000.000-2001.000 ms c7 on node-3: GET k -> "v98"
      written by 980.000-981.000 ms c1 on node-1: SET k v98 -> "OK"
      written by 990.000-991.000 ms c1 on node-1: SET k v99 -> "OK""
  `);
});
