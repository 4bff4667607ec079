import { AssertionError } from 'node:assert';
import { describe, expect, test } from 'vitest';
import { FrameStream, type LinkEnv } from '../../../src/cluster/link.ts';
import { FrameType, FrameWriter } from '../../../src/cluster/wire.ts';
import type { Connection, ConnectionHandlers } from '../../../src/platform/transport.ts';
import { QuietLog } from '../../../chaos/sim/log.ts';
import { SeededRandom } from '../../../chaos/sim/random.ts';
import { VirtualTime } from '../../../chaos/sim/time.ts';

const TIMES = { heartbeatMs: 100, silenceMs: 1000, connectTimeoutMs: 100 };

/** A stream on a connection whose other side is the test. */
function setUp(onFrame: (text: string) => boolean) {
  const time = new VirtualTime();
  const written: Buffer[] = [];
  const reasons: string[] = [];
  let handlers: ConnectionHandlers | null = null;
  let paused = false;
  const connection = {
    bufferedBytes: 0,
    handle: (given: ConnectionHandlers) => (handlers = given),
    write: (bytes: Buffer) => written.push(bytes),
    pause: () => (paused = true),
    resume: () => (paused = false),
    destroy: () => undefined,
  } as unknown as Connection;
  const env = {
    platform: { clock: time, timers: time, random: new SeededRandom(1) },
    log: new QuietLog(),
    times: TIMES,
    bounds: { bufferBytesMax: 1000 },
    epoch: () => 3,
    heartbeatFlags: () => 0,
  } as unknown as LinkEnv;
  const stream = new FrameStream(env, connection, {
    onFrame: (frame) => onFrame(frame.str()),
    onClose: (reason) => reasons.push(reason),
  });
  const receive = (bytes: Buffer): void => handlers!.onData(bytes);
  return { stream, time, written, reasons, receive, isPaused: () => paused };
}

function frames(...texts: string[]): Buffer {
  const writer = new FrameWriter();
  for (const text of texts) {
    writer.begin(FrameType.Call, 3);
    writer.str(text);
    writer.end();
  }
  return writer.take();
}

describe('a stream of frames', () => {
  test('writes what a turn brought in one piece', () => {
    const { stream, written, time } = setUp(() => true);
    for (const text of ['a', 'b']) {
      stream.begin(FrameType.Call).str(text);
      stream.end();
    }
    expect(written).toEqual([]);
    time.endTurn();
    expect(written).toEqual([frames('a', 'b')]);
  });

  test('is closed by a frame that cannot be decoded', () => {
    const { receive, reasons } = setUp(() => true);
    const writer = new FrameWriter();
    writer.begin(FrameType.Call, 3);
    writer.u32(1000);
    writer.end();
    receive(writer.take());
    expect(reasons).toEqual(['bytes that make no sense']);
  });

  test.each([
    ['a broken invariant', () => new AssertionError({ message: 'two primaries' })],
    ['a mistake of its own', () => new TypeError('undefined is not a function')],
  ])('lets %s in a handler through, which ends the process', (_what, makeError) => {
    const { receive, reasons } = setUp(() => {
      throw makeError();
    });
    expect(() => receive(frames('a'))).toThrow(makeError().message);
    expect(reasons).toEqual([]);
  });

  test('keeps what comes while it is held, and delivers it in order', () => {
    const seen: string[] = [];
    let ready = false;
    const { stream, receive, isPaused } = setUp((text) => {
      if (!ready) return false;
      seen.push(text);
      return true;
    });
    receive(frames('a', 'b'));
    expect([seen, isPaused()]).toEqual([[], true]);
    ready = true;
    stream.resume();
    receive(frames('c'));
    expect([seen, isPaused()]).toEqual([['a', 'b', 'c'], false]);
  });

  test('refuses large frames until the other side is known', () => {
    const seen: number[] = [];
    const { stream, receive, reasons } = setUp((text) => seen.push(text.length) > 0);
    stream.trust();
    receive(frames('x'.repeat(100_000)));
    expect(seen).toEqual([100_000]);
    const stranger = setUp(() => true);
    stranger.receive(frames('x'.repeat(100_000)));
    expect([reasons, stranger.reasons]).toEqual([[], ['bytes that make no sense']]);
  });

  test('is given up after too long a silence, but not while it is held', () => {
    const held = setUp(() => false);
    held.receive(frames('a'));
    const silent = setUp(() => true);
    for (const { time, stream } of [held, silent]) {
      time.advance(TIMES.silenceMs + 1);
      stream.tick();
    }
    expect([held.reasons, silent.reasons]).toEqual([[], ['the peer was silent for too long']]);
  });
});
