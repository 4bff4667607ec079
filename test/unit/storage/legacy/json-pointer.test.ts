import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePointer, sliceAt } from '../../../../src/storage/legacy/json-pointer.ts';

const at = (json: string, pointer: string): string | undefined =>
  sliceAt(json, parsePointer(pointer));

describe('sliceAt', () => {
  // The examples of RFC 6901, section 5.
  const rfc =
    '{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\\\j":5,"k\\"l":6," ":7,"m~n":8}';
  it.each([
    ['', rfc],
    ['/foo', '["bar","baz"]'],
    ['/foo/0', '"bar"'],
    ['/', '0'],
    ['/a~1b', '1'],
    ['/c%d', '2'],
    ['/i\\j', '5'],
    ['/k"l', '6'],
    ['/ ', '7'],
    ['/m~0n', '8'],
    ['/foo/2', undefined],
    ['/foo/00', undefined],
    ['/foo/-', undefined],
    ['/foo/0/x', undefined],
    ['/nothing', undefined],
  ])('finds %s', (pointer, expected) => {
    expect(at(rfc, pointer)).toBe(expected);
  });

  it('keeps every digit of a number', () => {
    expect(at('{ "id" : 12345678901234567890 }', '/id')).toBe('12345678901234567890');
  });

  it('of two members with one name takes the last, as JSON.parse does', () => {
    expect(at('{"a":1,"\\u0061":2}', '/a')).toBe('2');
  });

  it('walks a deep document without recursion', () => {
    const deep = `{"x":${'['.repeat(5000)}${']'.repeat(5000)},"y":1}`;
    expect(at(deep, '/y')).toBe('1');
  });

  it('agrees with JSON.parse on any document', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.constantFrom(0, 2),
        (doc, indent) => {
          const json = JSON.stringify(doc, null, indent);
          for (const [name, value] of Object.entries(JSON.parse(json) as object)) {
            const slice = sliceAt(json, [name]);
            expect(JSON.parse(slice!)).toEqual(value);
          }
        },
      ),
    );
  });
});
