/**
 * Membership: the lease, the views, and when this node proposes the next one.
 *
 * All that matters is decided in PostgreSQL; this part asks it every third of a lease, and draws
 * conclusions from the answer:
 * - a renewal holds from the moment it was sent, and only once the view it names is adopted here;
 * - another node is dead when its counter has stood still for a whole lease and margin on *this*
 *   node's monotonic clock, while this node renewed without a gap; no clock of another machine
 *   decides (schedule database-clock-steps), and after a database outage everybody
 *   gets the time to renew (database-restart-longer-than-lease). The transaction that removes it
 *   checks the counter again under a lock (renewal-in-flight). A crash of the database may cost renewals
 *   that nobody but their node has seen, and the counter then stands where it stood: so both looks and the
 *   removal must be in one run of the server (renewals-lost);
 * - a refused renewal means that this life of the node is over.
 */
import type { Logger } from '../platform/logger.ts';
import type { Platform } from '../platform/platform.ts';
import { sleep, type TimerHandle } from '../platform/clock.ts';
import {
  type ControlSession,
  type LeaseSession,
  type Member,
  type NodeRef,
  type Renewal,
  type Settlement,
  type Store,
  StoreError,
  type View,
} from '../storage/postgres/store.ts';
import type { Lease } from './lease.ts';
import type { ClusterTime } from './time.ts';
import {
  hasOrphans,
  hasRef,
  isGranted,
  isMoving,
  nextView,
  participants,
  refKey,
  refusalOf,
  sameRef,
  type Wish,
} from './view.ts';

export interface MembershipTimes {
  readonly leaseMs: number;
  readonly marginMs: number;
}

export interface MembershipEnv {
  readonly platform: Platform;
  readonly log: Logger;
  readonly store: Store;
  readonly self: Member;
  readonly lease: Lease;
  readonly time: ClusterTime;
  readonly times: MembershipTimes;
  readonly replicas: number;
  /** If this node founds the cluster, it is its lead. */
  readonly led: boolean;
  /** The highest epoch that earlier lives of this process have seen; 0: none. */
  readonly highestEpoch: number;
  /** This node was told to leave in an earlier life: it joins as one that only forwards. */
  readonly asGuest: boolean;
  /** Takes over the next view; they come in order, without gaps. */
  adopt(view: View): void;
  /** The lease runs (again). */
  onLease(): void;
  /** This life of the node is over: the database does not know it any more. */
  onExpelled(reason: string): void;
  /** A working link to this life of a node. */
  isLinked(ref: NodeRef): boolean;
  /** All learners of the present view have everything. */
  allFilled(): boolean;
  /** A view was made by this node: the others should hear of it at once. */
  announce(view: View): void;
  /** The members that this node complains of; see `complaints.ts`. */
  complaints(): readonly NodeRef[];
  /** A renewal came back that carried `complaints`. */
  onRenewal(renewal: Renewal, complaints: readonly NodeRef[]): void;
}

/** A renewal between its beginning and the end of what its answer sets off. */
interface Attempt {
  /** Null until the session was asked for. */
  opening: Promise<LeaseSession> | null;
  /** It takes long. */
  slow: boolean;
  /** Its session has answered. */
  answered: boolean;
}

interface Observation {
  counter: number;
  /** Monotonic milliseconds since which the counter has stood still, as far as this node knows. */
  sinceMs: number;
}

const REOPEN_MS = 100;
/** How long a wish may take to become a view, and the pause between attempts, milliseconds. */
const GRANT_WITHIN_MS = 10_000;
const GRANT_RETRY_MS = 50;

export class Membership {
  readonly #env: MembershipEnv;
  #view: View | null = null;
  /** Sessions from the moment they are asked for, so that nobody opens a second one meanwhile. */
  #leaseSession: Promise<LeaseSession> | null = null;
  #control: Promise<ControlSession> | null = null;
  readonly #observed = new Map<string, Observation>();
  /** The run of the database server in which all of that was observed. */
  #observedIn: string | null = null;
  #lastAnswerMs = Number.NEGATIVE_INFINITY;
  #last: Renewal | null = null;
  #timer: TimerHandle | null = null;
  /** For a renewal of its own, when somebody's lease must be over. */
  #suspicion: TimerHandle | null = null;
  /** The renewal under way; one at a time, but for the one below. */
  #renewing: Attempt | null = null;
  /** A renewal that took too long: another one was begun on a session of its own. */
  #overtaken: Attempt | null = null;
  /** A session that answers, though slowly: the next renewal that takes too long is overtaken on it. */
  #spare: Promise<LeaseSession> | null = null;
  /** When the newest of the renewals that were answered was sent, monotonic milliseconds. */
  #answeredSentMs = Number.NEGATIVE_INFINITY;
  /** A proposal under way; one at a time. */
  #proposing: Promise<void> | null = null;
  #catchingUp: Promise<void> | null = null;
  #stopped = false;
  /** The last attempt to renew failed because the database could not be asked. */
  storeUnreachable = false;

  constructor(env: MembershipEnv) {
    this.#env = env;
  }

  get view(): View | null {
    return this.#view;
  }

  /** Makes this life known to the database. Rejects when the database refuses it. */
  register(): Promise<void> {
    return this.#env.store.register(this.#env.self);
  }

  /** Starts renewing, and joins. */
  async start(): Promise<void> {
    const { platform, times } = this.#env;
    await this.#renew();
    if (this.#stopped) return;
    this.#timer = platform.timers.every(times.leaseMs / 3, () => void this.#renew());
  }

  /** Renews before it is time to, unless that is under way. */
  renewNow(): void {
    if (this.#timer !== null) void this.#renew();
  }

  settleComplaint(settlement: Settlement): Promise<boolean> {
    return this.#onControl((control) => control.settleComplaint(settlement));
  }

  /** Gives the lease up, so that others need not wait for its end, and ends the sessions. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#suspicion?.cancel();
    this.#env.lease.end();
    try {
      const session = await this.#leaseSession;
      await session?.giveUp();
    } catch (error) {
      this.#env.log.debug({ err: error }, 'the lease could not be given up; it will run out');
    }
    await this.#closeSessions();
  }

  /** Ends the sessions without a word: the lease is gone already. */
  async abandon(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#suspicion?.cancel();
    this.#env.lease.end();
    await this.#closeSessions();
  }

  /** Also what is still being opened: nothing of this life may be left at the database. */
  async #closeSessions(): Promise<void> {
    const overtaken = this.#overtaken?.opening ?? null;
    const sessions = [this.#leaseSession, overtaken, this.#spare, this.#control];
    await Promise.all(sessions.map((session) => this.#close(session)));
  }

  async #close(opening: Promise<LeaseSession | ControlSession> | null): Promise<void> {
    try {
      const session = await opening;
      await session?.close();
    } catch (error) {
      this.#env.log.debug({ err: error }, 'a session that never opened needs no end');
    }
  }

  /** Somebody speaks of a newer view than ours. */
  hearOf(epoch: number): void {
    if (epoch <= this.#epoch || this.#stopped) return;
    this.catchUp().catch((error: unknown) => {
      this.#env.log.warn({ err: error, epoch }, 'a newer view could not be read yet');
    });
  }

  /** A peer handed us a view that is committed. Taken at once when it is the next one. */
  hear(view: View): void {
    if (view.previous === this.#epoch && this.#view !== null && this.#catchingUp === null)
      this.#adopt(view);
    else this.hearOf(view.epoch);
  }

  /** Reads and adopts all views that are newer than ours, in order. */
  catchUp(): Promise<void> {
    this.#catchingUp ??= this.#readViews().finally(() => {
      this.#catchingUp = null;
    });
    return this.#catchingUp;
  }

  /** Looks whether a new view is called for. Called after every renewal, and when a learner is full. */
  async plan(): Promise<void> {
    if (this.#proposing !== null || !this.#mayPropose) return;
    try {
      await this.#proposeAlone(null);
    } catch (error) {
      this.#onProposalFailed(error);
    }
  }

  /**
   * Makes what an operator asks for part of a view, and returns the first view seen in which it is. The
   * hand-over that follows is not waited for. Other nodes may propose at the same time, and the answer
   * of the database may be lost; since a wish names an end, it is then looked up and tried again.
   * Rejects with a StoreError: 'rejected', no view can have it; 'conflict', it is not part of a view;
   * anything else, it may or may not become part of one.
   */
  async grant(wish: Wish): Promise<View> {
    const { clock, timers } = this.#env.platform;
    const deadlineMs = clock.monotonicMs() + GRANT_WITHIN_MS;
    let sureOfNothing = false;
    for (;;) {
      if (this.#view !== null && isGranted(this.#view, wish)) return this.#view;
      if (!this.#mayPropose) {
        const kind = sureOfNothing ? 'unknown' : 'conflict';
        throw new StoreError(kind, 'this node has no lease, so it cannot change the cluster');
      }
      try {
        // Only its end matters here: whoever made that proposal hears of its failure, and acts on it.
        while (this.#proposing !== null) await this.#proposing.catch(() => undefined);
        await this.#proposeAlone(wish);
      } catch (error) {
        const kind = error instanceof StoreError ? error.kind : 'unknown';
        if (kind === 'rejected' || clock.monotonicMs() >= deadlineMs) throw error;
        if (kind !== 'conflict') sureOfNothing = true;
        this.#onProposalFailed(error);
        await sleep(timers, GRANT_RETRY_MS);
        await this.catchUp();
      }
    }
  }

  /** The newest views, newest first. Rejects with a StoreError. */
  history(limit: number): Promise<{ view: View; createdAtMs: number }[]> {
    return this.#onControl((control) => control.history(limit));
  }

  get #mayPropose(): boolean {
    return !this.#stopped && this.#env.lease.valid && this.#last !== null;
  }

  async #proposeAlone(wish: Wish | null): Promise<void> {
    const proposing = this.#propose(wish).finally(() => {
      this.#proposing = null;
    });
    this.#proposing = proposing;
    await proposing;
  }

  get #epoch(): number {
    return this.#view?.epoch ?? 0;
  }

  // ---------------------------------------------------------------- renewing

  async #renew(): Promise<void> {
    if (this.#renewing !== null || this.#stopped) return;
    const attempt: Attempt = { opening: null, slow: false, answered: false };
    this.#renewing = attempt;
    const { lease, platform, times } = this.#env;
    const impatience = platform.timers.after(times.leaseMs / 4, () => this.#overtake(attempt));
    let stamp = lease.stamp();
    try {
      attempt.opening = this.#leaseSession ??=
        this.#takeSpare() ?? this.#env.store.openLease(this.#env.self);
      const session = await attempt.opening;
      // Stopped while it was being opened: a renewal now would undo the lease's end for the others.
      if (this.#stopped) return;
      stamp = lease.stamp();
      const knownEpoch = this.#epoch;
      const complaints = this.#env.complaints();
      const renewal = await session.renew(complaints);
      impatience.cancel();
      attempt.answered = true;
      if (this.#stopped) return;
      await this.#onRenewed(stamp, renewal, { knownEpoch, serverStart: session.serverStart });
      const isNewest = stamp.sentMs === this.#answeredSentMs;
      if (!this.#stopped && isNewest && lease.valid) this.#env.onRenewal(renewal, complaints);
    } catch (error) {
      await this.#onRenewalFailed(error, attempt, stamp.sentMs);
    } finally {
      impatience.cancel();
      if (this.#renewing === attempt) this.#renewing = null;
      this.#onEnded(attempt);
    }
  }

  /** What becomes of the sessions: there are never more than two. */
  #onEnded(attempt: Attempt): void {
    if (this.#overtaken === attempt) {
      this.#overtaken = null;
      if (attempt.answered && this.#spare === null && !this.#stopped) this.#spare = attempt.opening;
      else void this.#close(attempt.opening);
      if (this.#renewing?.slow === true) this.#overtake(this.#renewing);
    } else if (attempt.answered && !attempt.slow) {
      // A session that nothing is sent on may die without a word, so none is kept in quiet times.
      void this.#close(this.#takeSpare());
    }
  }

  #takeSpare(): Promise<LeaseSession> | null {
    const spare = this.#spare;
    this.#spare = null;
    return spare;
  }

  /**
   * A connection can be dead without a word, and whoever waits for its answer as long as for that of a slow
   * database has no lease any more by then. So the next renewal is begun on another session after a quarter of a
   * lease: it is answered while the lease of the one before runs. Both count: of a database that is only slow, the
   * first answer comes first, and one that comes after a newer one prolongs nothing. One at a time is overtaken, so
   * there are at most two sessions. One that does answer is used again: opening a session takes several round trips,
   * and over a slow network that alone is longer than a lease.
   */
  #overtake(attempt: Attempt): void {
    attempt.slow = true;
    if (this.#renewing !== attempt || this.#overtaken !== null || this.#stopped) return;
    this.#overtaken = attempt;
    this.#renewing = null;
    this.#leaseSession = null;
    void this.#renew();
  }

  async #onRenewed(
    stamp: ReturnType<Lease['stamp']>,
    renewal: Renewal,
    { knownEpoch, serverStart }: { knownEpoch: number; serverStart: string },
  ): Promise<void> {
    if (stamp.sentMs < this.#answeredSentMs) return;
    this.#answeredSentMs = stamp.sentMs;
    const { platform, time, lease } = this.#env;
    const receivedMs = platform.clock.monotonicMs();
    this.storeUnreachable = false;
    time.sample(renewal.nowMs, stamp.sentMs, receivedMs);
    this.#observe(renewal, serverStart, receivedMs);
    const own = this.#view;
    // Compared with what was known when it was sent: a newer view may have come while it was under way.
    if (renewal.epoch < knownEpoch || (renewal.epoch === own?.epoch && renewal.viewId !== own.id)) {
      // PostgreSQL failed over to a server that lacks what this node knows to be committed: what memory
      // has from before is not what that table has (schedule other-database).
      this.#env.onExpelled('the database has lost views that this node has seen');
      return;
    }
    if (renewal.epoch > this.#epoch) await this.catchUp();
    if (this.#stopped || renewal.epoch > this.#epoch || stamp.sentMs < this.#answeredSentMs) return;
    lease.grant(stamp);
    this.#last = renewal;
    if (lease.valid) this.#env.onLease();
    this.#armSuspicion(receivedMs);
    void this.plan();
  }

  /**
   * Where a silent member may be removed before the next regular renewal, one more is made at that moment:
   * a third of a lease less without an answer for the clients. Members that renew never bring it about.
   */
  #armSuspicion(nowMs: number): void {
    this.#suspicion?.cancel();
    const { times, platform, self } = this.#env;
    const periodMs = times.leaseMs / 3;
    const waits = (this.#view === null ? [] : participants(this.#view))
      .filter((member) => !sameRef(member, self))
      .map((member) => this.#observed.get(refKey(member))?.sinceMs ?? nowMs)
      .map((sinceMs) => sinceMs + times.leaseMs + times.marginMs - nowMs)
      .filter((waitMs) => waitMs > 0 && waitMs < periodMs);
    if (waits.length === 0) return;
    const waitMs = Math.ceil(Math.min(...waits));
    this.#suspicion = platform.timers.after(waitMs, () => void this.#renew());
  }

  #observe(renewal: Renewal, serverStart: string, nowMs: number): void {
    // A gap in our own renewals may be an outage that the others had too: they get a whole lease.
    const gap = nowMs - this.#lastAnswerMs > this.#env.times.leaseMs;
    this.#lastAnswerMs = nowMs;
    if (gap) this.#observed.clear();
    // Renewals of the run before may be gone.
    if (serverStart !== this.#observedIn) this.#observed.clear();
    this.#observedIn = serverStart;
    const listed = new Set<string>();
    for (const info of renewal.leases) {
      const key = refKey(info);
      listed.add(key);
      const seen = this.#observed.get(key);
      if (seen?.counter !== info.counter)
        this.#observed.set(key, { counter: info.counter, sinceMs: nowMs });
    }
    for (const key of this.#observed.keys()) if (!listed.has(key)) this.#observed.delete(key);
  }

  async #onRenewalFailed(error: unknown, attempt: Attempt, sentMs: number): Promise<void> {
    if (this.#stopped) return;
    if (error instanceof StoreError && (error.kind === 'fenced' || error.kind === 'replaced')) {
      this.#env.onExpelled(error.message);
      return;
    }
    // A newer one was answered: it was only this connection.
    if (sentMs < this.#answeredSentMs) return;
    if (!this.storeUnreachable)
      this.#env.log.warn({ err: error }, 'the lease could not be renewed');
    this.storeUnreachable = true;
    if (this.#renewing !== attempt) return;
    this.#leaseSession = null;
    await this.#close(attempt.opening);
    this.#env.platform.timers.after(REOPEN_MS, () => void this.#renew());
  }

  // ---------------------------------------------------------------- views

  async #readViews(): Promise<void> {
    let views = await this.#onControl((control) => control.viewsAfter(this.#epoch));
    // A newcomer needs only the present one: it holds nothing from before.
    if (this.#view === null) views = views.slice(-1);
    for (const view of views) {
      if (this.#stopped) return;
      if (this.#view === null || view.previous === this.#epoch) this.#adopt(view);
      else if (view.epoch > this.#epoch) {
        this.#env.onExpelled('views that this node has not seen are gone from the database');
        return;
      }
    }
  }

  #adopt(view: View): void {
    const before = this.#view;
    this.#view = view;
    const { self } = this.#env;
    if (
      before !== null &&
      hasRef(participants(before), self) &&
      !hasRef(participants(view), self)
    ) {
      this.#env.onExpelled('removed by the other nodes');
      return;
    }
    this.#env.adopt(view);
  }

  /** Work on the one control session, which is opened when it is first needed and after it has failed. */
  async #onControl<T>(work: (control: ControlSession) => Promise<T>): Promise<T> {
    if (this.#stopped) throw new StoreError('unavailable', 'this life of the node is ending');
    const opening = (this.#control ??= this.#env.store.openControl());
    try {
      return await work(await opening);
    } catch (error) {
      // Having lost a race says nothing against the session.
      const lost = error instanceof StoreError && error.kind === 'conflict';
      if (!lost && this.#control === opening) {
        this.#control = null;
        await this.#close(opening);
      }
      throw error;
    }
  }

  // ---------------------------------------------------------------- proposing

  async #propose(wish: Wish | null): Promise<void> {
    const { self, replicas, led, platform, log, asGuest } = this.#env;
    const view = this.#view;
    const remove = view === null ? [] : this.#dead(view);
    const settle = view !== null && remove.length === 0 && isMoving(view) && this.#env.allFilled();
    const mustSettle = view !== null && !settle && hasOrphans(view, remove);
    if (mustSettle && wish !== null)
      throw new StoreError('conflict', 'slots that lost all their owners are being taken over');
    const mayAdd = (asGuest || !mustSettle) && this.#mayJoin(view, remove);
    const add = mayAdd ? self : null;
    const change = { remove, add, asGuest, settle, wish };
    const next = nextView(view, change, {
      id: platform.random.id(),
      replicas,
      led,
      above: this.#env.highestEpoch,
    });
    if (next === null) {
      if (wish === null || (view !== null && isGranted(view, wish))) return;
      throw new StoreError('rejected', refusalOf(wish));
    }
    const removals = remove.map((ref) => ({ ref, counter: this.#counterOf(ref) }));
    await this.#onControl((control) => {
      if (
        removals.some(({ counter }) => counter !== null) &&
        control.serverStart !== this.#observedIn
      )
        throw new StoreError('conflict', 'the database was started again since the last renewal');
      return control.propose({ view: next, removals });
    });
    log.info(
      {
        epoch: next.epoch,
        removed: remove.map(refKey),
        members: next.coming.map(refKey),
        leaving: next.leaving.map(refKey),
        replicas: next.comingReplicas,
      },
      'view proposed',
    );
    if (this.#stopped) return;
    // First: what adoption sends bears the new epoch, and whoever meets that before the news holds up the
    // link, and reads the view from the database.
    this.#env.announce(next);
    if (this.#epoch === next.previous) this.#adopt(next);
  }

  #onProposalFailed(error: unknown): void {
    if (error instanceof StoreError && error.kind === 'conflict') {
      this.#env.log.debug({ reason: error.message }, 'another proposal was faster');
      this.hearOf(this.#epoch + 1);
      return;
    }
    if (this.#stopped) return;
    this.#env.log.warn({ err: error }, 'a view could not be proposed');
  }

  /** Members that may be removed: they gave up, or their counter has stood still long enough. */
  #dead(view: View): NodeRef[] {
    const { times, self, platform } = this.#env;
    const now = platform.clock.monotonicMs();
    return participants(view).filter((member) => {
      if (sameRef(member, self)) return false;
      if (this.#last?.leases.some((info) => sameRef(info, member) && info.givenUp)) return true;
      const seen = this.#observed.get(refKey(member));
      return seen !== undefined && now - seen.sinceMs >= times.leaseMs + times.marginMs;
    });
  }

  #counterOf(ref: NodeRef): number | null {
    const info = this.#last?.leases.find((lease) => sameRef(lease, ref));
    return info === undefined || info.givenUp ? null : info.counter;
  }

  /**
   * This life may join when it is in no list yet, no older life of the same node is, and everybody who
   * stays can be reached: a node that cannot be replicated to would only stop the others' writes.
   */
  #mayJoin(view: View | null, remove: readonly NodeRef[]): boolean {
    const { self } = this.#env;
    if (view === null) return true;
    if (hasRef(participants(view), self)) return false;
    const staying = participants(view).filter((member) => !hasRef(remove, member));
    if (staying.some((member) => member.node === self.node)) return false;
    return staying.every((member) => this.#env.isLinked(member));
  }
}
