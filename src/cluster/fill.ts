/**
 * Hand-over: fills learners. Each primary sends its learners what its memory has of their slots, in
 * bounded chunks, on the same numbered stream as the live effects.
 *
 * **Why a filled learner has everything.** A learner gets every change of its slots from the first
 * moment of the view that names it, and its confirmation is waited for like an owner's. `begin` empties
 * the slot there, then the chunks bring what the primary's memory holds. First in, first out: a chunk
 * carries each key as it was when the chunk was cut, what changed before is in it, what changes after
 * follows it. What is dirty when its chunk is cut is sent as dirty: the chunk's number is higher than
 * that of the operation, so the watermark passes it only after the operation is settled. After `filled`
 * the learner's memory of the slot is what an owner's is: clean keys equal the table, all `none` keys
 * are there, and keys that are absent are asked for unless the primary's slot was complete.
 *
 * **Over a change of view** a learner keeps a slot that it has in full, as an owner does, by the same
 * argument: both have dropped what was uncommitted. It says so when it confirms the view, and the fill
 * waits for that. A slot that was half-way begins anew.
 *
 * **Bounds.** Live effects stand in line behind chunks, and with them the writes of the learner's slots. So
 * what is unconfirmed at a learner is one chunk at first, grows while chunks are confirmed quickly, and
 * shrinks when they are not: a learner that is slow gets little at a time, whatever it is slow for. Bytes
 * cut per tick are bounded too; and while clients or the database suffer (`pressure.ts`) there is only a
 * trickle, which is never zero, so that every hand-over ends.
 */
import type { Clock, TimerHandle, Timers } from '../platform/clock.ts';
import type { Logger } from '../platform/logger.ts';
import type { Keyspace } from '../storage/memory/keyspace.ts';
import type { Member, NodeRef } from '../storage/postgres/store.ts';
import { encodeEffects, type OwnerEffect } from './effects.ts';
import type { Engine } from './engine.ts';
import type { FlushPoints } from './flush-points.ts';
import type { OutStream } from './out-stream.ts';
import type { Cause } from './pressure.ts';
import type { Holds } from './holds.ts';
import { SLOT_COUNT } from './slot.ts';
import type { SlotTable } from './slots.ts';
import { type Group, hasRef, refKey } from './view.ts';

export interface FillEnv {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Logger;
  readonly keyspace: Keyspace;
  readonly slots: SlotTable;
  readonly flushPoints: FlushPoints;
  readonly engine: Engine;
  /** Why to go slowly at the moment, or null. */
  pressure(): Cause | null;
  readonly holds: Holds;
}

/** How far the hand-over to one learner is. */
export interface FillProgress {
  /** Name of the learner. */
  readonly to: string;
  /** Slots it gets from this node, and those of them that it has confirmed. */
  readonly slots: number;
  readonly filled: number;
  /** Keys and values sent, in bytes, and how many a second lately. */
  readonly bytes: number;
  readonly bytesPerSecond: number;
  /** Those of the bytes sent that it has not confirmed. */
  readonly unconfirmedBytes: number;
  /** Why it goes slowly; null: it does not. `unconfirmed`: the learner has not taken over the view yet. */
  readonly slowedBy: Cause | 'unconfirmed' | null;
}

/** Bytes in one chunk, unconfirmed at one learner at most, and cut in one tick for all learners together. */
const CHUNK_BYTES = 32 * 1024;
const FLIGHT_BYTES = 1024 * 1024;
/** A chunk confirmed within the first lets the window grow, one that took longer than the second halves it. */
const QUICK_MS = 20;
const LATE_MS = 40;
const TICK_BYTES = 256 * 1024;
const TICK_MS = 5;
/** Under pressure each learner gets one chunk in this time, milliseconds. */
const TRICKLE_MS = 100;
/** Window of the rate shown, and time between two lines in the log, milliseconds. */
const RATE_MS = 1000;
const SAY_MS = 5000;
/** What an effect costs besides its key and value, about. */
const EFFECT_BYTES = 64;

interface Chunk {
  readonly effects: readonly OwnerEffect[];
  readonly bytes: number;
}

/** The hand-over to one learner in one view. */
class Job {
  readonly learner: Member;
  slots: number[] = [];
  /** It has confirmed the view, and said what it has already. */
  confirmed = false;
  next = 0;
  /** What is left of the slot at `next`, once it has begun. */
  running: Generator<OwnerEffect, void> | null = null;
  /** Chunks not yet confirmed: number on the stream, bytes, and `next` after it. */
  flight: { seq: number; bytes: number; next: number; sentMs: number }[] = [];
  flightBytes = 0;
  /** Bytes that may be unconfirmed at present. */
  window = CHUNK_BYTES;
  filled = 0;
  bytes = 0;
  trickledMs = Number.NEGATIVE_INFINITY;
  slowedBy: Cause | null = null;
  rate = 0;
  #rateBytes = 0;
  #rateMs: number;
  readonly startedMs: number;

  constructor(learner: Member, nowMs: number) {
    this.learner = learner;
    this.startedMs = this.#rateMs = nowMs;
  }

  get over(): boolean {
    return this.confirmed && this.next === this.slots.length && this.flight.length === 0;
  }

  /** The learner has everything up to `seq`. */
  confirm(seq: number, nowMs: number): void {
    let slowestMs = -1;
    while (this.flight.length > 0 && this.flight[0]!.seq <= seq) {
      const { bytes, next, sentMs } = this.flight.shift()!;
      this.flightBytes -= bytes;
      this.filled = next;
      slowestMs = Math.max(slowestMs, nowMs - sentMs);
    }
    if (slowestMs < 0) return;
    if (slowestMs <= QUICK_MS) this.window = Math.min(FLIGHT_BYTES, this.window * 2);
    else if (slowestMs > LATE_MS) this.window = Math.max(CHUNK_BYTES, this.window / 2);
  }

  measure(nowMs: number): void {
    const tookMs = nowMs - this.#rateMs;
    if (tookMs < RATE_MS) return;
    this.rate = Math.round(((this.bytes - this.#rateBytes) * 1000) / tookMs);
    this.#rateMs = nowMs;
    this.#rateBytes = this.bytes;
  }
}

export class Fill {
  readonly #env: FillEnv;
  #jobs: Job[] = [];
  #timer: TimerHandle | null = null;
  #saidMs = Number.NEGATIVE_INFINITY;
  /** Totals of this life of the node, for metrics. */
  bytes = 0;
  filledSlots = 0;
  slowedTicks = 0;

  constructor(env: FillEnv) {
    this.#env = env;
  }

  /** Slots still to be sent, all learners together. */
  get left(): number {
    return this.#jobs.reduce((sum, job) => sum + job.slots.length - job.filled, 0);
  }

  progress(): FillProgress[] {
    return this.#jobs.map((job) => ({
      to: job.learner.node,
      slots: job.slots.length,
      filled: job.filled,
      bytes: job.bytes,
      bytesPerSecond: job.rate,
      unconfirmedBytes: job.flightBytes,
      slowedBy: job.confirmed ? job.slowedBy : 'unconfirmed',
    }));
  }

  /** A view was adopted: finds out who learns slots of this node. Each is filled once it has confirmed. */
  restart(): void {
    for (const job of this.#jobs) this.#countHandedOver(job);
    const now = this.#env.clock.monotonicMs();
    const jobs = new Map<string, Job>();
    const jobOf = (learner: Member): Job => {
      const key = refKey(learner);
      let job = jobs.get(key);
      if (job === undefined) jobs.set(key, (job = new Job(learner, now)));
      return job;
    };
    // Neighbouring slots share their group; the event loop stands still while a view is adopted.
    let last: Group | undefined;
    let jobsOfGroup: readonly Job[] = [];
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (!this.#env.slots.isPrimary(slot)) continue;
      const group = this.#env.slots.group(slot);
      if (group !== last) jobsOfGroup = group.learners.map(jobOf);
      last = group;
      for (const job of jobsOfGroup) job.slots.push(slot);
    }
    this.#jobs = [...jobs.values()];
  }

  /** A learner that has become an owner has everything, though the view may have come before its last confirmation. */
  #countHandedOver({ confirmed, learner, slots, filled }: Job): void {
    if (!confirmed) return;
    for (const slot of slots.slice(filled)) {
      if (hasRef(this.#env.slots.group(slot).owners, learner)) this.filledSlots++;
    }
  }

  /** A learner has confirmed the present view; it has the slots for which `has`, and needs the others. */
  begin(learner: NodeRef, has: (slot: number) => boolean): void {
    const key = refKey(learner);
    const job = this.#jobs.find((other) => refKey(other.learner) === key);
    // Said again after a reconnect: what it has filled since is in the count already.
    if (job === undefined || job.confirmed) return;
    job.slots = job.slots.filter((slot) => !has(slot));
    job.confirmed = true;
    const count = job.slots.length;
    if (count > 0) this.#env.log.info({ to: key, slots: count }, 'hand-over begins');
    this.#schedule();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#jobs = [];
  }

  #schedule(): void {
    if (this.#timer !== null || !this.#jobs.some(({ confirmed }) => confirmed)) return;
    this.#timer = this.#env.timers.after(TICK_MS, () => {
      this.#timer = null;
      this.#tick();
      this.#schedule();
    });
  }

  #tick(): void {
    const now = this.#env.clock.monotonicMs();
    const cause = this.#env.pressure();
    if (cause !== null) this.slowedTicks++;
    let budget = TICK_BYTES;
    for (const job of this.#jobs) {
      if (!job.confirmed) continue;
      job.slowedBy = cause;
      budget = this.#step(job, { now, budget });
      job.measure(now);
    }
    // The next tick begins with another one: a budget that ends early is not always the same one's loss.
    const first = this.#jobs.shift();
    if (first !== undefined) this.#jobs.push(first);
    for (const job of this.#jobs) if (job.over) this.#end(job, now);
    this.#jobs = this.#jobs.filter((job) => !job.over);
    this.#say(now);
  }

  /** Sends what one learner may get now; returns what is left of the tick's budget. */
  #step(job: Job, { now, budget }: { now: number; budget: number }): number {
    const stream = this.#env.engine.operations.streamTo(job.learner);
    const filledBefore = job.filled;
    job.confirm(stream.confirmedSeq, now);
    this.filledSlots += job.filled - filledBefore;
    let left = budget;
    while (left > 0 && this.#maySend(job, stream, now)) {
      const chunk = this.#chunk(job);
      if (chunk.effects.length === 0) break;
      const seq = stream.send(null, encodeEffects(chunk.effects));
      job.flight.push({ seq, bytes: chunk.bytes, next: job.next, sentMs: now });
      job.flightBytes += chunk.bytes;
      job.bytes += chunk.bytes;
      this.bytes += chunk.bytes;
      job.trickledMs = now;
      left -= chunk.bytes;
    }
    return left;
  }

  #maySend(job: Job, stream: OutStream, now: number): boolean {
    if (job.next === job.slots.length || stream.congested) return false;
    if (job.slowedBy !== null) return job.flight.length === 0 && now - job.trickledMs >= TRICKLE_MS;
    return job.flightBytes < job.window;
  }

  #end({ learner, slots, bytes, startedMs }: Job, now: number): void {
    if (slots.length === 0) return;
    const facts = { to: refKey(learner), slots: slots.length, bytes, tookMs: now - startedMs };
    this.#env.log.info(facts, 'hand-over ends');
  }

  #say(now: number): void {
    if (this.#jobs.length === 0 || now - this.#saidMs < SAY_MS) return;
    this.#saidMs = now;
    this.#env.log.info({ progress: this.progress() }, 'handing over');
  }

  /** The next part of a job, about CHUNK_BYTES; empty while the next slot is not active yet. */
  #chunk(job: Job): Chunk {
    const effects: OwnerEffect[] = [];
    let bytes = 0;
    while (job.next < job.slots.length && bytes < CHUNK_BYTES) {
      // Until the slot is active, nobody may say what it holds.
      if (job.running === null && !this.#env.slots.isActivePrimary(job.slots[job.next]!)) break;
      job.running ??= this.#slotEffects(job.slots[job.next]!);
      const { done, value } = job.running.next();
      if (done === true) {
        job.running = null;
        job.next++;
        continue;
      }
      effects.push(value);
      bytes += EFFECT_BYTES;
      if (value.kind === 'fill') bytes += value.key.length + (value.value?.length ?? 0);
    }
    return { effects, bytes };
  }

  /**
   * A slot from its `begin` to its `filled`. A large one is cut into several chunks, and what happens to
   * it meanwhile is fine: the iteration over a map meets what is added, and every change travels as a
   * live effect between the chunks anyway. Rows that are loaded meanwhile are no changes: they may be
   * spared the learner (`Operations.fill`). So it is told that the slot is complete only if it was
   * complete here all the time, which means that nothing was loaded.
   */
  *#slotEffects(slot: number): Generator<OwnerEffect, void> {
    const { keyspace, slots } = this.#env;
    const wasComplete = slots.isComplete(slot);
    const losses = slots.losses[slot];
    yield { kind: 'begin', slot, point: this.#env.flushPoints.of(slot) };
    // The beginning forgets marks that came before it, and what follows would be taken for settled.
    for (const { db, key } of this.#env.holds.markedIn(slot)) yield { kind: 'mark', slot, db, key };
    for (const db of keyspace.databases(slot)) {
      for (const entry of keyspace.entries(slot, db)) {
        const { key, value, expiresAtMs, epoch, seq, persistent } = entry;
        const dirty = entry.dirty !== 0;
        // A delete that is not committed travels too: `begin` made the learner forget its mark, and if the next
        // view voids the delete, a complete slot without the key would say that it does not exist.
        yield { kind: 'fill', slot, db, key, value, expiresAtMs, epoch, seq, persistent, dirty };
      }
    }
    const complete = wasComplete && slots.isComplete(slot) && slots.losses[slot] === losses;
    yield { kind: 'filled', slot, to: slot, complete };
  }
}
