import { describe, expect, it } from 'vitest';
import { extractValue } from '../../../../src/storage/legacy/parse-answer.ts';

const at = (body: string | Buffer, ...tokens: string[]): unknown =>
  extractValue(Buffer.from(body as string), tokens);
const value = (text: string): unknown => ({
  kind: 'value',
  value: Buffer.from(text, 'utf8').toString('latin1'),
});

describe('extractValue', () => {
  it.each([
    ['a string as its UTF-8 bytes', '{"v":"käse 🧀"}', value('käse 🧀')],
    ['an empty string', '{"v":""}', value('')],
    ['an integer', '{"v":42}', value('42')],
    ['an integer beyond 2^53, digit by digit', '{"v":9007199254740993}', value('9007199254740993')],
    ['a decimal as written', '{"v":-1.50}', value('-1.50')],
    ['an exponent written out', '{"v":1e3}', value('1000')],
    ['true', '{"v":true}', value('true')],
    ['an object as its JSON text', '{"v":{"a": [1, 2.50]}}', value('{"a": [1, 2.50]}')],
    ['an array as its JSON text', '{"v":[]}', value('[]')],
    ['null as no value', '{"v":null}', { kind: 'null' }],
  ])('maps %s', (_, body, expected) => {
    expect(at(body, 'v')).toEqual(expected);
  });

  it.each([
    ['no JSON', '<html>', 'the answer is not JSON'],
    ['an empty body', '', 'the answer is not JSON'],
    ['broken UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'the answer is not UTF-8 text'],
    ['a missing value', '{"w":1}', 'the answer has nothing at /v'],
    ['half a surrogate pair', '{"v":"\\ud800"}', 'the value is not well-formed text'],
    ['an endless number', '{"v":1e999}', 'the value is a number out of range'],
  ])('calls %s garbage and says why', (_, body, reason) => {
    expect(at(body, 'v')).toEqual({ kind: 'garbage', reason });
  });
});
