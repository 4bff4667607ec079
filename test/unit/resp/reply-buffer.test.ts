import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ARRAY, BULK, FRAMING_BYTES_MAX, ReplyBuffer } from '../../../src/resp/reply-buffer.ts';

it('writes headers of all lengths as the encoder does', () => {
  const out = new ReplyBuffer(100);
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 31 - 1 }), (n) => {
      out.header(BULK, n);
      expect(out.take()).toBe(`$${n}\r\n`);
    }),
  );
  for (const n of [0, 9, 10, 99, 100, 999_999_999, 2 ** 31 - 1]) {
    out.header(ARRAY, n);
    expect(out.take()).toBe(`*${n}\r\n`);
  }
});

it('frames take no more room than what is said', () => {
  const out = new ReplyBuffer(100);
  out.header(BULK, 2 ** 31 - 1);
  out.lineEnd();
  expect(out.used).toBe(FRAMING_BYTES_MAX);
  expect(out.room).toBe(100 - FRAMING_BYTES_MAX);
});

it('what was taken is not taken again, and stays as it was', () => {
  const out = new ReplyBuffer(10);
  out.header(BULK, 12);
  const first = out.take();
  out.header(BULK, 34);
  expect([first, out.take(), out.take()]).toEqual(['$12\r\n', '$34\r\n', '']);
});
