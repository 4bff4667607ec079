/**
 * How an entry lies in the arena: one block, of words and then bytes.
 *
 *     word 0    the arena's, with the flags below
 *          1    next record of the same bucket (`key-table.ts`)
 *          2    hash of the key
 *          3    last use (`access.ts`)
 *          4    epoch of the version; while the key is dirty, the number of its mark, which has the version
 *          5, 6 counter of the version, low and high half
 *          7    17 bits: bytes of the value | 15 bits: bytes of the key
 *       8, 9    moment of expiry, a float of 64 bits   \  only with an
 *         10    item in the expiry index               /  expiry; 11 is free
 *     then      the key, the value
 *
 * A key of 16 bytes with a value of 64 takes 112 bytes. Long keys and values stay on the JavaScript heap, beside
 * the record: there are few of them, and a read need not copy them.
 */
import { Arena, flagsOf, NONE, segmentOf, withFlags, wordOf } from './arena.ts';
import type { DirtyMark, Entry, Value } from './entry.ts';

export { NONE } from './arena.ts';

const Flag = {
  Persistent: 1,
  /** No value: the key is known to be absent, or deleted and not committed. */
  Absent: 2,
  Expires: 4,
  Dirty: 8,
  KeyAside: 16,
  ValueAside: 32,
} as const;

const NEXT = 1;
const HASH = 2;
const ACCESS = 3;
const EPOCH = 4;
const SEQ_LOW = 5;
const SEQ_HIGH = 6;
const LENGTHS = 7;
const EXPIRY_FLOAT = 4;
const TIMER = 10;

const HEADER_BYTES = 32;
const EXPIRY_BYTES = 16;
const KEY_BITS = 15;
const KEY_BYTES_MAX = (1 << KEY_BITS) - 1;
const VALUE_BYTES_MAX = (1 << 16) - 1;
const TWO_32 = 2 ** 32;
/** Header of a one-byte string on the heap, and its place in the map. */
const ASIDE_BYTES = 64;

/** Up to here copying in a loop costs less than calling what copies faster. */
const COPY_WORDS_BYTES_MAX = 128;

/** Memory that values are copied to, in two forms; `used` is where its free part begins. */
export interface CopyTarget {
  readonly bytes: Buffer;
  readonly view: DataView;
  used: number;
}

/** What of a record is on the JavaScript heap. */
interface Aside {
  readonly key: string | null;
  readonly value: Value | null;
}

/** The content of a record; its place in the tables is not part of it. */
export interface Content {
  readonly key: string;
  readonly value: Value | null;
  readonly expiresAtMs: number;
  readonly epoch: number;
  readonly seq: number;
  readonly persistent: boolean;
}

export class Records {
  readonly arena = new Arena();
  readonly #aside = new Map<number, Aside>();
  #asideBytes = 0;

  /** Bytes of all records, and of the tables in the same arena. */
  get usedBytes(): number {
    return this.arena.usedBytes + this.#asideBytes;
  }

  /** A new record, in no bucket and without a mark. */
  create(hash: number, access: number, content: Content): number {
    const at = this.arena.take(bytesOf(content));
    const words = this.arena.words[segmentOf(at)]!;
    const base = wordOf(at);
    words[base + NEXT] = NONE;
    words[base + HASH] = hash;
    words[base + ACCESS] = access;
    this.#write(at, content);
    return at;
  }

  /**
   * Gives a record another content of the same key; what is kept is its bucket, its hash and its use. Returns false,
   * having done nothing, when it does not fit.
   */
  rewrite(at: number, content: Content): boolean {
    if (!this.arena.fits(at, bytesOf(content))) return false;
    this.#dropAside(at);
    this.#write(at, content);
    return true;
  }

  free(at: number): void {
    this.#dropAside(at);
    this.arena.give(at);
  }

  // ---------------------------------------------------------------- reading

  /** Whether this is the record of that key; `hash` is its `keyHash`. */
  isOf(at: number, hash: number, key: string): boolean {
    const segment = segmentOf(at);
    const words = this.arena.words[segment]!;
    const base = wordOf(at);
    if ((words[base + HASH]! | 0) !== hash) return false;
    const flags = flagsOf(words[base]!);
    if ((flags & Flag.KeyAside) !== 0) return this.#aside.get(at)!.key === key;
    const length = words[base + LENGTHS]! & KEY_BYTES_MAX;
    if (length !== key.length) return false;
    const bytes = this.arena.bytes[segment]!;
    const start = base * 4 + headerBytes(flags);
    for (let i = 0; i < length; i++) if (bytes[start + i] !== key.charCodeAt(i)) return false;
    return true;
  }

  /** The same for a key given as the bytes from `start` to before `end`; false for one that is not in the arena. */
  isOfBytes(at: number, hash: number, key: Uint8Array, start: number, end: number): boolean {
    const segment = segmentOf(at);
    const words = this.arena.words[segment]!;
    const base = wordOf(at);
    if ((words[base + HASH]! | 0) !== hash) return false;
    const flags = flagsOf(words[base]!);
    const length = words[base + LENGTHS]! & KEY_BYTES_MAX;
    if (length !== end - start || (flags & Flag.KeyAside) !== 0) return false;
    const bytes = this.arena.bytes[segment]!;
    const offset = base * 4 + headerBytes(flags) - start;
    for (let i = start; i < end; i++) if (bytes[offset + i] !== key[i]) return false;
    return true;
  }

  /** Whether it has a value, in the arena, that is clean and does not expire until `untilMs`. */
  isPlain(at: number, untilMs: number): boolean {
    const segment = segmentOf(at);
    const base = wordOf(at);
    const flags = flagsOf(this.arena.words[segment]![base]!);
    if ((flags & (Flag.Absent | Flag.Dirty | Flag.ValueAside)) !== 0) return false;
    return (
      (flags & Flag.Expires) === 0 ||
      this.arena.floats[segment]![base / 2 + EXPIRY_FLOAT]! > untilMs
    );
  }

  /** Bytes of the value of a plain record. */
  valueBytes(at: number): number {
    return this.arena.words[segmentOf(at)]![wordOf(at) + LENGTHS]! >>> KEY_BITS;
  }

  /** Copies the value of a plain record to the end of `target`, which has room for it. */
  copyValue(at: number, target: CopyTarget): void {
    const segment = segmentOf(at);
    const words = this.arena.words[segment]!;
    const base = wordOf(at);
    const lengths = words[base + LENGTHS]!;
    const start = base * 4 + headerBytes(flagsOf(words[base]!)) + (lengths & KEY_BYTES_MAX);
    const length = lengths >>> KEY_BITS;
    const to = target.used;
    target.used = to + length;
    if (length > COPY_WORDS_BYTES_MAX) {
      this.arena.bytes[segment]!.copy(target.bytes, to, start, start + length);
      return;
    }
    const from = this.arena.views[segment]!;
    const { view } = target;
    const whole = length & ~3;
    for (let i = 0; i < whole; i += 4) view.setInt32(to + i, from.getInt32(start + i, true), true);
    for (let i = whole; i < length; i++) view.setUint8(to + i, from.getUint8(start + i));
  }

  /** The record as it is now, with its mark if it has one. `key` saves decoding it, where the caller has it. */
  read(at: number, mark: DirtyMark | null, key: string = this.key(at)): Entry {
    const words = this.arena.words[segmentOf(at)]!;
    const base = wordOf(at);
    const flags = flagsOf(words[base]!);
    return {
      key,
      value: this.#value(at, flags),
      expiresAtMs: this.expiresAtMs(at),
      epoch: mark === null ? words[base + EPOCH]! : mark.epoch,
      seq: mark === null ? words[base + SEQ_HIGH]! * TWO_32 + words[base + SEQ_LOW]! : mark.seq,
      dirty: mark === null ? 0 : mark.dirty,
      persistent: (flags & Flag.Persistent) !== 0,
      access: words[base + ACCESS]!,
      at,
    };
  }

  key(at: number): string {
    const segment = segmentOf(at);
    const words = this.arena.words[segment]!;
    const base = wordOf(at);
    const flags = flagsOf(words[base]!);
    if ((flags & Flag.KeyAside) !== 0) return this.#aside.get(at)!.key!;
    const start = base * 4 + headerBytes(flags);
    const length = words[base + LENGTHS]! & KEY_BYTES_MAX;
    return this.arena.bytes[segment]!.latin1Slice(start, start + length);
  }

  #value(at: number, flags: number): Value | null {
    if ((flags & Flag.Absent) !== 0) return null;
    if ((flags & Flag.ValueAside) !== 0) return this.#aside.get(at)!.value;
    const segment = segmentOf(at);
    const base = wordOf(at);
    const lengths = this.arena.words[segment]![base + LENGTHS]!;
    const start = base * 4 + headerBytes(flags) + (lengths & KEY_BYTES_MAX);
    return this.arena.bytes[segment]!.latin1Slice(start, start + (lengths >>> KEY_BITS));
  }

  isAbsent(at: number): boolean {
    return (this.#flags(at) & Flag.Absent) !== 0;
  }

  /** Number of the record's dirty mark, -1 for none. */
  mark(at: number): number {
    if ((this.#flags(at) & Flag.Dirty) === 0) return -1;
    return this.arena.words[segmentOf(at)]![wordOf(at) + EPOCH]!;
  }

  setMark(at: number, number: number): void {
    this.#setFlags(at, this.#flags(at) | Flag.Dirty);
    this.arena.words[segmentOf(at)]![wordOf(at) + EPOCH] = number;
  }

  clearMark(at: number, epoch: number, seq: number): void {
    this.#setFlags(at, this.#flags(at) & ~Flag.Dirty);
    this.#setVersion(at, epoch, seq);
  }

  #setVersion(at: number, epoch: number, seq: number): void {
    const words = this.arena.words[segmentOf(at)]!;
    const base = wordOf(at);
    words[base + EPOCH] = epoch;
    words[base + SEQ_LOW] = seq;
    words[base + SEQ_HIGH] = Math.floor(seq / TWO_32);
  }

  /** `keyHash` of the key. */
  hash(at: number): number {
    return this.arena.words[segmentOf(at)]![wordOf(at) + HASH]! | 0;
  }

  /** `scanHash` of the key. */
  order(at: number): number {
    return this.hash(at) >>> 0;
  }

  access(at: number): number {
    return this.arena.words[segmentOf(at)]![wordOf(at) + ACCESS]!;
  }

  setAccess(at: number, access: number): void {
    this.arena.words[segmentOf(at)]![wordOf(at) + ACCESS] = access;
  }

  next(at: number): number {
    return this.arena.words[segmentOf(at)]![wordOf(at) + NEXT]!;
  }

  setNext(at: number, next: number): void {
    this.arena.words[segmentOf(at)]![wordOf(at) + NEXT] = next;
  }

  /** Milliseconds since 1970, 0 for never. */
  expiresAtMs(at: number): number {
    if ((this.#flags(at) & Flag.Expires) === 0) return 0;
    return this.arena.floats[segmentOf(at)]![wordOf(at) / 2 + EXPIRY_FLOAT]!;
  }

  /** Item in the expiry index, -1 for none. */
  timer(at: number): number {
    if ((this.#flags(at) & Flag.Expires) === 0) return -1;
    return this.arena.words[segmentOf(at)]![wordOf(at) + TIMER]! | 0;
  }

  /** Only for a record with an expiry. */
  setTimer(at: number, timer: number): void {
    this.arena.words[segmentOf(at)]![wordOf(at) + TIMER] = timer;
  }

  // ---------------------------------------------------------------- writing

  #flags(at: number): number {
    return flagsOf(this.arena.words[segmentOf(at)]![wordOf(at)]!);
  }

  #setFlags(at: number, flags: number): void {
    const words = this.arena.words[segmentOf(at)]!;
    const base = wordOf(at);
    words[base] = withFlags(words[base]!, flags);
  }

  #write(at: number, content: Content): void {
    const { key, value, expiresAtMs, epoch, seq, persistent } = content;
    const segment = segmentOf(at);
    const words = this.arena.words[segment]!;
    const base = wordOf(at);
    const keyAside = key.length > KEY_BYTES_MAX;
    const valueAside = value !== null && value.length > VALUE_BYTES_MAX;
    let flags = persistent ? Flag.Persistent : 0;
    if (value === null) flags |= Flag.Absent;
    if (expiresAtMs !== 0) flags |= Flag.Expires;
    if (keyAside) flags |= Flag.KeyAside;
    if (valueAside) flags |= Flag.ValueAside;
    this.#setFlags(at, flags);
    this.#setVersion(at, epoch, seq);
    if (expiresAtMs !== 0) {
      this.arena.floats[segment]![base / 2 + EXPIRY_FLOAT] = expiresAtMs;
      words[base + TIMER] = -1;
    }
    const keyBytes = keyAside ? 0 : key.length;
    const valueBytes = value === null || valueAside ? 0 : value.length;
    words[base + LENGTHS] = keyBytes | (valueBytes << KEY_BITS);
    const start = base * 4 + headerBytes(flags);
    const bytes = this.arena.bytes[segment]!;
    if (keyBytes > 0) bytes.latin1Write(key, start, keyBytes);
    if (valueBytes > 0) bytes.latin1Write(value!, start + keyBytes, valueBytes);
    if (keyAside || valueAside) {
      this.#aside.set(at, { key: keyAside ? key : null, value: valueAside ? value : null });
      this.#asideBytes += asideBytes(content);
    }
  }

  #dropAside(at: number): void {
    if ((this.#flags(at) & (Flag.KeyAside | Flag.ValueAside)) === 0) return;
    const { key, value } = this.#aside.get(at)!;
    this.#aside.delete(at);
    this.#asideBytes -= ASIDE_BYTES + (key?.length ?? 0) + (value?.length ?? 0);
  }
}

function headerBytes(flags: number): number {
  return (flags & Flag.Expires) === 0 ? HEADER_BYTES : HEADER_BYTES + EXPIRY_BYTES;
}

function bytesOf({ key, value, expiresAtMs }: Content): number {
  let bytes = expiresAtMs === 0 ? HEADER_BYTES : HEADER_BYTES + EXPIRY_BYTES;
  if (key.length <= KEY_BYTES_MAX) bytes += key.length;
  if (value !== null && value.length <= VALUE_BYTES_MAX) bytes += value.length;
  return bytes;
}

function asideBytes({ key, value }: Content): number {
  let bytes = ASIDE_BYTES;
  if (key.length > KEY_BYTES_MAX) bytes += key.length;
  if (value !== null && value.length > VALUE_BYTES_MAX) bytes += value.length;
  return bytes;
}
