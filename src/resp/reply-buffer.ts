/**
 * Replies written as bytes into memory that is used again and again. Where values lie as bytes outside of the heap,
 * this saves the string that each would become, and the one that joins it with its frame.
 */

const CR = 13;
const LF = 10;
const ZERO = 48;

/** First bytes of frames. */
export const BULK = 36;
export const ARRAY = 42;

/** Bytes that a frame takes at most besides what is in it: type, a length of ten digits, and two line ends. */
export const FRAMING_BYTES_MAX = 15;

export class ReplyBuffer {
  readonly bytes: Buffer;
  /** The same memory. */
  readonly view: DataView;
  /** Bytes of replies so far. Who writes to `bytes` adds to it. */
  used = 0;

  constructor(size: number) {
    const memory = new ArrayBuffer(size);
    this.bytes = Buffer.from(memory);
    this.view = new DataView(memory);
  }

  /** Bytes that can still be written. */
  get room(): number {
    return this.bytes.length - this.used;
  }

  /** `$64\r\n`; `n` is an integer that is not negative, and there is room for FRAMING_BYTES_MAX. */
  header(type: number, n: number): void {
    const { bytes } = this;
    let digits = 1;
    for (let bound = 10; n >= bound; bound *= 10) digits++;
    const at = this.used;
    bytes[at] = type;
    let left = n;
    for (let i = at + digits; i > at; i--) {
      const tenth = Math.floor(left / 10);
      bytes[i] = ZERO + left - tenth * 10;
      left = tenth;
    }
    this.used = at + 1 + digits;
    this.lineEnd();
  }

  lineEnd(): void {
    this.bytes[this.used] = CR;
    this.bytes[this.used + 1] = LF;
    this.used += 2;
  }

  /** Everything written since the last call, as a binary string. */
  take(): string {
    const text = this.bytes.latin1Slice(0, this.used);
    this.used = 0;
    return text;
  }
}
