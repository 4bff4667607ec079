import { beforeEach, describe, expect, test } from 'vitest';
import { Dangers } from '../../../../chaos/sim/dangers.ts';

let dangers: Dangers;
beforeEach(() => {
  dangers = new Dangers();
});

const account = (...nodes: string[]): boolean[] => nodes.map((node) => dangers.accountFor(node));

describe('removals', () => {
  test('are accounted for as often as a danger allows', () => {
    dangers.add(['a'], 2);
    expect(account('a', 'a', 'a')).toEqual([true, true, false]);
  });

  test('of a node that nothing endangers are not', () => {
    dangers.add(['a', 'b'], 5);
    expect(account('c')).toEqual([false]);
  });

  test('do not use up what another one needs', () => {
    dangers.add(['a', 'b', 'c'], 1);
    dangers.add(['a'], 2);
    expect(account('a', 'a', 'b', 'c')).toEqual([true, true, true, false]);
  });

  test('move along a chain of dangers', () => {
    dangers.add(['a', 'b'], 1);
    dangers.add(['a', 'c'], 1);
    dangers.add(['c', 'd'], 1);
    expect(account('a', 'c', 'b', 'd')).toEqual([true, true, true, false]);
  });

  test('are not explained by what comes after them', () => {
    dangers.add(['a', 'b'], 1);
    expect(account('a')).toEqual([true]);
    dangers.add(['a'], 1);
    expect(account('b')).toEqual([false]);
  });
});
