import { describe, expect, it } from 'vitest';
import { matchesGlob } from '../../../src/config/glob.ts';

describe('matchesGlob', () => {
  it.each([
    ['*', '', true],
    ['', '', true],
    ['', 'a', false],
    ['a*c', 'abbc', true],
    ['a*c', 'abbd', false],
    ['a**b', 'ab', true],
    ['h?llo', 'hello', true],
    ['h?llo', 'hllo', false],
    ['h[ae]llo', 'hallo', true],
    ['h[^e]llo', 'hello', false],
    ['h[a-c]llo', 'hbllo', true],
    ['h[c-a]llo', 'hbllo', true],
    ['[\\]]', ']', true],
    ['[abc', 'c', true],
    ['\\*', '*', true],
    ['\\*', 'a', false],
    ['a\\', 'a\\', true],
    ['*ab*ab', 'abxab', true],
  ])('%s on %s: %s', (pattern, text, expected) => {
    expect(matchesGlob(pattern, text)).toBe(expected);
  });

  it('is quick on patterns made to be slow', () => {
    expect(matchesGlob(`${'a*'.repeat(1000)}b`, 'a'.repeat(5000))).toBe(false);
  });
});
