/**
 * All links of this node: dials every member, accepts their dials, and tells the layers above which
 * peers are reachable and what their heartbeats say.
 */
import type { Connection } from '../platform/transport.ts';
import type { TimerHandle } from '../platform/clock.ts';
import type { Member, NodeRef } from '../storage/postgres/store.ts';
import {
  commonVersion,
  FrameStream,
  type Hello,
  type LinkEnv,
  readHello,
  readHelloHead,
  refuseHead,
  refuseHello,
  writeHello,
} from './link.ts';
import { refKey, sameRef } from './view.ts';
import { FrameError, type FrameReader, FrameType } from './wire.ts';

/** Append only: bits on the wire. */
export const HeartbeatFlag = {
  /** No lease: it answers no linearizable reads. */
  Leaseless: 1,
  /** It learns nothing (any more) in the view of this frame, and its links to all members work. */
  Filled: 2,
} as const;

export interface PeerHandlers {
  /** A frame of a peer, of a view that is not newer than ours; `stream` is what it came on. */
  onFrame(from: NodeRef, frame: FrameReader, stream: FrameStream): void;
  /** The link to `peer` works (again). `lastSeq`: the last of our effects that it has, in our epoch. */
  onUp(peer: Peer, lastSeq: number): void;
  onDown(peer: Peer, reason: string): void;
  /** A connection to or from some node was agreed on: what waits for links may look again. */
  onLinked(): void;
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
  /** Why it refused the last link, in its own words; null: it did not. */
  refusal: string | null = null;
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
    const { platform, times, log, self, versions, clusterId } = this.#env;
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
      const session = this.#nextSession();
      writeHello(stream, { versions, clusterId, from: self, to: this.member, session });
    } catch (error) {
      log.debug({ peer: this.member.node, err: error }, 'a peer could not be dialled');
      this.#redial();
    }
  }

  /** Connected, Hello sent, not yet answered. */
  #dialled: FrameStream | null = null;

  /** What needs heartbeats: the link, or what may become it. */
  get liveStream(): FrameStream | null {
    return this.stream ?? this.#dialled;
  }

  #onFrame(frame: FrameReader, stream: FrameStream): boolean {
    if (stream === this.#dialled) {
      if (frame.type === FrameType.HelloRefused) {
        this.#sayRefused(frame.str());
        stream.close('refused by the peer');
        return true;
      }
      // It may not have read the Hello yet.
      if (frame.type === FrameType.Heartbeat) return true;
      if (frame.type !== FrameType.HelloAck) throw new FrameError('no answer to a Hello');
      this.#dialled = null;
      this.stream = stream;
      this.refusal = null;
      stream.version = frame.u8();
      stream.trust();
      this.#redialMs = REDIAL_FIRST_MS;
      this.#env.log.info({ peer: refKey(this.member), version: stream.version }, 'link up');
      this.#handlers.onUp(this, frame.epoch === this.#env.epoch() ? frame.u53() : 0);
      this.#handlers.onLinked();
      return true;
    }
    return receive(this.#env, this.#handlers, this.member, frame, stream);
  }

  /** Once a reason: it is dialled again and again. */
  #sayRefused(reason: string): void {
    if (this.refusal !== reason) {
      this.#env.log.warn({ peer: refKey(this.member), reason }, 'a peer refused the link');
    }
    this.refusal = reason;
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
    this.#timer = this.#env.platform.timers.after(delay, () => {
      this.#timer = null;
      void this.#dial();
    });
  }

  /** Does not wait for the next attempt, if it waits for one. */
  redialNow(): void {
    if (this.#timer === null || this.#stopped) return;
    this.#timer.cancel();
    this.#timer = null;
    this.#redialMs = REDIAL_FIRST_MS;
    void this.#dial();
  }
}

interface Incoming {
  readonly from: Member;
  readonly session: number;
  readonly stream: FrameStream;
  /** Our own connection on which its requests were answered: when that breaks, answers may be lost. */
  answeredOn: FrameStream | null;
}

export class Peers {
  readonly #env: LinkEnv;
  readonly #handlers: PeerHandlers;
  readonly #peers = new Map<string, Peer>();
  /**
   * Nodes that are no members and have dialled this one: dialled back, so that they know before they
   * join that their links work both ways.
   */
  readonly #guests = new Map<string, Peer>();
  /** By node id: a new life of a node replaces its older one. */
  readonly #incoming = new Map<string, Incoming>();
  /** Accepted connections that have not said Hello; bounded. */
  readonly #strangers = new Set<FrameStream>();
  #session = 0;
  readonly #ticker: TimerHandle;
  #tickedAtMs: number;
  /** What a Peer tells: only what members do concerns those above. */
  readonly #ofPeers: PeerHandlers;

  constructor(env: LinkEnv, handlers: PeerHandlers) {
    this.#env = env;
    this.#handlers = handlers;
    this.#ofPeers = {
      ...handlers,
      onUp: (peer, lastSeq) => {
        if (!this.#isGuest(peer)) handlers.onUp(peer, lastSeq);
      },
      onDown: (peer, reason) => {
        if (!this.#isGuest(peer)) handlers.onDown(peer, reason);
      },
    };
    this.#tickedAtMs = env.platform.clock.monotonicMs();
    const periodMs = env.times.heartbeatMs / 2;
    this.#ticker = env.platform.timers.every(periodMs, () => this.#tick());
  }

  /**
   * Dials those that are new in `members` and drops the links to everybody else. In this order: whoever is
   * told that a link is gone may begin a write at once, and its stream to a new member must find that one's
   * link. A guest's link is up already, so nothing would hand it to that stream later.
   */
  setMembers(members: readonly Member[]): void {
    const wanted = new Map(members.map((member) => [refKey(member), member]));
    wanted.delete(refKey(this.#env.self));
    for (const [key, member] of wanted) {
      // A view is news: what a peer refused or could not do before, it may do now.
      this.#peers.get(key)?.redialNow();
      if (this.#peers.has(key)) continue;
      this.#peers.set(key, this.#guests.get(key) ?? this.#dial(member));
      this.#guests.delete(key);
    }
    for (const [key, peer] of this.#peers) {
      if (wanted.has(key)) continue;
      this.#peers.delete(key);
      peer.stop('no longer a member');
    }
    for (const { from, stream } of this.#incoming.values()) {
      if (this.#handlers.isGone(from)) stream.close('no longer a member');
    }
  }

  #isGuest(peer: Peer): boolean {
    return this.#guests.get(refKey(peer.member)) === peer;
  }

  #dial(member: Member): Peer {
    const nextSession = (): number => ++this.#session;
    const onBroken = (stream: FrameStream): void => this.#onBroken(member, stream);
    return new Peer(this.#env, member, this.#ofPeers, { nextSession, onBroken });
  }

  /**
   * When a byte was last heard from this life of a node on the quieter one of the two connections,
   * monotonic milliseconds; null when one of them is missing.
   */
  heardAtMs(ref: NodeRef): number | null {
    const own = this.get(ref)?.stream ?? null;
    const incoming = this.#incoming.get(ref.node);
    if (own === null || incoming === undefined || !sameRef(incoming.from, ref)) return null;
    return Math.min(own.heardAtMs, incoming.stream.heardAtMs);
  }

  /** What the links to a life of a node lack, for people; null: both connections stand. */
  missingLink(ref: NodeRef): string | null {
    const peer = this.get(ref);
    if (peer === undefined || !peer.up) {
      const refusal = peer?.refusal ?? null;
      return refusal === null
        ? `no link to ${ref.node}`
        : `${ref.node} refused the link: ${refusal}`;
    }
    const incoming = this.#incoming.get(ref.node);
    const stands = incoming !== undefined && sameRef(incoming.from, ref);
    return stands ? null : `no link from ${ref.node}: it may not reach this node's link port`;
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
    for (const peers of [this.#peers, this.#guests]) {
      for (const peer of peers.values()) peer.stream?.resume();
    }
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
        way.flush();
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
          this.#dismiss(incoming.from);
          // Answers of that peer to us may be lost with it.
          this.get(incoming.from)?.stream?.close('the other direction broke');
        }
      },
    });
    this.#strangers.add(stream);
  }

  stop(): void {
    this.#ticker.cancel();
    for (const peers of [this.#peers, this.#guests]) {
      for (const peer of peers.values()) peer.stop('this node is stopping');
      peers.clear();
    }
    for (const { stream } of this.#incoming.values()) stream.close('this node is stopping');
    for (const stream of this.#strangers) stream.close('this node is stopping');
    this.#incoming.clear();
  }

  #greet(frame: FrameReader, stream: FrameStream): Incoming | null {
    if (frame.type !== FrameType.Hello) {
      stream.close('the first frame is no Hello');
      return null;
    }
    const head = readHelloHead(frame);
    const refusedHead = refuseHead(head, this.#env);
    if (refusedHead !== null) return this.#refuse(stream, 'a node', refusedHead);
    const hello = readHello(frame, head);
    const older = this.#incoming.get(hello.from.node);
    const refusal = this.#refusalOf(hello, older);
    if (refusal !== null) return this.#refuse(stream, refKey(hello.from), refusal);
    const incoming = { from: hello.from, session: hello.session, stream, answeredOn: null };
    this.#incoming.set(hello.from.node, incoming);
    older?.stream.close('replaced by a newer session');
    if (older !== undefined && !sameRef(older.from, hello.from)) this.#dismiss(older.from);
    const version = commonVersion(hello.versions, this.#env.versions)!;
    stream.version = version;
    stream.trust();
    const writer = stream.begin(FrameType.HelloAck);
    writer.u8(version);
    writer.u53(this.#handlers.lastSeqFrom(hello.from));
    stream.end();
    const key = refKey(hello.from);
    if (!this.#peers.has(key) && !this.#guests.has(key)) {
      this.#guests.set(key, this.#dial(hello.from));
    }
    this.#handlers.onLinked();
    return incoming;
  }

  #refusalOf(hello: Hello, older: Incoming | undefined): string | null {
    const refusal = refuseHello(hello, this.#env.self);
    if (refusal !== null) return refusal;
    if (older !== undefined && sameRef(older.from, hello.from) && older.session >= hello.session) {
      return 'an older session than the one in use';
    }
    return this.#handlers.isGone(hello.from)
      ? 'another life of this node is a member, or this one was removed'
      : null;
  }

  #refuse(stream: FrameStream, from: string, reason: string): null {
    this.#env.log.warn({ from, reason }, 'a link was refused');
    stream.refuse(reason);
    return null;
  }

  /** A node that is no member, and is not linked any more, is not dialled any more either. */
  #dismiss(ref: NodeRef): void {
    const key = refKey(ref);
    this.#guests.get(key)?.stop('it is gone');
    this.#guests.delete(key);
  }

  #tick(): void {
    const now = this.#env.platform.clock.monotonicMs();
    const lateMs = now - this.#tickedAtMs - this.#env.times.heartbeatMs / 2;
    this.#tickedAtMs = now;
    for (const stream of this.#streams()) {
      // After standing still itself, a node has not read yet what the others sent meanwhile.
      if (lateMs > this.#env.times.heartbeatMs) stream.forgive(lateMs);
      stream.tick();
    }
  }

  #streams(): FrameStream[] {
    const streams = [...this.#strangers];
    for (const peers of [this.#peers, this.#guests]) {
      for (const peer of peers.values())
        if (peer.liveStream !== null) streams.push(peer.liveStream);
    }
    for (const { stream } of this.#incoming.values()) streams.push(stream);
    return streams;
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
