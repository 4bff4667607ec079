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
import type { Member, NodeRef } from '../storage/postgres/store.ts';
import { assert } from './assert.ts';
import { refKey, sameRef } from './view.ts';
import {
  FRAME_BYTES_MAX,
  FrameError,
  FrameReader,
  FrameSplitter,
  FrameType,
  FrameWriter,
  isKnown,
  STRANGER_FRAME_BYTES_MAX,
  type Versions,
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
  readonly self: Member;
  readonly versions: Versions;
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
  #bytesOut = 0;
  /** What this link speaks; until the Hello is answered, only what every version has may be sent. */
  version = 1;
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

  /**
   * Monotonic milliseconds of the last bytes from the peer. A held stream is not read: its silence is
   * this node's own, and counts as none.
   */
  get heardAtMs(): number {
    return this.#waiting === null ? this.#lastInMs : this.#env.platform.clock.monotonicMs();
  }

  /** Bytes that wait in this process. */
  get bufferedBytes(): number {
    return this.#connection.bufferedBytes;
  }

  /** Bytes that have left this process for the peer: grows as long as somebody takes them. */
  get drainedBytes(): number {
    return this.#bytesOut - this.#connection.bufferedBytes;
  }

  /** This node stood still for `ms`: what the peer sent meanwhile is not read yet. */
  forgive(ms: number): void {
    this.#lastInMs = Math.min(this.#lastInMs + ms, this.#env.platform.clock.monotonicMs());
  }

  /** More bytes wait than the bound allows: new work for this peer must be refused or wait. */
  get congested(): boolean {
    return this.#connection.bufferedBytes + this.#writer.used > this.#env.bounds.bufferBytesMax;
  }

  /** The other side has shown who it is: frames of any length may come now. */
  trust(): void {
    this.#splitter.bytesMax = FRAME_BYTES_MAX;
  }

  /** Frames wait for their flush: one more costs no write of its own. */
  get flushing(): boolean {
    return this.#flushScheduled;
  }

  /** Starts a frame; `end` finishes it. Nothing else may be written in between. */
  begin(type: FrameType): FrameWriter {
    assert(isKnown(type, this.version), 'a frame that the peer does not know');
    this.#writer.begin(type, this.#env.epoch());
    return this.#writer;
  }

  end(): void {
    this.#writer.end();
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    this.#env.platform.timers.turnFlush(() => this.flush());
  }

  /** Hands over to the system what has been written, for frames after which the link may be closed. */
  flush(): void {
    this.#flushScheduled = false;
    if (this.#closed || this.#writer.used === 0) return;
    this.#bytesOut += this.#writer.used;
    this.#connection.write(this.#writer.take());
  }

  /** Called by a timer: keeps the link alive, and gives it up when the peer is silent. */
  tick(): void {
    const now = this.#env.platform.clock.monotonicMs();
    if (now - this.heardAtMs > this.#env.times.silenceMs) {
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

  /** Says why, and ends the link when that has been sent. */
  refuse(reason: string): void {
    this.begin(FrameType.HelloRefused).str(reason);
    this.#writer.end();
    this.flush();
    this.#closed = true;
    this.#connection.end();
    const { timers } = this.#env.platform;
    timers.after(this.#env.times.connectTimeoutMs, () => this.#connection.destroy());
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
  readonly versions: Versions;
  readonly clusterId: string;
  /** With its address: whoever is dialled dials back. */
  readonly from: Member;
  readonly to: NodeRef;
  readonly session: number;
}

export function writeHello(stream: FrameStream, hello: Hello): void {
  const writer = stream.begin(FrameType.Hello);
  writer.u8(hello.versions.min);
  writer.u8(hello.versions.max);
  writer.str(hello.clusterId);
  writer.str(JSON.stringify(hello.from));
  writer.str(hello.to.node);
  writer.str(hello.to.incarnation);
  writer.u53(hello.session);
  stream.end();
}

/** What is the same in every version of a Hello. */
export interface HelloHead {
  readonly versions: Versions;
  readonly clusterId: string;
}

export function readHelloHead(frame: FrameReader): HelloHead {
  return { versions: { min: frame.u8(), max: frame.u8() }, clusterId: frame.str() };
}

/** The rest of a Hello in a version that both sides know. */
export function readHello(frame: FrameReader, head: HelloHead): Hello {
  const from = frame.json() as Member;
  const to = { node: frame.str(), incarnation: frame.str() };
  return { ...head, from, to, session: frame.u53() };
}

/** The version that a link between these two speaks: the highest in both ranges; null: there is none. */
export function commonVersion(a: Versions, b: Versions): number | null {
  const highest = Math.min(a.max, b.max);
  return highest >= Math.max(a.min, b.min) ? highest : null;
}

/** Why two nodes cannot talk at all, or null. To be asked before the rest of a Hello is read. */
export function refuseHead(head: HelloHead, env: LinkEnv): string | null {
  if (head.clusterId !== env.clusterId) return 'another cluster';
  if (commonVersion(head.versions, env.versions) !== null) return null;
  const range = ({ min, max }: Versions): string => (min === max ? `${min}` : `${min} to ${max}`);
  return (
    `no link protocol in common: it speaks version ${range(head.versions)}, ` +
    `${env.self.node} speaks ${range(env.versions)}; upgrade one release at a time`
  );
}

/** Why a Hello is refused, or null when it is fine. */
export function refuseHello(hello: Hello, self: NodeRef): string | null {
  if (!sameRef(hello.to, self)) return `meant for ${refKey(hello.to)}, this is ${refKey(self)}`;
  if (sameRef(hello.from, self)) return 'this node itself';
  return null;
}
