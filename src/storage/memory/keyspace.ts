/**
 * The keys in this node's memory, by database, then slot, then key.
 *
 * A map a slot, because slots are what is filled, handed over, dropped and counted; database 0, which
 * nearly everybody uses, is reached without a second look-up. Sixteen thousand small maps also grow in
 * small steps: one large map would stop the node for as long as it takes to copy millions of places.
 *
 * Everything derived (counts, bytes, expiry index) is kept up to date here and nowhere else, and all
 * of it goes through `put`, `setExpiry` and `remove`. How entries are stored stays inside this folder.
 */
import type { Random } from '../../platform/clock.ts';
import { AccessClock } from './access.ts';
import { Entry, type Value } from './entry.ts';
import { ExpiryIndex } from './expiry.ts';
import { DB_COUNT, located, type Located, placeOf, SLOT_COUNT, slotOfPlace } from './place.ts';
import { type Keys, Scanner, type ScanPage } from './scan.ts';
import { entryBytes, EXPIRY_BYTES, mapBytes, mapGrows, valueBytes } from './sizes.ts';

export { scanHash, type ScanItem, type ScanPage } from './scan.ts';
export { DB_COUNT, type Located, SLOT_COUNT } from './place.ts';

export interface KeyspaceOptions {
  readonly random: Random;
  /** Cluster time, milliseconds since 1970. */
  nowMs(): number;
}

/** Some of the slots: those for which it answers true, or those listed (each once). */
export type SlotFilter = ((slot: number) => boolean) | readonly number[];

type SlotTable = (Keys | undefined)[];

/** One numbered database: its maps, and what is counted about its live keys (those with a value). */
class Database {
  readonly slots: SlotTable = new Array<Keys | undefined>(SLOT_COUNT).fill(undefined);
  readonly live = new Int32Array(SLOT_COUNT);
  readonly expiring = new Int32Array(SLOT_COUNT);
  liveTotal = 0;
  expiringTotal = 0;

  /** Adds (`by` 1) or takes away (-1) an entry in that state. */
  count(slot: number, value: Value | null, expiresAtMs: number, by: 1 | -1): void {
    if (value === null) return;
    this.live[slot]! += by;
    this.liveTotal += by;
    if (expiresAtMs === 0) return;
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
  readonly #db0 = new Database();
  readonly #slots0 = this.#db0.slots;
  readonly #databases = new Array<Database | undefined>(DB_COUNT).fill(undefined);
  readonly #scanner = new Scanner();
  readonly #expiry: ExpiryIndex;
  #usedBytes = 0;
  #entryCount = 0;

  /** How uses are recorded; its mode follows the eviction policy (`eviction.ts`). */
  readonly access: AccessClock;

  constructor(options: KeyspaceOptions) {
    this.#random = options.random;
    this.#nowMs = () => options.nowMs();
    this.#databases[0] = this.#db0;
    this.#expiry = new ExpiryIndex(options.nowMs());
    this.access = new AccessClock(options.random, options.nowMs());
  }

  /** The entry as it is: may be expired, dirty or a remembered absence. Not counted as a use. */
  find(slot: number, db: number, key: string): Entry | undefined {
    const keys = db === 0 ? this.#slots0[slot] : this.#databases[db]?.slots[slot];
    return keys === undefined ? undefined : keys.get(key);
  }

  /**
   * Creates or overwrites, in place, and counts as a use. `value` null remembers an absence;
   * `expiresAtMs` is milliseconds since 1970, 0 for never. Version and marks (`dirty`, `persistent`)
   * are the caller's: a new entry is clean, persistent and of version (0, 0), an old one keeps what it has.
   *
   * Key and value must be strings of their own, as `Buffer.latin1Slice` makes them: a slice cut out of a large string
   * keeps the whole of it in memory, unseen by the accounting.
   */
  put(slot: number, db: number, key: string, value: Value | null, expiresAtMs: number): Entry {
    const database = this.#databases[db] ?? this.#openDatabase(db);
    const entry = database.slots[slot]?.get(key);
    if (entry === undefined)
      return this.#create(database, placeOf(slot, db), key, value, expiresAtMs);
    if (value !== entry.value || expiresAtMs !== entry.expiresAtMs) {
      this.#usedBytes += valueBytes(value) - valueBytes(entry.value);
      database.count(slot, entry.value, entry.expiresAtMs, -1);
      database.count(slot, value, expiresAtMs, 1);
      entry.value = value;
      this.#moveExpiry(entry, placeOf(slot, db), expiresAtMs);
    }
    this.access.touch(entry, this.#nowMs());
    return entry;
  }

  /** Changes when an entry of this keyspace expires: milliseconds since 1970, 0 for never. */
  setExpiry(slot: number, db: number, _key: string, entry: Entry, expiresAtMs: number): void {
    const database = this.#databases[db];
    if (database === undefined || expiresAtMs === entry.expiresAtMs) return;
    database.count(slot, entry.value, entry.expiresAtMs, -1);
    database.count(slot, entry.value, expiresAtMs, 1);
    this.#moveExpiry(entry, placeOf(slot, db), expiresAtMs);
  }

  /** Forgets the entry, whatever its state. Returns whether there was one (an absence is one too). */
  remove(slot: number, db: number, key: string): boolean {
    const database = this.#databases[db];
    const keys = database?.slots[slot];
    const entry = keys?.get(key);
    if (database === undefined || keys === undefined || entry === undefined) return false;
    if (mapGrows(keys.size)) this.#usedBytes += mapBytes(keys.size - 1) - mapBytes(keys.size);
    keys.delete(key);
    this.#forget(database, slot, entry);
    if (keys.size === 0) this.#closeSlot(database, slot, db);
    return true;
  }

  /** Counts as a use of the entry. `nowMs` saves a look at the clock where the caller has it. */
  touch(entry: Entry, nowMs: number = this.#nowMs()): void {
    this.access.touch(entry, nowMs);
  }

  /** Whole seconds since the entry was used (OBJECT IDLETIME); meaningful under LRU policies. */
  idleSeconds(entry: Entry): number {
    return this.access.idleSeconds(entry, this.#nowMs());
  }

  /** The logarithmic use counter, 0-255 (OBJECT FREQ); meaningful under LFU policies. */
  frequency(entry: Entry): number {
    return this.access.frequency(entry, this.#nowMs());
  }

  /** Forgets everything of a slot, in one database or in all (`null`). Returns how many entries that were. */
  clearSlot(slot: number, db: number | null): number {
    let dropped = 0;
    for (let i = db ?? 0; i <= (db ?? DB_COUNT - 1); i++) {
      const database = this.#databases[i];
      const keys = database?.slots[slot];
      if (database === undefined || keys === undefined) continue;
      dropped += keys.size;
      this.#usedBytes -= mapBytes(keys.size);
      for (const entry of keys.values()) this.#forget(database, slot, entry);
      keys.clear(); // iterators of the eviction end here, instead of keeping the entries alive
      this.#closeSlot(database, slot, i);
    }
    return dropped;
  }

  /**
   * Forgets those entries of a slot, in all databases, for which `drop` answers true. `drop` must not
   * change the keyspace. Returns how many that were.
   */
  dropWhere(slot: number, drop: (entry: Entry, db: number) => boolean): number {
    let dropped = 0;
    for (let db = 0; db < DB_COUNT; db++) {
      const keys = this.#databases[db]?.slots[slot];
      if (keys === undefined) continue;
      for (const entry of keys.values()) {
        if (drop(entry, db) && this.remove(slot, db, entry.key)) dropped++;
      }
    }
    return dropped;
  }

  /** Bytes of all entries with their share of maps and indexes: a model of the heap, see `sizes.ts`. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Number of entries in all databases, remembered absences included. */
  get entryCount(): number {
    return this.#entryCount;
  }

  /** Number of live keys in all databases. As in Redis, keys count until their expiry was carried out. */
  get keyCount(): number {
    return this.#databases.reduce((sum, database) => sum + (database?.liveTotal ?? 0), 0);
  }

  /** Number of live keys of a slot. */
  slotKeyCount(slot: number, db: number): number {
    return this.#databases[db]?.live[slot] ?? 0;
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

  /** The databases that have entries in a slot, ascending. */
  databases(slot: number): number[] {
    const found: number[] = [];
    for (let db = 0; db < DB_COUNT; db++) {
      if (this.#databases[db]?.slots[slot] !== undefined) found.push(db);
    }
    return found;
  }

  /**
   * Key and entry of everything in a slot, absences included, oldest first. Changes during the iteration are fine:
   * what is removed does not come up any more, what is added does.
   */
  entries(slot: number, db: number): Iterable<[key: string, entry: Entry]> {
    return this.#databases[db]?.slots[slot] ?? [];
  }

  /** Like `entries`, without the keys: for those who go through all of memory in small steps. */
  walk(slot: number, db: number): IterableIterator<Entry> | undefined {
    return this.#databases[db]?.slots[slot]?.values();
  }

  /** False when the database never had a key: nothing to walk there. */
  hasDatabase(db: number): boolean {
    return this.#databases[db] !== undefined;
  }

  /**
   * Live keys (expired ones included) of a slot in the order of `scanHash`, those above `afterHash`
   * (-1: from the start): at least `limit` while there are as many, and never only some of equal hash.
   * A key that is there from the first page to the last is on exactly one page.
   */
  scanSlot(slot: number, db: number, afterHash: number, limit: number): ScanPage {
    const keys = this.#databases[db]?.slots[slot];
    if (keys === undefined) return { items: [], lastHash: afterHash, done: true };
    return this.#scanner.page(placeOf(slot, db), keys, afterHash, limit);
  }

  /** A live key of the database (it may be expired), each about as likely; undefined when there is none. */
  randomKey(db: number, slots?: SlotFilter): Located | undefined {
    const database = this.#databases[db];
    const total = this.dbKeyCount(db, slots);
    if (database === undefined || total === 0) return undefined;
    const slot = slotOfRank(database.live, slots, this.#random.below(total));
    const keys = database.slots[slot];
    if (keys === undefined) return undefined;
    const place = placeOf(slot, db);
    const entry = this.#scanner.draw(place, keys, (bound) => this.#random.below(bound));
    return entry && located(place, entry);
  }

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
    this.#expiry.take(nowMs, limit, (place, entry) => {
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
    return located(this.#expiry.placeAt(index), this.#expiry.entryAt(index));
  }

  #openDatabase(db: number): Database {
    const database = new Database();
    this.#databases[db] = database;
    return database;
  }

  #create(
    database: Database,
    place: number,
    key: string,
    value: Value | null,
    expiresAtMs: number,
  ): Entry {
    const slot = slotOfPlace(place);
    const entry = new Entry(key, value, expiresAtMs);
    entry.access = this.access.initial(this.#nowMs());
    let keys = database.slots[slot];
    if (keys === undefined) {
      keys = new Map();
      database.slots[slot] = keys;
    }
    keys.set(key, entry);
    if (mapGrows(keys.size)) this.#usedBytes += mapBytes(keys.size) - mapBytes(keys.size - 1);
    this.#usedBytes += entryBytes(key, value, expiresAtMs);
    this.#entryCount++;
    database.count(slot, value, expiresAtMs, 1);
    if (expiresAtMs !== 0) this.#expiry.update(entry, place);
    this.#scanner.added(place, key);
    return entry;
  }

  #moveExpiry(entry: Entry, place: number, expiresAtMs: number): void {
    if (expiresAtMs === entry.expiresAtMs) return;
    if (entry.expiresAtMs === 0) this.#usedBytes += EXPIRY_BYTES;
    else if (expiresAtMs === 0) this.#usedBytes -= EXPIRY_BYTES;
    entry.expiresAtMs = expiresAtMs;
    this.#expiry.update(entry, place);
  }

  /** Takes an entry that is leaving its map out of everything derived. */
  #forget(database: Database, slot: number, entry: Entry): void {
    this.#usedBytes -= entryBytes(entry.key, entry.value, entry.expiresAtMs);
    this.#entryCount--;
    database.count(slot, entry.value, entry.expiresAtMs, -1);
    this.#expiry.remove(entry);
  }

  #closeSlot(database: Database, slot: number, db: number): void {
    database.slots[slot] = undefined;
    this.#scanner.dropped(placeOf(slot, db));
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
