import { describe, expect, test } from 'vitest';
import { countsAddUp } from '../../../chaos/checkers/counts-add-up.ts';
import { nothingLost } from '../../../chaos/checkers/nothing-lost.ts';
import { placesAgree } from '../../../chaos/checkers/places-agree.ts';
import { History, type Operation } from '../../../chaos/history.ts';

function history(...operations: Partial<Operation>[]): History {
  const made = new History();
  operations.forEach((operation, i) =>
    made.add({
      client: 'c',
      node: 'n',
      kind: 'set',
      key: 'k',
      value: '',
      startedAtMs: i,
      endedAtMs: i + 1,
      outcome: 'acknowledged',
      reply: 'OK',
      ...operation,
    }),
  );
  return made;
}

/** The value of key `k` by place; undefined: it is not there. */
function state(places: Record<string, string | undefined>) {
  const entries = Object.entries(places).map(
    ([place, value]) =>
      [place, new Map(value === undefined ? [] : [['k', value]])] as [string, Map<string, string>],
  );
  return { places: new Map(entries) };
}

describe('nothing-lost', () => {
  const twoWrites = history({ value: '1' }, { value: '2' });

  test('holds when every place has the last acknowledged value', () => {
    expect(nothingLost.check(twoWrites, state({ a: '2', sql: '2' }))).toEqual([]);
  });

  test.each([
    ['an older value', '1'],
    ['nothing', undefined],
    ['a value nobody wrote', '3'],
  ])('is broken by %s on one place', (_label, value) => {
    expect(nothingLost.check(twoWrites, state({ a: '2', sql: value }))).toHaveLength(1);
  });

  test('allows a write with unknown outcome, and not one that was refused', () => {
    const unknown = history({ value: '1' }, { value: '2', outcome: 'unknown' });
    const failed = history({ value: '1' }, { value: '2', outcome: 'failed' });
    expect(nothingLost.check(unknown, state({ a: '2' }))).toEqual([]);
    expect(nothingLost.check(failed, state({ a: '2' }))).toHaveLength(1);
  });
});

describe('counts-add-up', () => {
  const incr = (reply: string, outcome: Operation['outcome'] = 'acknowledged') =>
    ({ kind: 'incr', reply, outcome }) as const;

  test('holds between the acknowledged and those with unknown outcome', () => {
    const two = history(incr('1'), incr('2'), incr('', 'unknown'), incr('', 'failed'));
    expect(countsAddUp.check(two, state({ a: '2' }))).toEqual([]);
    expect(countsAddUp.check(two, state({ a: '3' }))).toEqual([]);
    expect(countsAddUp.check(two, state({ a: '1' }))).toHaveLength(1);
    expect(countsAddUp.check(two, state({ a: '4' }))).toHaveLength(1);
  });

  test('is broken when one number was answered twice', () => {
    expect(countsAddUp.check(history(incr('1'), incr('1')), state({ a: '2' }))).toHaveLength(1);
  });
});

describe('places-agree', () => {
  test('is broken by one place that differs or lacks the key', () => {
    const one = history({ value: '1' });
    expect(placesAgree.check(one, state({ a: '1', b: '1' }))).toEqual([]);
    expect(placesAgree.check(one, state({ a: '1', b: '2' }))).toHaveLength(1);
    expect(placesAgree.check(one, state({ a: '1', b: undefined }))).toHaveLength(1);
  });
});

test('the longest pause is between acknowledged operations only', () => {
  const times = history({ endedAtMs: 10 }, { endedAtMs: 20, outcome: 'failed' }, { endedAtMs: 45 });
  expect(times.longestPauseMs()).toBe(35);
});
