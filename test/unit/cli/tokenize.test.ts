import { expect, test } from 'vitest';
import { tokenize, UnbalancedQuotes } from '../../../src/cli/client/tokenize.ts';

test.each([
  ['words', '  SET  a b ', ['SET', 'a', 'b']],
  ['nothing', '   ', []],
  ['an empty argument', 'SET a ""', ['SET', 'a', '']],
  ['escapes in double quotes', String.raw`"a\n\x41\"\\"`, ['a\nA"\\']],
  ['a backslash that is no escape in single quotes', String.raw`'a\n\''`, [String.raw`a\n'`]],
  ['bytes of UTF-8', 'é', ['\xc3\xa9']],
  ['a byte that is not UTF-8', String.raw`"\xff"`, ['\xff']],
])('%s', (_label, line, tokens) => {
  expect(tokenize(line)).toEqual(tokens);
});

test.each(['"a', "'a", '"a"b', String.raw`"a\"`])('%s is refused', (line) => {
  expect(() => tokenize(line)).toThrow(UnbalancedQuotes);
});
