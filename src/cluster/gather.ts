/**
 * Commands over all keys: DBSIZE, SCAN, KEYS, RANDOMKEY, FLUSHALL and the listing of a slot. They work
 * owner by owner and are not one atomic step over the cluster (docs/differences-from-redis.md).
 *
 * A SCAN cursor is `slot * 2^32 + h + 1`: slots in order, and within a slot the keys in the order of a
 * fixed hash, `h` being the last one handed out. It holds no state on any node, so it survives
 * failover, and any node continues what another began.
 */
import type { Keyspace } from '../storage/memory/keyspace.ts';
import { scanHash } from '../storage/memory/keyspace.ts';
import { typeName } from '../storage/memory/entry.ts';
import type { Platform } from '../platform/platform.ts';
import { sleep } from '../platform/clock.ts';
import {
  type LoadPool,
  type NodeRef,
  type Row,
  type RowKey,
  StoreError,
} from '../storage/postgres/store.ts';
import { ReplyError } from '../errors.ts';
import type { Engine } from './engine.ts';
import type { Lease } from './lease.ts';
import type { OpOutcome } from './op.ts';
import type { Peers } from './peers.ts';
import { CallFailed, Method, type Rpc } from './rpc.ts';
import { SLOT_COUNT, slotOf } from './slot.ts';
import type { SlotTable } from './slots.ts';
import type { ClusterTime } from './time.ts';
import { sameRef } from './view.ts';

export interface GatherEnv {
  readonly platform: Platform;
  readonly self: NodeRef;
  readonly keyspace: Keyspace;
  readonly slots: SlotTable;
  readonly engine: Engine;
  readonly peers: Peers;
  readonly rpc: Rpc;
  readonly loads: LoadPool;
  readonly time: ClusterTime;
  readonly lease: Lease;
  readonly requestTimeoutMs: number;
  epoch(): number;
  mayServe(): boolean;
  /** Lives of the present view's members that own slots. */
  primaries(): readonly NodeRef[];
  keysLimit(): number;
  matches(pattern: string, key: string): boolean;
}

export interface ScanRequest {
  readonly db: number;
  readonly cursor: string;
  readonly count: number;
  readonly match: string | null;
  readonly type: string | null;
}

interface Position {
  readonly slot: number;
  /** Hash of the last key handed out, -1 for none yet. */
  readonly hash: number;
}

interface PageRequest extends Position {
  readonly db: number;
  readonly count: number;
}

interface Page {
  readonly keys: [key: string, type: string][];
  /** Where to go on; the slot is SLOT_COUNT at the end. */
  readonly next: Position;
}

/** Keys one SCAN step looks at, whatever COUNT says; and owners it asks. */
const STEP_KEYS_MAX = 10_000;
const STEP_HOPS_MAX = 64;
/** Slots that one answer reads from the table. */
const STEP_QUERIES_MAX = 32;
const TABLE_PAGE = 2000;
const PAGE_BYTES = 1024 * 1024;
const RETRY_MS = 20;

export class Gather {
  readonly #env: GatherEnv;

  constructor(env: GatherEnv) {
    this.#env = env;
    const { rpc } = env;
    rpc.handle(Method.CountKeys, (_from, body) => this.#countHere((body as { db: number }).db));
    rpc.handle(Method.ScanSlots, (_from, body) => this.#pageHere(body as PageRequest));
    rpc.handle(Method.RandomKey, (_from, body) => this.#randomHere((body as { db: number }).db));
    rpc.handle(Method.Flush, (_from, body) =>
      this.#flushHere(body as { db: number | null; epoch: number }),
    );
  }

  async countKeys(db: number): Promise<number> {
    const counts = await this.#askAll<number>(Method.CountKeys, { db }, () => this.#countHere(db));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async scan(request: ScanRequest): Promise<{ cursor: string; keys: string[] }> {
    const count = Math.min(request.count, STEP_KEYS_MAX);
    const keys: string[] = [];
    let position = parseCursor(request.cursor);
    let seen = 0;
    for (let hop = 0; position.slot < SLOT_COUNT && seen < count && hop < STEP_HOPS_MAX; hop++) {
      const page = await this.#page({ ...position, db: request.db, count: count - seen });
      seen += page.keys.length;
      for (const [key, type] of page.keys) {
        if (request.type !== null && request.type !== type) continue;
        if (request.match === null || this.#env.matches(request.match, key)) keys.push(key);
      }
      position = page.next;
    }
    return { cursor: formatCursor(position), keys };
  }

  async keys(db: number, pattern: string): Promise<string[]> {
    const found: string[] = [];
    const limit = this.#env.keysLimit();
    let cursor = '0';
    do {
      const step = await this.scan({
        db,
        cursor,
        count: STEP_KEYS_MAX,
        match: pattern,
        type: null,
      });
      for (const key of step.keys) found.push(key);
      if (found.length > limit) {
        throw new ReplyError('ERR', `more than ${limit} keys match (keys-limit); use SCAN`);
      }
      cursor = step.cursor;
    } while (cursor !== '0');
    return found;
  }

  async keysInSlot(slot: number, limit: number): Promise<string[]> {
    const found: string[] = [];
    let position: Position = { slot, hash: -1 };
    while (position.slot === slot && found.length < limit) {
      const page = await this.#page({
        ...position,
        db: 0,
        count: Math.min(limit - found.length, STEP_KEYS_MAX),
      });
      for (const [key] of page.keys)
        if (slotOf(key) === slot && found.length < limit) found.push(key);
      position = page.next;
    }
    return found;
  }

  /** A random key, or null when there is none. Owners are asked in random order. */
  async randomKey(db: number): Promise<string | null> {
    const owners = [...this.#env.primaries()];
    while (owners.length > 0) {
      const [owner] = owners.splice(this.#env.platform.random.below(owners.length), 1);
      const key = await this.#ask<string | null>(owner!, Method.RandomKey, { db }, () =>
        this.#randomHere(db),
      );
      if (key !== null) return key;
    }
    return null;
  }

  /** Deletes everything, primary by primary; tried again over a change of view until its time is up. */
  async flush(db: number | null): Promise<void> {
    const { platform } = this.#env;
    const deadlineMs = platform.clock.monotonicMs() + this.#env.requestTimeoutMs;
    for (;;) {
      const epoch = this.#env.epoch();
      try {
        const body = { db, epoch };
        await this.#askAll(Method.Flush, body, () => this.#flushHere(body));
        if (this.#env.epoch() === epoch) return;
      } catch (error) {
        if (!(error instanceof CallFailed)) throw error;
        if (platform.clock.monotonicMs() > deadlineMs) {
          throw new ReplyError(
            'UNKNOWN',
            'outcome unknown: not every node confirmed; some keys may be deleted already',
          );
        }
      }
      await sleep(platform.timers, RETRY_MS);
    }
  }

  // ---------------------------------------------------------------- asking

  async #askAll<T>(method: Method, body: unknown, here: () => Promise<T> | T): Promise<T[]> {
    const asked = this.#env.primaries().map((owner) => this.#ask(owner, method, body, here));
    return this.#clear(Promise.all(asked));
  }

  async #ask<T>(
    owner: NodeRef,
    method: Method,
    body: unknown,
    here: () => Promise<T> | T,
  ): Promise<T> {
    if (sameRef(owner, this.#env.self)) return here();
    const deadlineMs = this.#env.platform.clock.monotonicMs() + this.#env.requestTimeoutMs;
    return (await this.#env.rpc.call(this.#env.peers.get(owner), method, body, deadlineMs)) as T;
  }

  /** Database trouble as a reply for people. */
  async #clear<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      throw new ReplyError(
        'STOREDOWN',
        `the database could not be asked (${error.message}); nothing was changed`,
      );
    }
  }

  /** A page from this node if it can tell, else from the slot's primary; tried again over a change of view. */
  async #page(request: PageRequest): Promise<Page> {
    const { platform, slots } = this.#env;
    const deadlineMs = platform.clock.monotonicMs() + this.#env.requestTimeoutMs;
    for (;;) {
      const primary = slots.primaryOf(request.slot);
      try {
        if (primary === undefined) throw new CallFailed('the slot has no owner', false);
        const here = this.#knows(request.slot) ? this.#env.self : primary;
        return await this.#clear(
          this.#ask(here, Method.ScanSlots, request, () => this.#pageHere(request)),
        );
      } catch (error) {
        if (!(error instanceof CallFailed)) throw error;
        if (platform.clock.monotonicMs() > deadlineMs) {
          throw new ReplyError(
            'NOTDONE',
            'the owners of some keys could not be reached in time; nothing was changed',
          );
        }
      }
      await sleep(platform.timers, RETRY_MS);
    }
  }

  // ---------------------------------------------------------------- this node's part

  #requireActive(): void {
    if (!this.#env.slots.allActive || !this.#env.mayServe())
      throw new CallFailed('not active yet', false);
  }

  async #countHere(db: number): Promise<number> {
    const { keyspace, slots, loads, time } = this.#env;
    this.#requireActive();
    const unread: number[] = [];
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (slots.isPrimary(slot) && !slots.isComplete(slot)) unread.push(slot);
    }
    const inMemory = keyspace.dbKeyCount(
      db,
      (slot) => slots.isPrimary(slot) && slots.isComplete(slot),
    );
    if (unread.length === 0) return inMemory;
    // Keys without a row are only in memory.
    let memoryOnly = 0;
    for (const slot of unread) {
      for (const [, entry] of keyspace.entries(slot, db)) {
        if (!entry.persistent && entry.value !== null) memoryOnly++;
      }
    }
    return inMemory + memoryOnly + (await loads.count(unread, db, time.nowMs()));
  }

  /** This node's memory has all keys of the slot. */
  #knows(slot: number): boolean {
    const { slots } = this.#env;
    return this.#env.mayServe() && slots.isOwner(slot) && slots.isComplete(slot);
  }

  /** Keys from `slot` on, as far as this node can tell and the count goes. */
  async #pageHere({ db, slot, hash, count }: PageRequest): Promise<Page> {
    const { slots } = this.#env;
    const keys: [string, string][] = [];
    let at: Position = { slot, hash };
    let queries = 0;
    while (at.slot < SLOT_COUNT && keys.length < count) {
      if (this.#knows(at.slot)) at = this.#memoryPage(db, at, count - keys.length, keys);
      else if (queries++ >= STEP_QUERIES_MAX) break;
      else if (this.#env.mayServe() && slots.isActivePrimary(at.slot)) {
        at = await this.#mergedPage(db, at, count - keys.length, keys);
      } else if (at.slot === slot) throw new CallFailed('not the primary of this slot', false);
      else break;
    }
    return { keys, next: at };
  }

  #memoryPage(db: number, at: Position, count: number, keys: [string, string][]): Position {
    const page = this.#env.keyspace.scanSlot(at.slot, db, at.hash, count);
    const now = this.#env.time.nowMs();
    for (const { entry } of page.items) {
      if (entry.value === null || (entry.expiresAtMs !== 0 && entry.expiresAtMs <= now)) continue;
      keys.push([entry.key, typeName(entry.value)]);
    }
    return page.done ? { slot: at.slot + 1, hash: -1 } : { slot: at.slot, hash: page.lastHash };
  }

  /** A slot that is only partly in memory: the table's keys, corrected by what memory knows better. */
  async #mergedPage(
    db: number,
    at: Position,
    count: number,
    keys: [string, string][],
  ): Promise<Position> {
    const { keyspace, loads, time } = this.#env;
    const nowMs = time.nowMs();
    const known = new Map<string, string>();
    let after: string | null = null;
    for (;;) {
      const rows: { key: string }[] = await loads.keys({
        slot: at.slot,
        db,
        after,
        limit: TABLE_PAGE,
        nowMs,
      });
      for (const { key } of rows) known.set(key, 'string');
      if (rows.length < TABLE_PAGE) break;
      after = rows.at(-1)!.key;
    }
    for (const [key, entry] of keyspace.entries(at.slot, db)) {
      const there = entry.value !== null && (entry.expiresAtMs === 0 || entry.expiresAtMs > nowMs);
      if (there) known.set(key, typeName(entry.value!));
      else known.delete(key);
    }
    const ordered = [...known.keys()]
      .map((key) => ({ key, hash: scanHash(key) }))
      .filter(({ hash }) => hash > at.hash)
      .sort((a, b) => a.hash - b.hash);
    for (let i = 0; i < ordered.length; i++) {
      const { key, hash } = ordered[i]!;
      // Keys of one hash go out together: the position is just the hash.
      if (i >= count && hash !== ordered[i - 1]!.hash)
        return { slot: at.slot, hash: ordered[i - 1]!.hash };
      keys.push([key, known.get(key)!]);
    }
    return { slot: at.slot + 1, hash: -1 };
  }

  async #randomHere(db: number): Promise<string | null> {
    const { keyspace, slots, time, platform } = this.#env;
    this.#requireActive();
    const now = time.nowMs();
    for (let tries = 0; tries < 32; tries++) {
      const found = keyspace.randomKey(db, (slot) => slots.isPrimary(slot));
      if (found === undefined) break;
      const { expiresAtMs } = found.entry;
      if (expiresAtMs === 0 || expiresAtMs > now) return found.key;
    }
    // Nothing suitable in memory: the table, from a random slot on, then from the first.
    const start = platform.random.below(SLOT_COUNT);
    const found = await this.#liveRow(db, start, SLOT_COUNT - 1);
    return found ?? (start === 0 ? null : await this.#liveRow(db, 0, start - 1));
  }

  /** The first live key of this node's unread slots in the range; looks at a bounded number of rows. */
  async #liveRow(db: number, from: number, to: number): Promise<string | null> {
    const { slots, loads, time } = this.#env;
    let after: RowKey | null = null;
    for (let page = 0; page < STEP_QUERIES_MAX; page++) {
      const rows: Row[] = await loads.scan({
        from,
        to,
        after,
        limit: TABLE_PAGE,
        bytesMax: PAGE_BYTES,
      });
      const live = rows.find(
        (row) =>
          row.db === db &&
          row.value !== null &&
          (row.expiresAtMs === 0 || row.expiresAtMs > time.nowMs()) &&
          slots.isPrimary(row.slot) &&
          !slots.isComplete(row.slot),
      );
      if (live !== undefined) return live.key;
      const last = rows.at(-1);
      if (last === undefined) return null;
      after = { slot: last.slot, db: last.db, key: last.key };
    }
    return null;
  }

  #flushHere({ db, epoch }: { db: number | null; epoch: number }): Promise<void> {
    if (epoch !== this.#env.epoch()) throw new CallFailed('another view', false);
    this.#requireActive();
    const deadlineMs = this.#env.platform.clock.monotonicMs() + this.#env.requestTimeoutMs;
    if (this.#env.engine.lane.down || !this.#env.lease.valid) {
      throw new ReplyError(
        'STOREDOWN',
        'the database is not reachable; this node deleted nothing, others may have',
      );
    }
    return new Promise((resolve, reject) => {
      // A flush that waits for another one has no operation of its own that could be overdue.
      const timer = this.#env.platform.timers.after(this.#env.requestTimeoutMs, () => {
        reject(new CallFailed('the flush was not confirmed', true));
      });
      this.#env.engine.flush(db, deadlineMs, (outcome: OpOutcome) => {
        timer.cancel();
        if (outcome.kind === 'done') resolve();
        else reject(flushError(outcome));
      });
    });
  }
}

function flushError(outcome: Exclude<OpOutcome, { kind: 'done' }>): Error {
  if (outcome.kind === 'failed') {
    return new ReplyError(
      'STOREFAIL',
      `the database refused the flush (${outcome.reason}); keys of other nodes may be deleted`,
    );
  }
  return new CallFailed('the flush was not confirmed', outcome.kind === 'unknown');
}

/** `slot * 2^32 + hash + 1`; 0 both starts and ends. At most 2^46, so every client can hold it. */
function formatCursor({ slot, hash }: Position): string {
  if (slot >= SLOT_COUNT) return '0';
  return String(slot * 0x1_0000_0000 + hash + 1);
}

function parseCursor(cursor: string): Position {
  const number = Number(cursor);
  const slot = Math.floor(number / 0x1_0000_0000);
  // A cursor that nobody handed out is at the end, as in Redis.
  if (slot >= SLOT_COUNT) return { slot: SLOT_COUNT, hash: -1 };
  return { slot, hash: (number % 0x1_0000_0000) - 1 };
}
