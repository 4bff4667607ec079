import { describe, expect, it } from 'vitest';
import { Arena, BLOCK_BYTES_MAX, segmentOf, wordOf } from '../../../../src/storage/memory/arena.ts';
import { seededRandom } from './support.ts';

/** Fills a block with a pattern of its own, its first word excepted. */
function fill(arena: Arena, at: number, pattern: number): void {
  const first = wordOf(at) + 1;
  arena.words[segmentOf(at)]!.fill(pattern, first, wordOf(at) + arena.sizeOf(at) / 4);
}

function holds(arena: Arena, at: number, pattern: number): boolean {
  const end = wordOf(at) + arena.sizeOf(at) / 4;
  return arena.words[segmentOf(at)]!.subarray(wordOf(at) + 1, end).every(
    (word) => word === pattern,
  );
}

/** Sizes as they come: mostly small, some large. */
function someSize(random: { below(bound: number): number }): number {
  const kind = random.below(100);
  if (kind < 80) return 1 + random.below(300);
  if (kind < 99) return 1 + random.below(20_000);
  return 1 + random.below(BLOCK_BYTES_MAX);
}

describe('arena', () => {
  it('gives blocks that hold what is asked for, and overlap with no other', () => {
    const arena = new Arena();
    const random = seededRandom(5);
    const blocks = new Map<number, { bytes: number; pattern: number }>();
    for (let i = 1; i <= 20_000; i++) {
      if (blocks.size > 0 && random.below(100) < (blocks.size > 600 ? 60 : 45)) {
        const [at, { pattern }] = [...blocks][random.below(blocks.size)]!;
        expect(holds(arena, at, pattern)).toBe(true);
        blocks.delete(at);
        arena.give(at);
        continue;
      }
      const bytes = someSize(random);
      const at = arena.take(bytes);
      expect(blocks.has(at)).toBe(false);
      expect(arena.sizeOf(at)).toBeGreaterThanOrEqual(bytes);
      expect(arena.fits(at, bytes)).toBe(true);
      fill(arena, at, i);
      blocks.set(at, { bytes, pattern: i });
    }
    for (const [at, { pattern }] of blocks) expect(holds(arena, at, pattern)).toBe(true);
    const taken = [...blocks.keys()].reduce((sum, at) => sum + arena.sizeOf(at), 0);
    expect(arena.usedBytes).toBe(taken);
    for (const at of blocks.keys()) arena.give(at);
    expect(arena.usedBytes).toBe(0);
  }, 30_000);

  it('joins what is given back, so that it can be taken whole again', () => {
    const arena = new Arena();
    const blocks = Array.from({ length: 30_000 }, () => arena.take(100));
    const reserved = arena.reservedBytes;
    for (const at of blocks.filter((_, i) => i % 2 === 0)) arena.give(at);
    for (const at of blocks.filter((_, i) => i % 2 === 1)) arena.give(at);
    for (let i = 0; i < 10; i++) arena.take(100_000);
    expect(arena.reservedBytes).toBeLessThanOrEqual(reserved);
  });

  it('gives segments back that are empty, one excepted', () => {
    const arena = new Arena();
    const blocks = Array.from({ length: 100 }, () => arena.take(1_000_000));
    expect(arena.reservedBytes).toBeGreaterThan(100_000_000);
    for (const at of blocks) arena.give(at);
    expect(arena.reservedBytes).toBeLessThanOrEqual(4 * 1024 * 1024);
    expect(arena.usedBytes).toBe(0);
    expect(arena.sizeOf(arena.take(1_000_000))).toBe(1_000_000);
  });

  it('wastes little when sizes change over time', () => {
    const arena = new Arena();
    const random = seededRandom(9);
    const blocks: { at: number; bytes: number }[] = [];
    for (let i = 0; i < 60_000; i++) {
      const bytes = 50 + random.below(100 + Math.floor(i / 100));
      const block = { at: arena.take(bytes), bytes };
      if (blocks.length < 10_000) {
        blocks.push(block);
        continue;
      }
      const place = random.below(blocks.length);
      arena.give(blocks[place]!.at);
      blocks[place] = block;
    }
    const asked = blocks.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(arena.usedBytes).toBeLessThan(1.05 * asked);
    expect(arena.reservedBytes - 4 * 1024 * 1024).toBeLessThan(1.3 * asked);
  });

  it('keeps the flags of a block while its neighbours come and go', () => {
    const arena = new Arena();
    const [left, middle, right] = [arena.take(64), arena.take(64), arena.take(64)];
    const words = arena.words[segmentOf(middle)]!;
    expect(arena.sizeOf(middle)).toBe(64);
    words[wordOf(middle)]! += 0x3ff * 2 ** 22;
    arena.give(left);
    arena.give(right);
    expect(words[wordOf(middle)]! >>> 22).toBe(0x3ff);
    expect(arena.sizeOf(middle)).toBe(64);
  });

  it('refuses a block that is too large, and one that is given back twice', () => {
    const arena = new Arena();
    expect(() => arena.take(BLOCK_BYTES_MAX + 1)).toThrow(RangeError);
    expect(arena.sizeOf(arena.take(BLOCK_BYTES_MAX))).toBe(BLOCK_BYTES_MAX);
    const at = arena.take(10);
    arena.give(at);
    expect(() => arena.give(at)).toThrow('given back once');
  });
});
