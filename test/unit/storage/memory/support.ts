/** What the tests of this folder share: a seeded random source, a clock to turn, and a keyspace on both. */
import type { Random } from '../../../../src/platform/clock.ts';
import { Keyspace, scanHash, SLOT_COUNT } from '../../../../src/storage/memory/keyspace.ts';

export const START_MS = 1_750_000_000_000;

/** mulberry32: small, and good enough to draw from. */
export function seededRandom(seed: number): Random {
  let state = seed | 0;
  const float = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    float,
    below: (bound) => Math.floor(float() * bound),
    id: () =>
      Math.floor(float() * 2 ** 32)
        .toString(16)
        .padStart(32, '0'),
  };
}

export interface Bench {
  readonly keyspace: Keyspace;
  readonly random: Random;
  readonly clock: { nowMs: number };
  readonly nowMs: () => number;
}

export function makeKeyspace(seed = 1): Bench {
  const clock = { nowMs: START_MS };
  const random = seededRandom(seed);
  const nowMs = (): number => clock.nowMs;
  return { keyspace: new Keyspace({ random, nowMs }), random, clock, nowMs };
}

/** Some slot for a key, evenly spread; the real function is the cluster's. */
export function someSlot(key: string): number {
  return scanHash(key) % SLOT_COUNT;
}
