/** Random from the operating system's generator, fetched in blocks because each call costs microseconds. */
import { randomFillSync } from 'node:crypto';
import type { Random } from './clock.ts';

const BLOCK_BYTES = 4096;
const ID_BYTES = 16;
const TWO_32 = 2 ** 32;

export function createNodeRandom(): Random {
  const block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  let position = BLOCK_BYTES;

  /** Position of `size` fresh bytes in the block. No byte is used twice. */
  function take(size: number): number {
    if (position + size > BLOCK_BYTES) {
      randomFillSync(block);
      position = 0;
    }
    position += size;
    return position - size;
  }

  return {
    float() {
      const at = take(8);
      // 53 bits: 21 of one word and all 32 of the other.
      return ((block.readUInt32LE(at) >>> 11) * TWO_32 + block.readUInt32LE(at + 4)) / 2 ** 53;
    },
    below(bound) {
      if (!Number.isInteger(bound) || bound < 1 || bound > TWO_32) {
        throw new RangeError(`bound must be an integer in 1..2^32, not ${bound}`);
      }
      // Words above the last full multiple of `bound` would make small results likelier.
      const limit = TWO_32 - (TWO_32 % bound);
      for (;;) {
        const word = block.readUInt32LE(take(4));
        if (word < limit) return word % bound;
      }
    },
    id() {
      const at = take(ID_BYTES);
      return block.toString('hex', at, at + ID_BYTES);
    },
  };
}
