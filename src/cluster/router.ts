/**
 * The coordinator: brings each command of a client to where its keys are, and its reply back.
 *
 * A read whose keys are here and clean is answered at once. Everything else goes to the primary: this
 * node's engine, or another node's over its link. Commands of one client on one slot keep their order
 * (`Chain`), replies and retries included:
 * - while one of them is open, later ones on its slot follow it to the primary, reads too (schedule
 *   pipelined-read-own-write);
 * - on the local primary a command follows as soon as the one before has executed; to another node
 *   those of one turn travel as one run, and the next run waits for its replies;
 * - a command that comes back as not done is tried again, and with it all that came after it, except
 *   writes that are done.
 * A command over several slots waits for all before it, and all after it wait for it.
 */
import type { Platform } from '../platform/platform.ts';
import type { TimerHandle } from '../platform/clock.ts';
import type { NodeRef } from '../storage/postgres/store.ts';
import { ReplyError } from '../errors.ts';
import { encodeError } from '../resp/reply.ts';
import { MANY_SLOTS, type Prepared } from './execute.ts';
import { type DirectReadBatch, LocalReads, type LocalReadsEnv } from './local-reads.ts';
import { Numbered } from './numbered.ts';
import type { Peer, Peers } from './peers.ts';
import {
  commandBytes,
  RUN_BYTES_MAX,
  type RunReply,
  TOO_LONG_TO_FORWARD,
  writeRun,
} from './runs.ts';
import { slotOf } from './slot.ts';
import { Task } from './task.ts';
import { refKey, sameRef } from './view.ts';

/** One command of a client. `done` is called once, unless `submit` returned the reply. */
export interface ClientCall {
  readonly prepared: Prepared;
  readonly order: object;
  done(reply: string): void;
}

export interface RouterEnv extends LocalReadsEnv {
  readonly platform: Platform;
  readonly self: NodeRef;
  readonly peers: Peers;
  readonly requestTimeoutMs: number;
  epoch(): number;
}

const RETRY_MS = 15;
const SWEEP_MS = 50;
/**
 * How long after its time a call in the local engine is answered from here. The engine knows better
 * what became of most of them; this bounds what waits there for something else's end.
 */
const LOCAL_GRACE_MS = 150;
/** Rounds of a read over several primaries before it takes holds. */
const ROUNDS_MAX = 6;
/** Commands in one frame. */
const RUN_MAX = 1000;

const NOT_DONE = encodeError(
  new ReplyError(
    'NOTDONE',
    'the primary of the key could not be reached in time; nothing was changed',
  ),
);
const UNKNOWN = encodeError(
  new ReplyError(
    'UNKNOWN',
    'outcome unknown: the primary was lost after the write was sent; it may or may not have been applied',
  ),
);
const OVERDUE = encodeError(
  new ReplyError(
    'UNKNOWN',
    'outcome unknown: the write was not confirmed in time; it may or may not have been applied',
  ),
);
const JOINING = encodeError(new ReplyError('LOADING', 'Ringfence is joining the cluster'));
const PEER_CONGESTED = encodeError(
  new ReplyError('BUSY', 'too much is waiting for the primary of the key; nothing was changed'),
);

/**
 * The chains of a client by slot. Most clients have one at a time, which costs no map; and a map is given
 * up when it is empty, for the reason that `numbered.ts` gives.
 */
class Chains {
  #only: Chain | null = null;
  #more: Map<number, Chain> | null = null;

  get(slot: number): Chain | undefined {
    if (this.#only?.slot === slot) return this.#only;
    return this.#more?.get(slot);
  }

  add(chain: Chain): void {
    if (this.#only === null) this.#only = chain;
    else (this.#more ??= new Map()).set(chain.slot, chain);
  }

  /** Does nothing when it is not this one that has its slot. */
  remove(chain: Chain): void {
    if (this.#only === chain) this.#only = null;
    else if (this.#more !== null && this.#more.get(chain.slot) === chain) {
      this.#more.delete(chain.slot);
      if (this.#more.size === 0) this.#more = null;
    }
  }
}

/** One client connection: what of it is open, by slot. */
export class Order {
  readonly chains = new Chains();
  /** Calls not yet answered, in chains or as `several`. */
  open = 0;
  /** A command over several slots is under way. */
  several = false;
  /** What waits for it, or is one that waits for the rest. */
  queue: Routed[] = [];
}

/** Who gets a reply: a client's call, or what puts parts together. */
interface ReplySink {
  done(reply: string, versions: string): void;
}

/** A call between its arrival and its reply. */
class Routed extends Task {
  readonly order: Order;
  readonly #router: Router;
  readonly #sink: ReplySink;
  chain: Chain | null = null;
  state: 'open' | 'replied' | 'notDone' = 'open';
  reply = '';
  versions = '';
  /** Number of the run it was last sent in: an answer of an earlier one is not for this try. */
  run = 0;
  /** Where it is among the calls in this node's engine; -1: it is not. */
  place = -1;

  constructor(
    router: Router,
    order: Order,
    prepared: Prepared,
    deadlineMs: number,
    wantVersions: boolean,
    sink: ReplySink,
  ) {
    super(prepared, deadlineMs, wantVersions);
    this.#router = router;
    this.order = order;
    this.#sink = sink;
  }

  override onExecuted(): void {
    this.chain?.pump();
  }

  override onReply(reply: string, versions: string): void {
    if (this.state !== 'open') return;
    this.state = 'replied';
    this.reply = reply;
    this.versions = versions;
    this.#router.onSettled(this);
  }

  override onNotDone(): void {
    if (this.state !== 'open') return;
    this.state = 'notDone';
    this.#router.onSettled(this);
  }

  /** Ready for another try. */
  reopen(): void {
    this.state = 'open';
    this.executed = false;
    this.epoch = 0;
  }

  /** `submit` has not returned yet: it returns the reply itself. */
  inSubmit = false;
  delivered = false;

  deliver(): void {
    this.delivered = true;
    if (!this.inSubmit) this.#sink.done(this.reply, this.versions);
  }
}

/** Open calls of one client on one slot, oldest first. */
class Chain {
  readonly slot: number;
  readonly order: Order;
  readonly #router: Router;
  /** Submitted, oldest first. */
  open: Routed[] = [];
  waiting: Routed[] = [];
  /** One came back as not done: nothing is submitted until all have come back. */
  broken = false;
  /** The calls in `open` that leave as one run at the end of this turn. */
  run: Routed[] | null = null;
  runBytes = 0;
  #pumping = false;

  constructor(router: Router, order: Order, slot: number) {
    this.#router = router;
    this.order = order;
    this.slot = slot;
  }

  add(routed: Routed): void {
    routed.chain = this;
    this.waiting.push(routed);
    this.pump();
  }

  /** Submits what may go. */
  pump(): void {
    // A command that runs at once calls this again: the loop further up goes on with the next one, as
    // a long pipeline would else end in a stack overflow.
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.waiting.length > 0 && this.#mayFollow()) {
      const routed = this.waiting.shift()!;
      this.open.push(routed);
      this.#router.dispatch(this, routed);
    }
    this.#pumping = false;
  }

  #mayFollow(): boolean {
    if (this.broken) return false;
    const last = this.open.at(-1);
    if (last === undefined) return true;
    if (this.run !== null) {
      const bytes = this.runBytes + commandBytes(this.waiting[0]!.prepared);
      return this.run.length < RUN_MAX && bytes <= RUN_BYTES_MAX;
    }
    // Begun in an older view and still undecided: it may come back as not done, and must go first then.
    if (this.open[0]!.epoch !== this.#router.epoch) return false;
    // Behind a command in the local engine: as soon as that has run.
    return (last.executed || last.state === 'replied') && this.#router.isLocal(this.slot);
  }

  /** Hands out replies in order; true when nothing is open any more. */
  release(): boolean {
    while (this.open.length > 0 && this.open[0]!.state === 'replied') {
      const routed = this.open.shift()!;
      this.order.open--;
      routed.deliver();
    }
    return this.open.length === 0;
  }

  /** All have come back and some are not done: these, and the reads after them, start again. */
  retries(): Routed[] {
    return this.open.filter((routed) => routed.state === 'notDone' || !routed.prepared.writes);
  }

  /** Everything open is submitted again in its order; writes that are done only keep their place. */
  restart(): void {
    this.broken = false;
    this.waiting = this.open.concat(this.waiting);
    this.open = [];
    this.pump();
  }
}

interface SentRun {
  readonly run: number;
  readonly peer: Peer;
  readonly calls: readonly Routed[];
  left: number;
}

export class Router {
  readonly #env: RouterEnv;
  readonly #reads: LocalReads;
  readonly #runs = new Numbered<SentRun>();
  /** Calls in this node's engine, in no particular order. */
  readonly #local: Routed[] = [];
  #lastRun = 0;
  #unsent: { chain: Chain; calls: Routed[]; peer: Peer }[] = [];
  #flushScheduled = false;
  readonly #sweeper: TimerHandle;
  #stopped = false;

  constructor(env: RouterEnv) {
    this.#env = env;
    this.#reads = new LocalReads(env);
    this.#sweeper = env.platform.timers.every(SWEEP_MS, () => this.#sweep());
  }

  /** The reply, if there is one at once; else undefined, and `call.done` gets it. */
  submit(call: ClientCall): string | undefined {
    const { prepared } = call;
    const order = call.order as Order;
    if (!prepared.writes && this.#nothingBefore(order, prepared.slot)) {
      const reply = this.#reads.run(prepared);
      if (reply !== undefined) return reply;
    }
    if (this.#env.slots.primaryOf(prepared.slot === MANY_SLOTS ? 0 : prepared.slot) === undefined)
      return JOINING;
    const deadlineMs = this.#env.platform.clock.monotonicMs() + this.#env.requestTimeoutMs;
    const routed = new Routed(this, order, prepared, deadlineMs, false, call);
    routed.inSubmit = true;
    this.#begin(routed);
    routed.inSubmit = false;
    return routed.delivered ? routed.reply : undefined;
  }

  #nothingBefore(order: Order, slot: number): boolean {
    if (order.open === 0) return true;
    return (
      slot !== MANY_SLOTS &&
      !order.several &&
      order.queue.length === 0 &&
      order.chains.get(slot) === undefined
    );
  }

  /**
   * Copies the replies of direct reads to their output, as long as they can be answered here, and if nothing of this client
   * is open. Returns how many were answered; nothing was done about the others, which have to be submitted.
   */
  readDirectly(order: object, batch: DirectReadBatch): number {
    return (order as Order).open === 0 ? this.#reads.copy(batch) : 0;
  }

  // ---------------------------------------------------------------- order

  #begin(routed: Routed): void {
    const { order } = routed;
    order.open++;
    if (order.several || order.queue.length > 0) order.queue.push(routed);
    else if (routed.prepared.slot === MANY_SLOTS) this.#beginSeveral(routed);
    else this.#beginSingle(routed);
  }

  #beginSingle(routed: Routed): void {
    const { order, prepared } = routed;
    const running = order.chains.get(prepared.slot);
    if (running !== undefined) return running.add(routed);
    const chain = new Chain(this, order, prepared.slot);
    order.chains.add(chain);
    chain.add(routed);
  }

  #beginSeveral(routed: Routed): void {
    const { order } = routed;
    // It is itself the one that is open.
    if (order.open - order.queue.length > 1) {
      order.queue.push(routed);
      return;
    }
    order.several = true;
    this.#dispatchSeveral(routed);
  }

  /** Something was answered: what waits for everything before it may go. */
  #next(order: Order): void {
    while (order.queue.length > 0 && !order.several) {
      const first = order.queue[0]!;
      const single = first.prepared.slot !== MANY_SLOTS;
      if (!single && order.open > order.queue.length) return;
      order.queue.shift();
      if (single) {
        this.#beginSingle(first);
      } else {
        order.several = true;
        this.#dispatchSeveral(first);
      }
    }
  }

  /** A call has its reply, or came back as not done. */
  onSettled(routed: Routed): void {
    const { chain } = routed;
    this.#leaveEngine(routed);
    if (chain === null) return this.#onSeveralSettled(routed);
    if (routed.state === 'notDone') chain.broken = true;
    if (chain.broken) {
      chain.release();
      if (chain.open.some((call) => call.state === 'open')) return;
      return this.#retry(chain);
    }
    this.#afterRelease(chain);
  }

  #afterRelease(chain: Chain): void {
    const { order } = chain;
    if (!chain.release()) return;
    while (chain.waiting.length > 0) {
      chain.pump();
      // What comes next may have its reply already: a write that was done before its chain was retried.
      if (chain.open[0]?.state !== 'replied' || !chain.release()) break;
    }
    const idle = chain.open.length === 0 && chain.waiting.length === 0;
    if (idle) order.chains.remove(chain);
    this.#next(order);
  }

  #onSeveralSettled(routed: Routed): void {
    if (routed.state === 'notDone') {
      const again = (): void => {
        routed.reopen();
        this.#dispatchSeveral(routed);
      };
      const giveUp = (): void => {
        routed.reopen();
        routed.onReply(NOT_DONE, '');
      };
      return this.#later([routed], again, giveUp);
    }
    const { order } = routed;
    order.several = false;
    order.open--;
    routed.deliver();
    this.#next(order);
  }

  #retry(chain: Chain): void {
    const retries = chain.retries();
    const again = (): void => {
      for (const routed of retries) routed.reopen();
      chain.restart();
      this.#afterRelease(chain);
    };
    const giveUp = (): void => {
      chain.broken = false;
      for (const routed of retries) {
        routed.reopen();
        routed.onReply(NOT_DONE, '');
      }
    };
    this.#later(retries, again, giveUp);
  }

  /** Tries again after a moment, or gives up when nobody waits any more. */
  #later(calls: readonly Routed[], again: () => void, giveUp: () => void): void {
    const now = this.#env.platform.clock.monotonicMs();
    if (this.#stopped || calls.every((call) => call.deadlineMs <= now + RETRY_MS)) return giveUp();
    this.#env.platform.timers.after(RETRY_MS, this.#stopped ? giveUp : again);
  }

  // ---------------------------------------------------------------- to the primary

  get epoch(): number {
    return this.#env.epoch();
  }

  isLocal(slot: number): boolean {
    return this.#env.slots.isPrimary(slot);
  }

  /** Sends a call of a chain to its primary. */
  dispatch(chain: Chain, routed: Routed): void {
    // A write that was done before its chain was retried: its reply only takes its place.
    if (routed.state === 'replied') return;
    routed.epoch = this.epoch;
    const primary = this.#env.slots.primaryOf(chain.slot);
    if (primary === undefined) return routed.onNotDone();
    if (sameRef(primary, this.#env.self)) return this.#toEngine(routed);
    const bytes = commandBytes(routed.prepared);
    if (bytes > RUN_BYTES_MAX) return routed.onReply(TOO_LONG_TO_FORWARD, '');
    if (chain.run !== null) {
      chain.run.push(routed);
      chain.runBytes += bytes;
      return;
    }
    const peer = this.#env.peers.get(primary);
    if (peer?.stream === null || peer === undefined || peer.leaving) return routed.onNotDone();
    if (peer.stream.congested) return routed.onReply(PEER_CONGESTED, '');
    chain.run = [routed];
    chain.runBytes = bytes;
    this.#sendAtTurnEnd(chain, chain.run, peer);
  }

  #toEngine(routed: Routed): void {
    routed.place = this.#local.push(routed) - 1;
    this.#env.engine.submit(routed);
  }

  #leaveEngine(routed: Routed): void {
    if (routed.place < 0) return;
    const last = this.#local.pop()!;
    if (last !== routed) {
      this.#local[routed.place] = last;
      last.place = routed.place;
    }
    routed.place = -1;
  }

  #sendAtTurnEnd(chain: Chain, calls: Routed[], peer: Peer): void {
    this.#unsent.push({ chain, calls, peer });
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    this.#env.platform.timers.turnEnd(() => {
      this.#flushScheduled = false;
      const unsent = this.#unsent;
      this.#unsent = [];
      for (const run of unsent) {
        run.chain.run = null;
        this.#send(run.peer, run.calls);
      }
    });
  }

  #send(peer: Peer, calls: readonly Routed[]): void {
    if (peer.stream === null || peer.leaving) {
      for (const call of calls) call.onNotDone();
      return;
    }
    const run = ++this.#lastRun;
    this.#runs.add(run, { run, peer, calls, left: calls.length });
    for (const call of calls) call.run = run;
    const leftMs = calls[0]!.deadlineMs - this.#env.platform.clock.monotonicMs();
    writeRun(peer.stream, run, calls, leftMs);
  }

  onRunReply({ run, index, done, reply, versions }: RunReply): void {
    const sent = this.#runs.get(run);
    const call = sent?.calls[index];
    if (sent === undefined || call === undefined) return;
    if (--sent.left === 0) this.#runs.delete(run);
    if (call.run !== run) return;
    if (done) call.onReply(reply, versions);
    else call.onNotDone();
  }

  /** The link broke: what was sent may have run. */
  onDown(peer: Peer): void {
    for (const call of this.#takeRunsTo(peer)) {
      if (call.prepared.writes) call.onReply(UNKNOWN, '');
      else call.onNotDone();
    }
  }

  /** It runs nothing any more: what it has not answered was not run. */
  onLeaving(peer: Peer): void {
    peer.leaving = true;
    for (const call of this.#takeRunsTo(peer)) call.onNotDone();
  }

  #takeRunsTo(peer: Peer): Routed[] {
    const open: Routed[] = [];
    const lost = [...this.#runs.values()].filter((sent) => sent.peer === peer);
    for (const { run, calls } of lost) {
      this.#runs.delete(run);
      for (const call of calls) if (call.state === 'open') open.push(call);
    }
    return open;
  }

  // ---------------------------------------------------------------- several slots

  #dispatchSeveral(routed: Routed): void {
    const { prepared } = routed;
    const primaries = new Map<string, number[]>();
    prepared.keys.forEach((key, position) => {
      const primary = this.#env.slots.primaryOf(slotOf(key));
      const id = primary === undefined ? '' : refKey(primary);
      const positions = primaries.get(id);
      if (positions === undefined) primaries.set(id, [position]);
      else positions.push(position);
    });
    if (primaries.has('')) return routed.onNotDone();
    if (primaries.size === 1 || prepared.spread === 'transaction') this.#toLeader(routed);
    else this.#collect(routed, [...primaries.values()], '', ROUNDS_MAX);
  }

  /** To the primary of the first key, which runs it alone or leads a transaction. */
  #toLeader(routed: Routed): void {
    const leader = this.#env.slots.primaryOf(slotOf(routed.prepared.keys[0]!))!;
    if (sameRef(leader, this.#env.self)) return this.#toEngine(routed);
    if (commandBytes(routed.prepared) > RUN_BYTES_MAX)
      return routed.onReply(TOO_LONG_TO_FORWARD, '');
    const peer = this.#env.peers.get(leader);
    if (peer?.stream === null || peer === undefined || peer.leaving) return routed.onNotDone();
    if (peer.stream.congested) return routed.onReply(PEER_CONGESTED, '');
    this.#send(peer, [routed]);
  }

  /** Reads until two rounds agree: then there was a moment at which all values stood together. */
  #collect(routed: Routed, parts: readonly number[][], before: string, rounds: number): void {
    if (rounds === 0) return this.#toLeader(routed);
    this.#askParts(routed, parts, (answers) => {
      const failed = answers.find(({ reply }) => reply.startsWith('-'));
      if (failed !== undefined) return routed.onReply(failed.reply, '');
      const versions = answers.map((answer) => answer.versions).join('|');
      if (versions !== before) return this.#collect(routed, parts, versions, rounds - 1);
      const replies = answers.map(({ reply }, i) => ({ positions: parts[i]!, reply }));
      routed.onReply(routed.prepared.merge(replies), versions);
    });
  }

  #askParts(
    whole: Routed,
    parts: readonly number[][],
    then: (answers: { reply: string; versions: string }[]) => void,
  ): void {
    const answers = new Array<{ reply: string; versions: string }>(parts.length);
    let left = parts.length;
    parts.forEach((positions, i) => {
      const part = whole.prepared.part(positions);
      const done = (reply: string, versions: string): void => {
        answers[i] = { reply, versions };
        if (--left === 0) then(answers);
      };
      this.#begin(new Routed(this, new Order(), part, whole.deadlineMs, true, { done }));
    });
  }

  // ---------------------------------------------------------------- time

  #sweep(): void {
    const now = this.#env.platform.clock.monotonicMs();
    for (const call of [...this.#local]) {
      if (call.deadlineMs + LOCAL_GRACE_MS > now) continue;
      call.onReply(call.prepared.writes ? OVERDUE : NOT_DONE, '');
    }
    for (const { calls } of this.#runs.values()) {
      // A frame's calls have one deadline; older frames come first, but budgets may differ.
      for (const call of calls) {
        if (call.state !== 'open' || call.deadlineMs > now) continue;
        call.onReply(call.prepared.writes ? UNKNOWN : NOT_DONE, '');
      }
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#sweeper.cancel();
    for (const peer of this.#env.peers.all()) this.onDown(peer);
  }
}
