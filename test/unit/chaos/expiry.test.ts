import { describe, expect, test } from 'vitest';
import { Clocks } from '../../../chaos/checkers/clocks.ts';
import { expiry } from '../../../chaos/checkers/expiry.ts';
import type { History, Operation } from '../../../chaos/history.ts';
import { history, op, refused, unknown } from './histories.ts';

/** All clocks say what the history's axis says, or are behind and ahead of it by so much. */
function judged(operations: readonly Operation[], apartMs = 0): ReturnType<typeof expiry.check> {
  const made = history(...operations);
  const [startedAtMs, endedAtMs] = [0, 100_000];
  made.addClocks({ startedAtMs, endedAtMs, lowestMs: -apartMs, highestMs: apartMs });
  return expiry.check(made);
}

const set = op(10, 11, 'SET k a PX 1000', 'OK');
const get = (atMs: number, reply: string | null): Operation => op(atMs, atMs + 1, 'GET k', reply);

describe('a time to live', () => {
  test.each<[string, Operation[]]>([
    ['the value, and nothing when its time is over', [set, get(900, 'a'), get(1100, null)]],
    ['either in the moment of its end', [set, get(1010, 'a'), op(1009, 1012, 'GET k', null)]],
    ['nothing to end when it was made to stay', [set, op(20, 21, 'PERSIST k', 1), get(9000, 'a')]],
    ['the longer time', [set, op(20, 21, 'PEXPIRE k 5000', 1), get(4000, 'a'), get(6000, null)]],
    ['the shorter time', [set, op(20, 21, 'PEXPIRE k 100', 1), get(90, 'a'), get(200, null)]],
    ['a new value that stays', [set, op(20, 21, 'SET k b', 'OK'), get(9000, 'b')]],
    ['the time that is kept', [set, op(20, 21, 'SET k b KEEPTTL', 'OK'), get(1100, null)]],
    ['what is left of it', [set, op(20, 21, 'PTTL k', 990), op(2000, 2001, 'PTTL k', -2)]],
    ['no time', [op(1, 2, 'SET k a', 'OK'), op(3, 4, 'PTTL k', -1), op(5, 6, 'PERSIST k', 0)]],
    ['seconds too', [op(10, 11, 'SET k a EX 2', 'OK'), get(1900, 'a'), get(2100, null)]],
    ['a new beginning after the end', [set, op(2000, 2001, 'APPEND k b', 1), get(9000, 'b')]],
    ['the end of an unknown write, late', [unknown(1, 2, 'SET k a PX 10'), get(900, 'a')]],
    ['nothing of an unknown write', [unknown(1, 2, 'SET k a PX 10'), get(900, null)]],
    ['nothing of a refused write', [set, refused(20, 21, 'PEXPIRE k 1'), get(900, 'a')]],
  ])('holds for %s', (_label, operations) => {
    expect(judged(operations)).toMatchObject({ status: 'holds', findings: [] });
  });

  test.each<[string, Operation[]]>([
    ['a key that is gone before its time', [set, get(900, null)]],
    ['a value after its time', [set, get(1100, 'a')]],
    [
      'a value after somebody was told that it is gone',
      [set, op(1005, 1011, 'GET k', null), op(1012, 1013, 'GET k', 'a')],
    ],
    [
      'a key that goes although it was made to stay',
      [set, op(20, 21, 'PERSIST k', 1), get(1100, null)],
    ],
    ['PERSIST of a key whose time was over', [set, op(1100, 1101, 'PERSIST k', 1)]],
    ['PEXPIRE that brings a key back', [set, op(1100, 1101, 'PEXPIRE k 500', 1)]],
    ['the old time after a longer one', [set, op(20, 21, 'PEXPIRE k 5000', 1), get(2000, null)]],
    ['more time left than it was given', [set, op(20, 21, 'PTTL k', 1010)]],
    ['less time left than there is', [set, op(20, 21, 'PTTL k', 700)]],
    ['no end where there is one', [set, op(20, 21, 'PTTL k', -1)]],
    [
      'a value from before that comes back',
      [set, get(1100, null), op(1200, 1201, 'APPEND k b', 2)],
    ],
    [
      'a refused time to live',
      [op(1, 2, 'SET k a', 'OK'), refused(3, 4, 'PEXPIRE k 5'), get(90, null)],
    ],
  ])('is broken by %s', (_label, operations) => {
    expect(judged(operations).status).toBe('broken');
  });

  test('is judged with the clocks as they were', () => {
    const early = [set, get(900, null)];
    expect(judged(early, 100).status).toBe('holds');
    const late = [set, get(1100, 'a')];
    expect(judged(late, 100).status).toBe('holds');
    expect(judged([set, get(700, null)], 100).status).toBe('broken');
    expect(judged([set, get(1300, 'a')], 100).status).toBe('broken');
    // Whose clock it was does not matter: once it is gone it is gone for all.
    expect(judged([...early, get(950, 'a')], 100).status).toBe('broken');
  });

  test('counts at the end too', () => {
    const ended = (value: string | null): History => {
      const made = history(set);
      made.addClocks({ startedAtMs: 0, endedAtMs: 9000, lowestMs: 0, highestMs: 0 });
      const values = new Map([['k', value]]);
      const times = { startedAtMs: 5000, endedAtMs: 5001 };
      const answers = new Map([['node-1', values]]);
      made.addEnd({ when: 'at the end', ...times, answers, memory: new Map(), table: values });
      return made;
    };
    expect(expiry.check(ended(null)).status).toBe('holds');
    expect(expiry.check(ended('a')).status).toBe('broken');
  });

  test('is what it was in a database that lost the newest commits', () => {
    const restored = (reply: string | null, atMs: number): string => {
      const made = history(set, op(20, 21, 'SET k b', 'OK'), get(atMs, reply));
      made.addClocks({ startedAtMs: 0, endedAtMs: 9000, lowestMs: 0, highestMs: 0 });
      const [values, expiresAtMs] = [new Map([['k', 'a']]), new Map([['k', 1010]])];
      made.addEvent({ why: 'failover', values, expiresAtMs, startedAtMs: 30, endedAtMs: 50 });
      return expiry.check(made).status;
    };
    expect(restored('a', 60)).toBe('holds');
    expect(restored('b', 40)).toBe('holds');
    expect(restored('b', 60)).toBe('broken');
    expect(restored(null, 60)).toBe('broken');
    expect(restored(null, 1100)).toBe('holds');
    expect(restored('a', 1100)).toBe('broken');
  });

  test('is not judged where nobody recorded the clocks', () => {
    expect(expiry.check(history(set)).status).toBe('not-judged');
  });
});

test('clocks that change are read as at the time, with what is near', () => {
  const span = (startedAtMs: number, offsetMs: number): Parameters<History['addClocks']>[0] => ({
    startedAtMs,
    endedAtMs: startedAtMs + 10,
    lowestMs: offsetMs,
    highestMs: offsetMs + 5,
  });
  const clocks = new Clocks([span(0, 0), span(10, 0), span(20, 100), span(30, 100)]);
  expect([clocks.lowest(5), clocks.highest(5)]).toEqual([5, 10]);
  expect([clocks.lowest(15), clocks.highest(15)]).toEqual([15, 120]);
  expect([clocks.lowest(35), clocks.highest(1000)]).toEqual([135, 1105]);
  expect(clocks.firstAt(8, 0)).toBe(3);
  expect(clocks.firstAt(8, 7)).toBe(7);
  expect(clocks.firstAt(100, 0)).toBe(10);
  expect(clocks.firstAt(9999, 0)).toBe(Infinity);
});
