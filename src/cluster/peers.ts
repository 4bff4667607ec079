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
  /** A frame of a peer, of a view that is not newer than ours; `stream` is what it came on. */
  onFrame(from: NodeRef, frame: FrameReader, stream: FrameStream): void;
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
  /** On how many of its connections it has said so. */
  leavingHeard = 0;
  #redialMs = REDIAL_FIRST_MS;
  #timer: TimerHandle | null = null;
  #stopped = false;
  readonly #env: LinkEnv;
  readonly #handlers: PeerHandlers;
  readonly #nextSession: () => number;
  readonly #onBroken: (stream: FrameStream) => void;

  constructor(
    env: LinkEnv,
    member: Member,
    handlers: PeerHandlers,
    {
      nextSession,
      onBroken,
    }: { nextSession: () => number; onBroken: (stream: FrameStream) => void },
  ) {
    this.#env = env;
    this.#onBroken = onBroken;
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
      stream.trust();
      this.#redialMs = REDIAL_FIRST_MS;
      this.#env.log.info({ peer: refKey(this.member) }, 'link up');
      this.#handlers.onUp(this, frame.epoch === this.#env.epoch() ? frame.u53() : 0);
      return true;
    }
    return receive(this.#env, this.#handlers, this.member, frame, stream);
  }

  #onClose(reason: string, stream: FrameStream): void {
    const wasUp = this.stream === stream;
    this.stream = null;
    this.#dialled = null;
    if (wasUp) {
      this.#env.log.warn({ peer: refKey(this.member), reason }, 'link down');
      this.#handlers.onDown(this, reason);
      this.#onBroken(stream);
    }
    this.leavingHeard = 0;
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
  /** Our own connection on which its requests were answered: when that breaks, answers may be lost. */
  answeredOn: FrameStream | null;
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
      const nextSession = (): number => ++this.#session;
      const onBroken = (stream: FrameStream): void => this.#onBroken(member, stream);
      const peer = new Peer(this.#env, member, this.#handlers, { nextSession, onBroken });
      this.#peers.set(key, peer);
    }
  }

  /** Our connection to a peer broke. If it carried answers, the peer must ask on a new one. */
  #onBroken(from: NodeRef, stream: FrameStream): void {
    const incoming = this.#incoming.get(from.node);
    if (incoming?.answeredOn === stream) incoming.stream.close('the other direction broke');
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
    for (const { from, stream } of this.#incoming.values()) {
      // Said on both connections where there are two, and believed when both have said it: answers may
      // be on either.
      const ways = new Set([stream, this.answerStream(from, stream)]);
      for (const way of ways) {
        way.begin(FrameType.Leaving).u8(ways.size);
        way.end();
      }
    }
  }

  /** Where to answer what came on `incoming`: our own connection to that peer, if it stands. */
  answerStream(to: NodeRef, incoming: FrameStream): FrameStream {
    const own = this.get(to)?.stream ?? null;
    const asked = this.#incoming.get(to.node);
    if (own !== null && asked?.stream === incoming) asked.answeredOn = own;
    return own ?? incoming;
  }

  accept(connection: Connection): void {
    if (this.#strangers.size >= STRANGERS_MAX) return connection.destroy();
    let incoming: Incoming | null = null;
    const stream: FrameStream = new FrameStream(this.#env, connection, {
      onFrame: (frame) => {
        if (incoming !== null)
          return receive(this.#env, this.#handlers, incoming.from, frame, stream);
        this.#strangers.delete(stream);
        incoming = this.#greet(frame, stream);
        return true;
      },
      onClose: () => {
        this.#strangers.delete(stream);
        if (incoming !== null && this.#incoming.get(incoming.from.node) === incoming) {
          this.#incoming.delete(incoming.from.node);
          // Answers of that peer to us may be lost with it.
          this.get(incoming.from)?.stream?.close('the other direction broke');
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
    const incoming = { from: hello.from, session: hello.session, stream, answeredOn: null };
    this.#incoming.set(hello.from.node, incoming);
    older?.stream.close('replaced by a newer session');
    stream.trust();
    stream.begin(FrameType.HelloAck).u53(this.#handlers.lastSeqFrom(hello.from));
    stream.end();
    return incoming;
  }

  #tick(): void {
    for (const peer of this.#peers.values()) peer.tick();
    for (const { stream } of this.#incoming.values()) stream.tick();
    for (const stream of this.#strangers) stream.tick();
  }
}

const STRANGERS_MAX = 64;

/** Frames that mean something whatever view they were sent in; all others wait for a newer view. */
const WITHOUT_VIEW: ReadonlySet<FrameType> = new Set([
  FrameType.Heartbeat,
  FrameType.ViewNews,
  FrameType.RunReply,
  FrameType.CallReply,
  FrameType.Leaving,
]);

/** False: not now, see FrameStream. */
function receive(
  env: LinkEnv,
  handlers: PeerHandlers,
  from: NodeRef,
  frame: FrameReader,
  stream: FrameStream,
): boolean {
  if (frame.epoch > env.epoch() && frame.type !== FrameType.ViewNews) {
    handlers.onNewerEpoch(frame.epoch);
    if (!WITHOUT_VIEW.has(frame.type)) return false;
  }
  handlers.onFrame(from, frame, stream);
  return true;
}
