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
        if (job === undefined) jobs.set(key, (job = { learner, slots: [], next: 0 }));
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
    const stream = this.#env.engine.streamTo(job.learner);
    while (job.next < job.slots.length && stream.unconfirmed < WINDOW && !stream.congested) {
      // Until the slot is active, nobody may say what it holds.
      if (!this.#env.slots.isActivePrimary(job.slots[job.next]!)) return;
      stream.send(null, encodeEffects(this.#chunk(job)));
    }
  }

  /** Whole slots, at least one: nothing may change between a slot's `begin` and its end. */
  #chunk(job: Job): OwnerEffect[] {
    const { keyspace, slots } = this.#env;
    const effects: OwnerEffect[] = [];
    let bytes = 0;
    while (job.next < job.slots.length && bytes < CHUNK_BYTES) {
      const slot = job.slots[job.next]!;
      if (!slots.isActivePrimary(slot)) break;
      job.next++;
      effects.push({ kind: 'begin', slot });
      bytes += 64;
      for (const db of keyspace.databases(slot)) {
        for (const [key, entry] of keyspace.entries(slot, db)) {
          const { value, expiresAtMs, epoch, seq, persistent, dirty } = entry;
          // A key being deleted: the learner has that effect already, or the key is not there at all.
          if (value === null && dirty !== 0) continue;
          effects.push({
            kind: 'fill',
            slot,
            db,
            key,
            value,
            expiresAtMs,
            epoch,
            seq,
            persistent,
            dirty: dirty !== 0,
          });
          bytes += 64 + key.length + (value?.length ?? 0);
        }
      }
      effects.push({ kind: 'filled', slot, complete: slots.isComplete(slot) });
    }
    return effects;
  }
}
