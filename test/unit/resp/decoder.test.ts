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
import { ARGUMENTS_MAX, Frames, FRAMES_MAX } from '../../../src/resp/frames.ts';

const newDecoder = (protoMaxBulkLen = 512 * 1024 * 1024): RequestDecoder =>
  new RequestDecoder({ protoMaxBulkLen, multibulkMax: MULTIBULK_MAX });

const encode = (args: readonly string[]): string =>
  `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('')}`;

/** The next command, through `peek` where that finds one; `most` are looked at together. */
function nextOf(decoder: RequestDecoder, most: number): string[][] {
  const frames = new Frames();
  while (frames.count < most && decoder.peek(frames));
  if (frames.count === 0) {
    const args = decoder.next();
    return args === null ? [] : [args];
  }
  decoder.skip(frames, frames.count);
  return Array.from({ length: frames.count }, (_, i) => argumentsOf(frames, i));
}

function argumentsOf({ bytes, firsts, starts, ends }: Frames, index: number): string[] {
  const args: string[] = [];
  for (let i = firsts[index]!; i < firsts[index + 1]!; i++)
    args.push(bytes.toString('latin1', starts[i], ends[i]));
  return args;
}

/** As `decode`, looking at up to `most` commands before they are taken. */
function decodePeeking(bytes: string, step: number, most: number): (string[] | string)[] {
  const decoder = newDecoder();
  return decode(bytes, step, {
    feed: (chunk) => decoder.feed(chunk),
    next: () => nextOf(decoder, most),
  });
}

interface Decoding {
  feed(chunk: Buffer): void;
  /** None: more bytes are needed. */
  next(): string[][];
}

function oneByOne(decoder: RequestDecoder): Decoding {
  return {
    feed: (chunk) => decoder.feed(chunk),
    next: () => {
      const args = decoder.next();
      return args === null ? [] : [args];
    },
  };
}

/** Feeds `bytes` cut at every `step` bytes through one reused buffer; returns commands, then the error text. */
function decode(
  bytes: string,
  step: number,
  decoder: RequestDecoder | Decoding = newDecoder(),
): (string[] | string)[] {
  const decoding = decoder instanceof RequestDecoder ? oneByOne(decoder) : decoder;
  const result: (string[] | string)[] = [];
  const all = Buffer.from(bytes, 'latin1');
  const reused = Buffer.alloc(Math.min(step, all.length));
  try {
    for (let at = 0; at < all.length; at += step) {
      const length = all.copy(reused, 0, at, at + step);
      decoding.feed(reused.subarray(0, length));
      for (let list = decoding.next(); list.length > 0; list = decoding.next())
        result.push(...list);
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

  it('looked at before they are taken are the same, however many at a time', () => {
    const most = fc.integer({ min: 1, max: FRAMES_MAX });
    fc.assert(
      fc.property(commands, fc.integer({ min: 1, max: 700 }), most, (list, step, many) => {
        expect(decodePeeking(list.map(encode).join(''), step, many)).toEqual(list);
      }),
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
        expect(decodePeeking(bytes, bytes.length || 1, 3)).toEqual(decode(bytes, 1));
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
    expect(decodePeeking(bytes, step, 2)).toEqual(expected);
  });
});

describe('looking at commands without taking them', () => {
  it('changes nothing, and some of them may be taken', () => {
    const decoder = newDecoder();
    decoder.feed(Buffer.from(encode(['A']) + encode(['B', 'x']) + encode(['C']), 'latin1'));
    const frames = new Frames();
    expect([1, 2, 3, 4].map(() => decoder.peek(frames))).toEqual([true, true, true, false]);
    expect(argumentsOf(frames, 1)).toEqual(['B', 'x']);
    frames.dropLast();
    expect(decoder.next()).toEqual(['A']);
    frames.clear();
    expect([decoder.peek(frames), decoder.peek(frames)]).toEqual([true, true]);
    decoder.skip(frames, 1);
    expect([decoder.next(), decoder.next()]).toEqual([['C'], null]);
  });

  it.each([
    ['a command that is not whole', encode(['GET', 'k']).slice(0, -1)],
    ['an inline command', 'GET k\r\n'],
    ['an argument that is long', encode(['GET', 'k'.repeat(UNAUTHENTICATED_BULK_BYTES_MAX + 1)])],
    ['more arguments than have room', encode(Array<string>(ARGUMENTS_MAX + 1).fill('k'))],
  ])('does not show %s', (_label, bytes) => {
    const decoder = newDecoder();
    decoder.feed(Buffer.from(bytes, 'latin1'));
    expect(decoder.peek(new Frames())).toBe(false);
  });

  it('does not show those of a client that has not authenticated', () => {
    const decoder = newDecoder();
    decoder.trusted = false;
    decoder.feed(Buffer.from(encode(['GET', 'k']), 'latin1'));
    expect(decoder.peek(new Frames())).toBe(false);
  });

  it('ends when there is no room for more commands', () => {
    const decoder = newDecoder();
    decoder.feed(Buffer.from(encode(['A']).repeat(FRAMES_MAX + 1), 'latin1'));
    const frames = new Frames();
    while (decoder.peek(frames));
    expect(frames.count).toBe(FRAMES_MAX);
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
