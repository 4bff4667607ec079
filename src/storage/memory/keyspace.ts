/**
 * The keys in this node's memory, by database, then slot, then key. Entries lie outside of the JavaScript heap:
 * `records.ts` says how, `key-table.ts` how they are found.
 *
 * Everything derived (counts, expiry index, dirty marks) is kept up to date here and nowhere else. How entries are
 * stored stays inside this folder: whoever looks one up gets a copy of what it is at that moment.
 */
import { strict as assert } from 'node:assert';
import type { Random } from '../../platform/clock.ts';
import { AccessClock } from './access.ts';
import { ARENA_BYTES_MAX } from './arena.ts';
import { DirtyMark, type Entry, type KeyState } from './entry.ts';
import { ExpiryIndex } from './expiry.ts';
import type { KeyBatch } from './key-batch.ts';
import { keyHash } from './key-hash.ts';
import { KeyTable } from './key-table.ts';
import {
  DB_COUNT,
  dbOfPlace,
  located,
  type Located,
  placeOf,
  SLOT_COUNT,
  slotOfPlace,
} from './place.ts';
import { type CopyTarget, NONE, Records } from './records.ts';
import { drawLive, scanPage, type ScanPage } from './scan.ts';

export { scanHash } from './key-hash.ts';
export { type ScanItem, type ScanPage } from './scan.ts';
export { DB_COUNT, type Located, SLOT_COUNT } from './place.ts';

export interface KeyspaceOptions {
  readonly random: Random;
  /** Cluster time, milliseconds since 1970. */
  nowMs(): number;
}

/** Some of the slots: those for which it answers true, or those listed (each once). */
export type SlotFilter = ((slot: number) => boolean) | readonly number[];

/**
 * Bytes that entries can have at most, whatever is configured: somewhat less than there are addresses for, since
 * owners other than the primary cannot refuse an effect.
 */
export const MEMORY_BYTES_MAX = ARENA_BYTES_MAX * 0.9;

/** Keys that a walk takes at a time. */
const WALK_KEYS = 32;

/** One numbered database: its keys, and what is counted about the live ones (those with a value). */
class Database {
  readonly table: KeyTable;
  readonly live = new Int32Array(SLOT_COUNT);
  readonly expiring = new Int32Array(SLOT_COUNT);
  liveTotal = 0;
  expiringTotal = 0;

  constructor(records: Records) {
    this.table = new KeyTable(records);
  }

  /** Adds (`by` 1) or takes away (-1) a record in that state. */
  count(slot: number, absent: boolean, expires: boolean, by: 1 | -1): void {
    if (absent) return;
    this.live[slot]! += by;
    this.liveTotal += by;
    if (!expires) return;
    this.expiring[slot]! += by;
    this.expiringTotal += by;
  }
}

export class Keyspace {
  /** Look-ups by commands that found a value, and that did not. */
  hits = 0;
  misses = 0;
  readonly #random: Random;
  readonly #nowMs: () => number;
  readonly #records = new Records();
  readonly #db0 = new Database(this.#records);
  readonly #databases = new Array<Database | undefined>(DB_COUNT).fill(undefined);
  readonly #expiry: ExpiryIndex;
  /** Dirty marks by number, and numbers that are free. */
  readonly #marks: (DirtyMark | null)[] = [];
  readonly #freeMarks: number[] = [];
  #entryCount = 0;
  /** The last look-up's answer, for the next one: a read looks the same key up twice. Null after any change. */
  #seen: Entry | null = null;
  #seenSlot = 0;
  #seenDb = 0;

  /** How uses are recorded; its mode follows the eviction policy (`eviction.ts`). */
  readonly access: AccessClock;

  constructor(options: KeyspaceOptions) {
    this.#random = options.random;
    this.#nowMs = () => options.nowMs();
    this.#databases[0] = this.#db0;
    this.#expiry = new ExpiryIndex(options.nowMs(), this.#records);
    this.access = new AccessClock(options.random, options.nowMs());
  }

  // ---------------------------------------------------------------- one key

  /** The entry as it is: may be expired, dirty or a remembered absence. Not counted as a use. */
  find(slot: number, db: number, key: string): Entry | undefined {
    const seen = this.#seen;
    if (seen !== null && seen.key === key && this.#seenSlot === slot && this.#seenDb === db)
      return seen;
    const at = this.#locate(slot, db, key);
    if (at === NONE) return undefined;
    const entry = this.#records.read(at, this.#markOf(at), key);
    this.#seen = entry;
    this.#seenSlot = slot;
    this.#seenDb = db;
    return entry;
  }

  /** Whether there is an entry, of whatever kind. */
  has(slot: number, db: number, key: string): boolean {
    return this.#locate(slot, db, key) !== NONE;
  }

  /**
   * What is known to be committed comes to memory: creates or overwrites, and counts as a use. A key that is
   * dirty gets the state and stays dirty.
   */
  load(state: KeyState): void {
    const at = this.#put(state);
    const mark = this.#markOf(at);
    if (mark !== null) this.#setMark(mark, at, mark.dirty, state.epoch, state.seq);
  }

  /**
   * A change that is not known to be committed: creates or overwrites, counts as a use, and gives the key the dirty
   * mark `dirty` (not 0), in place of any other.
   */
  change(state: KeyState, dirty: number): DirtyMark {
    const at = this.#put(state);
    const mark = this.#markOf(at) ?? this.#newMark(placeOf(state.slot, state.db));
    this.#setMark(mark, at, dirty, state.epoch, state.seq);
    return mark;
  }

  /** The same for the expiry alone; null, and nothing changes, when the key is not there. */
  changeExpiry(
    state: Pick<KeyState, 'slot' | 'db' | 'key' | 'expiresAtMs' | 'epoch' | 'seq'>,
    dirty: number,
  ): DirtyMark | null {
    const entry = this.find(state.slot, state.db, state.key);
    if (entry === undefined || entry.value === null) return null;
    const { value, persistent } = entry;
    return this.change({ ...state, value, persistent }, dirty);
  }

  /** Gives a key the dirty mark `dirty` (not 0), whatever it is; an unknown one gets an entry without a value. */
  mark(slot: number, db: number, key: string, dirty: number): DirtyMark {
    const at = this.#locate(slot, db, key);
    if (at === NONE) {
      const nothing = { value: null, expiresAtMs: 0, epoch: 0, seq: 0, persistent: true };
      return this.change({ slot, db, key, ...nothing }, dirty);
    }
    const { epoch, seq } = this.#records.read(at, this.#markOf(at), key);
    const mark = this.#markOf(at) ?? this.#newMark(placeOf(slot, db));
    this.#setMark(mark, at, dirty, epoch, seq);
    return mark;
  }

  /**
   * The effect of this number is committed. If it is still the key's latest, the key is clean, and what
   * was only there to be marked goes: a tombstone is remembered until its end, a plain delete is just no key.
   */
  settle(mark: DirtyMark, dirty: number): void {
    if (mark.dirty !== dirty || dirty === 0) return;
    const { at, place, epoch, seq } = mark;
    const isMarker = this.#records.isAbsent(at) && this.#records.expiresAtMs(at) === 0;
    if (isMarker) {
      this.#take(slotOfPlace(place), dbOfPlace(place), at);
      return;
    }
    this.#seen = null;
    this.#records.clearMark(at, epoch, seq);
    this.#freeMark(mark);
  }

  /** Forgets the entry, whatever its state. Returns whether there was one (an absence is one too). */
  remove(slot: number, db: number, key: string): boolean {
    const at = this.#locate(slot, db, key);
    if (at === NONE) return false;
    this.#take(slot, db, at);
    return true;
  }

  /** Counts as a use of the key. `nowMs`: cluster time. */
  touch(slot: number, db: number, key: string, nowMs: number): void {
    const entry = this.find(slot, db, key);
    if (entry === undefined) return;
    this.#records.setAccess(entry.at, this.access.used(entry.access, nowMs));
    this.#seen = null;
  }

  // ---------------------------------------------------------------- values in place

  /**
   * Finds the keys of a batch whose values can be copied as they are: those that are there, clean, not long, and do not
   * expire until `untilMs`.
   */
  findPlain(keys: KeyBatch, db: number, untilMs: number): void {
    const { count, found } = keys;
    const database = db === 0 ? this.#db0 : this.#databases[db];
    if (database === undefined) {
      found.fill(NONE, 0, count);
      return;
    }
    database.table.findAll(keys);
    for (let i = 0; i < count; i++) {
      const at = found[i]!;
      if (at !== NONE && !this.#records.isPlain(at, untilMs)) found[i] = NONE;
    }
  }

  /** Bytes of the value of what `findPlain` found. */
  plainBytes(at: number): number {
    return this.#records.valueBytes(at);
  }

  /** Copies the value to `target`, which has room for it. Counts as a look-up, and as a use if it `touches`. */
  copyPlain(at: number, target: CopyTarget, nowMs: number, touches: boolean): void {
    const records = this.#records;
    records.copyValue(at, target);
    this.hits++;
    if (!touches) return;
    records.setAccess(at, this.access.used(records.access(at), nowMs));
    this.#seen = null;
  }

  // ---------------------------------------------------------------- uses

  /** Whole seconds since the entry was used (OBJECT IDLETIME); meaningful under LRU policies. */
  idleSeconds(entry: Entry): number {
    return this.access.idleSeconds(entry.access, this.#nowMs());
  }

  /** The logarithmic use counter, 0-255 (OBJECT FREQ); meaningful under LFU policies. */
  frequency(entry: Entry): number {
    return this.access.frequency(entry.access, this.#nowMs());
  }

  // ---------------------------------------------------------------- a slot

  /** Forgets everything of a slot, in one database or in all (`null`). Returns how many entries that were. */
  clearSlot(slot: number, db: number | null): number {
    this.#seen = null;
    let dropped = 0;
    for (let i = db ?? 0; i <= (db ?? DB_COUNT - 1); i++) {
      const database = this.#databases[i];
      if (database === undefined) continue;
      dropped += database.table.size(slot);
      database.table.clear(slot, (at) => this.#forget(database, slot, at));
    }
    return dropped;
  }

  /** The same, except for keys that no database has (`none`) and that are younger than the version. */
  clearSlotUpTo(
    slot: number,
    db: number | null,
    { epoch, seq }: Pick<Entry, 'epoch' | 'seq'>,
  ): void {
    for (const at of db === null ? this.databases(slot) : [db]) {
      for (const entry of this.entries(slot, at)) {
        const isYounger = entry.epoch > epoch || (entry.epoch === epoch && entry.seq > seq);
        if (entry.persistent || !isYounger) this.remove(slot, at, entry.key);
      }
    }
  }

  /** Number of live keys of a slot. */
  slotKeyCount(slot: number, db: number): number {
    return this.#databases[db]?.live[slot] ?? 0;
  }

  /** The databases that have entries in a slot, ascending. */
  databases(slot: number): number[] {
    const found: number[] = [];
    for (let db = 0; db < DB_COUNT; db++) {
      if ((this.#databases[db]?.table.size(slot) ?? 0) > 0) found.push(db);
    }
    return found;
  }

  /**
   * Everything in a slot, absences included, in the order of `scanHash`. Changes during the iteration are fine: what
   * is there from the beginning to the end comes up exactly once, and as it is then; what is removed does not
   * come up any more; what is added may.
   */
  *entries(slot: number, db: number): Generator<Entry, void> {
    const table = this.#databases[db]?.table;
    if (table === undefined) return;
    let position = -1;
    for (let end = false; !end; ) {
      const { found, done } = table.after(slot, position, WALK_KEYS);
      end = done;
      if (found.length === 0) continue;
      position = this.#records.order(found.at(-1)!);
      for (const key of found.map((at) => this.#records.key(at))) {
        const entry = this.find(slot, db, key);
        if (entry !== undefined) yield entry;
      }
    }
  }

  /**
   * Live keys (expired ones included) of a slot in the order of `scanHash`, those above `afterHash`
   * (-1: from the start): at least `limit` while there are as many, and never only some of equal hash.
   * A key that is there from the first page to the last is on exactly one page.
   */
  scanSlot(slot: number, db: number, afterHash: number, limit: number): ScanPage {
    const table = this.#databases[db]?.table;
    if (table === undefined) return { items: [], lastHash: afterHash, done: true };
    const read = (at: number): Entry => this.#read(at);
    return scanPage(table, slot, afterHash, limit, { records: this.#records, read });
  }

  /**
   * The next entry of a slot by `scanHash`, absences included: for those who go through all of memory in single
   * steps. Of keys with an equal hash only one comes up as long as it is there.
   */
  nextAfter(
    slot: number,
    db: number,
    afterHash: number,
  ): { entry: Entry; hash: number } | undefined {
    const at = this.#databases[db]?.table.after(slot, afterHash, 1).found[0];
    return at === undefined ? undefined : { entry: this.#read(at), hash: this.#records.order(at) };
  }

  // ---------------------------------------------------------------- all of it

  /** Bytes of all entries with their tables: what maxmemory bounds. */
  get usedBytes(): number {
    return this.#records.usedBytes;
  }

  /** Number of entries in all databases, remembered absences included. */
  get entryCount(): number {
    return this.#entryCount;
  }

  /** Number of entries that are dirty. */
  get dirtyCount(): number {
    return this.#marks.length - this.#freeMarks.length;
  }

  /** Number of live keys in all databases. As in Redis, keys count until their expiry was carried out. */
  get keyCount(): number {
    return this.#databases.reduce((sum, database) => sum + (database?.liveTotal ?? 0), 0);
  }

  /** Number of live keys of a database, in all slots or in some. */
  dbKeyCount(db: number, slots?: SlotFilter): number {
    const database = this.#databases[db];
    if (database === undefined) return 0;
    return slots === undefined ? database.liveTotal : sumOf(database.live, slots);
  }

  /** Number of live keys of a database that have an expiry, in all slots or in some. */
  expiresCount(db: number, slots?: SlotFilter): number {
    const database = this.#databases[db];
    if (database === undefined) return 0;
    return slots === undefined ? database.expiringTotal : sumOf(database.expiring, slots);
  }

  /** False when the database never had a key: nothing to walk there. */
  hasDatabase(db: number): boolean {
    return this.#databases[db] !== undefined;
  }

  /** A live key of the database (it may be expired), each about as likely; undefined when there is none. */
  randomKey(db: number, slots?: SlotFilter): Located | undefined {
    const database = this.#databases[db];
    const total = this.dbKeyCount(db, slots);
    if (database === undefined || total === 0) return undefined;
    const slot = slotOfRank(database.live, slots, this.#random.below(total));
    const below = (bound: number): number => this.#random.below(bound);
    const at = drawLive(database.table, slot, this.#records, below);
    return at === undefined ? undefined : located(placeOf(slot, db), this.#read(at));
  }

  // ---------------------------------------------------------------- expiry

  /**
   * Up to `limit` entries whose expiry is before `nowMs` (found up to 128 ms late), absences included. `wanted`
   * leaves some out: those of slots that others are primary of, say. What is still here afterwards is
   * given out again two seconds later. Bounded work: some thirty entries looked at for each of `limit`.
   */
  takeExpired(
    nowMs: number,
    limit: number,
    wanted?: (slot: number, entry: Entry) => boolean,
  ): Located[] {
    const expired: Located[] = [];
    this.#expiry.take(nowMs, limit, (place, at) => {
      const entry = this.#read(at);
      if (wanted !== undefined && !wanted(slotOfPlace(place), entry)) return false;
      expired.push(located(place, entry));
      return true;
    });
    return expired;
  }

  /** Number of entries with an expiry, absences included. */
  get volatileCount(): number {
    return this.#expiry.size;
  }

  /** The `index`-th of the entries with an expiry, 0 <= index < volatileCount, in no particular order. */
  volatileAt(index: number): Located {
    return located(this.#expiry.placeAt(index), this.#read(this.#expiry.recordAt(index)));
  }

  // ---------------------------------------------------------------- records

  #locate(slot: number, db: number, key: string): number {
    const database = db === 0 ? this.#db0 : this.#databases[db];
    return database === undefined ? NONE : database.table.find(slot, keyHash(key), key);
  }

  #read(at: number): Entry {
    return this.#records.read(at, this.#markOf(at));
  }

  /** Creates or overwrites. Returns the record; a new version is its caller's to give to a mark. */
  #put(state: KeyState): number {
    this.#seen = null;
    const { slot, db, key, value, expiresAtMs } = state;
    const records = this.#records;
    const database = (this.#databases[db] ??= new Database(records));
    const hash = keyHash(key);
    const old = database.table.find(slot, hash, key);
    if (old === NONE) {
      const at = records.create(hash, this.access.initial(this.#nowMs()), state);
      database.table.insert(slot, at);
      this.#entryCount++;
      database.count(slot, value === null, expiresAtMs !== 0, 1);
      if (expiresAtMs !== 0) this.#expiry.add(at, placeOf(slot, db), expiresAtMs);
      return at;
    }
    const timer = records.timer(old);
    database.count(slot, records.isAbsent(old), timer >= 0, -1);
    database.count(slot, value === null, expiresAtMs !== 0, 1);
    if (timer >= 0 && expiresAtMs === 0) this.#expiry.remove(timer);
    const at = this.#rewrite(database.table, slot, old, state);
    if (expiresAtMs !== 0) {
      if (timer >= 0) this.#expiry.update(timer, at, expiresAtMs);
      else this.#expiry.add(at, placeOf(slot, db), expiresAtMs);
    }
    records.setAccess(at, this.access.used(records.access(at), this.#nowMs()));
    return at;
  }

  /** Gives a record another content, in another place if need be, and keeps its mark. */
  #rewrite(table: KeyTable, slot: number, old: number, state: KeyState): number {
    const records = this.#records;
    const mark = this.#markOf(old);
    let at = old;
    if (!records.rewrite(old, state)) {
      at = records.create(records.hash(old), records.access(old), state);
      table.replace(slot, old, at);
      records.free(old);
    }
    if (mark !== null) {
      mark.at = at;
      records.setMark(at, mark.number);
    }
    return at;
  }

  #take(slot: number, db: number, at: number): void {
    this.#seen = null;
    const database = this.#databases[db]!;
    database.table.remove(slot, at);
    this.#forget(database, slot, at);
  }

  /** Takes a record that is in no table any more out of everything derived, and frees it. */
  #forget(database: Database, slot: number, at: number): void {
    const records = this.#records;
    const timer = records.timer(at);
    database.count(slot, records.isAbsent(at), timer >= 0, -1);
    if (timer >= 0) this.#expiry.remove(timer);
    const mark = this.#markOf(at);
    if (mark !== null) this.#freeMark(mark);
    this.#entryCount--;
    records.free(at);
  }

  // ---------------------------------------------------------------- dirty marks

  #markOf(at: number): DirtyMark | null {
    const number = this.#records.mark(at);
    return number < 0 ? null : this.#marks[number]!;
  }

  #newMark(place: number): DirtyMark {
    const mark = new DirtyMark(this.#freeMarks.pop() ?? this.#marks.length);
    mark.place = place;
    this.#marks[mark.number] = mark;
    return mark;
  }

  #setMark(mark: DirtyMark, at: number, dirty: number, epoch: number, seq: number): void {
    assert(dirty !== 0, 'a mark has a number');
    this.#seen = null;
    mark.at = at;
    mark.dirty = dirty;
    mark.epoch = epoch;
    mark.seq = seq;
    this.#records.setMark(at, mark.number);
  }

  /** Whoever still holds the mark finds that it is none any more. */
  #freeMark(mark: DirtyMark): void {
    mark.dirty = 0;
    mark.at = NONE;
    this.#marks[mark.number] = null;
    this.#freeMarks.push(mark.number);
  }
}

function sumOf(counts: Int32Array, slots: SlotFilter): number {
  let sum = 0;
  if (typeof slots !== 'function') {
    for (const slot of slots) sum += counts[slot] ?? 0;
    return sum;
  }
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const count = counts[slot]!;
    if (count !== 0 && slots(slot)) sum += count;
  }
  return sum;
}

/** The slot that holds the key of this rank, when the keys of the slots are counted through in order. */
function slotOfRank(counts: Int32Array, slots: SlotFilter | undefined, rank: number): number {
  let left = rank;
  if (slots !== undefined && typeof slots !== 'function') {
    for (const slot of slots) {
      left -= counts[slot] ?? 0;
      if (left < 0) return slot;
    }
    return -1;
  }
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const count = counts[slot]!;
    if (count === 0 || (slots !== undefined && !slots(slot))) continue;
    left -= count;
    if (left < 0) return slot;
  }
  return -1;
}
