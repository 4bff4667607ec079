import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EXPIRY_RETRY_MS } from '../../../../src/storage/memory/expiry.ts';
import type { Keyspace } from '../../../../src/storage/memory/keyspace.ts';
import { makeKeyspace, seededRandom, START_MS } from './support.ts';
import { put } from '../../../support/keyspace.ts';

/** Expiry is found up to one tick late. */
const TICK_MS = 128;
const DAY_MS = 86_400_000;

function takeKeys(keyspace: Keyspace, nowMs: number, limit = 100): string[] {
  return keyspace.takeExpired(nowMs, limit).map(({ key }) => key);
}

/** Takes until nothing comes, removing what comes. */
function drain(keyspace: Keyspace, nowMs: number, limit = 100): string[] {
  const keys: string[] = [];
  for (let idle = 0; idle < 200; idle++) {
    for (const { slot, db, key } of keyspace.takeExpired(nowMs, limit)) {
      keyspace.remove(slot, db, key);
      keys.push(key);
      idle = 0;
    }
  }
  return keys;
}

describe('takeExpired', () => {
  for (const ttlMs of [
    1,
    127,
    5000,
    40_000,
    3 * 3_600_000,
    3 * DAY_MS,
    40 * DAY_MS,
    3650 * DAY_MS,
  ]) {
    it(`finds a key of ${ttlMs} ms after its time and not before`, () => {
      const { keyspace } = makeKeyspace();
      put(keyspace, 9, 4, 'k', 'v', START_MS + ttlMs);
      put(keyspace, 9, 4, 'for ever', 'v', 0);
      expect(drain(keyspace, START_MS + ttlMs - 1)).toEqual([]);
      const found = keyspace.takeExpired(START_MS + ttlMs + TICK_MS, 100_000);
      expect(found).toMatchObject([{ slot: 9, db: 4, key: 'k' }]);
    });
  }

  it('finds what had expired already when it was put', () => {
    const { keyspace } = makeKeyspace();
    put(keyspace, 1, 0, 'k', 'v', START_MS - DAY_MS);
    expect(takeKeys(keyspace, START_MS + TICK_MS)).toEqual(['k']);
  });

  it('gives out what is still there again, but not at once', () => {
    const { keyspace } = makeKeyspace();
    put(keyspace, 1, 0, 'k', 'v', START_MS + 1000);
    let nowMs = START_MS + DAY_MS;
    for (let round = 0; round < 100; round++) {
      expect(takeKeys(keyspace, nowMs), `round ${round}`).toEqual(['k']);
      expect(takeKeys(keyspace, nowMs + EXPIRY_RETRY_MS - TICK_MS)).toEqual([]);
      nowMs += EXPIRY_RETRY_MS + 2 * TICK_MS;
    }
  });

  it('follows changes of the expiry in both directions', () => {
    const { keyspace } = makeKeyspace();
    put(keyspace, 1, 0, 'k', 'v', START_MS + 1000);
    put(keyspace, 1, 0, 'k', 'v', START_MS + DAY_MS);
    expect(drain(keyspace, START_MS + 2000)).toEqual([]);
    put(keyspace, 1, 0, 'k', 'v', START_MS + 3000);
    expect(takeKeys(keyspace, START_MS + 3500)).toEqual(['k']);
    put(keyspace, 1, 0, 'k', 'v', 0);
    expect(drain(keyspace, START_MS + DAY_MS)).toEqual([]);
  });

  it('leaves out, for now, what the caller does not want', () => {
    const { keyspace } = makeKeyspace();
    for (let slot = 0; slot < 10; slot++) put(keyspace, slot, 0, `k${slot}`, 'v', START_MS + 1);
    const nowMs = START_MS + 1000;
    const odd = keyspace.takeExpired(nowMs, 100, (slot) => slot % 2 === 1);
    expect(odd.map(({ slot }) => slot).toSorted()).toEqual([1, 3, 5, 7, 9]);
    const later = nowMs + EXPIRY_RETRY_MS + TICK_MS;
    expect(keyspace.takeExpired(later, 100)).toHaveLength(10);
  });

  it('gives out remembered absences whose end has come', () => {
    const { keyspace } = makeKeyspace();
    put(keyspace, 1, 0, 'k', null, START_MS + 1000);
    expect(keyspace.takeExpired(START_MS + 2000, 10)).toMatchObject([{ entry: { value: null } }]);
  });

  it('a call does work in proportion to its limit, however many are due', () => {
    const { keyspace } = makeKeyspace();
    // All in one bucket of an upper level, so that they have to move down first.
    for (let i = 0; i < 10_000; i++)
      put(keyspace, i, 0, `k${i}`, 'v', START_MS + DAY_MS + (i % 1000));
    let asked = 0;
    const refuse = (): boolean => {
      asked++;
      return false;
    };
    const nowMs = START_MS + 2 * DAY_MS;
    expect(keyspace.takeExpired(nowMs, 10, refuse)).toEqual([]);
    expect(asked).toBeLessThanOrEqual(320);
    expect(drain(keyspace, nowMs + EXPIRY_RETRY_MS + TICK_MS, 10)).toHaveLength(10_000);
    expect(keyspace.volatileCount).toBe(0);
  });

  it('nothing piles up when one key is set and deleted, or given new expiries, over and over', () => {
    const { keyspace } = makeKeyspace();
    for (let i = 0; i < 10_000; i++) {
      put(keyspace, 1, 0, 'deleted', 'v', START_MS + DAY_MS);
      keyspace.remove(1, 0, 'deleted');
      put(keyspace, 1, 0, 'renewed', 'v', START_MS + 2 * DAY_MS - i * 1000);
    }
    expect(keyspace.volatileCount).toBe(1);
    expect(drain(keyspace, START_MS + 3 * DAY_MS)).toEqual(['renewed']);
  });

  for (const jumpMs of [1000, 3_600_000, 20 * 365 * DAY_MS]) {
    it(`goes on after the clock went ${jumpMs} ms ahead and back again`, () => {
      const { keyspace } = makeKeyspace();
      put(keyspace, 1, 0, 'later', 'v', START_MS + jumpMs + DAY_MS);
      expect(drain(keyspace, START_MS + jumpMs)).toEqual([]);
      put(keyspace, 1, 0, 'k', 'v', START_MS + 1000);
      expect(drain(keyspace, START_MS + 500)).toEqual([]);
      expect(drain(keyspace, START_MS + 1000 + TICK_MS)).toEqual(['k']);
      expect(drain(keyspace, START_MS + jumpMs + DAY_MS + TICK_MS)).toEqual(['later']);
    });
  }

  it('property: what comes out is exactly what is due, for any expiries, changes and steps of time', () => {
    const ttl = fc.oneof(fc.nat(1000), fc.nat(100_000), fc.nat(100_000_000), fc.nat(2 ** 40));
    const change = fc.record({ key: fc.nat(30), ttlMs: fc.option(ttl), removed: fc.boolean() });
    const turn = fc.record({ changes: fc.array(change, { maxLength: 10 }), stepMs: ttl });
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 20 }), (turns) => {
        const { keyspace, clock } = makeKeyspace();
        const model = new Map<string, number>();
        for (const { changes, stepMs } of turns) {
          for (const { key: number, ttlMs, removed } of changes) {
            const key = `k${number}`;
            if (removed) {
              keyspace.remove(number, 0, key);
              model.delete(key);
            } else {
              const expiresAtMs = ttlMs === null ? 0 : clock.nowMs + ttlMs;
              put(keyspace, number, 0, key, 'v', expiresAtMs);
              model.set(key, expiresAtMs);
            }
          }
          clock.nowMs += stepMs;
          for (const key of drain(keyspace, clock.nowMs)) {
            const expiresAtMs = model.get(key);
            expect(expiresAtMs).toBeGreaterThan(0);
            expect(expiresAtMs).toBeLessThanOrEqual(clock.nowMs);
            model.delete(key);
          }
          for (const expiresAtMs of model.values()) {
            if (expiresAtMs !== 0)
              expect(expiresAtMs).toBeGreaterThanOrEqual(clock.nowMs - TICK_MS);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('holds through growing to many keys and shrinking again, in random order', () => {
    const { keyspace } = makeKeyspace();
    const random = seededRandom(3);
    const left = new Set<number>();
    for (let i = 0; i < 20_000; i++) {
      put(keyspace, i % 100, 0, `k${i}`, 'v', START_MS + random.below(DAY_MS));
      left.add(i);
    }
    for (const i of left) {
      if (random.float() < 0.9) {
        keyspace.remove(i % 100, 0, `k${i}`);
        left.delete(i);
      }
    }
    const expected = [...left].map((i) => `k${i}`).toSorted();
    expect(drain(keyspace, START_MS + 2 * DAY_MS).toSorted()).toEqual(expected);
  });
});
