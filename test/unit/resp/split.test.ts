import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  DoubleReply,
  encodeReply,
  MapReply,
  NULL_ARRAY,
  PushReply,
  type Reply,
  SetReply,
  Status,
  VerbatimReply,
} from '../../../src/resp/reply.ts';
import { SplitError, splitArray } from '../../../src/resp/split.ts';

const bytes = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((c) => String.fromCharCode(c)),
});
const { reply: anyReply } = fc.letrec<{ reply: Reply }>((tie) => ({
  reply: fc.oneof(
    { depthSize: 'small' },
    bytes,
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.constant(NULL_ARRAY),
    fc.constant(new Status('OK')),
    fc.constant(new DoubleReply('1.5')),
    bytes.map((text) => new VerbatimReply(text)),
    fc.array(tie('reply'), { maxLength: 4 }),
    fc.array(tie('reply'), { maxLength: 4 }).map((items) => new SetReply(items)),
    fc.array(tie('reply'), { maxLength: 4 }).map((items) => new PushReply(items)),
    fc
      .array(fc.tuple(tie('reply'), tie('reply')), { maxLength: 3 })
      .map((pairs) => new MapReply(pairs.flat())),
  ),
}));

describe('splitArray', () => {
  test('gives back the elements of any array in either protocol', () => {
    fc.assert(
      fc.property(
        fc.array(anyReply, { maxLength: 6 }),
        fc.constantFrom(2, 3),
        (items, protocol) => {
          const elements = items.map((item) => encodeReply(item, protocol));
          expect(splitArray(encodeReply(items, protocol))).toEqual(elements);
        },
      ),
    );
  });

  test.each([
    ['+OK\r\n', 'not an array'],
    ['*2\r\n:1\r\n', 'an element is missing'],
    ['*1\r\n$5\r\nab\r\n', 'an element is cut off'],
    ['*1\r\n:1', 'a line has no end'],
    ['*1\r\n$x\r\nab\r\n', 'a length is no number'],
    ['*0\r\n:1\r\n', 'bytes follow'],
  ])('refuses %j: %s', (encoded) => {
    expect(() => splitArray(encoded)).toThrow(SplitError);
  });
});
