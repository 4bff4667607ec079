import fc from 'fast-check';
import RedisParser from 'redis-parser';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '../../../src/errors.ts';
import {
  INLINE_MAX_BYTES,
  MULTIBULK_MAX,
  RequestDecoder,
  UNAUTHENTICATED_BULK_BYTES_MAX,
} from '../../../src/resp/decoder.ts';

const newDecoder = (protoMaxBulkLen = 512 * 1024 * 1024): RequestDecoder =>
  new RequestDecoder({ protoMaxBulkLen, multibulkMax: MULTIBULK_MAX });

const encode = (args: readonly string[]): string =>
  `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('')}`;

/** Feeds `bytes` cut at every `step` bytes through one reused buffer; returns commands, then the error text. */
function decode(bytes: string, step: number, decoder = newDecoder()): (string[] | string)[] {
  const result: (string[] | string)[] = [];
  const all = Buffer.from(bytes, 'latin1');
  const reused = Buffer.alloc(Math.min(step, all.length));
  try {
    for (let at = 0; at < all.length; at += step) {
      const length = all.copy(reused, 0, at, at + step);
      decoder.feed(reused.subarray(0, length));
      for (let args = decoder.next(); args !== null; args = decoder.next()) result.push(args);
      reused.fill(0xee);
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    result.push(error.message);
  }
  return result;
}

const binaryString = fc
  .uint8Array({ maxLength: 300 })
  .map((bytes) => Buffer.from(bytes).toString('latin1'));
const commands = fc.array(fc.array(binaryString, { minLength: 1, maxLength: 14 }), {
  maxLength: 8,
});

describe('any commands', () => {
  it('come out as they went in, however the bytes are cut', () => {
    fc.assert(
      fc.property(commands, fc.integer({ min: 1, max: 700 }), (list, step) => {
        expect(decode(list.map(encode).join(''), step)).toEqual(list);
      }),
    );
  });

  it('come out byte by byte', () => {
    fc.assert(
      fc.property(commands, (list) => {
        expect(decode(list.map(encode).join(''), 1)).toEqual(list);
      }),
      { numRuns: 40 },
    );
  });

  it('agree with redis-parser', () => {
    fc.assert(
      fc.property(commands, fc.integer({ min: 1, max: 500 }), (list, step) => {
        const bytes = list.map(encode).join('');
        const oracle: string[][] = [];
        const parser = new RedisParser({
          returnBuffers: true,
          returnReply: (args: Buffer[]) => oracle.push(args.map((arg) => arg.toString('latin1'))),
          returnError: (error: Error) => {
            throw error;
          },
        });
        const all = Buffer.from(bytes, 'latin1');
        for (let at = 0; at < all.length; at += step) {
          parser.execute(Buffer.from(all.subarray(at, at + step)));
        }
        expect(decode(bytes, step)).toEqual(oracle);
      }),
    );
  });

  it('made of random bytes end in commands, an error or silence, never in another exception', () => {
    const noise = fc.array(
      fc.oneof(
        fc.constantFrom('*', '$', '\r\n', '1', '3', '-', '"', "'", '\\x', ' ', '\0'),
        binaryString,
      ),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(noise, (parts) => {
        const bytes = parts.join('');
        expect(decode(bytes, 1)).toEqual(decode(bytes, bytes.length || 1));
      }),
      { numRuns: 300 },
    );
  });
});

// Replies of redis-server 7.0.15 to the same bytes, without `-ERR Protocol error: `.
describe.each([
  ['whole', 1 << 20],
  ['byte by byte', 1],
])('malformed frames, %s', (_label, step) => {
  it.each<[label: string, bytes: string, expected: (string[] | string)[]]>([
    ['count is a letter', '*x\r\n', ['invalid multibulk length']],
    ['count ends in a letter', '*3x\r\n', ['invalid multibulk length']],
    ['count has a leading zero', '*01\r\n', ['invalid multibulk length']],
    ['count has a plus sign', '*+1\r\n', ['invalid multibulk length']],
    ['count is missing', '*\r\n', ['invalid multibulk length']],
    ['count is over the limit', `*${MULTIBULK_MAX + 1}\r\n`, ['invalid multibulk length']],
    ['count has twenty digits', '*10000000000000000000\r\n', ['invalid multibulk length']],
    ['count is zero', '*0\r\nPING\r\n', [['PING']]],
    ['count is negative', '*-5\r\nPING\r\n', [['PING']]],
    ['count is minus zero', '*-0\r\n', ['invalid multibulk length']],
    ['an integer where a bulk string belongs', '*1\r\n:3\r\n', ["expected '$', got ':'"]],
    ['an empty line where a bulk string belongs', '*1\r\n\r\n', ["expected '$', got '\r'"]],
    ['length is negative', '*1\r\n$-1\r\n', ['invalid bulk length']],
    ['length has a leading zero', '*1\r\n$03\r\n', ['invalid bulk length']],
    ['length has a plus sign', '*1\r\n$+4\r\nPING\r\n', ['invalid bulk length']],
    ['length is missing', '*1\r\n$\r\n', ['invalid bulk length']],
    ['length is over proto-max-bulk-len', '*1\r\n$536870913\r\n', ['invalid bulk length']],
    ['length is far over', '*1\r\n$99999999999\r\n', ['invalid bulk length']],
    ['line ends are not looked at behind CR', '*1\rX$4\rYPINGZZ', [['PING']]],
    ['an open double quote', 'SET "a\r\n', ['unbalanced quotes in request']],
    ['a quote inside a word', "SET 'a'b c\r\n", ['unbalanced quotes in request']],
    [
      'good commands, then a bad one',
      `${encode(['PING'])}GET a\n*x\r\n`,
      [['PING'], ['GET', 'a'], 'invalid multibulk length'],
    ],
    ['empty lines', '\r\n\n\r\nPING\r\n', [['PING']]],
  ])('%s', (_case, bytes, expected) => {
    expect(decode(bytes, step)).toEqual(expected);
  });
});

describe('limits', () => {
  it.each([
    ['an inline command', 'x', 'too big inline request'],
    ['a count', '*1', 'too big mbulk count string'],
    ['a length', '*1\r\n$1', 'too big bulk count string'],
  ])('%s of more than 64 KiB without an end is refused', (_label, head, text) => {
    const bytes = head + '1'.repeat(INLINE_MAX_BYTES);
    expect(decode(bytes, 1000)).toEqual([text]);
    expect(decode(bytes, 1)).toEqual([text]);
  });

  it('proto-max-bulk-len holds for short lengths too, and may change under way', () => {
    const limits = { protoMaxBulkLen: 4, multibulkMax: 10 };
    const decoder = new RequestDecoder(limits);
    expect(decode(encode(['abcd']), 100, decoder)).toEqual([['abcd']]);
    expect(decode(encode(['abcde']), 100, new RequestDecoder(limits))).toEqual([
      'invalid bulk length',
    ]);
    limits.protoMaxBulkLen = 5;
    expect(decode(encode(['abcde']), 100, decoder)).toEqual([['abcde']]);
  });

  it('a client that has not authenticated gets ten arguments and 16 KiB', () => {
    const untrusted = (): RequestDecoder => {
      const decoder = newDecoder();
      decoder.trusted = false;
      return decoder;
    };
    const ten = Array.from({ length: 10 }, () => 'a');
    const edge = ['b'.repeat(UNAUTHENTICATED_BULK_BYTES_MAX)];
    expect(decode(encode(ten) + encode(edge), 999, untrusted())).toEqual([ten, edge]);
    expect(decode(encode([...ten, 'a']), 999, untrusted())).toEqual([
      'unauthenticated multibulk length',
    ]);
    expect(decode(`*1\r\n$${UNAUTHENTICATED_BULK_BYTES_MAX + 1}\r\n`, 999, untrusted())).toEqual([
      'unauthenticated bulk length',
    ]);
  });
});

describe('bytes held', () => {
  it('are counted while a frame is unfinished, and none are left after it', () => {
    const decoder = newDecoder();
    const bytes = Buffer.from(encode(['SET', 'key', 'v'.repeat(1000)]), 'latin1');
    decoder.feed(bytes.subarray(0, 600));
    expect(decoder.next()).toBeNull();
    expect(decoder.argvBytes).toBe(6);
    expect(decoder.bufferedBytes).toBeGreaterThan(500);
    expect(decoder.bufferedBytes).toBeLessThanOrEqual(600);
    decoder.feed(bytes.subarray(600));
    expect(decoder.next()).toHaveLength(3);
    expect(decoder.next()).toBeNull();
    expect(decoder.bufferedBytes).toBe(0);
  });

  it('survive reuse of the chunk when the caller stops between two commands', () => {
    const decoder = newDecoder();
    const chunk = Buffer.from(encode(['A']) + encode(['B']) + encode(['C']), 'latin1');
    decoder.feed(chunk);
    expect(decoder.next()).toEqual(['A']);
    decoder.retain();
    chunk.fill(0);
    expect(decoder.next()).toEqual(['B']);
    decoder.feed(Buffer.from(encode(['D']), 'latin1'));
    expect([decoder.next(), decoder.next(), decoder.next()]).toEqual([['C'], ['D'], null]);
  });

  it('of 32 MiB that arrive in 100-byte chunks are copied a bounded number of times', () => {
    const decoder = newDecoder();
    const size = 32 * 1024 * 1024;
    const chunk = Buffer.alloc(100, 'x');
    decoder.feed(Buffer.from(`*2\r\n$3\r\nSET\r\n$${size}\r\n`, 'latin1'));
    expect(decoder.next()).toBeNull();
    type Copy = (this: Buffer, ...args: unknown[]) => number;
    const copy = Reflect.get(Buffer.prototype, 'copy') as Copy;
    let copied = 0;
    Reflect.set(Buffer.prototype, 'copy', function (this: Buffer, ...args: unknown[]) {
      const count = copy.apply(this, args);
      copied += count;
      return count;
    });
    try {
      for (let sent = 0; sent < size; sent += chunk.length) {
        decoder.feed(chunk.subarray(0, Math.min(chunk.length, size - sent)));
        if (decoder.next() !== null) throw new Error('complete too early');
      }
    } finally {
      Reflect.set(Buffer.prototype, 'copy', copy);
    }
    expect(copied).toBeLessThan(4 * size);
    decoder.feed(Buffer.from('\r\n'));
    expect(decoder.next()?.[1]).toHaveLength(size);
  });
});
