/**
 * Counts the replies in a stream of RESP2 without building them: the generator must cost little beside
 * what it measures. Bytes arrive in pieces of any size.
 */
const CR = 13;
const LF = 10;
const DOLLAR = 36;
const STAR = 42;
const MINUS = 45;
const COLON = 58;
const ZERO = 48;

export class ReplyCounter {
  /** Called at the end of each whole reply: an integer's value, else 0. */
  readonly #onReply: (integer: number) => void;
  /** Null bulk strings so far: keys that were not there. */
  nulls = 0;
  /** Bytes of the current bulk string, its end included, that are still to come. */
  #skip = 0;
  /** Parts of the current array that are still to come. */
  #parts = 0;
  /** The line that is being read: its first byte and the number in it. */
  #type = 0;
  #number = 0;
  #negative = false;
  #text = '';

  constructor(onReply: (integer: number) => void) {
    this.#onReply = onReply;
  }

  /** Throws with the server's text when a reply is an error. */
  push(bytes: Uint8Array, length: number = bytes.length): void {
    let at = 0;
    while (at < length) {
      if (this.#skip > 0) {
        const here = Math.min(this.#skip, length - at);
        at += here;
        this.#skip -= here;
        if (this.#skip === 0) this.#endPart(0);
        continue;
      }
      this.#byte(bytes[at]!);
      at++;
    }
  }

  #byte(byte: number): void {
    if (this.#type === 0) {
      this.#type = byte;
      this.#number = 0;
      this.#negative = false;
    } else if (byte === LF) {
      this.#line();
    } else if (this.#type === MINUS) {
      if (byte !== CR) this.#text += String.fromCharCode(byte);
    } else if (byte === MINUS) {
      this.#negative = true;
    } else if (byte !== CR) {
      this.#number = this.#number * 10 + byte - ZERO;
    }
  }

  #line(): void {
    const type = this.#type;
    this.#type = 0;
    const number = this.#negative ? -this.#number : this.#number;
    if (type === MINUS) throw new Error(`the server answered: ${this.#text}`);
    if (type === DOLLAR && number >= 0) this.#skip = number + 2;
    else if (type === STAR && number > 0) this.#parts += this.#parts > 0 ? number - 1 : number;
    else {
      if (type === DOLLAR) this.nulls++;
      this.#endPart(type === COLON ? number : 0);
    }
  }

  #endPart(integer: number): void {
    if (this.#parts > 0 && --this.#parts > 0) return;
    this.#onReply(integer);
  }
}
