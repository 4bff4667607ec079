/**
 * Commands over all keys: DBSIZE, SCAN, KEYS, RANDOMKEY, FLUSHALL and the listing of a slot. They work
 * owner by owner and are not one atomic step over the cluster (docs/differences-from-redis.md).
 *
 * A SCAN cursor is `slot * 2^32 + h + 1`: slots in order, and within a slot the keys in the order of a
 * fixed hash, `h` being the last one handed out. It holds no state on any node, so it survives
 * failover, and any node continues what another began.
 *
 * A step asks all primaries at once for what their own slots have from the cursor on, merges their
 * answers by (slot, h), and ends where the first of them ended. Slot ranges alternate between nodes
 * some hundred times: following them one by one would be as many round trips.
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
import { type SlotRun, slotRuns } from './effects.ts';
import { type FlushPoint, type FlushRun, isBehind } from './flush-points.ts';
import type { Engine } from './engine.ts';
import type { Lease } from './lease.ts';
import type { Peers } from './peers.ts';
import type { Replica } from './replica.ts';
import { CallFailed, Method, type Rpc } from './rpc.ts';
import { SLOT_COUNT, slotOf } from './slot.ts';
import type { SlotTable } from './slots.ts';
import type { ClusterTime } from './time.ts';
import { refKey, sameRef } from './view.ts';

export interface GatherEnv {
  readonly platform: Platform;
  readonly self: NodeRef;
  readonly keyspace: Keyspace;
  readonly slots: SlotTable;
  readonly engine: Engine;
  readonly replica: Replica;
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

/** A part of the keys in [(slot, hash), (to, -1)), in their order. */
interface PageRequest extends Position {
  readonly to: number;
  readonly db: number;
  readonly count: number;
}

/** The same for one primary's own slots. Only in one view do all primaries together have all slots. */
interface PartRequest extends PageRequest {
  readonly epoch: number;
}

interface FlushCall {
  /** Null: all databases. */
  readonly db: number | null;
  readonly epoch: number;
  /** The slots that are still to be flushed. */
  readonly left: readonly (SlotRun & { readonly tried: FlushPoint | null })[];
}

interface FlushAnswer {
  /** False: a new view has ended it when memory was emptied and the table was not. */
  readonly finished: boolean;
  readonly emptied: readonly FlushRun[];
}

interface Page {
  readonly keys: readonly FoundKey[];
  /** Where to go on; the slot is `to` at the end. */
  readonly next: Position;
}

type FoundKey = [key: string, type: string];

/** Keys one SCAN step looks at, whatever COUNT says; and rounds of questions to the primaries. */
const STEP_KEYS_MAX = 10_000;
const STEP_ROUNDS_MAX = 64;
/** Keys that every primary is asked for beyond its share, so that one round mostly suffices. */
const SHARE_SPARE = 8;
/** Slots that one answer reads from the table. */
const STEP_QUERIES_MAX = 32;
const TABLE_PAGE = 2000;
const PAGE_BYTES = 1024 * 1024;
const RETRY_MS = 20;

export class Gather {
  readonly #env: GatherEnv;
  /** Flushes that have not begun, by their database (null: all). */
  readonly #nextFlushes = new Map<number | null, Promise<void>>();
  /** Resolves when the last of them has ended. */
  #lastFlush: Promise<void> = Promise.resolve();

  constructor(env: GatherEnv) {
    this.#env = env;
    const { rpc } = env;
    rpc.handle(Method.CountKeys, (_from, body) =>
      clear(() => this.#countHere((body as { db: number }).db)),
    );
    rpc.handle(Method.ScanSlots, (_from, body) => clear(() => this.#ownPage(body as PartRequest)));
    rpc.handle(Method.RandomKey, (_from, body) =>
      clear(() => this.#randomHere((body as { db: number }).db)),
    );
    rpc.handle(Method.Flush, (_from, body) => this.#flushHere(body as FlushCall));
  }

  countKeys(db: number): Promise<number> {
    return this.#patiently(async (deadlineMs) => {
      const ask = this.#env
        .primaries()
        .map((owner) =>
          this.#ask(owner, Method.CountKeys, { db }, deadlineMs, () => this.#countHere(db)),
        );
      const counts = await Promise.all(ask);
      return counts.reduce((sum, count) => sum + count, 0);
    });
  }

  async scan(request: ScanRequest): Promise<{ cursor: string; keys: string[] }> {
    const count = Math.min(request.count, STEP_KEYS_MAX);
    const keys: string[] = [];
    let position = parseCursor(request.cursor);
    let seen = 0;
    for (let round = 0; round < STEP_ROUNDS_MAX; round++) {
      if (position.slot >= SLOT_COUNT || seen >= count) break;
      const { db } = request;
      const page = await this.#page({ ...position, to: SLOT_COUNT, db, count: count - seen });
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
      const count = Math.min(limit - found.length, STEP_KEYS_MAX);
      const page = await this.#page({ ...position, to: slot + 1, db: 0, count });
      for (const [key] of page.keys) if (found.length < limit) found.push(key);
      position = page.next;
    }
    return found;
  }

  /** A random key, or null when there is none. Owners are asked in random order. */
  randomKey(db: number): Promise<string | null> {
    return this.#patiently(async (deadlineMs) => {
      const owners = [...this.#env.primaries()];
      while (owners.length > 0) {
        const [owner] = owners.splice(this.#env.platform.random.below(owners.length), 1);
        const here = (): Promise<string | null> => this.#randomHere(db);
        const key = await this.#ask(owner!, Method.RandomKey, { db }, deadlineMs, here);
        if (key !== null) return key;
      }
      return null;
    });
  }

  /**
   * Deletes everything, of one database or of all (null). One at a time; those that come meanwhile wait for the next
   * one together, which begins after all of them have come. So however many ask, each primary has one of this node's.
   */
  flush(db: number | null): Promise<void> {
    let next = this.#nextFlushes.get(db);
    if (next === undefined) {
      const deadlineMs = this.#env.platform.clock.monotonicMs() + this.#env.requestTimeoutMs;
      next = this.#lastFlush.then(() => {
        this.#nextFlushes.delete(db);
        return this.#flushAll(db, deadlineMs);
      });
      this.#nextFlushes.set(db, next);
      // All who wait for it are told what became of it; the one after it begins in any case.
      this.#lastFlush = next.catch(() => undefined);
    }
    return next;
  }

  /**
   * Deletes everything, primary by primary; tried again over a change of view until its time is up. What was
   * written to a slot after its flush must stay, so each slot is flushed once: later rounds ask for the rest, those
   * that a change of view has met half done with the point that they came to (`flush-points.ts`; a second point, and
   * nobody could tell what either has left). When it is not known whether a primary has flushed, the outcome is
   * unknown, and nobody is asked again.
   */
  async #flushAll(db: number | null, deadlineMs: number): Promise<void> {
    const { platform } = this.#env;
    const left = new Map<number, FlushPoint | null>();
    for (let slot = 0; slot < SLOT_COUNT; slot++) left.set(slot, null);
    let begun = false;
    for (;;) {
      if (platform.clock.monotonicMs() > deadlineMs) throw flushOverdue(begun);
      const body = { db, epoch: this.#env.epoch(), left: runsOf(left) };
      const asked = this.#env
        .primaries()
        .map((owner) =>
          this.#ask(owner, Method.Flush, body, deadlineMs, () => this.#flushHere(body)),
        );
      const failures: unknown[] = [];
      for (const answer of await Promise.allSettled(asked)) {
        if (answer.status === 'rejected') failures.push(answer.reason);
        else if (!takeOff(left, answer.value)) throw flushOverdue(true);
        begun ||=
          answer.status === 'fulfilled'
            ? answer.value.emptied.length > 0
            : mayHaveFlushed(answer.reason);
      }
      if (left.size === 0) return;
      const final = failures.find((failure) => !(failure instanceof CallFailed));
      if (final !== undefined) throw flushRefused(final, begun);
      if (failures.some(mayHaveFlushed)) throw flushOverdue(begun);
      await sleep(platform.timers, RETRY_MS);
    }
  }

  // ---------------------------------------------------------------- asking

  /** A question that changes nothing, tried again over a change of view until its time is up. */
  async #patiently<T>(question: (deadlineMs: number) => Promise<T>): Promise<T> {
    const { platform } = this.#env;
    const deadlineMs = platform.clock.monotonicMs() + this.#env.requestTimeoutMs;
    for (;;) {
      try {
        return await clear(() => question(deadlineMs));
      } catch (error) {
        if (!(error instanceof CallFailed)) throw error;
        if (platform.clock.monotonicMs() > deadlineMs) {
          const text = 'the owners of some keys could not be reached in time; nothing was changed';
          throw new ReplyError('NOTDONE', text, { cause: error });
        }
      }
      await sleep(platform.timers, RETRY_MS);
    }
  }

  async #ask<T>(
    owner: NodeRef,
    method: Method,
    body: unknown,
    deadlineMs: number,
    here: () => Promise<T> | T,
  ): Promise<T> {
    if (sameRef(owner, this.#env.self)) return this.#within(deadlineMs, here);
    return (await this.#env.rpc.call(this.#env.peers.get(owner), method, body, deadlineMs)) as T;
  }

  /** What is asked of this node itself may wait for holds, and these for the database: no longer than for others. */
  #within<T>(deadlineMs: number, here: () => Promise<T> | T): Promise<T> {
    const { clock, timers } = this.#env.platform;
    return new Promise((resolve, reject) => {
      const overdue = (): void => reject(new CallFailed('this node did not answer in time', true));
      const timer = timers.after(Math.max(0, deadlineMs - clock.monotonicMs()), overdue);
      // Also when it throws at once.
      const answer = new Promise<T>((settle) => settle(here())).finally(() => timer.cancel());
      answer.then(resolve, reject);
    });
  }

  /** The next keys of all slots: from this node alone if its memory has them all, else from all primaries. */
  #page(request: PageRequest): Promise<Page> {
    return this.#patiently(async (deadlineMs) => {
      if (this.#knowsAll(request)) return this.#completePage(request);
      const owners = this.#primariesIn(request);
      const share = Math.ceil((request.count / owners.length) * 1.5) + SHARE_SPARE;
      const part: PartRequest = {
        ...request,
        count: Math.min(request.count, share),
        epoch: this.#env.epoch(),
      };
      const ask = owners.map((owner) =>
        this.#ask(owner, Method.ScanSlots, part, deadlineMs, () => this.#ownPage(part)),
      );
      return mergePages(await Promise.all(ask), request.count);
    });
  }

  #primariesIn({ slot, to }: PageRequest): NodeRef[] {
    const found = new Map<string, NodeRef>();
    let last: NodeRef | undefined;
    for (let at = slot; at < to; at++) {
      const primary = this.#env.slots.primaryOf(at);
      if (primary === undefined) throw new CallFailed('a slot has no owner', false);
      if (primary === last) continue;
      last = primary;
      found.set(refKey(primary), primary);
    }
    return [...found.values()];
  }

  // ---------------------------------------------------------------- this node's part

  /**
   * A transaction over several owners is acknowledged when it is committed, and its keys here are held
   * until their part is applied: whoever asks after the acknowledgement must find it. Holds end by
   * themselves or with the view, so this wait does too; the asker's own time bounds it besides.
   */
  #holdsOver(): Promise<void> {
    return new Promise((resolve) => this.#env.engine.gates.whenOver(resolve));
  }

  #requireActive(): void {
    if (!this.#env.slots.allActive || !this.#env.mayServe())
      throw new CallFailed('not active yet', false);
  }

  async #countHere(db: number): Promise<number> {
    const { keyspace, slots, loads, time } = this.#env;
    await this.#holdsOver();
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
      for (const entry of keyspace.entries(slot, db)) {
        if (!entry.persistent && entry.value !== null) memoryOnly++;
      }
    }
    return inMemory + memoryOnly + (await loads.count(unread, db, time.nowMs()));
  }

  /** This node's memory has all keys of these slots, as an owner. */
  #knowsAll({ slot, to }: PageRequest): boolean {
    const { slots } = this.#env;
    if (!this.#env.mayServe()) return false;
    // A transaction may be committed, and acknowledged, before its part has come here.
    if (this.#env.engine.gates.held + this.#env.replica.heldKeys > 0) return false;
    for (let at = slot; at < to; at++) {
      if (!slots.isOwner(at) || !slots.isComplete(at)) return false;
      // Until it is active, others may still write there.
      if (slots.isPrimary(at) && !slots.isActivePrimary(at)) return false;
    }
    return true;
  }

  #completePage({ db, slot, hash, to, count }: PageRequest): Page {
    const keys: FoundKey[] = [];
    let at: Position = { slot, hash };
    while (at.slot < to && keys.length < count)
      at = this.#memoryPage(db, at, count - keys.length, keys);
    return { keys, next: at };
  }

  /** Keys of the slots that this node is primary of, as far as it can tell and the count goes. */
  async #ownPage({ db, slot, hash, to, count, epoch }: PartRequest): Promise<Page> {
    const { slots } = this.#env;
    await this.#holdsOver();
    const keys: FoundKey[] = [];
    let at: Position = { slot, hash };
    let queries = 0;
    while (at.slot < to && keys.length < count) {
      if (epoch !== this.#env.epoch() || !this.#env.mayServe())
        throw new CallFailed('another view, or no lease', false);
      if (!slots.isPrimary(at.slot)) at = { slot: at.slot + 1, hash: -1 };
      else if (!slots.isActivePrimary(at.slot)) throw new CallFailed('not active yet', false);
      else if (slots.isComplete(at.slot)) at = this.#memoryPage(db, at, count - keys.length, keys);
      else if (queries++ >= STEP_QUERIES_MAX) break;
      else at = await this.#mergedPage(db, at, count - keys.length, keys);
    }
    if (epoch !== this.#env.epoch()) throw new CallFailed('another view', false);
    return { keys, next: at };
  }

  #memoryPage(db: number, at: Position, count: number, keys: FoundKey[]): Position {
    const page = this.#env.keyspace.scanSlot(at.slot, db, at.hash, count);
    const now = this.#env.time.nowMs();
    for (const { entry } of page.items) {
      if (entry.value === null || (entry.expiresAtMs !== 0 && entry.expiresAtMs <= now)) continue;
      keys.push([entry.key, typeName(entry.value)]);
    }
    return page.done ? { slot: at.slot + 1, hash: -1 } : { slot: at.slot, hash: page.lastHash };
  }

  /** A slot that is only partly in memory: the table's keys, corrected by what memory knows better. */
  async #mergedPage(db: number, at: Position, count: number, keys: FoundKey[]): Promise<Position> {
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
    for (const entry of keyspace.entries(at.slot, db)) {
      const { key } = entry;
      const there = entry.value !== null && (entry.expiresAtMs === 0 || entry.expiresAtMs > nowMs);
      if (there) known.set(key, typeName(entry.value));
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
    await this.#holdsOver();
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

  /** Flushes those slots of this node that are among the ones that are left. */
  #flushHere({ db, epoch, left }: FlushCall): Promise<FlushAnswer> {
    if (epoch !== this.#env.epoch()) throw new CallFailed('another view', false);
    this.#requireActive();
    const deadlineMs = this.#env.platform.clock.monotonicMs() + this.#env.requestTimeoutMs;
    if (this.#env.engine.lane.down || !this.#env.lease.valid)
      throw new ReplyError('STOREDOWN', 'the database is not reachable');
    return new Promise((resolve, reject) => {
      // A flush that waits for another one has no operation of its own that could be overdue.
      const timer = this.#env.platform.timers.after(this.#env.requestTimeoutMs, () => {
        reject(new CallFailed('the flush was not confirmed', true));
      });
      const wanted = new Map<number, FlushPoint | null>();
      for (const run of left) for (const slot of slotsIn(run)) wanted.set(slot, run.tried);
      this.#env.engine.flushes.add({
        db,
        deadlineMs,
        wanted,
        done: (outcome, emptied) => {
          timer.cancel();
          const { kind } = outcome;
          if (kind === 'done') resolve({ finished: true, emptied });
          else if (kind === 'failed') reject(new ReplyError('STOREFAIL', outcome.reason));
          else if (kind === 'void' && emptied.length > 0) resolve({ finished: false, emptied });
          else reject(new CallFailed('the flush was not confirmed', kind === 'unknown'));
        },
      });
    });
  }
}

/** Trouble of the database as a reply for people; only for questions, which change nothing. */
async function clear<T>(work: () => Promise<T> | T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const text = `the database could not be asked (${error.message}); nothing was changed`;
    throw new ReplyError('STOREDOWN', text, { cause: error });
  }
}

function* slotsIn({ slot, to }: SlotRun): Generator<number> {
  for (let at = slot; at <= to; at++) yield at;
}

function runsOf(left: ReadonlyMap<number, FlushPoint | null>): FlushCall['left'] {
  const runs = slotRuns([...left.keys()], (a, b) => left.get(a) === left.get(b));
  return runs.map((run) => ({ ...run, tried: left.get(run.slot)! }));
}

/** Notes what a primary has done; false when a slot was met half done at two points. */
function takeOff(
  left: Map<number, FlushPoint | null>,
  { finished, emptied }: FlushAnswer,
): boolean {
  for (const run of emptied) {
    for (const slot of slotsIn(run)) {
      const tried = left.get(slot) ?? null;
      if (finished) left.delete(slot);
      else if (tried !== null && isBehind(tried, run.point)) return false;
      else left.set(slot, run.point);
    }
  }
  return true;
}

/** After this failure some keys of that primary may be gone. */
function mayHaveFlushed(failure: unknown): boolean {
  if (failure instanceof CallFailed) return failure.mayHaveRun;
  // One that the database refused has emptied memory, and keys without a row are only there.
  return !(failure instanceof ReplyError && failure.code === 'STOREDOWN');
}

/** One primary cannot flush, and the others may have; `begun`: some did, or it is not known. */
function flushRefused(failure: unknown, begun: boolean): unknown {
  if (!(failure instanceof ReplyError)) return failure;
  if (!begun)
    return new ReplyError(failure.code, `${failure.message}; nothing was changed`, {
      cause: failure,
    });
  const text = `outcome unknown: not every node could delete its keys (${failure.message}); some may be deleted already`;
  return new ReplyError('UNKNOWN', text, { cause: failure });
}

function flushOverdue(begun: boolean): ReplyError {
  if (begun) {
    return new ReplyError(
      'UNKNOWN',
      'outcome unknown: not every node confirmed; some keys may be deleted already',
    );
  }
  return new ReplyError(
    'NOTDONE',
    'the owners of the keys could not be reached in time; nothing was changed',
  );
}

/** One page of all slots from those of their primaries: up to where the first of them ended. */
function mergePages(parts: readonly Page[], count: number): Page {
  const end = Math.min(...parts.map(({ next }) => rank(next)));
  const found = parts
    .flatMap(({ keys }) => keys)
    .map((item) => ({ item, at: rank({ slot: slotOf(item[0]), hash: scanHash(item[0]) }) }))
    .filter(({ at }) => at <= end)
    .sort((a, b) => a.at - b.at);
  // Keys of one position go out together: a cursor says no more than that.
  let taken = Math.min(count, found.length);
  while (taken < found.length && found[taken]!.at === found[taken - 1]!.at) taken++;
  const keys = found.slice(0, taken).map(({ item }) => item);
  return { keys, next: positionOf(taken < found.length ? found[taken - 1]!.at : end) };
}

/** Positions in their order, as one number; at most 2^46. */
function rank({ slot, hash }: Position): number {
  return slot * 0x1_0000_0000 + hash + 1;
}

function positionOf(at: number): Position {
  return { slot: Math.floor(at / 0x1_0000_0000), hash: (at % 0x1_0000_0000) - 1 };
}

/** The position's rank; 0 both starts and ends. At most 2^46, so every client can hold it. */
function formatCursor(position: Position): string {
  return position.slot >= SLOT_COUNT ? '0' : String(rank(position));
}

function parseCursor(cursor: string): Position {
  const position = positionOf(Number(cursor));
  // A cursor that nobody handed out is at the end, as in Redis.
  return position.slot >= SLOT_COUNT ? { slot: SLOT_COUNT, hash: -1 } : position;
}
