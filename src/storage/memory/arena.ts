/**
 * Memory for entries outside of the JavaScript heap, so that the collector never walks through millions of
 * objects: blocks of 16 bytes to 2 MB in segments of typed arrays.
 *
 * The allocator is a two-level segregated fit (TLSF: Masmano, Ripoll, Crespo and Real, "TLSF: a new dynamic
 * memory allocator for real-time systems", ECRTS 2004): taking a block and giving it back cost the same
 * however many there are, free neighbours are joined at once, and what is wasted stays small whatever sizes
 * come and go. A segment that has become empty is given back to the system, one spare excepted.
 *
 * A block is named by its address: the segment's number and the block's place in it in units of 8 bytes,
 * in 32 bits (32 GB). Address 0 is none. The first word of a block is the allocator's, save for ten bits:
 *
 *     | 10 bits: flags of the owner | previous is free | free | 20 bits: size in units |
 *
 * A free block also has, in its words 1 and 2, its neighbours in the list of its size, and in its last
 * word its size, for the block behind it to find its beginning.
 */
import { strict as assert } from 'node:assert';

export const NONE = 0;

const UNIT_BYTES = 8;
const UNIT_WORDS = UNIT_BYTES / 4;
/** Units of a segment in an address. */
const SEGMENT_BITS = 19;
const UNIT_MASK = (1 << SEGMENT_BITS) - 1;
const SEGMENT_UNITS_MAX = 1 << SEGMENT_BITS;
/** Segments grow up to the full size, so that a small keyspace is small. */
const SEGMENT_UNITS_FIRST = 1 << 15;
/** So many segments are smaller than the full size. */
const GROWING = 2;
const SEGMENTS_MAX = 1 << (32 - SEGMENT_BITS);
const BLOCK_UNITS_MIN = 2;
/** The unit at either end of a segment that belongs to no block. */
const EDGE_UNITS = 1;

const SIZE_MASK = (1 << 20) - 1;
const FREE = 1 << 20;
const PREVIOUS_FREE = 1 << 21;
const FLAGS_SHIFT = 22;
const ALLOCATOR_MASK = (1 << FLAGS_SHIFT) - 1;

/** Each power of two is cut into that many sizes; below, each size has its own list. */
const FINE_BITS = 4;
const FINE = 1 << FINE_BITS;
const COARSE = 20 - FINE_BITS + 1;

/** Bytes of the largest block: what fits a segment of its own in spite of the rounding of `#listWith`. */
export const BLOCK_BYTES_MAX = (SEGMENT_UNITS_MAX / 2) * UNIT_BYTES;
/** Bytes that all blocks together can have. */
export const ARENA_BYTES_MAX = SEGMENTS_MAX * SEGMENT_UNITS_MAX * UNIT_BYTES;

/** One segment: the same memory in several forms. */
interface Segment {
  readonly units: number;
  readonly words: Uint32Array;
  readonly floats: Float64Array;
  readonly bytes: Buffer;
  readonly view: DataView;
}

export class Arena {
  /** Indexed by the number of the segment. A missing one has been given back. */
  readonly words: Uint32Array[] = [];
  readonly floats: Float64Array[] = [];
  readonly bytes: Buffer[] = [];
  /** For words that do not begin at a multiple of their size. */
  readonly views: DataView[] = [];
  readonly #segments: (Segment | null)[] = [];
  readonly #heads = new Uint32Array(COARSE * FINE);
  #coarseMap = 0;
  readonly #fineMaps = new Uint32Array(COARSE);
  #usedUnits = 0;
  #reservedUnits = 0;
  #emptySegments = 0;

  /** Bytes of all blocks that are taken. */
  get usedBytes(): number {
    return this.#usedUnits * UNIT_BYTES;
  }

  /** Bytes of all segments. */
  get reservedBytes(): number {
    return this.#reservedUnits * UNIT_BYTES;
  }

  /**
   * Takes a block of at least `bytes` bytes, its first word included; its contents are whatever was there.
   * Throws a RangeError when all 32 GB are taken, or more than BLOCK_BYTES_MAX is asked for.
   */
  take(bytes: number): number {
    const units = unitsOf(bytes);
    let list = this.#listWith(units);
    if (list < 0) {
      this.#addSegment(units);
      list = this.#listWith(units);
      assert(list >= 0, 'a new segment has room for what it was made for');
    }
    const at = this.#heads[list]!;
    this.#unlist(at);
    return this.#cut(at, units);
  }

  /** Gives a block back. */
  give(at: number): void {
    const words = this.words[at >>> SEGMENT_BITS]!;
    const base = wordOf(at);
    const header = words[base]!;
    assert((header & FREE) === 0, 'a block is given back once');
    let units = header & SIZE_MASK;
    this.#usedUnits -= units;
    const next = base + units * UNIT_WORDS;
    if ((words[next]! & FREE) !== 0) {
      this.#unlist(at + units);
      units += words[next]! & SIZE_MASK;
    }
    let start = at;
    if ((header & PREVIOUS_FREE) !== 0) {
      const before = words[base - 1]!;
      start = at - before;
      this.#unlist(start);
      units += before;
    }
    this.#enlist(start, units);
    const segment = at >>> SEGMENT_BITS;
    if (units === words.length / UNIT_WORDS - 2 * EDGE_UNITS) this.#onEmpty(segment, start);
  }

  /** Bytes that a block has room for, its first word included. */
  sizeOf(at: number): number {
    return (this.words[at >>> SEGMENT_BITS]![wordOf(at)]! & SIZE_MASK) * UNIT_BYTES;
  }

  /** Whether a block of this size would be taken for so many bytes. */
  fits(at: number, bytes: number): boolean {
    const slack = this.sizeOf(at) - unitsOf(bytes) * UNIT_BYTES;
    return slack >= 0 && slack < BLOCK_UNITS_MIN * UNIT_BYTES;
  }

  // ---------------------------------------------------------------- lists of free blocks

  /** The list whose every block has room for `units`, or -1. */
  #listWith(units: number): number {
    // Rounded up to the next list's smallest size: the first block of that list is good enough.
    const rounded = units < FINE ? units : units + (1 << coarseShift(units)) - 1;
    const list = listOf(rounded);
    let coarse = list >>> FINE_BITS;
    let fine = this.#fineMaps[coarse]! & (-1 << (list & (FINE - 1)));
    if (fine === 0) {
      const above = this.#coarseMap & (-1 << (coarse + 1));
      if (above === 0) return -1;
      coarse = lowestBit(above);
      fine = this.#fineMaps[coarse]!;
    }
    return (coarse << FINE_BITS) | lowestBit(fine);
  }

  #enlist(at: number, units: number): void {
    const words = this.words[at >>> SEGMENT_BITS]!;
    const base = wordOf(at);
    const list = listOf(units);
    const head = this.#heads[list]!;
    words[base] = units | FREE;
    words[base + 1] = head;
    words[base + 2] = NONE;
    words[base + units * UNIT_WORDS - 1] = units;
    words[base + units * UNIT_WORDS]! |= PREVIOUS_FREE;
    if (head !== NONE) this.words[head >>> SEGMENT_BITS]![wordOf(head) + 2] = at;
    this.#heads[list] = at;
    this.#fineMaps[list >>> FINE_BITS]! |= 1 << (list & (FINE - 1));
    this.#coarseMap |= 1 << (list >>> FINE_BITS);
  }

  #unlist(at: number): void {
    const words = this.words[at >>> SEGMENT_BITS]!;
    const base = wordOf(at);
    const next = words[base + 1]!;
    const previous = words[base + 2]!;
    if (next !== NONE) this.words[next >>> SEGMENT_BITS]![wordOf(next) + 2] = previous;
    if (previous !== NONE) {
      this.words[previous >>> SEGMENT_BITS]![wordOf(previous) + 1] = next;
      return;
    }
    const list = listOf(words[base]! & SIZE_MASK);
    this.#heads[list] = next;
    if (next !== NONE) return;
    const coarse = list >>> FINE_BITS;
    this.#fineMaps[coarse]! &= ~(1 << (list & (FINE - 1)));
    if (this.#fineMaps[coarse] === 0) this.#coarseMap &= ~(1 << coarse);
  }

  /** Takes `units` off a block that is in no list any more; the rest goes into its list. */
  #cut(at: number, units: number): number {
    const words = this.words[at >>> SEGMENT_BITS]!;
    const base = wordOf(at);
    const size = words[base]! & SIZE_MASK;
    if (size === words.length / UNIT_WORDS - 2 * EDGE_UNITS) this.#emptySegments--;
    const rest = size - units;
    const taken = rest < BLOCK_UNITS_MIN ? size : units;
    // The one before a free block is never free itself: the two would have been joined.
    words[base] = taken;
    if (taken === size) words[base + size * UNIT_WORDS]! &= ~PREVIOUS_FREE;
    else this.#enlist(at + taken, rest);
    this.#usedUnits += taken;
    return at;
  }

  // ---------------------------------------------------------------- segments

  #addSegment(units: number): void {
    let number = this.#segments.indexOf(null);
    if (number < 0) number = this.#segments.length;
    if (number >= SEGMENTS_MAX) throw new RangeError('all memory for entries is taken (32 GB)');
    const wanted = units + (units >>> (FINE_BITS - 1)) + 2 * EDGE_UNITS;
    let size = number < GROWING ? SEGMENT_UNITS_FIRST << (2 * number) : SEGMENT_UNITS_MAX;
    while (size < wanted) size *= 2;
    const buffer = new ArrayBuffer(size * UNIT_BYTES);
    const segment = {
      units: size,
      words: new Uint32Array(buffer),
      floats: new Float64Array(buffer),
      bytes: Buffer.from(buffer),
      view: new DataView(buffer),
    };
    this.#segments[number] = segment;
    this.words[number] = segment.words;
    this.floats[number] = segment.floats;
    this.bytes[number] = segment.bytes;
    this.views[number] = segment.view;
    this.#reservedUnits += size;
    this.#emptySegments++;
    // Its last unit counts as taken, so that nothing is joined beyond it.
    segment.words[(size - EDGE_UNITS) * UNIT_WORDS] = EDGE_UNITS;
    this.#enlist(((number << SEGMENT_BITS) >>> 0) + EDGE_UNITS, size - 2 * EDGE_UNITS);
  }

  #onEmpty(number: number, block: number): void {
    this.#emptySegments++;
    if (this.#emptySegments === 1) return;
    this.#unlist(block);
    this.#emptySegments--;
    this.#reservedUnits -= this.#segments[number]!.units;
    this.#segments[number] = null;
    this.words[number] = NO_WORDS;
    this.floats[number] = NO_FLOATS;
    this.bytes[number] = NO_BYTES;
    this.views[number] = NO_VIEW;
  }
}

const NO_WORDS = new Uint32Array(0);
const NO_FLOATS = new Float64Array(0);
const NO_BYTES = Buffer.alloc(0);
const NO_VIEW = new DataView(new ArrayBuffer(0));

/** Number of the segment of an address. */
export function segmentOf(at: number): number {
  return at >>> SEGMENT_BITS;
}

/** Index of a block's first word among the words of its segment. */
export function wordOf(at: number): number {
  return (at & UNIT_MASK) * UNIT_WORDS;
}

/** The owner's flags, from the first word of a block. */
export function flagsOf(header: number): number {
  return header >>> FLAGS_SHIFT;
}

/** The first word of a block with other flags. */
export function withFlags(header: number, flags: number): number {
  return ((header & ALLOCATOR_MASK) | (flags << FLAGS_SHIFT)) >>> 0;
}

function unitsOf(bytes: number): number {
  if (bytes > BLOCK_BYTES_MAX) throw new RangeError(`no block has ${bytes} bytes`);
  return Math.max(BLOCK_UNITS_MIN, Math.ceil(bytes / UNIT_BYTES));
}

/** How many bits below its highest ones a size has that no list tells apart. */
function coarseShift(units: number): number {
  return 31 - Math.clz32(units) - FINE_BITS;
}

function listOf(units: number): number {
  if (units < FINE) return units;
  const shift = coarseShift(units);
  return ((shift + 1) << FINE_BITS) | ((units >>> shift) & (FINE - 1));
}

function lowestBit(map: number): number {
  return 31 - Math.clz32(map & -map);
}
