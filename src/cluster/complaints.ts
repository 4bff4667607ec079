/**
 * Complaints: what becomes of two nodes that both reach the database but not each other. Neither is dead
 * by its lease, and the writes of the slots that they share would wait for ever.
 *
 * - A node complains of a member that it has not heard on both connections, or that has not confirmed
 *   anything, for half a lease. Its renewals carry its complaints, so everybody sees the same
 *   picture in the answers to their own.
 * - The complaint is settled when the other one has renewed three times while it stood, and a heartbeat has passed
 *   after that; what others complain of is known by then, too. Two renewals may have been on their way, or waiting
 *   in the server, since before their node died, and the third is sent only when one of them was answered
 *   (`membership.ts`): so nobody loses his place to a dead node. Who does not renew is dead or paused, and is removed for
 *   that (`membership.ts`) or comes back: a pause shorter than a lease costs nobody his place. After an outage of the
 *   database the counting begins anew: the other one may have died in it.
 * - `loserOf` says which of the two goes. The transaction that ends its right to renew locks both lease
 *   rows, and does nothing when either has lost that right, or the complaint was taken back. So one
 *   pair loses one node. Nodes may differ in what they know of third nodes' complaints, and so in who should go;
 *   then the first transaction decides, and the second finds nothing to settle.
 * - The loser hears of it with its next renewal, a third of a lease later at most, ends its life and gives
 *   its lease up. If it is stuck, its lease runs out. Only then is it removed: as ever, the lease of a
 *   removed node has ended (`slots.ts`).
 *
 * How long that takes, in leases: 1/2 until the complaint stands; 1/3 until the other one has renewed and knows
 * of it, twice 1/12 until it has renewed three times, and 1/12 until that is seen (both renew that often meanwhile); 1/6
 * more, a heartbeat; 1/12 until the loser renews, and 1/12 until it is seen to have given up. That is 1.4. A loser
 * that is stuck by then, a second fault, costs the rest of its lease and the margin instead: 2.3 in all.
 *
 * Rejected: removing the loser at once by a view, with its lease still running. Every primary, and every
 * node that joins later, would have to know which of the removed may still answer reads.
 */
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/logger.ts';
import type { LeaseInfo, Member, NodeRef, Renewal, Settlement } from '../storage/postgres/store.ts';
import type { OutStream } from './out-stream.ts';
import type { Peers } from './peers.ts';
import { hasRef, refKey, sameRef } from './view.ts';

/** Who complains of whom. */
export interface Complaint {
  readonly by: NodeRef;
  readonly about: NodeRef;
}

export interface ComplaintsEnv {
  readonly clock: Clock;
  readonly log: Logger;
  readonly self: NodeRef;
  readonly peers: Peers;
  readonly leaseMs: number;
  /** Everybody in the present view. */
  members(): readonly Member[];
  /** It owns nothing in the present view. */
  isLearner(ref: NodeRef): boolean;
  /** This node's effects for a member; undefined: it gets none. */
  stream(ref: NodeRef): OutStream | undefined;
  /** Renews now, if that is not under way. */
  renew(): void;
  settle(settlement: Settlement): Promise<boolean>;
}

/** What this node has of one member. */
interface Watch {
  /** Monotonic milliseconds at which its links were last seen to work. */
  goodAtMs: number;
  /** Its confirmations when they last moved, or it had none to give. */
  confirmedAtMs: number;
  stream: OutStream | undefined;
  confirmed: number;
  drained: number;
  /** Since when a complaint stands; null: there is none. */
  sinceMs: number | null;
  /** Its counter in the first renewal that carried the complaint; null: none has yet. */
  counter: number | null;
  /** When it was first seen to live after that. */
  movedAtMs: number | null;
}

/** Renewals that show that a node lives: one more than it may have under way at a time. */
const SIGNS_OF_LIFE = 3;

export class Complaints {
  readonly #env: ComplaintsEnv;
  readonly #watches = new Map<string, Watch>();
  #tickedAtMs: number;
  /** The complaints have changed since the last renewal was sent. */
  #unsaid = false;
  #settling = false;
  /** When a renewal was answered last, monotonic milliseconds. */
  #answeredAtMs: number;
  /** Lives that have to do with a complaint, by the last renewal. */
  #troubled = new Set<string>();
  /** Since when it is known that somebody complains of this node, monotonic milliseconds; null: nobody does. */
  #accusedSinceMs: number | null = null;
  /** A settlement was made whose loser is not gone yet. */
  #waitsForLoser = false;

  constructor(env: ComplaintsEnv) {
    this.#env = env;
    this.#tickedAtMs = this.#answeredAtMs = env.clock.monotonicMs();
  }

  /** The members that this node complains of; asked when a renewal is sent. */
  said(): NodeRef[] {
    this.#unsaid = false;
    return this.#standing().map(({ member }) => member);
  }

  /** What this node complains of, for people. */
  reasons(): string[] {
    const now = this.#env.clock.monotonicMs();
    return this.#standing().map(({ member, watch }) => {
      const what = this.#env.peers.missingLink(member) ?? `nothing heard from ${member.node}`;
      return `${what} for ${Math.round(now - watch.goodAtMs)} ms`;
    });
  }

  /** True while somebody complains of this life of a node, or it of somebody. */
  concern(ref: NodeRef): boolean {
    if (this.#troubled.has(refKey(ref))) return true;
    return this.#watches.get(refKey(ref))?.sinceMs != null;
  }

  /** The links between this node and all members work, in both directions. */
  get allLinked(): boolean {
    return this.#others().every((member) => this.isLinked(member));
  }

  isLinked(ref: NodeRef): boolean {
    const heardAtMs = this.#env.peers.heardAtMs(ref);
    return heardAtMs !== null && this.#env.clock.monotonicMs() - heardAtMs < this.#patienceMs;
  }

  /** Looks at all links. To be called every twelfth of a lease. */
  tick(): void {
    const now = this.#env.clock.monotonicMs();
    const lateMs = now - this.#tickedAtMs;
    this.#tickedAtMs = now;
    const others = this.#others();
    const keys = new Set(others.map(refKey));
    for (const key of this.#watches.keys()) if (!keys.has(key)) this.#watches.delete(key);
    for (const member of others) this.#look(member, now, lateMs);
    if (this.#unsaid || this.#isUrgent(now)) this.#env.renew();
  }

  /** The answer to a renewal that carried `said`. */
  onRenewal(renewal: Renewal, said: readonly NodeRef[]): void {
    const members = this.#env.members();
    const infos = renewal.leases.filter((info) => hasRef(members, info));
    const able = infos.filter((info) => !info.expelled && !info.givenUp);
    const standing = complaintsOf(able);
    this.#waitsForLoser = infos.some((info) => info.expelled);
    const now = this.#env.clock.monotonicMs();
    const afterOutage = now - this.#answeredAtMs > this.#patienceMs;
    this.#answeredAtMs = now;
    this.#troubled = new Set(standing.flatMap(({ by, about }) => [refKey(by), refKey(about)]));
    const isAccused = standing.some(({ about }) => sameRef(about, this.#env.self));
    this.#accusedSinceMs = isAccused ? (this.#accusedSinceMs ?? now) : null;
    for (const info of able) {
      const watch = this.#watches.get(refKey(info));
      if (watch === undefined || watch.sinceMs === null || !hasRef(said, info)) continue;
      if (watch.counter === null || afterOutage) {
        watch.counter = info.counter;
        watch.movedAtMs = null;
      }
      if (this.#isDue(watch, info)) void this.#settle(info, standing);
    }
  }

  /** How long a link may be silent, milliseconds. */
  get #patienceMs(): number {
    return this.#env.leaseMs / 2;
  }

  #others(): Member[] {
    return this.#env.members().filter((member) => !sameRef(member, this.#env.self));
  }

  #standing(): { member: Member; watch: Watch }[] {
    return this.#others().flatMap((member) => {
      const watch = this.#watches.get(refKey(member));
      return watch === undefined || watch.sinceMs === null ? [] : [{ member, watch }];
    });
  }

  /** While it matters how soon this node learns of the others' renewals, or they of its own. */
  #isUrgent(now: number): boolean {
    if (this.#waitsForLoser) return true;
    const since = this.#standing().map(({ watch }) => watch.sinceMs!);
    if (this.#accusedSinceMs !== null) since.push(this.#accusedSinceMs);
    return since.some((sinceMs) => now - sinceMs < this.#env.leaseMs);
  }

  #look(member: Member, now: number, lateMs: number): void {
    let watch = this.#watches.get(refKey(member));
    if (watch === undefined) {
      watch = newWatch(now);
      this.#watches.set(refKey(member), watch);
    } else if (lateMs > this.#env.leaseMs / 4) {
      // This node stood still itself, and has not read yet what came meanwhile.
      watch.goodAtMs += lateMs;
      watch.confirmedAtMs += lateMs;
    }
    this.#lookAtConfirmations(watch, member, now);
    const heardAtMs = this.#env.peers.heardAtMs(member);
    const goodAtMs = heardAtMs === null ? watch.goodAtMs : Math.min(heardAtMs, watch.confirmedAtMs);
    watch.goodAtMs = Math.max(watch.goodAtMs, goodAtMs);
    const isBad = now - watch.goodAtMs > this.#patienceMs;
    if (isBad === (watch.sinceMs !== null)) return;
    watch.sinceMs = isBad ? now : null;
    watch.counter = watch.movedAtMs = null;
    this.#unsaid = true;
    if (!isBad) this.#env.log.info({ member: refKey(member) }, 'a complaint is taken back');
    else this.#env.log.warn({ member: refKey(member), reasons: this.reasons() }, 'a complaint');
  }

  /** Sampled, so that nothing is done for it when a confirmation comes. */
  #lookAtConfirmations(watch: Watch, member: Member, now: number): void {
    const stream = this.#env.stream(member);
    const confirmed = stream?.confirmed ?? 0;
    const link = this.#env.peers.get(member)?.stream ?? null;
    const drained = link?.drainedBytes ?? 0;
    const isIdle = stream === undefined || stream.unconfirmed === 0;
    const hasMoved = stream !== watch.stream || confirmed !== watch.confirmed;
    // What is large and still on its way cannot be confirmed yet.
    const isTaking = link !== null && link.bufferedBytes > 0 && drained !== watch.drained;
    if (isIdle || hasMoved || isTaking) watch.confirmedAtMs = now;
    watch.stream = stream;
    watch.confirmed = confirmed;
    watch.drained = drained;
  }

  /**
   * The other one has lived since the complaint was made known, and a heartbeat later it still stands:
   * a paused node that wakes is heard again as soon as it renews.
   */
  #isDue(watch: Watch, info: LeaseInfo): boolean {
    const now = this.#env.clock.monotonicMs();
    if (info.counter >= watch.counter! + SIGNS_OF_LIFE) watch.movedAtMs ??= now;
    return watch.movedAtMs !== null && now - watch.movedAtMs >= this.#env.leaseMs / 6;
  }

  async #settle(about: NodeRef, standing: readonly Complaint[]): Promise<void> {
    if (this.#settling) return;
    this.#settling = true;
    const { self, log } = this.#env;
    try {
      const loser = loserOf([self, about], standing, {
        members: this.#env.members(),
        isLearner: (ref) => this.#env.isLearner(ref),
      });
      const other = sameRef(loser, self) ? about : self;
      const reason = `removed by the other nodes: no working link between ${loser.node} and ${other.node}`;
      const done = await this.#env.settle({ by: self, about, loser, reason });
      if (done) log.warn({ loser: refKey(loser), other: refKey(other) }, 'a complaint is settled');
      this.#env.renew();
    } catch (error) {
      log.warn({ err: error }, 'a complaint could not be settled yet');
    } finally {
      this.#settling = false;
    }
  }
}

function newWatch(now: number): Watch {
  return {
    goodAtMs: now,
    confirmedAtMs: now,
    stream: undefined,
    confirmed: 0,
    drained: 0,
    sinceMs: null,
    counter: null,
    movedAtMs: null,
  };
}

function complaintsOf(infos: readonly LeaseInfo[]): Complaint[] {
  return infos.flatMap((by) =>
    by.complaints.filter((about) => hasRef(infos, about)).map((about) => ({ by, about })),
  );
}

/**
 * Which of two nodes without a working link goes: a learner; else the one that alone is complained of by
 * several; else the one with fewer working links; else the one with the higher id. Whoever has most of the
 * others on its side stays, and there is always an answer.
 */
export function loserOf(
  [a, b]: readonly [NodeRef, NodeRef],
  standing: readonly Complaint[],
  cluster: { readonly members: readonly NodeRef[]; isLearner(ref: NodeRef): boolean },
): NodeRef {
  const higher = a.node > b.node ? a : b;
  const rules = [
    (ref: NodeRef): number => (cluster.isLearner(ref) ? 1 : 0),
    (ref: NodeRef): number => (complainers(ref, standing) > 1 ? 1 : 0),
    (ref: NodeRef): number => brokenLinks(ref, standing, cluster.members),
  ];
  for (const faultOf of rules) {
    const [ofA, ofB] = [faultOf(a), faultOf(b)];
    if (ofA !== ofB) return ofA > ofB ? a : b;
  }
  return higher;
}

function complainers(ref: NodeRef, standing: readonly Complaint[]): number {
  return standing.filter(({ about }) => sameRef(about, ref)).length;
}

/** A link is broken when either side complains of the other. */
function brokenLinks(
  ref: NodeRef,
  standing: readonly Complaint[],
  members: readonly NodeRef[],
): number {
  return members.filter((other) =>
    standing.some(
      ({ by, about }) =>
        (sameRef(by, ref) && sameRef(about, other)) || (sameRef(by, other) && sameRef(about, ref)),
    ),
  ).length;
}
