/**
 * Upkeep of memory: eviction when it is full, and the end of keys whose time is over.
 *
 * Expiry is declared by primaries only, as an effect like any other, so all owners and the table
 * agree. Eviction of a `through` key is this node's own business (the table has it); a `none` key
 * exists only in memory, so its primary evicts it for all owners, by deleting it.
 */
import type { TimerHandle, Timers } from '../platform/clock.ts';
import type { Logger } from '../platform/logger.ts';
import type { Entry } from '../storage/memory/entry.ts';
import type { Evictor } from '../storage/memory/eviction.ts';
import { type Keyspace, type Located, MEMORY_BYTES_MAX } from '../storage/memory/keyspace.ts';
import type { LoadPool } from '../storage/postgres/store.ts';
import type { Engine } from './engine.ts';
import type { Lease } from './lease.ts';
import { keyId } from './op.ts';
import { SLOT_COUNT } from './slot.ts';
import type { SlotTable } from './slots.ts';
import type { ClusterTime } from './time.ts';

export interface UpkeepEnv {
  readonly timers: Timers;
  readonly log: Logger;
  readonly keyspace: Keyspace;
  readonly slots: SlotTable;
  readonly engine: Engine;
  readonly evictor: Evictor;
  readonly lease: Lease;
  readonly time: ClusterTime;
  readonly loads: LoadPool;
  /** Bytes; 0: no limit. */
  maxmemory(): number;
  epoch(): number;
  /** Removes a bounded number of rows that nothing shows any more; see `Store.sweep`. */
  sweep(limit: number): Promise<number>;
}

const EXPIRE_PERIOD_MS = 100;
const EXPIRE_LIMIT = 500;
const REAP_PERIOD_MS = 5_000;
const REAP_LIMIT = 500;
const SWEEP_PERIOD_MS = 2_000;
const SWEEP_LIMIT = 2_000;
/** Victims a single command may pay for. */
const EVICTIONS_MAX = 128;
/** Evictions after a search for keys of the database found none, until the next search. */
const MEMORY_ONLY_RUN = 64;
/** Share of `maxmemory` up to which data is loaded that nobody has asked for. */
const WARM_SHARE = 0.9;

const isPersistent = (_slot: number, entry: Entry): boolean => entry.persistent;

export class Upkeep {
  readonly #env: UpkeepEnv;
  readonly #timers: TimerHandle[];
  /** Evictions left that do not look for keys of the database first. */
  #memoryOnlyNext = 0;
  #reaping = false;
  #sweeping = false;
  evicted = 0;
  expired = 0;

  constructor(env: UpkeepEnv) {
    this.#env = env;
    this.#timers = [
      env.timers.every(EXPIRE_PERIOD_MS, () => this.#expire()),
      env.timers.every(REAP_PERIOD_MS, () => void this.#reap()),
      env.timers.every(SWEEP_PERIOD_MS, () => void this.#sweep()),
    ];
  }

  stop(): void {
    for (const timer of this.#timers) timer.cancel();
  }

  hasRoom(): boolean {
    return this.#env.keyspace.usedBytes < this.#limit() * WARM_SHARE;
  }

  /** Evicts until memory is below its limit; false when it is not and nothing more may go. */
  ensureMemory(): boolean {
    const { keyspace } = this.#env;
    const limit = this.#limit();
    for (let i = 0; keyspace.usedBytes > limit && i < EVICTIONS_MAX; i++) {
      const victim = this.#victim();
      if (victim === undefined) return false;
      this.#evict(victim.slot, victim.db, victim.key, victim.entry);
    }
    return true;
  }

  #limit(): number {
    const configured = this.#env.maxmemory();
    return configured === 0 ? MEMORY_BYTES_MAX : Math.min(configured, MEMORY_BYTES_MAX);
  }

  /**
   * Keys that the database has go first: nothing is lost by that. Only when none of them is found is a
   * `none` key taken, and then for a while without looking again, since looking is not free.
   */
  #victim(): Located | undefined {
    const { evictor } = this.#env;
    if (this.#memoryOnlyNext === 0) {
      const victim = evictor.pick(isPersistent);
      if (victim !== undefined) return victim;
      this.#memoryOnlyNext = MEMORY_ONLY_RUN;
    }
    this.#memoryOnlyNext--;
    return evictor.pick(this.#mayEvict);
  }

  readonly #mayEvict = (slot: number, entry: Entry): boolean =>
    entry.persistent || this.#env.slots.isActivePrimary(slot);

  #evict(slot: number, db: number, key: string, entry: Entry): void {
    const { keyspace, slots, engine } = this.#env;
    this.evicted++;
    if (entry.persistent) {
      keyspace.remove(slot, db, key);
      slots.setComplete(slot, false);
      return;
    }
    engine.operations.change({
      kind: 'delete',
      slot,
      db,
      key,
      value: null,
      expiresAtMs: 0,
      persistent: false,
    });
  }

  #mayExpire(): boolean {
    return this.#env.lease.valid && !this.#env.engine.lane.down;
  }

  #expire(): void {
    if (!this.#mayExpire()) return;
    const { keyspace, slots, engine, time } = this.#env;
    const wanted = (slot: number, entry: Entry): boolean =>
      entry.dirty === 0 && (entry.value === null || slots.isActivePrimary(slot));
    for (const { slot, db, key, entry } of keyspace.takeExpired(
      time.nowMs(),
      EXPIRE_LIMIT,
      wanted,
    )) {
      if (entry.value === null) keyspace.remove(slot, db, key);
      else if (!engine.gates.blocks(keyId(db, key))) this.#delete(slot, db, key, entry.persistent);
    }
  }

  #delete(slot: number, db: number, key: string, persistent: boolean): void {
    this.expired++;
    this.#env.engine.operations.change({
      kind: 'delete',
      slot,
      db,
      key,
      value: null,
      expiresAtMs: 0,
      persistent,
    });
  }

  /**
   * Rows whose time is over and whose keys are not in memory. Nothing can have changed such a key
   * unless its slot was written since the query began, by this node or by another one that was primary
   * meanwhile, or it was being written then, so that the query may have seen the row from before; then
   * the row is left for the next time (schedule reaper-meets-persist).
   */
  async #reap(): Promise<void> {
    if (this.#reaping || !this.#mayExpire()) return;
    this.#reaping = true;
    const { keyspace, slots, engine, time, loads, log } = this.#env;
    const epoch = this.#env.epoch();
    const underWay = this.#keysUnderWay();
    const writes = slots.writes.slice();
    const changes = slots.changes.slice();
    try {
      for (const { slot, db, key } of await loads.expired(
        this.#ranges(),
        time.nowMs(),
        REAP_LIMIT,
      )) {
        // Another primary may have written what this one does not hold, though the slot has come back since.
        if (this.#env.epoch() !== epoch) return;
        if (!slots.isActivePrimary(slot) || !this.#mayExpire()) continue;
        if (slots.writes[slot] !== writes[slot] || slots.changes[slot] !== changes[slot]) continue;
        const id = keyId(db, key);
        if (underWay.has(id) || keyspace.has(slot, db, key) || engine.gates.blocks(id)) continue;
        this.#delete(slot, db, key, true);
        // Its own removal is no reason to leave the slot's other rows.
        writes[slot] = slots.writes[slot]!;
      }
    } catch (error) {
      log.debug({ err: error }, 'expired rows could not be listed');
    } finally {
      this.#reaping = false;
    }
  }

  #keysUnderWay(): Set<string> {
    const keys = new Set<string>();
    for (const op of this.#env.engine.operations.pendingOps()) {
      for (const { db, key } of op.effects) keys.add(keyId(db, key));
    }
    return keys;
  }

  /** What FLUSHALL left in the table, and records of lives long over. One node is enough: slot 0's primary. */
  async #sweep(): Promise<void> {
    if (this.#sweeping || !this.#mayExpire() || !this.#env.slots.isActivePrimary(0)) return;
    this.#sweeping = true;
    try {
      await this.#env.sweep(SWEEP_LIMIT);
    } catch (error) {
      this.#env.log.debug({ err: error }, 'the table could not be swept');
    } finally {
      this.#sweeping = false;
    }
  }

  #ranges(): { from: number; to: number }[] {
    const ranges: { from: number; to: number }[] = [];
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (!this.#env.slots.isActivePrimary(slot)) continue;
      const last = ranges.at(-1);
      if (last !== undefined && last.to === slot - 1) last.to = slot;
      else ranges.push({ from: slot, to: slot });
    }
    return ranges;
  }
}
