/**
 * Hand-over: fills learners. Each primary sends its learners what its memory has of their slots, in
 * bounded chunks, on the same stream as the live effects; first-in-first-out order makes the chunks
 * and the effects agree, and the stream sends them again when a link breaks.
 *
 * What is dirty when its chunk is cut is sent as dirty: the chunk's number is higher than that of the
 * operation, so the watermark passes it only after the operation is settled.
 *
 * A new view starts the filling anew (`begin` empties the learner's slot first).
 */
import type { TimerHandle, Timers } from '../platform/clock.ts';
import type { Keyspace } from '../storage/memory/keyspace.ts';
import type { Member } from '../storage/postgres/store.ts';
import { encodeEffects, type OwnerEffect } from './effects.ts';
import type { Engine } from './engine.ts';
import { SLOT_COUNT } from './slot.ts';
import type { SlotTable } from './slots.ts';
import { refKey } from './view.ts';

export interface FillEnv {
  readonly timers: Timers;
  readonly keyspace: Keyspace;
  readonly slots: SlotTable;
  readonly engine: Engine;
}

/** Bytes of values in one chunk, and chunks that may be unconfirmed. */
const CHUNK_BYTES = 256 * 1024;
const WINDOW = 8;
const PERIOD_MS = 5;

interface Job {
  readonly learner: Member;
  readonly slots: number[];
  next: number;
  /** What is left of the slot at `next`, once it has begun. */
  running: Generator<OwnerEffect, void> | null;
}

export class Fill {
  readonly #env: FillEnv;
  #jobs: Job[] = [];
  #timer: TimerHandle | null = null;

  constructor(env: FillEnv) {
    this.#env = env;
  }

  /** Slots still to be sent, all learners together: progress for people. */
  get left(): number {
    return this.#jobs.reduce((sum, job) => sum + job.slots.length - job.next, 0);
  }

  /** A view was adopted: fills whoever learns slots of this node. */
  restart(): void {
    const jobs = new Map<string, Job>();
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (!this.#env.slots.isPrimary(slot)) continue;
      for (const learner of this.#env.slots.group(slot).learners) {
        const key = refKey(learner);
        let job = jobs.get(key);
        if (job === undefined)
          jobs.set(key, (job = { learner, slots: [], next: 0, running: null }));
        job.slots.push(slot);
      }
    }
    this.#jobs = [...jobs.values()];
    this.#schedule();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#jobs = [];
  }

  #schedule(): void {
    if (this.#jobs.length === 0 || this.#timer !== null) return;
    this.#timer = this.#env.timers.after(PERIOD_MS, () => {
      this.#timer = null;
      for (const job of this.#jobs) this.#step(job);
      this.#jobs = this.#jobs.filter((job) => job.next < job.slots.length);
      this.#schedule();
    });
  }

  #step(job: Job): void {
    const stream = this.#env.engine.operations.streamTo(job.learner);
    while (job.next < job.slots.length && stream.unconfirmed < WINDOW && !stream.congested) {
      const chunk = this.#chunk(job);
      if (chunk.length === 0) return;
      stream.send(null, encodeEffects(chunk));
    }
  }

  /** The next part of a job, about CHUNK_BYTES; empty while the next slot is not active yet. */
  #chunk(job: Job): OwnerEffect[] {
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
      bytes += 64 + (value.kind === 'fill' ? value.key.length + (value.value?.length ?? 0) : 0);
    }
    return effects;
  }

  /**
   * A slot from its `begin` to its `filled`. A large one is cut into several chunks, and what happens to
   * it meanwhile is fine: the iteration over a map meets what is added, and every change travels as a
   * live effect between the chunks anyway.
   */
  *#slotEffects(slot: number): Generator<OwnerEffect, void> {
    const { keyspace, slots } = this.#env;
    yield { kind: 'begin', slot };
    for (const db of keyspace.databases(slot)) {
      for (const [key, entry] of keyspace.entries(slot, db)) {
        const { value, expiresAtMs, epoch, seq, persistent } = entry;
        const dirty = entry.dirty !== 0;
        // A key being deleted: the learner has that effect already, or the key is not there at all.
        if (value === null && dirty) continue;
        yield { kind: 'fill', slot, db, key, value, expiresAtMs, epoch, seq, persistent, dirty };
      }
    }
    yield { kind: 'filled', slot, to: slot, complete: slots.isComplete(slot) };
  }
}
