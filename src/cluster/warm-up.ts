/**
 * Warm-up: brings the table's rows into memory slot by slot while the node serves, so that a miss
 * needs no query any more (a *complete* slot). Only primaries read; the other owners get the rows as
 * fills. They are not told that the slot is complete: a fill is not sent while a link is down, and an
 * owner may have evicted what was read here long ago, so only a primary knows it of its own memory.
 *
 * A row read by the scan is only news if nothing overtook it: keys that changed while the scan ran, or
 * had a change under way when it began, are left out (memory knows better, or the next load will).
 */
import type { Timers } from '../platform/clock.ts';
import type { Logger } from '../platform/logger.ts';
import type { Keyspace } from '../storage/memory/keyspace.ts';
import type { LoadPool, Row, RowKey } from '../storage/postgres/store.ts';
import type { Engine } from './engine.ts';
import { keyId } from './op.ts';
import type { Cause } from './pressure.ts';
import { SLOT_COUNT } from './slot.ts';
import type { SlotTable } from './slots.ts';

export interface WarmUpEnv {
  readonly timers: Timers;
  readonly log: Logger;
  readonly keyspace: Keyspace;
  readonly slots: SlotTable;
  readonly engine: Engine;
  readonly loads: LoadPool;
  epoch(): number;
  /** Why to go slowly at the moment, or null. */
  pressure(): Cause | null;
  /** Memory has room for data that nobody has asked for yet. */
  hasRoom(): boolean;
}

const ROWS = 2000;
const BYTES = 4 * 1024 * 1024;
/** How often incomplete slots are looked for, milliseconds. */
const PERIOD_MS = 500;
/** Pause after each page while clients or the database suffer, milliseconds. */
const SLOW_MS = 250;

export class WarmUp {
  readonly #env: WarmUpEnv;
  #stopped = false;
  #running: Promise<void> | null = null;
  /** Ends the pause it is in. */
  #wake: () => void = () => undefined;
  rows = 0;

  constructor(env: WarmUpEnv) {
    this.#env = env;
  }

  start(): void {
    this.#running = this.#loop();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#running;
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#pass();
      } catch (error) {
        this.#env.log.debug({ err: error }, 'warm-up was interrupted');
      }
      await this.#pause(PERIOD_MS);
    }
  }

  /** A pause that `stop` cuts short. */
  #pause(ms: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#env.timers.after(ms, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  async #pass(): Promise<void> {
    for (let slot = 0; slot < SLOT_COUNT && !this.#stopped; slot++) {
      if (!this.#wanted(slot)) continue;
      let to = slot;
      while (to + 1 < SLOT_COUNT && this.#wanted(to + 1)) to++;
      await this.#range(slot, to);
      slot = to;
    }
  }

  #wanted(slot: number): boolean {
    const { slots } = this.#env;
    return slots.isActivePrimary(slot) && !slots.isComplete(slot) && this.#env.hasRoom();
  }

  /** Reads slots `from`..`to`. What changes its owner or loses content meanwhile is left for later. */
  async #range(from: number, to: number): Promise<void> {
    const { loads, slots } = this.#env;
    const epoch = this.#env.epoch();
    const changes = slots.changes.slice(from, to + 1);
    const losses = slots.losses.slice(from, to + 1);
    const intact = (slot: number): boolean =>
      this.#env.epoch() === epoch &&
      slots.isActivePrimary(slot) &&
      slots.changes[slot] === changes[slot - from] &&
      slots.losses[slot] === losses[slot - from];
    let after: RowKey | null = null;
    let next = from;
    for (;;) {
      const overtaken = this.#watch(from, to);
      let rows: Row[];
      try {
        rows = await loads.scan({ from, to, after, limit: ROWS, bytesMax: BYTES });
      } finally {
        this.#env.engine.operations.onChange = null;
      }
      if (this.#stopped || this.#env.epoch() !== epoch) return;
      const isOld = (row: Row): boolean => overtaken.has(keyId(row.db, row.key));
      this.#take(rows.filter((row) => intact(row.slot) && !isOld(row)));
      // Left out and not in memory: deleted, or changed there without being known here. The next pass tells.
      for (const row of rows) if (isOld(row) && !this.#has(row)) slots.losses[row.slot]!++;
      const last = rows.at(-1);
      // All slots before the last row's have been read to their end.
      const end = last === undefined ? to + 1 : last.slot;
      for (; next < end; next++) if (intact(next)) slots.setComplete(next, true);
      if (last === undefined || !this.#env.hasRoom()) return;
      after = { slot: last.slot, db: last.db, key: last.key };
      await this.#pause(this.#env.pressure() === null ? 0 : SLOW_MS);
    }
  }

  /** Collects the keys that change from now on, or have a change under way. */
  #watch(from: number, to: number): Set<string> {
    const { engine } = this.#env;
    const overtaken = new Set<string>();
    for (const op of engine.operations.pendingOps()) {
      for (const { db, key } of op.effects) overtaken.add(keyId(db, key));
    }
    engine.operations.onChange = (slot, db, key) => {
      if (slot >= from && slot <= to) overtaken.add(keyId(db, key));
    };
    return overtaken;
  }

  #has({ slot, db, key }: Row): boolean {
    return this.#env.keyspace.has(slot, db, key);
  }

  #take(rows: readonly Row[]): void {
    const { keyspace, engine } = this.#env;
    const fresh: Row[] = [];
    for (const row of rows) {
      if (this.#has(row)) continue;
      // A tombstone comes as a remembered absence with its end.
      keyspace.load({ ...row, persistent: true });
      fresh.push(row);
    }
    this.rows += fresh.length;
    if (fresh.length > 0) engine.operations.fill(fresh);
  }
}
