import { describe, expect, test } from 'vitest';
import { matchesGlob } from '../../../src/config/glob.ts';

describe('matchesGlob', () => {
  test.each([
    ['*', 'anything'],
    ['*', ''],
    ['', ''],
    ['a*', 'a'],
    ['a**', 'a'],
    ['*a*b', 'xaxbxab'],
    ['h?llo', 'hello'],
    ['h[ae]llo', 'hallo'],
    ['h[^e]llo', 'hallo'],
    ['h[a-c]llo', 'hbllo'],
    ['h[c-a]llo', 'hbllo'],
    ['[a-', '-'],
    ['[abc', 'c'],
    ['[*a\\]c', 'c'],
    ['[*a\\]c', ']'],
    ['[^]', 'x'],
    ['\\*', '*'],
    ['a\\', 'a\\'],
    ['\\a', 'a'],
    ['[\\a-z]', '-'],
    ['[\x80-\xff]', '\xc3'],
    ['user:*:name', 'user:17:name'],
  ])('%j matches %j', (pattern, text) => {
    expect(matchesGlob(pattern, text)).toBe(true);
  });

  test.each([
    ['', 'a'],
    ['**', ''],
    ['?', ''],
    ['a', 'A'],
    ['a?', 'a'],
    ['h[^e]llo', 'hello'],
    ['h[ae]llo', 'hillo'],
    ['[]', ']'],
    ['[', '['],
    ['\\*', 'a'],
    ['a*b', 'abc'],
    ['[\\a-z]', 'b'],
    ['user:*', 'use'],
  ])('%j does not match %j', (pattern, text) => {
    expect(matchesGlob(pattern, text)).toBe(false);
  });

  test('many stars over a long text end in bounded steps', () => {
    expect(matchesGlob(`${'*a'.repeat(2000)}*b`, 'a'.repeat(20_000))).toBe(false);
  });
});
