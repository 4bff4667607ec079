/**
 * Requests from bytes: multibulk frames and inline commands, with Redis 7.0's limits and texts.
 *
 * Why not `redis-parser`: it decodes replies. It knows no inline commands, has no limit on lengths or
 * counts (`*1000000000\r\n` allocates an array of that length), decodes bulk strings as UTF-8 or as
 * Buffers, and ends a stream at the first odd byte with a text of its own. ADR 0002 has the figures.
 *
 * How it stays fast: arguments are cut straight out of the chunk that the socket delivered, and only
 * what is left of an unfinished frame is copied. How it stays linear when a frame comes in many
 * chunks: finished arguments are kept, a bulk string's length is remembered, and an unfinished line
 * is searched from where the last search ended; the carried bytes live in one buffer that doubles.
 *
 * Unlike Redis, a NUL byte does not hide the rest of a line (there `strchr` stops at it, and the
 * client waits for ever); it makes a length invalid, and is an ordinary byte of an inline argument.
 */
import { constants } from 'node:buffer';
import { ProtocolError } from '../errors.ts';
import { ARGUMENTS_MAX, type Frames, FRAMES_MAX } from './frames.ts';
import { splitArgs } from './inline.ts';

/** Bounds of one request. Read at each use, so CONFIG SET may change them under a live decoder. */
export interface DecoderLimits {
  /** Longest bulk string, bytes (`proto-max-bulk-len`). Never more than MAX_BULK_BYTES in effect. */
  protoMaxBulkLen: number;
  /** Most arguments of one command. */
  multibulkMax: number;
}

/** Longest line without its end: an inline command or a length, bytes. */
export const INLINE_MAX_BYTES = 64 * 1024;
/** Most arguments of one command. Redis 7.0 allows 2^31-1; nobody sends more, and each costs memory. */
export const MULTIBULK_MAX = 1024 * 1024;
/** A bulk string becomes one JavaScript string, with room for the frame of the reply that holds it. */
export const MAX_BULK_BYTES = constants.MAX_STRING_LENGTH - 1024 * 1024;
/** Before a client has authenticated: most arguments, and longest bulk string, bytes. */
export const UNAUTHENTICATED_MULTIBULK_MAX = 10;
export const UNAUTHENTICATED_BULK_BYTES_MAX = 16 * 1024;

/** A carried buffer that is larger than this is given back once it is empty, bytes. */
const CARRY_KEEP_BYTES = 4096;
/** A length of that many digits or more goes through the strict way. */
const FAST_DIGITS = 9;

const CR = 13;
const LF = 10;
const ZERO = 48;
const DOLLAR = 36;
const STAR = 42;

/** Bytes of a line with a length, besides its digits. */
const LINE_FRAMING_BYTES = 3;

const EMPTY = Buffer.alloc(0);

/** Text of a canonical integer as `string2ll` accepts it: no plus sign, no leading zero, no `-0`. */
const CANONICAL_INTEGER = /^(?:0|-?[1-9][0-9]{0,18})$/;

/** One decoder for one client connection. After it threw, the stream has no next frame to find. */
export class RequestDecoder {
  /** False until the client has authenticated (where a password is set): tighter limits apply. */
  trusted = true;

  readonly #limits: DecoderLimits;
  /** What is being decoded: the caller's chunk, or `#carry`. */
  #buffer: Buffer = EMPTY;
  #position = 0;
  #end = 0;
  /** Storage of our own for bytes that outlive a chunk. */
  #carry: Buffer = EMPTY;
  /** The unfinished multibulk: arguments so far, their bytes, and how many are missing. */
  #args: string[] = [];
  #argBytes = 0;
  #missing = 0;
  /** Length of the bulk string that comes next, or -1 when its `$` line has not been read. */
  #bulkLength = -1;
  /** An unfinished line has no end before this position. */
  #searched = 0;

  constructor(limits: DecoderLimits) {
    this.#limits = limits;
  }

  /** Bytes held of requests that are not complete, or not yet taken with `next`. */
  get bufferedBytes(): number {
    return this.#end - this.#position + this.#argBytes;
  }

  /** Bytes of finished arguments of an unfinished command; part of `bufferedBytes`. */
  get argvBytes(): number {
    return this.#argBytes;
  }

  /**
   * Takes bytes. The chunk is used in place: the caller calls `next` until it returns null, or
   * `retain`, before the chunk's memory is used for anything else.
   */
  feed(chunk: Buffer): void {
    if (this.#position === this.#end) {
      this.#buffer = chunk;
      this.#position = 0;
      this.#end = chunk.length;
      this.#searched = 0;
      return;
    }
    this.retain();
    this.#append(chunk);
  }

  /** Copies what has not been decoded yet, so that the last chunk may be reused. */
  retain(): void {
    if (this.#buffer === this.#carry) return;
    const left = this.#buffer.subarray(this.#position, this.#end);
    this.#searched = Math.max(0, this.#searched - this.#position);
    this.#buffer = this.#carry;
    this.#position = 0;
    this.#end = 0;
    if (left.length > 0) this.#append(left);
  }

  /**
   * The next complete command (never empty), or null when more bytes are needed.
   *
   * @throws ProtocolError with Redis's text after `Protocol error: `. All complete commands before
   *   the bad bytes have been returned by earlier calls.
   */
  next(): string[] | null {
    for (;;) {
      if (this.#missing === 0) {
        if (this.#position >= this.#end) return this.#starved();
        if (this.#buffer[this.#position] !== STAR) {
          const args = this.#inline();
          if (args === null) return this.#starved();
          if (args.length > 0) return args;
          continue;
        }
        const count = this.#readCount();
        if (count < 0) return this.#starved();
        if (count === 0) continue;
        this.#missing = count;
      }
      if (!this.#readArguments()) return this.#starved();
      const args = this.#args;
      this.#args = [];
      this.#argBytes = 0;
      return args;
    }
  }

  /**
   * Looks at one more command behind those in `frames` without taking it. Adds it and returns true when it is a whole
   * multibulk of a trusted client, with not too many arguments and none that is long. Else false, which says nothing
   * about what is next: `next` finds out.
   */
  peek(frames: Frames): boolean {
    const { count: index, starts, ends } = frames;
    const buffer = this.#buffer;
    const end = this.#end;
    let at = index === 0 ? this.#position : frames.commandEnds[index - 1]!;
    if (index >= FRAMES_MAX || this.#missing !== 0 || !this.trusted) return false;
    if (at >= end || buffer[at] !== STAR) return false;
    const count = lengthAt(buffer, at + 1, end);
    const first = frames.firsts[index]!;
    if (count < 1 || first + count > ARGUMENTS_MAX) return false;
    at += LINE_FRAMING_BYTES + digitsOf(count);
    for (let i = first; i < first + count; i++) {
      if (at >= end || buffer[at] !== DOLLAR) return false;
      const length = lengthAt(buffer, at + 1, end);
      if (length < 0 || !this.#isUsual(length)) return false;
      at += LINE_FRAMING_BYTES + digitsOf(length);
      starts[i] = at;
      ends[i] = at + length;
      at += length + 2;
    }
    if (at > end) return false;
    frames.bytes = buffer;
    frames.count = index + 1;
    frames.firsts[index + 1] = first + count;
    frames.commandEnds[index] = at;
    return true;
  }

  /** Takes the first `count` (at least one) of the commands that `peek` found; it was the last that was called. */
  skip(frames: Frames, count: number): void {
    this.#position = frames.commandEnds[count - 1]!;
  }

  /** Reads bulk strings while they are complete; false when bytes are missing. The hot loop. */
  #readArguments(): boolean {
    const buffer = this.#buffer;
    const end = this.#end;
    const args = this.#args;
    let position = this.#position;
    let missing = this.#missing;
    let length = this.#bulkLength;
    while (missing > 0) {
      if (length < 0) {
        const value = buffer[position] === DOLLAR ? lengthAt(buffer, position + 1, end) : -1;
        if (value >= 0 && this.#isUsual(value)) {
          length = value;
          position += LINE_FRAMING_BYTES + digitsOf(value);
        } else {
          this.#position = position;
          length = this.#readBulkLength();
          position = this.#position;
          if (length < 0) break;
        }
      }
      const after = position + length;
      if (after + 2 > end) break;
      args.push(buffer.latin1Slice(position, after));
      this.#argBytes += length;
      position = after + 2;
      length = -1;
      missing--;
    }
    this.#position = position;
    this.#missing = missing;
    this.#bulkLength = length;
    return missing === 0;
  }

  /** A length that needs no look at who sends it. */
  #isUsual(length: number): boolean {
    return length <= UNAUTHENTICATED_BULK_BYTES_MAX && length <= this.#limits.protoMaxBulkLen;
  }

  /** The strict way to read a bulk string's length: any line, limits, errors. -1 when incomplete. */
  #readBulkLength(): number {
    const line = this.#line('too big bulk count string');
    if (line === null) return -1;
    if (this.#buffer[this.#position] !== DOLLAR) {
      throw new ProtocolError(
        `expected '$', got '${String.fromCharCode(this.#buffer[this.#position]!)}'`,
      );
    }
    const length = CANONICAL_INTEGER.test(line.slice(1)) ? Number(line.slice(1)) : -1;
    if (length < 0 || length > Math.min(this.#limits.protoMaxBulkLen, MAX_BULK_BYTES)) {
      throw new ProtocolError('invalid bulk length');
    }
    if (!this.trusted && length > UNAUTHENTICATED_BULK_BYTES_MAX) {
      throw new ProtocolError('unauthenticated bulk length');
    }
    this.#position += line.length + 2;
    return length;
  }

  /** The number behind `*`: 0 for an empty or null command, -1 when the line is incomplete. */
  #readCount(): number {
    const buffer = this.#buffer;
    const at = this.#position;
    // The usual line: one digit.
    if (at + 4 <= this.#end && buffer[at + 2] === CR) {
      const digit = buffer[at + 1]! - ZERO;
      if (digit >= 0 && digit <= 9) {
        this.#position = at + 4;
        return digit;
      }
    }
    const line = this.#line('too big mbulk count string');
    if (line === null) return -1;
    const count = CANONICAL_INTEGER.test(line.slice(1)) ? Number(line.slice(1)) : Infinity;
    if (count > this.#limits.multibulkMax) throw new ProtocolError('invalid multibulk length');
    if (!this.trusted && count > UNAUTHENTICATED_MULTIBULK_MAX) {
      throw new ProtocolError('unauthenticated multibulk length');
    }
    this.#position += line.length + 2;
    return Math.max(0, count);
  }

  /** The line at `#position` without its CR LF (the byte after CR is not looked at, as in Redis). */
  #line(tooBig: string): string | null {
    const found = this.#find(CR, 1);
    if (found < 0) {
      if (this.#end - this.#position > INLINE_MAX_BYTES) throw new ProtocolError(tooBig);
      return null;
    }
    return this.#buffer.latin1Slice(this.#position, found);
  }

  /** An inline command's arguments (none for an empty line), or null when its end is missing. */
  #inline(): string[] | null {
    const found = this.#find(LF, 0);
    if (found < 0) {
      if (this.#end - this.#position > INLINE_MAX_BYTES) {
        throw new ProtocolError('too big inline request');
      }
      return null;
    }
    const crlf = found > this.#position && this.#buffer[found - 1] === CR;
    const args = splitArgs(this.#buffer.latin1Slice(this.#position, crlf ? found - 1 : found));
    if (args === null) throw new ProtocolError('unbalanced quotes in request');
    this.#position = found + 1;
    return args;
  }

  /** Where `byte` is, followed by `more` bytes; -1 when it is not there yet. Remembers how far it looked. */
  #find(byte: number, more: number): number {
    const from = Math.max(this.#position, this.#searched);
    const found = this.#buffer.subarray(0, this.#end).indexOf(byte, from);
    this.#searched = found < 0 ? this.#end : found;
    return found >= 0 && found + more < this.#end ? found : -1;
  }

  #starved(): null {
    if (this.#position < this.#end) {
      this.retain();
      return null;
    }
    this.#buffer = this.#carry = this.#carry.length > CARRY_KEEP_BYTES ? EMPTY : this.#carry;
    this.#position = this.#end = this.#searched = 0;
    return null;
  }

  /** Adds to the carried bytes, making room by moving them to the front or into a larger buffer. */
  #append(chunk: Buffer): void {
    const left = this.#end - this.#position;
    const needed = left + chunk.length;
    if (this.#end + chunk.length > this.#carry.length) {
      const source = this.#carry;
      if (needed > source.length) this.#carry = Buffer.allocUnsafeSlow(this.#roomFor(needed));
      source.copy(this.#carry, 0, this.#position, this.#end);
      this.#searched = Math.max(0, this.#searched - this.#position);
      this.#position = 0;
      this.#end = left;
      this.#buffer = this.#carry;
    }
    chunk.copy(this.#carry, this.#end);
    this.#end += chunk.length;
  }

  /** Doubles, but takes no more than what a bulk string under way will need. */
  #roomFor(needed: number): number {
    const doubled = Math.max(256, needed, this.#carry.length * 2);
    return this.#bulkLength < 0
      ? doubled
      : Math.max(needed, Math.min(doubled, this.#bulkLength + 2));
  }
}

/**
 * The number of a usual line: one to eight digits from `from` on without a leading zero, CR, and one more byte. -1 when it
 * is not like that, or not there yet.
 */
function lengthAt(buffer: Buffer, from: number, end: number): number {
  const stop = Math.min(end - 1, from + FAST_DIGITS);
  let at = from;
  let value = 0;
  while (at < stop) {
    const digit = buffer[at]! - ZERO;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
    at++;
  }
  if (at === from || at >= stop || buffer[at] !== CR) return -1;
  return at > from + 1 && buffer[from] === ZERO ? -1 : value;
}

/** Digits of a length that is at most UNAUTHENTICATED_BULK_BYTES_MAX. */
function digitsOf(length: number): number {
  if (length < 10) return 1;
  if (length < 100) return 2;
  if (length < 1000) return 3;
  return length < 10_000 ? 4 : 5;
}
