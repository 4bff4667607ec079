/**
 * Frames between nodes.
 *
 *     u32 length of what follows | u8 type | u32 epoch of the sender's view | payload
 *
 * Integers are big-endian; strings are a u32 byte count and their bytes (binary strings, see
 * `resp/reply.ts`). Requests and effects go from the dialling side to the accepting side of a link,
 * answers come back on the same connection, so one connection is first-in-first-out for both.
 */

/** Versions of this format that a node understands. Every link speaks the highest that both ends know. */
export interface Versions {
  readonly min: number;
  readonly max: number;
}

/**
 * What this program understands. `max` grows by one with each change of the format, and frames that
 * came with it are listed in `FRAME_SINCE`; `min` follows only when the release before understood the new
 * one, so that nodes of two releases that follow each other always have one in common. The layout of
 * Hello, up to its cluster id, and of HelloRefused is the same in all of them.
 */
export const PROTOCOL_VERSIONS: Versions = { min: 1, max: 1 };

/** Longest frame accepted from a peer, bytes; larger than any value with its envelope. */
export const FRAME_BYTES_MAX = 600 * 1024 * 1024;

/** Longest frame accepted from somebody who has not shown to be a peer, bytes. */
export const STRANGER_FRAME_BYTES_MAX = 64 * 1024;

/** Longest content of one frame that may be sent, bytes: the rest is for what is around it. */
export const CONTENT_BYTES_MAX = FRAME_BYTES_MAX - 64 * 1024;

/** Bytes that are no frames: the peer, or what carried them, is broken. Ends the link, nothing else. */
export class FrameError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'FrameError';
  }
}

/** Append only: these numbers are on the wire. */
export const FrameType = {
  Hello: 1,
  HelloAck: 2,
  Heartbeat: 3,
  ViewNews: 4,
  ViewConfirm: 5,
  Run: 6,
  RunReply: 7,
  Effects: 8,
  EffectsAck: 9,
  Watermark: 10,
  Call: 11,
  CallReply: 12,
  Leaving: 13,
  HelloRefused: 14,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

/** By frame type: the version that a link must speak for it. Asked for every frame, hence the plain bytes. */
const FRAME_SINCE = new Uint8Array(256).fill(1);

/** True when a link of this version may carry such a frame. */
export function isKnown(type: FrameType, version: number): boolean {
  return FRAME_SINCE[type]! <= version;
}

const HEADER_BYTES = 9;
/** What is longer is handed out as it is rather than copied. */
const COPIED_BYTES = 64 * 1024;

/** Appends frames to one growing buffer; a link takes everything once a turn. */
export class FrameWriter {
  #buffer: Buffer;
  #used = 0;
  #frameStart = 0;
  readonly #initialBytes: number;

  constructor(initialBytes = 16 * 1024) {
    this.#initialBytes = initialBytes;
    this.#buffer = Buffer.allocUnsafeSlow(initialBytes);
  }

  get used(): number {
    return this.#used;
  }

  begin(type: FrameType, epoch: number): void {
    this.#frameStart = this.#used;
    this.#reserve(HEADER_BYTES);
    this.#used += 4;
    this.u8(type);
    this.u32(epoch);
  }

  end(): void {
    this.#buffer.writeUInt32BE(this.#used - this.#frameStart - 4, this.#frameStart);
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#used++] = value;
  }

  u16(value: number): void {
    this.#reserve(2);
    const buffer = this.#buffer;
    buffer[this.#used++] = value >>> 8;
    buffer[this.#used++] = value & 0xff;
  }

  u32(value: number): void {
    this.#reserve(4);
    const buffer = this.#buffer;
    buffer[this.#used++] = value >>> 24;
    buffer[this.#used++] = (value >>> 16) & 0xff;
    buffer[this.#used++] = (value >>> 8) & 0xff;
    buffer[this.#used++] = value & 0xff;
  }

  /** A non-negative integer up to 2^53. */
  u53(value: number): void {
    this.u32(Math.floor(value / 0x1_0000_0000));
    this.u32(value >>> 0);
  }

  f64(value: number): void {
    this.#reserve(8);
    this.#used = this.#buffer.writeDoubleBE(value, this.#used);
  }

  str(value: string): void {
    const { length } = value;
    this.u32(length);
    this.#reserve(length);
    // A call into C++ costs more than copying a handful of characters.
    if (length > 24) {
      this.#buffer.write(value, this.#used, length, 'latin1');
    } else {
      for (let i = 0; i < length; i++) this.#buffer[this.#used + i] = value.charCodeAt(i);
    }
    this.#used += length;
  }

  raw(bytes: Buffer): void {
    this.#reserve(bytes.length);
    bytes.copy(this.#buffer, this.#used);
    this.#used += bytes.length;
  }

  /**
   * Hands out everything written so far, in a buffer of its exact size, and starts afresh. Small ones
   * are copied, which is cheaper than a new buffer each time: those cost the collector more than the
   * copy costs (measured: a tenth of a busy node's time).
   */
  take(): Buffer {
    const written = this.#buffer.subarray(0, this.#used);
    this.#used = 0;
    if (written.length <= COPIED_BYTES) return Buffer.from(written);
    this.#buffer = Buffer.allocUnsafeSlow(this.#initialBytes);
    return written;
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#used + bytes));
    this.#buffer.copy(larger, 0, 0, this.#used);
    this.#buffer = larger;
  }
}

/** Reads one frame's payload in place. Reading past the end throws a FrameError: the peer sent garbage. */
export class FrameReader {
  type: FrameType = FrameType.Hello;
  epoch = 0;
  #buffer: Buffer = Buffer.alloc(0);
  #at = 0;
  #start = 0;
  #end = 0;

  /** Points at the frame whose length field starts at `at`. */
  reset(buffer: Buffer, at: number): void {
    this.#buffer = buffer;
    this.#start = at;
    this.#end = at + 4 + buffer.readUInt32BE(at);
    this.#at = at + 4;
    this.type = this.u8() as FrameType;
    this.epoch = this.u32();
  }

  get atEnd(): boolean {
    return this.#at === this.#end;
  }

  /** The bytes of the whole frame, in a buffer of its own. */
  copy(): Buffer {
    return Buffer.from(this.#buffer.subarray(this.#start, this.#end));
  }

  u8(): number {
    this.#need(1);
    return this.#buffer[this.#at++]!;
  }

  u16(): number {
    this.#need(2);
    const value = this.#buffer.readUInt16BE(this.#at);
    this.#at += 2;
    return value;
  }

  u32(): number {
    this.#need(4);
    const value = this.#buffer.readUInt32BE(this.#at);
    this.#at += 4;
    return value;
  }

  u53(): number {
    return this.u32() * 0x1_0000_0000 + this.u32();
  }

  f64(): number {
    this.#need(8);
    const value = this.#buffer.readDoubleBE(this.#at);
    this.#at += 8;
    return value;
  }

  str(): string {
    const length = this.u32();
    this.#need(length);
    const value = this.#buffer.latin1Slice(this.#at, this.#at + length);
    this.#at += length;
    return value;
  }

  /** A string that holds JSON. */
  json(): unknown {
    const text = this.str();
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new FrameError('a frame holds no JSON where it should', { cause: error });
    }
  }

  #need(bytes: number): void {
    if (this.#at + bytes > this.#end) throw new FrameError('a frame ends before its fields');
  }
}

/**
 * Cuts a byte stream into frames. Bytes of a chunk are only valid during `push`, so what is left over
 * is copied; a large frame is collected into a buffer of its final size, so nothing is copied twice.
 */
export class FrameSplitter {
  readonly #reader = new FrameReader();
  #rest: Buffer | null = null;
  #restUsed = 0;
  /** Longest frame that is accepted from here on, bytes. May change between two frames. */
  bytesMax: number;

  constructor(bytesMax = FRAME_BYTES_MAX) {
    this.bytesMax = bytesMax;
  }

  /** Calls `onFrame` for every complete frame. A frame longer than allowed throws a FrameError. */
  push(chunk: Buffer, onFrame: (frame: FrameReader) => void): void {
    let at = 0;
    if (this.#rest !== null) {
      at = this.#complete(chunk, onFrame);
      if (this.#rest !== null) return;
    }
    while (chunk.length - at >= 4) {
      const bytes = this.#frameBytes(chunk, at);
      if (chunk.length - at < bytes) break;
      this.#reader.reset(chunk, at);
      at += bytes;
      onFrame(this.#reader);
    }
    if (at < chunk.length) this.#keep(chunk, at);
  }

  #keep(chunk: Buffer, at: number): void {
    const have = chunk.length - at;
    const size = have >= 4 ? this.#frameBytes(chunk, at) : 4;
    this.#rest = Buffer.allocUnsafeSlow(Math.max(size, 4));
    chunk.copy(this.#rest, 0, at);
    this.#restUsed = have;
  }

  /** Adds to the unfinished frame; returns how much of the chunk it took. */
  #complete(chunk: Buffer, onFrame: (frame: FrameReader) => void): number {
    let at = 0;
    let rest = this.#rest!;
    if (this.#restUsed < 4) {
      const take = Math.min(4 - this.#restUsed, chunk.length);
      chunk.copy(rest, this.#restUsed, 0, take);
      this.#restUsed += take;
      at = take;
      if (this.#restUsed < 4) return at;
    }
    const bytes = this.#frameBytes(rest, 0);
    if (rest.length < bytes) {
      const whole = Buffer.allocUnsafeSlow(bytes);
      rest.copy(whole, 0, 0, this.#restUsed);
      this.#rest = rest = whole;
    }
    const take = Math.min(bytes - this.#restUsed, chunk.length - at);
    chunk.copy(rest, this.#restUsed, at, at + take);
    this.#restUsed += take;
    at += take;
    if (this.#restUsed < bytes) return at;
    this.#rest = null;
    this.#restUsed = 0;
    this.#reader.reset(rest, 0);
    onFrame(this.#reader);
    return at;
  }

  /** Checked before anything is allocated for the frame. */
  #frameBytes(buffer: Buffer, at: number): number {
    const length = buffer.readUInt32BE(at);
    if (length < HEADER_BYTES - 4 || length > this.bytesMax) {
      throw new FrameError('a frame has an impossible length');
    }
    return length + 4;
  }
}
