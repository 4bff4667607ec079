import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeKey, decodeKeyText, encodeKey } from '../../../../src/storage/postgres/key-codec.ts';

const binary = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

it.each([
  ['plain ASCII', 'user:1001', 'user:1001'],
  ['nothing', '', ''],
  ['valid UTF-8', binary('größe €😀'), binary('größe €😀')],
  ['a backslash', 'a\\b', 'a\\\\b'],
  ['NUL', 'a\0b', 'a\\x00b'],
  ['a byte that begins nothing', '\xff', '\\xff'],
  ['a sequence cut short', '\xe2\x82', '\\xe2\\x82'],
  ['an overlong form', '\xc0\xaf', '\\xc0\\xaf'],
  ['an overlong form of three bytes', '\xe0\x80\xaf', '\\xe0\\x80\\xaf'],
  ['a surrogate', '\xed\xa0\x80', '\\xed\\xa0\\x80'],
  ['a code point above the last one', '\xf4\x90\x80\x80', '\\xf4\\x90\\x80\\x80'],
  ['what looks like an escape', '\\x00', '\\\\x00'],
])('%s is encoded readably', (_label, key, encoded) => {
  expect(encodeKey(key)).toBe(encoded);
  expect(decodeKey(encoded)).toBe(key);
});

it('any bytes come back, and two keys never share an encoding', () => {
  const bytes = fc.uint8Array({ maxLength: 30 }).map((a) => Buffer.from(a).toString('latin1'));
  const likely = fc
    .array(fc.constantFrom('\\', 'x', '0', '\0', '\xc3', '\xa4', '\xe2', '\x82', '\xac', 'a'))
    .map((a) => a.join(''));
  fc.assert(
    fc.property(fc.oneof(bytes, likely), (key) => {
      const encoded = encodeKey(key);
      expect(decodeKey(encoded)).toBe(key);
      // Valid UTF-8 without NUL: the driver's decoding loses nothing.
      const text = Buffer.from(encoded, 'latin1').toString('utf8');
      expect(binary(text)).toBe(encoded);
      expect(text).not.toContain('\0');
      expect(decodeKeyText(text)).toBe(key);
    }),
  );
});
