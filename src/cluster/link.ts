/**
 * Links: one connection in each direction between every two nodes.
 *
 * A node sends everything on the connection that it dialled itself, answers too, so that all frames
 * of a turn for one peer leave in one write; only while that connection is not there yet do answers
 * go back on the one the request came on. The two stand and fall together. A Hello names both lives (node and incarnation) and a session
 * number; accepting a newer session of the same peer ends the older one before any of its remaining
 * frames is read, so a frame of a broken connection can never arrive late. Frames written during a
 * turn of the event loop leave in one write at its end.
 */
import type { Connection } from '../platform/transport.ts';
import type { Platform } from '../platform/platform.ts';
import type { Logger } from '../platform/logger.ts';
import type { NodeRef } from '../storage/postgres/store.ts';
import { refKey, sameRef } from './view.ts';
import {
  FRAME_BYTES_MAX,
  FrameError,
  FrameReader,
  FrameSplitter,
  FrameType,
  FrameWriter,
  PROTOCOL_VERSION,
  PROTOCOL_VERSION_MIN,
  STRANGER_FRAME_BYTES_MAX,
} from './wire.ts';

export interface LinkTimes {
  /** A heartbeat is sent this often, milliseconds. */
  readonly heartbeatMs: number;
  /** A link without any byte from the peer for this long is given up, milliseconds. */
  readonly silenceMs: number;
  readonly connectTimeoutMs: number;
}

/** Bytes waiting to be sent after which a link is `congested`. */
export interface LinkBounds {
  readonly bufferBytesMax: number;
}

export interface LinkEnv {
  readonly platform: Platform;
  readonly log: Logger;
  readonly self: NodeRef;
  readonly clusterId: string;
  readonly times: LinkTimes;
  readonly bounds: LinkBounds;
  epoch(): number;
  /** Flags of this node's state for heartbeats, see `Heartbeat` in `peers.ts`. */
  heartbeatFlags(): number;
}

/** Frames of one established connection: batching out, splitting in, heartbeats, silence. */
export class FrameStream {
  readonly #env: LinkEnv;
  readonly #connection: Connection;
  readonly #splitter = new FrameSplitter(STRANGER_FRAME_BYTES_MAX);
  readonly #writer = new FrameWriter();
  #flushScheduled = false;
  #closed = false;
  #lastInMs: number;
  #lastHeartbeatMs: number;
  /** Frames that came while the stream was held, in order; null: not held. */
  #waiting: Buffer[] | null = null;
  readonly #onFrame: (frame: FrameReader) => boolean;
  readonly #onClose: (reason: string) => void;

  /** `onFrame` returns false for "not now": that frame and all later ones wait until `resume`. */
  constructor(
    env: LinkEnv,
    connection: Connection,
    handlers: { onFrame(frame: FrameReader): boolean; onClose(reason: string): void },
  ) {
    this.#env = env;
    this.#connection = connection;
    this.#onFrame = (frame) => handlers.onFrame(frame);
    this.#onClose = (reason) => handlers.onClose(reason);
    this.#lastInMs = this.#lastHeartbeatMs = env.platform.clock.monotonicMs();
    connection.handle({
      onData: (chunk) => this.#receive(chunk),
      onClose: (error) => this.close(error?.message ?? 'the peer closed the link'),
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** More bytes wait than the bound allows: new work for this peer must be refused or wait. */
  get congested(): boolean {
    return this.#connection.bufferedBytes + this.#writer.used > this.#env.bounds.bufferBytesMax;
  }

  /** The other side has shown who it is: frames of any length may come now. */
  trust(): void {
    this.#splitter.bytesMax = FRAME_BYTES_MAX;
  }

  /** Frames wait for the end of the turn: one more costs no write of its own. */
  get flushing(): boolean {
    return this.#flushScheduled;
  }

  /** Starts a frame; `end` finishes it. Nothing else may be written in between. */
  begin(type: FrameType): FrameWriter {
    this.#writer.begin(type, this.#env.epoch());
    return this.#writer;
  }

  end(): void {
    this.#writer.end();
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    this.#env.platform.timers.turnFlush(() => this.#flush());
  }

  #flush(): void {
    this.#flushScheduled = false;
    if (this.#closed || this.#writer.used === 0) return;
    this.#connection.write(this.#writer.take());
  }

  /** Called by a timer: keeps the link alive, and gives it up when the peer is silent. */
  tick(): void {
    const now = this.#env.platform.clock.monotonicMs();
    // A held stream is not read: its silence is our own.
    if (this.#waiting === null && now - this.#lastInMs > this.#env.times.silenceMs) {
      this.close('the peer was silent for too long');
    } else if (now - this.#lastHeartbeatMs >= this.#env.times.heartbeatMs) {
      this.sendHeartbeat();
    }
  }

  /** Tells the peer our epoch and state; also when there is other traffic, since that says less. */
  sendHeartbeat(): void {
    this.#lastHeartbeatMs = this.#env.platform.clock.monotonicMs();
    this.begin(FrameType.Heartbeat).u8(this.#env.heartbeatFlags());
    this.end();
  }

  /** Delivers what waited: the view it waited for is there. */
  resume(): void {
    const waiting = this.#waiting;
    if (waiting === null || this.#closed) return;
    this.#waiting = null;
    const reader = new FrameReader();
    try {
      for (const frame of waiting) {
        reader.reset(frame, 0);
        this.#deliver(reader);
      }
    } catch (error) {
      return this.#onError(error);
    }
    if (this.#waiting !== null) return;
    this.#lastInMs = this.#env.platform.clock.monotonicMs();
    this.#connection.resume();
  }

  close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.destroy();
    this.#onClose(reason);
  }

  #receive(chunk: Buffer): void {
    this.#lastInMs = this.#env.platform.clock.monotonicMs();
    try {
      this.#splitter.push(chunk, this.#deliver);
    } catch (error) {
      this.#onError(error);
    }
  }

  /** Only what cannot be decoded is the peer's fault. Anything else is a broken invariant of our own. */
  #onError(error: unknown): void {
    if (!(error instanceof FrameError)) throw error;
    this.#env.log.error({ err: error }, 'a link brought bytes that make no sense');
    this.close('bytes that make no sense');
  }

  readonly #deliver = (frame: FrameReader): void => {
    if (this.#closed) return;
    if (this.#waiting === null && this.#onFrame(frame)) return;
    if (this.#waiting === null) {
      this.#waiting = [];
      this.#connection.pause();
    }
    this.#waiting.push(frame.copy());
  };
}

export interface Hello {
  readonly versionMin: number;
  readonly versionMax: number;
  readonly clusterId: string;
  readonly from: NodeRef;
  readonly to: NodeRef;
  readonly session: number;
}

export function writeHello(stream: FrameStream, hello: Hello): void {
  const writer = stream.begin(FrameType.Hello);
  writer.u8(hello.versionMin);
  writer.u8(hello.versionMax);
  writer.str(hello.clusterId);
  for (const ref of [hello.from, hello.to]) {
    writer.str(ref.node);
    writer.str(ref.incarnation);
  }
  writer.u53(hello.session);
  stream.end();
}

export function readHello(frame: FrameReader): Hello {
  const versionMin = frame.u8();
  const versionMax = frame.u8();
  const clusterId = frame.str();
  const from = { node: frame.str(), incarnation: frame.str() };
  const to = { node: frame.str(), incarnation: frame.str() };
  return { versionMin, versionMax, clusterId, from, to, session: frame.u53() };
}

/** Why a Hello is refused, or null when it is fine. */
export function refuseHello(hello: Hello, self: NodeRef, clusterId: string): string | null {
  if (hello.clusterId !== clusterId) return 'another cluster';
  if (!sameRef(hello.to, self)) return `meant for ${refKey(hello.to)}, this is ${refKey(self)}`;
  if (hello.versionMin > PROTOCOL_VERSION || hello.versionMax < PROTOCOL_VERSION_MIN) {
    return `speaks link protocol ${hello.versionMin} to ${hello.versionMax}`;
  }
  if (sameRef(hello.from, self)) return 'this node itself';
  return null;
}
