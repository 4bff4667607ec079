import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeEffects, encodeEffects, type OwnerEffect } from '../../../src/cluster/effects.ts';
import {
  type FrameReader,
  FrameSplitter,
  FrameType,
  FrameWriter,
} from '../../../src/cluster/wire.ts';

const bytes = fc
  .array(fc.integer({ min: 0, max: 255 }), { maxLength: 60 })
  .map((codes) => String.fromCharCode(...codes));
const u53 = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const slot = fc.integer({ min: 0, max: 16383 });
const db = fc.integer({ min: 0, max: 15 });
const version = { epoch: fc.integer({ min: 0, max: 2 ** 32 - 1 }), seq: u53 };
const at = { slot, db, key: bytes };
const expiresAtMs = u53;
const point = fc.record({
  ...version,
  epoch: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
  db: fc.option(db),
});

const effect: fc.Arbitrary<OwnerEffect> = fc.oneof(
  fc.record({
    kind: fc.constant('put' as const),
    ...at,
    ...version,
    expiresAtMs,
    persistent: fc.boolean(),
    value: bytes,
  }),
  fc.record({
    kind: fc.constantFrom('delete' as const, 'expire' as const),
    ...at,
    ...version,
    expiresAtMs,
    persistent: fc.boolean(),
    value: fc.constant(null),
  }),
  fc.record({
    kind: fc.constant('fill' as const),
    ...at,
    ...version,
    expiresAtMs,
    persistent: fc.boolean(),
    dirty: fc.boolean(),
    value: fc.option(bytes),
  }),
  fc.record({ kind: fc.constantFrom('drop' as const, 'mark' as const), ...at }),
  fc.record({ kind: fc.constant('begin' as const), slot, point: fc.option(point) }),
  fc.record({ kind: fc.constant('filled' as const), slot, to: slot, complete: fc.boolean() }),
  fc.record({ kind: fc.constant('flush' as const), slot, to: slot, point }),
);

interface Fields {
  readonly type: FrameType;
  readonly epoch: number;
  readonly small: number;
  readonly middle: number;
  readonly large: number;
  readonly real: number;
  readonly text: string;
}

const fields: fc.Arbitrary<Fields> = fc.record({
  type: fc.constantFrom(...Object.values(FrameType)),
  epoch: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  small: fc.integer({ min: 0, max: 255 }),
  middle: fc.integer({ min: 0, max: 65535 }),
  large: u53,
  real: fc.double({ noNaN: true }),
  text: bytes,
});

function write(writer: FrameWriter, frame: Fields): void {
  writer.begin(frame.type, frame.epoch);
  writer.u8(frame.small);
  writer.u16(frame.middle);
  writer.u53(frame.large);
  writer.f64(frame.real);
  writer.str(frame.text);
  writer.end();
}

function read(frame: FrameReader): Fields {
  const { type, epoch } = frame;
  const fields = {
    type,
    epoch,
    small: frame.u8(),
    middle: frame.u16(),
    large: frame.u53(),
    real: frame.f64(),
    text: frame.str(),
  };
  expect(frame.atEnd).toBe(true);
  return fields;
}

/** Cuts bytes into pieces of the given sizes, the last piece being the rest. */
function cut(stream: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let from = 0;
  for (const size of sizes) {
    pieces.push(stream.subarray(from, from + size));
    from += size;
  }
  return [...pieces, stream.subarray(from)];
}

describe('frames', () => {
  test('come out as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fields, { maxLength: 6 }),
        fc.array(fc.integer({ min: 0, max: 40 })),
        (frames, sizes) => {
          const writer = new FrameWriter(16);
          for (const frame of frames) write(writer, frame);
          const stream = writer.take();
          for (const chunks of [
            [stream],
            cut(stream, sizes),
            [...stream].map((byte) => Buffer.from([byte])),
          ]) {
            const seen: Fields[] = [];
            const splitter = new FrameSplitter();
            for (const chunk of chunks) {
              // What the network hands out is used again after the call.
              const reused = Buffer.from(chunk);
              splitter.push(reused, (frame) => seen.push(read(frame)));
              reused.fill(0xff);
            }
            expect(seen).toEqual(frames);
          }
        },
      ),
      { numRuns: 200, seed: 1 },
    );
  });

  test.each([
    ['shorter than its header', Buffer.from([0, 0, 0, 4, 1, 0, 0, 0, 0])],
    ['longer than any frame may be', Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0])],
  ])('that claim to be %s are refused', (_what, stream) => {
    expect(() => new FrameSplitter().push(stream, () => undefined)).toThrow('impossible length');
  });

  test('whose fields reach past their end are refused', () => {
    const writer = new FrameWriter();
    writer.begin(FrameType.Call, 1);
    writer.u32(1000);
    writer.end();
    expect(() => new FrameSplitter().push(writer.take(), (frame) => frame.str())).toThrow(
      'ends before',
    );
  });
});

describe('effects', () => {
  test('come out as they went in', () => {
    fc.assert(
      fc.property(fc.array(effect, { maxLength: 10 }), (effects) => {
        const writer = new FrameWriter();
        writer.begin(FrameType.Effects, 1);
        writer.raw(encodeEffects(effects));
        writer.end();
        let seen: OwnerEffect[] = [];
        new FrameSplitter().push(writer.take(), (frame) => (seen = decodeEffects(frame)));
        expect(seen).toEqual(effects);
      }),
      { numRuns: 300, seed: 2 },
    );
  });
});
