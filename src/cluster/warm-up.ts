/**
 * Warm-up: brings the table's rows into memory slot by slot while the node serves, so that a miss
 * needs no query any more (a *complete* slot). Only primaries read; the other owners get the rows as
 * fills. They are not told that the slot is complete: a fill is not sent while a link is down, and an
 * owner may have evicted what was read here long ago, so only a primary knows it of its own memory.
 *
 * A row read by the scan is only news if nothing overtook it: keys that changed since the page was asked for, or
 * had a change under way then, are left out (memory knows better, or the next load will).
 *
 * The next page is on its way while one is taken over, so that the database and the node work at the same time; and a
 * page is taken over in small parts, so that clients do not wait for it.
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
/** Rows taken over without a look at what else there is to do: a tenth of a millisecond. */
const PART_ROWS = 64;
/** How often incomplete slots are looked for, milliseconds. */
const PERIOD_MS = 500;
/** Pause after each page while clients or the database suffer, milliseconds. */
const SLOW_MS = 250;

/** A page of the table on its way here or being taken over, and the keys that have changed since it was asked for. */
interface Scan {
  readonly from: number;
  readonly to: number;
  readonly rows: Promise<Row[]>;
  readonly overtaken: Set<string>;
}

type Intact = (slot: number) => boolean;

export class WarmUp {
  readonly #env: WarmUpEnv;
  readonly #scans = new Set<Scan>();
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
    const { slots } = this.#env;
    const epoch = this.#env.epoch();
    const changes = slots.changes.slice(from, to + 1);
    const losses = slots.losses.slice(from, to + 1);
    const intact: Intact = (slot) =>
      this.#env.epoch() === epoch &&
      !this.#env.engine.flushes.underWay &&
      slots.isActivePrimary(slot) &&
      slots.changes[slot] === changes[slot - from] &&
      slots.losses[slot] === losses[slot - from];
    const isOver = (): boolean => this.#stopped || this.#env.epoch() !== epoch;
    let next = from;
    let scan = this.#begin(from, to, null);
    try {
      for (;;) {
        const rows = await scan.rows;
        if (isOver()) return;
        const last = isLastPage(rows) ? undefined : rows.at(-1);
        const more = last !== undefined && this.#env.hasRoom();
        const following =
          more && this.#env.pressure() === null ? this.#begin(from, to, last) : null;
        await this.#takeAll(scan, rows, intact);
        if (isOver()) return;
        // All slots before the last row's have been read to their end.
        const end = last === undefined ? to + 1 : last.slot;
        for (; next < end; next++) if (intact(next)) slots.setComplete(next, true);
        this.#end(scan);
        if (!more) return;
        if (following === null) await this.#pause(SLOW_MS);
        if (isOver()) return;
        scan = following ?? this.#begin(from, to, last);
      }
    } finally {
      for (const open of this.#scans) this.#end(open);
    }
  }

  /** Asks for a page; from now on the keys that change, or have a change under way, are collected. */
  #begin(from: number, to: number, after: RowKey | null): Scan {
    const { engine, loads } = this.#env;
    const overtaken = new Set<string>();
    for (const op of engine.operations.pendingOps()) {
      for (const { db, key } of op.effects) overtaken.add(keyId(db, key));
    }
    const rows = loads.scan({ from, to, after, limit: ROWS, bytesMax: BYTES });
    rows.catch(() => undefined); // whoever waits for it is told; if nobody does any more, it is of no interest
    const scan = { from, to, rows, overtaken };
    this.#scans.add(scan);
    engine.operations.onChange = this.#onChange;
    return scan;
  }

  readonly #onChange = (slot: number, db: number, key: string): void => {
    for (const { from, to, overtaken } of this.#scans) {
      if (slot >= from && slot <= to) overtaken.add(keyId(db, key));
    }
  };

  #end(scan: Scan): void {
    this.#scans.delete(scan);
    if (this.#scans.size === 0) this.#env.engine.operations.onChange = null;
  }

  /** Takes over a page, part by part; stops when the node does, or a new view has come. */
  async #takeAll({ overtaken }: Scan, rows: readonly Row[], intact: Intact): Promise<void> {
    const { slots, timers } = this.#env;
    // Most pages are overtaken by nothing: no key need be hashed to find that out.
    const isOld = (row: Row): boolean =>
      overtaken.size > 0 && overtaken.has(keyId(row.db, row.key));
    const epoch = this.#env.epoch();
    for (let first = 0; first < rows.length; first += PART_ROWS) {
      if (first > 0) await new Promise<void>((resolve) => timers.turnEnd(resolve));
      if (this.#stopped || this.#env.epoch() !== epoch) return;
      const part = rows.slice(first, first + PART_ROWS);
      this.#take(part.filter((row) => intact(row.slot) && !isOld(row)));
    }
    // Left out and not in memory: deleted, or changed there without being known here. The next pass tells.
    for (const row of rows) if (isOld(row) && !this.#has(row)) slots.losses[row.slot]!++;
  }

  #has({ slot, db, key }: Row): boolean {
    return this.#env.keyspace.has(slot, db, key);
  }

  #take(rows: readonly Row[]): void {
    const { keyspace, engine } = this.#env;
    const fresh: Row[] = [];
    for (const row of rows) {
      if (this.#has(row)) continue;
      // Field by field: a spread costs as much as all of the loading. A tombstone comes as a remembered absence.
      const { slot, db, key, value, expiresAtMs, epoch, seq } = row;
      keyspace.load({ slot, db, key, value, expiresAtMs, epoch, seq, persistent: true });
      fresh.push(row);
    }
    this.rows += fresh.length;
    if (fresh.length > 0) engine.operations.fill(fresh);
  }
}

/** A page ends at either bound, or because there are no more rows. */
function isLastPage(rows: readonly Row[]): boolean {
  let bytes = 0;
  for (const { value } of rows) bytes += value?.length ?? 0;
  return rows.length < ROWS && bytes < BYTES;
}
