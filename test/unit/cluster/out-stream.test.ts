import { describe, expect, test } from 'vitest';
import { ChangeOp, DONE, type Op } from '../../../src/cluster/op.ts';
import { OutStream } from '../../../src/cluster/out-stream.ts';
import type { Peer } from '../../../src/cluster/peers.ts';
import {
  type FrameReader,
  FrameSplitter,
  FrameType,
  FrameWriter,
} from '../../../src/cluster/wire.ts';
import { VirtualTime } from '../../../chaos/sim/time.ts';

/** A link that only records what is written: `effects 1`, `watermark 1`. */
function recordingPeer(sent: string[]): Peer {
  const writer = new FrameWriter();
  const note = (frame: FrameReader): void => {
    const name = frame.type === FrameType.Effects ? 'effects' : 'watermark';
    sent.push(`${name} ${frame.u53()}`);
  };
  const stream = {
    congested: false,
    begin: (type: FrameType) => {
      writer.begin(type, 1);
      return writer;
    },
    end: () => {
      writer.end();
      new FrameSplitter().push(writer.take(), note);
    },
  };
  return { stream } as unknown as Peer;
}

let lastNo = 0;
function operation(): Op {
  const op = new ChangeOp({ effects: [], deadlineMs: Infinity, settle: () => undefined });
  return Object.assign(op, { no: ++lastNo, epoch: 1, persistent: true });
}

/** `onConfirmed`: what the confirmation of an operation sets off. */
function setUp(onConfirmed: (op: Op) => void = () => undefined): {
  stream: OutStream;
  sent: string[];
  confirmed: Op[];
  time: VirtualTime;
} {
  const time = new VirtualTime();
  const confirmed: Op[] = [];
  const sent: string[] = [];
  const stream = new OutStream(time, (op) => {
    confirmed.push(op);
    onConfirmed(op);
  });
  stream.peer = recordingPeer(sent);
  return { stream, sent, confirmed, time };
}

/** Longer than a watermark waits for a frame to ride with. */
const A_MOMENT_MS = 5;
const PAYLOAD = Buffer.from([0]);

describe('a stream of effects', () => {
  test('is confirmed cumulatively, each operation once', () => {
    const { stream, confirmed } = setUp();
    const ops = [operation(), operation(), operation()];
    for (const op of ops) stream.send(op, PAYLOAD);
    stream.confirm(2);
    stream.confirm(1);
    stream.confirm(2);
    expect(confirmed).toEqual(ops.slice(0, 2));
    stream.confirm(99);
    expect(confirmed).toEqual(ops);
    expect(stream.unconfirmed).toBe(0);
  });

  test('has a watermark that stops before the first operation that is not settled', () => {
    const { stream, sent, time } = setUp();
    const [first, second] = [operation(), operation()];
    stream.send(first, PAYLOAD);
    stream.send(second, PAYLOAD);
    stream.confirm(2);
    second.finish(DONE);
    stream.settled();
    time.advance(A_MOMENT_MS);
    expect(sent).toEqual(['effects 1', 'effects 2']);
    first.finish(DONE);
    stream.settled();
    time.advance(A_MOMENT_MS);
    expect(sent.slice(2)).toEqual(['watermark 2']);
  });

  test('goes on after a reconnect with what the peer lacks, and says its watermark again (watermark-lost)', () => {
    const { stream, sent, time, confirmed } = setUp();
    const ops = [operation(), operation(), operation()];
    for (const op of ops) stream.send(op, PAYLOAD);
    stream.confirm(1);
    ops[0]!.finish(DONE);
    stream.settled();
    time.advance(A_MOMENT_MS);
    sent.length = 0;
    stream.resume(2);
    expect(confirmed).toEqual(ops.slice(0, 2));
    expect(sent).toEqual(['effects 3', 'watermark 1']);
  });

  test('sends what the peer lacks before what a confirmation of the reconnect sets off', () => {
    const [first, second, next] = [operation(), operation(), operation()];
    // What lives in memory only is done then, and whoever waited for it writes at once.
    const { stream, sent, confirmed } = setUp((op) => op.finish(DONE));
    first.watch(() => stream.send(next, PAYLOAD));
    stream.send(first, PAYLOAD);
    stream.send(second, PAYLOAD);
    sent.length = 0;
    stream.resume(1);
    expect(confirmed).toEqual([first]);
    expect(sent).toEqual(['effects 2', 'watermark 0', 'effects 3']);
  });

  test('keeps what is sent while the link is down', () => {
    const { stream, sent } = setUp();
    const { peer } = stream;
    stream.peer = null;
    stream.send(operation(), PAYLOAD);
    stream.peer = peer;
    stream.resume(0);
    expect(sent).toEqual(['effects 1', 'watermark 0']);
  });

  test('sends nothing after its view, not even a watermark that was still to go out', () => {
    const { stream, sent, time } = setUp();
    const op = operation();
    stream.send(op, PAYLOAD);
    stream.confirm(1);
    op.finish(DONE);
    stream.settled();
    stream.end();
    time.advance(A_MOMENT_MS);
    stream.settled();
    time.advance(A_MOMENT_MS);
    expect(sent).toEqual(['effects 1']);
  });
});
