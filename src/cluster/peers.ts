/**
 * All links of this node: dials every member, accepts their dials, and tells the layers above which
 * peers are reachable and what their heartbeats say.
 */
import type { Connection } from '../platform/transport.ts';
import type { TimerHandle } from '../platform/clock.ts';
import type { Member, NodeRef } from '../storage/postgres/store.ts';
import { FrameStream, type LinkEnv, readHello, refuseHello, writeHello } from './link.ts';
import { refKey, sameRef } from './view.ts';
import { type FrameReader, FrameType, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN } from './wire.ts';

/** Append only: bits on the wire. */
export const HeartbeatFlag = {
  /** No lease: it answers no linearizable reads. */
  Leaseless: 1,
  /** It learns nothing (any more) in the view of this frame. */
  Filled: 2,
} as const;

export interface PeerHandlers {
  /** A frame on a link that `from` dialled. False: not now, see FrameStream. */
  onRequest(from: NodeRef, frame: FrameReader, stream: FrameStream): boolean;
  /** An answer on a link that this node dialled. */
  onAnswer(peer: Peer, frame: FrameReader): boolean;
  /** The link to `peer` works (again). `lastSeq`: the last of our effects that it has, in our epoch. */
  onUp(peer: Peer, lastSeq: number): void;
  onDown(peer: Peer, reason: string): void;
  /** The number of the last effect applied from this life of a peer, for its Hello. */
  lastSeqFrom(from: NodeRef): number;
  /** A frame of a newer view than ours was seen. */
  onNewerEpoch(epoch: number): void;
  /** This life was a member once and is none any more, or another life of the same node is one. */
  isGone(ref: NodeRef): boolean;
}

const REDIAL_FIRST_MS = 20;
const REDIAL_LAST_MS = 500;

/** The outgoing side: this node's link to one life of another. */
export class Peer {
  readonly member: Member;
  /** Null while the link is down. */
  stream: FrameStream | null = null;
  /** What its last heartbeat said, and when (monotonic milliseconds). */
  leaseless = false;
  heardAtMs = Number.NEGATIVE_INFINITY;
  /** It said that it runs nothing any more: see `sayLeaving`. */
  leaving = false;
  #redialMs = REDIAL_FIRST_MS;
  #timer: TimerHandle | null = null;
  #stopped = false;
  readonly #env: LinkEnv;
  readonly #handlers: PeerHandlers;
  readonly #nextSession: () => number;

  constructor(env: LinkEnv, member: Member, handlers: PeerHandlers, nextSession: () => number) {
    this.#env = env;
    this.member = member;
    this.#handlers = handlers;
    this.#nextSession = nextSession;
    void this.#dial();
  }

  get up(): boolean {
    return this.stream !== null;
  }

  stop(reason: string): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.stream?.close(reason);
    this.#dialled?.close(reason);
  }

  async #dial(): Promise<void> {
    const { platform, times, log, self, clusterId } = this.#env;
    const { host, linkPort } = this.member;
    try {
      const connection = await platform.transport.connect({
        host,
        port: linkPort,
        timeoutMs: times.connectTimeoutMs,
      });
      const stream: FrameStream = new FrameStream(this.#env, connection, {
        onFrame: (frame) => this.#onFrame(frame, stream),
        onClose: (reason) => this.#onClose(reason, stream),
      });
      if (this.#stopped) return stream.close('this node is stopping');
      this.#dialled = stream;
      writeHello(stream, {
        versionMin: PROTOCOL_VERSION_MIN,
        versionMax: PROTOCOL_VERSION,
        clusterId,
        from: self,
        to: this.member,
        session: this.#nextSession(),
      });
    } catch (error) {
      log.debug({ peer: this.member.node, err: error }, 'a peer could not be dialled');
      this.#redial();
    }
  }

  /** Connected, Hello sent, not yet answered. */
  #dialled: FrameStream | null = null;

  tick(): void {
    (this.stream ?? this.#dialled)?.tick();
  }

  #onFrame(frame: FrameReader, stream: FrameStream): boolean {
    if (frame.type === FrameType.HelloAck) {
      this.#dialled = null;
      this.stream = stream;
      this.#redialMs = REDIAL_FIRST_MS;
      this.#env.log.info({ peer: refKey(this.member) }, 'link up');
      this.#handlers.onUp(this, frame.epoch === this.#env.epoch() ? frame.u53() : 0);
      return true;
    }
    return this.#handlers.onAnswer(this, frame);
  }

  #onClose(reason: string, stream: FrameStream): void {
    const wasUp = this.stream === stream;
    this.stream = null;
    this.#dialled = null;
    if (wasUp) {
      this.#env.log.warn({ peer: refKey(this.member), reason }, 'link down');
      this.#handlers.onDown(this, reason);
    }
    this.#redial();
  }

  #redial(): void {
    if (this.#stopped) return;
    const delay = this.#redialMs * (0.5 + this.#env.platform.random.float());
    this.#redialMs = Math.min(this.#redialMs * 2, REDIAL_LAST_MS);
    this.#timer = this.#env.platform.timers.after(delay, () => void this.#dial());
  }
}

interface Incoming {
  readonly from: NodeRef;
  readonly session: number;
  readonly stream: FrameStream;
}

export class Peers {
  readonly #env: LinkEnv;
  readonly #handlers: PeerHandlers;
  readonly #peers = new Map<string, Peer>();
  /** By node id: a new life of a node replaces its older one. */
  readonly #incoming = new Map<string, Incoming>();
  /** Accepted connections that have not said Hello; bounded. */
  readonly #strangers = new Set<FrameStream>();
  #session = 0;
  readonly #ticker: TimerHandle;

  constructor(env: LinkEnv, handlers: PeerHandlers) {
    this.#env = env;
    this.#handlers = handlers;
    const periodMs = env.times.heartbeatMs / 2;
    this.#ticker = env.platform.timers.every(periodMs, () => this.#tick());
  }

  /** Dials those that are new in `members` and drops the links to everybody else. */
  setMembers(members: readonly Member[]): void {
    const wanted = new Map(members.map((member) => [refKey(member), member]));
    wanted.delete(refKey(this.#env.self));
    for (const [key, peer] of this.#peers) {
      if (wanted.has(key)) continue;
      this.#peers.delete(key);
      peer.stop('no longer a member');
    }
    for (const { from, stream } of this.#incoming.values()) {
      if (this.#handlers.isGone(from)) stream.close('no longer a member');
    }
    for (const [key, member] of wanted) {
      if (this.#peers.has(key)) continue;
      const next = (): number => ++this.#session;
      this.#peers.set(key, new Peer(this.#env, member, this.#handlers, next));
    }
  }

  get(ref: NodeRef): Peer | undefined {
    return this.#peers.get(refKey(ref));
  }

  all(): IterableIterator<Peer> {
    return this.#peers.values();
  }

  /** Lets frames go on that waited for a view, on every link. */
  resumeAll(): void {
    for (const peer of this.#peers.values()) peer.stream?.resume();
    for (const { stream } of this.#incoming.values()) stream.resume();
  }

  heartbeatAll(): void {
    for (const peer of this.#peers.values()) peer.stream?.sendHeartbeat();
  }

  /**
   * Tells everybody that dialled this node that it runs nothing any more. Answers come in order, so
   * what they asked and have no answer to by then was not run and never will be.
   */
  sayLeaving(): void {
    for (const { stream } of this.#incoming.values()) {
      stream.begin(FrameType.Leaving);
      stream.end();
    }
  }

  accept(connection: Connection): void {
    if (this.#strangers.size >= STRANGERS_MAX) return connection.destroy();
    let incoming: Incoming | null = null;
    const stream: FrameStream = new FrameStream(this.#env, connection, {
      onFrame: (frame) => {
        if (incoming !== null) return this.#onRequest(incoming, frame);
        this.#strangers.delete(stream);
        incoming = this.#greet(frame, stream);
        return true;
      },
      onClose: () => {
        this.#strangers.delete(stream);
        if (incoming !== null && this.#incoming.get(incoming.from.node) === incoming) {
          this.#incoming.delete(incoming.from.node);
        }
      },
    });
    this.#strangers.add(stream);
  }

  stop(): void {
    this.#ticker.cancel();
    for (const peer of this.#peers.values()) peer.stop('this node is stopping');
    for (const { stream } of this.#incoming.values()) stream.close('this node is stopping');
    for (const stream of this.#strangers) stream.close('this node is stopping');
    this.#peers.clear();
    this.#incoming.clear();
  }

  #greet(frame: FrameReader, stream: FrameStream): Incoming | null {
    if (frame.type !== FrameType.Hello) {
      stream.close('the first frame is no Hello');
      return null;
    }
    const hello = readHello(frame);
    const older = this.#incoming.get(hello.from.node);
    let refusal = refuseHello(hello, this.#env.self, this.#env.clusterId);
    if (older !== undefined && sameRef(older.from, hello.from) && older.session >= hello.session) {
      refusal ??= 'an older session than the one in use';
    }
    if (this.#handlers.isGone(hello.from))
      refusal ??= 'another life of this node is a member, or this one was removed';
    if (refusal !== null) {
      this.#env.log.warn({ from: refKey(hello.from), reason: refusal }, 'a link was refused');
      stream.close(refusal);
      return null;
    }
    older?.stream.close('replaced by a newer session');
    const incoming = { from: hello.from, session: hello.session, stream };
    this.#incoming.set(hello.from.node, incoming);
    stream.begin(FrameType.HelloAck).u53(this.#handlers.lastSeqFrom(hello.from));
    stream.end();
    return incoming;
  }

  #onRequest(incoming: Incoming, frame: FrameReader): boolean {
    if (frame.epoch > this.#env.epoch() && frame.type !== FrameType.ViewNews) {
      this.#handlers.onNewerEpoch(frame.epoch);
      // A heartbeat says something of its sender, whatever view it is in; the rest waits for the view.
      if (frame.type !== FrameType.Heartbeat) return false;
    }
    return this.#handlers.onRequest(incoming.from, frame, incoming.stream);
  }

  #tick(): void {
    for (const peer of this.#peers.values()) peer.tick();
    for (const { stream } of this.#incoming.values()) stream.tick();
    for (const stream of this.#strangers) stream.tick();
  }
}

const STRANGERS_MAX = 64;
