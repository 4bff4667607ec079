/**
 * Node has these methods on every Buffer; its types leave them out. `toString('latin1')` and `write` do the same at
 * twice the cost.
 */
interface Buffer {
  /** The bytes from `start` to `end` as a binary string. */
  latin1Slice(start: number, end: number): string;
  /** Writes the first `length` characters of a binary string. */
  latin1Write(text: string, start: number, length: number): number;
}
