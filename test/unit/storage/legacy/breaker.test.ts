import { beforeEach, describe, expect, it } from 'vitest';
import { createBreaker, type Breaker } from '../../../../src/storage/legacy/breaker.ts';

let nowMs: number;
let changes: boolean[];
let breaker: Breaker;

beforeEach(() => {
  nowMs = 0;
  changes = [];
  const clock = { monotonicMs: () => nowMs, wallMs: () => 0, uptimeMs: () => nowMs };
  breaker = createBreaker({ failures: 3, resetMs: 1000 }, clock, (open) => changes.push(open));
});

const fail = (times: number): void => {
  for (let i = 0; i < times; i += 1) {
    breaker.tryPass();
    breaker.failed();
  }
};

describe('the breaker', () => {
  it('stays closed while failures are not in a row', () => {
    fail(2);
    breaker.succeeded();
    fail(2);
    expect(breaker.tryPass()).toBe(true);
    expect(changes).toEqual([]);
  });

  it('opens after failures in a row and refuses until the pause is over', () => {
    fail(3);
    expect([breaker.open, breaker.refusing, breaker.tryPass()]).toEqual([true, true, false]);
    nowMs = 999;
    expect(breaker.tryPass()).toBe(false);
    expect(changes).toEqual([true]);
  });

  it('half-open, lets one call pass, and closes when it succeeds', () => {
    fail(3);
    nowMs = 1000;
    expect([breaker.tryPass(), breaker.tryPass()]).toEqual([true, false]);
    breaker.succeeded();
    expect([breaker.open, breaker.tryPass(), breaker.tryPass()]).toEqual([false, true, true]);
    expect(changes).toEqual([true, false]);
  });

  it('half-open, opens for another pause when the call fails', () => {
    fail(3);
    nowMs = 1000;
    fail(1);
    nowMs = 1999;
    expect(breaker.tryPass()).toBe(false);
    nowMs = 2000;
    expect(breaker.tryPass()).toBe(true);
    expect(changes).toEqual([true]);
  });

  it('does not prolong the pause for calls that had begun before', () => {
    fail(3);
    nowMs = 900;
    breaker.failed();
    nowMs = 1000;
    expect(breaker.tryPass()).toBe(true);
  });
});
