import { describe, expect, it } from 'vitest';
import { splitArgs } from '../../../src/resp/inline.ts';

describe('splitArgs', () => {
  it.each<[line: string, args: string[] | null]>([
    ['', []],
    ['  \t ', []],
    ['set  a\tb', ['set', 'a', 'b']],
    ['a\vb\fc', ['a', 'b', 'c']],
    ['"a b" c', ['a b', 'c']],
    ['"" \'\'', ['', '']],
    ['"\\x41\\xfF\\xg1"', ['A\xffxg1']],
    ['"\\n\\r\\t\\b\\a\\q\\"\\\\"', ['\n\r\t\b\x07q"\\']],
    ["'a\\'b\\n'", ["a'b\\n"]],
    ['pre"fix"', ['prefix']],
    ['a\\nb', ['a\\nb']],
    ['"open', null],
    ["'open", null],
    ['"open\\', null],
    ['"a"b', null],
    ["'a'b", null],
    ['"a""b"', null],
  ])('%j gives %j', (line, args) => {
    expect(splitArgs(line)).toEqual(args);
  });
});
