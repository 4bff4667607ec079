/** The checks over recorded answers, against histories that must fail and ones that must pass. */
import { expect, test } from 'vitest';
import { type Operation, outcomeOf, Recorder } from '../../support/recorder.ts';

function record(...operations: Partial<Operation>[]): Recorder {
  const recorder = new Recorder();
  operations.forEach((operation, i) => {
    const times = { startedAtMs: i * 10, endedAtMs: i * 10 + 5 };
    const names = { client: 'c', node: 'n', key: 'k', error: '' };
    recorder.add({ kind: 'set', number: 1, outcome: 'ok', ...names, ...times, ...operation });
  });
  return recorder;
}

test.each<[string, Partial<Operation>[], number]>([
  ['a read of the last acknowledged write', [{ number: 2 }, { kind: 'get', number: 2 }], 0],
  ['a read older than an acknowledged write', [{ number: 2 }, { kind: 'get', number: 1 }], 1],
  ['a read of nothing after a write', [{ number: 1 }, { kind: 'get', number: 0 }], 1],
  [
    'a read older than an earlier read',
    [
      { number: 2, outcome: 'unknown' },
      { kind: 'get', number: 2 },
      { kind: 'get', number: 1 },
    ],
    1,
  ],
  [
    'a read that began before the write ended',
    [
      { number: 2, endedAtMs: 12 },
      { kind: 'get', number: 1 },
    ],
    0,
  ],
  [
    'a read of a write that was refused',
    [
      { number: 3, outcome: 'failed' },
      { kind: 'get', number: 3 },
    ],
    1,
  ],
])('%s', (_, operations, violations) => {
  expect(record(...operations).staleReads()).toHaveLength(violations);
});

test.each([
  ['2', 0],
  ['3', 0],
  ['1', 1],
  ['4', 1],
  [null, 1],
])('the end value %s after 2 was acknowledged and 3 is unknown', (value, violations) => {
  const recorder = record({ number: 1 }, { number: 2 }, { number: 3, outcome: 'unknown' });
  expect(recorder.lostWrites('here', new Map([['k', value]]))).toHaveLength(violations);
});

test.each([
  ['2', 0],
  ['3', 0],
  ['1', 1],
  ['4', 1],
])('a counter of %s after two acknowledged and one unknown', (value, violations) => {
  const recorder = record(
    { kind: 'incr', number: 1 },
    { kind: 'incr', number: 2 },
    { kind: 'incr', outcome: 'unknown' },
  );
  expect(recorder.wrongCounters('here', new Map([['k', value]]))).toHaveLength(violations);
});

test('the same count twice is found', () => {
  const recorder = record({ kind: 'incr', number: 1 }, { kind: 'incr', number: 1 });
  expect(recorder.wrongCounters('here', new Map([['k', '2']]))).not.toEqual([]);
});

test('an error that tells nothing about the data is a failure of the run', () => {
  expect(outcomeOf('STOREDOWN gone; nothing was changed')).toBe('failed');
  expect(outcomeOf('UNKNOWN outcome unknown')).toBe('unknown');
  expect(() => outcomeOf('ERR internal error')).toThrow('tells nothing');
});
