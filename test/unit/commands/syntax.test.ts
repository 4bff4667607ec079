import { describe, expect, test } from 'vitest';
import { type Argument, parseSyntax } from '../../../src/commands/syntax.ts';

const argument = (fields: Partial<Argument>): Argument => ({
  name: 'a',
  type: 'string',
  optional: false,
  multiple: false,
  ...fields,
});

const token = (word: string, fields: Partial<Argument> = {}): Argument =>
  argument({ name: word.toLowerCase(), type: 'pure-token', token: word, ...fields });

describe('a line of arguments', () => {
  test.each<[line: string, read: Argument[]]>([
    ['', []],
    ['a', [argument({})]],
    ['a:integer b:key', [argument({ type: 'integer' }), argument({ name: 'b', type: 'key' })]],
    // A colon that stands before no type belongs to the name.
    ['ip:port ip:port:string', [argument({ name: 'ip:port' }), argument({ name: 'ip:port' })]],
    ['WORD', [token('WORD')]],
    ['TWO-PARTS a', [argument({ token: 'TWO-PARTS' })]],
    ['[a]', [argument({ optional: true })]],
    ['[WORD]', [token('WORD', { optional: true })]],
    ['[WORD a:integer]', [argument({ token: 'WORD', type: 'integer', optional: true })]],
    ['WORD [a]', [token('WORD'), argument({ optional: true })]],
    ['a...', [argument({ multiple: true })]],
    [
      '[a...@1.2.3!4.5.6]',
      [argument({ optional: true, multiple: true, since: '1.2.3', deprecatedSince: '4.5.6' })],
    ],
    ['WORD@1.2.3 a', [token('WORD', { since: '1.2.3' }), argument({})]],
    [
      '(x=ON|OFF@2.0.0|WITH a)',
      [
        argument({
          name: 'x',
          type: 'oneof',
          arguments: [token('ON'), token('OFF', { since: '2.0.0' }), argument({ token: 'WITH' })],
        }),
      ],
    ],
    [
      '[TYPE (x=a|b)...@3.0.0]',
      [
        argument({
          name: 'x',
          type: 'oneof',
          token: 'TYPE',
          since: '3.0.0',
          optional: true,
          multiple: true,
          arguments: [argument({}), argument({ name: 'b' })],
        }),
      ],
    ],
    [
      '{x=a [WORD b]}... c',
      [
        argument({
          name: 'x',
          type: 'block',
          multiple: true,
          arguments: [argument({}), argument({ name: 'b', token: 'WORD', optional: true })],
        }),
        argument({ name: 'c' }),
      ],
    ],
    [
      '(x={y=a b}|[c])',
      [
        argument({
          name: 'x',
          type: 'oneof',
          arguments: [
            argument({
              name: 'y',
              type: 'block',
              arguments: [argument({}), argument({ name: 'b' })],
            }),
            argument({ name: 'c', optional: true }),
          ],
        }),
      ],
    ],
  ])('%s', (line, read) => {
    expect(parseSyntax(line)).toEqual(read);
  });

  test.each(['[a', '[a b]', '(x=a', '(x=a b)', '(a|b)', '{x=a', '['])('%s is refused', (line) => {
    expect(() => parseSyntax(line)).toThrow(/^(the syntax|a group)/);
  });
});
