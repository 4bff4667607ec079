import { describe, expect, it } from 'vitest';
import { type EvictionPolicy, Evictor } from '../../../../src/storage/memory/eviction.ts';
import { type Bench, makeKeyspace, someSlot, START_MS } from './support.ts';
import { put } from '../../../support/keyspace.ts';

const any = (): boolean => true;

function evictorOn(bench: Bench, policy: EvictionPolicy, samples = 5): Evictor {
  const { keyspace, random, nowMs } = bench;
  return new Evictor({ keyspace, random, nowMs, policy, samples });
}

/** Puts key:0 ... one second apart, so that the lower numbers are the longer unused. */
function fill(bench: Bench, count: number, options: { ttl?: boolean; slot?: number } = {}): void {
  for (let i = 0; i < count; i++) {
    const key = `key:${i}`;
    const expiresAtMs = options.ttl === true ? START_MS + 1e9 - i * 1000 : 0;
    put(bench.keyspace, options.slot ?? someSlot(key), 0, key, 'v', expiresAtMs);
    bench.clock.nowMs += 1000;
  }
}

/** Evicts so many and returns the numbers of the keys, in order. */
function evict(bench: Bench, evictor: Evictor, count: number): number[] {
  const numbers: number[] = [];
  for (let i = 0; i < count; i++) {
    const victim = evictor.pick(any);
    if (victim === undefined) break;
    expect(bench.keyspace.remove(victim.slot, victim.db, victim.key)).toBe(true);
    numbers.push(Number(victim.key.slice('key:'.length)));
  }
  return numbers;
}

function mean(numbers: number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

describe('which one goes', () => {
  it('noeviction: none', () => {
    const bench = makeKeyspace();
    fill(bench, 10);
    expect(evictorOn(bench, 'noeviction').pick(any)).toBeUndefined();
  });

  it('an empty keyspace has no victim under any policy', () => {
    for (const policy of ['allkeys-lru', 'allkeys-random', 'volatile-ttl'] as const) {
      expect(evictorOn(makeKeyspace(), policy).pick(any)).toBeUndefined();
    }
  });

  // Evicting a quarter at random would give a mean of 2000; in strict order, 500.
  for (const policy of ['allkeys-lru', 'volatile-lru'] as const) {
    it(`${policy}: mostly those unused for longest`, () => {
      const bench = makeKeyspace();
      const evictor = evictorOn(bench, policy);
      fill(bench, 4000, { ttl: true });
      expect(mean(evict(bench, evictor, 1000))).toBeLessThan(800);
    });
  }

  it('allkeys-lru: one that is used between being drawn and chosen stays', () => {
    const bench = makeKeyspace();
    const evictor = evictorOn(bench, 'allkeys-lru');
    fill(bench, 300);
    evict(bench, evictor, 20);
    const kept = new Set<string>();
    for (let i = 0; i < 100; i++) {
      const key = `key:${i}`;
      if (!bench.keyspace.has(someSlot(key), 0, key)) continue;
      bench.keyspace.touch(someSlot(key), 0, key, bench.clock.nowMs);
      kept.add(key);
    }
    const gone = evict(bench, evictor, 100).map((number) => `key:${number}`);
    expect(gone.filter((key) => kept.has(key))).toEqual([]);
  });

  for (const policy of ['allkeys-lfu', 'volatile-lfu'] as const) {
    it(`${policy}: those used least, however lately`, () => {
      const bench = makeKeyspace();
      const evictor = evictorOn(bench, policy);
      bench.keyspace.access.lfuDecayMinutes = 0;
      fill(bench, 1000, { ttl: true });
      for (let i = 0; i < 500; i++) {
        const key = `key:${i}`;
        for (let use = 0; use < 50; use++)
          bench.keyspace.touch(someSlot(key), 0, key, bench.clock.nowMs);
      }
      const gone = evict(bench, evictor, 300);
      expect(gone.filter((number) => number < 500).length).toBeLessThan(15);
    });
  }

  it('volatile-ttl: mostly those that expire soonest', () => {
    const bench = makeKeyspace();
    const evictor = evictorOn(bench, 'volatile-ttl');
    fill(bench, 4000, { ttl: true });
    expect(mean(evict(bench, evictor, 1000))).toBeGreaterThan(3200);
  });

  for (const policy of ['allkeys-random', 'volatile-random'] as const) {
    it(`${policy}: any`, () => {
      const bench = makeKeyspace();
      const evictor = evictorOn(bench, policy);
      fill(bench, 4000, { ttl: true });
      const average = mean(evict(bench, evictor, 1000));
      expect(average).toBeGreaterThan(1800);
      expect(average).toBeLessThan(2200);
    });
  }

  for (const policy of [
    'volatile-lru',
    'volatile-lfu',
    'volatile-random',
    'volatile-ttl',
  ] as const) {
    it(`${policy}: never a key without expiry`, () => {
      const bench = makeKeyspace();
      const evictor = evictorOn(bench, policy);
      fill(bench, 100);
      expect(evictor.pick(any)).toBeUndefined();
      put(bench.keyspace, 5, 3, 'with expiry', 'v', START_MS + 1e9);
      expect(evictor.pick(any)).toMatchObject({ slot: 5, db: 3, key: 'with expiry' });
    });
  }
});

describe('evenness', () => {
  it('a slot made large by a hash tag loses its share, not less and not more', () => {
    const bench = makeKeyspace();
    const evictor = evictorOn(bench, 'allkeys-random');
    for (let i = 0; i < 3000; i++) put(bench.keyspace, 77, 0, `tagged:${i}`, 'v', 0);
    for (let i = 0; i < 3000; i++) put(bench.keyspace, someSlot(`k${i}`), 2, `k${i}`, 'v', 0);
    let tagged = 0;
    for (let i = 0; i < 3000; i++) {
      const victim = evictor.pick(any)!;
      bench.keyspace.remove(victim.slot, victim.db, victim.key);
      if (victim.slot === 77 && victim.db === 0) tagged++;
    }
    // Four hands are in one place or the other, so this is rough by design; a lap evens it out.
    expect(tagged).toBeGreaterThan(500);
    expect(tagged).toBeLessThan(2500);
  });

  it('every entry of every database comes up within a lap', () => {
    const bench = makeKeyspace();
    const evictor = evictorOn(bench, 'allkeys-random');
    for (let i = 0; i < 500; i++) put(bench.keyspace, someSlot(`k${i}`), i % 16, `k${i}`, 'v', 0);
    const seen = new Set<string>();
    for (let i = 0; i < 500 * 4; i++) seen.add(evictor.pick(any)!.key);
    expect(seen.size).toBe(500);
  });
});

describe('what may not go', () => {
  it('dirty entries, and those the caller keeps, are passed over', () => {
    const bench = makeKeyspace();
    const evictor = evictorOn(bench, 'allkeys-lru');
    fill(bench, 200);
    for (let i = 0; i < 100; i++) bench.keyspace.mark(someSlot(`key:${i}`), 0, `key:${i}`, 1);
    const kept = { slot: someSlot('key:150'), db: 0, key: 'key:150', value: 'v' };
    bench.keyspace.load({ ...kept, expiresAtMs: 0, epoch: 0, seq: 0, persistent: false });
    const gone: string[] = [];
    for (;;) {
      const victim = evictor.pick((_slot, entry) => entry.persistent);
      if (victim === undefined) break;
      bench.keyspace.remove(victim.slot, victim.db, victim.key);
      gone.push(victim.key);
    }
    expect(gone).toHaveLength(99);
    expect(bench.keyspace.has(kept.slot, 0, 'key:150')).toBe(true);
  });

  it('a candidate that became dirty or was replaced since it was drawn is not chosen', () => {
    const bench = makeKeyspace();
    const evictor = evictorOn(bench, 'allkeys-lru');
    fill(bench, 12);
    evict(bench, evictor, 1);
    for (let i = 0; i < 12; i++) {
      const key = `key:${i}`;
      if (bench.keyspace.has(someSlot(key), 0, key)) bench.keyspace.mark(someSlot(key), 0, key, 3);
    }
    expect(evictor.pick(any)).toBeUndefined();
    for (let i = 0; i < 12; i++) bench.keyspace.clearSlot(someSlot(`key:${i}`), null);
    expect(evictor.pick(any)).toBeUndefined();
    put(bench.keyspace, someSlot('key:5'), 0, 'key:5', 'new', 0);
    expect(evictor.pick(any)?.entry.value).toBe('new');
  });

  it('remembered absences go like keys', () => {
    const bench = makeKeyspace();
    put(bench.keyspace, 1, 0, 'absent', null, START_MS + 1e6);
    expect(evictorOn(bench, 'allkeys-lru').pick(any)?.key).toBe('absent');
    expect(evictorOn(bench, 'volatile-ttl').pick(any)?.key).toBe('absent');
  });

  it('a pick that finds nothing asks a bounded number of times', () => {
    const bench = makeKeyspace();
    const evictor = evictorOn(bench, 'allkeys-lru');
    fill(bench, 5000);
    let asked = 0;
    const refuse = (): boolean => {
      asked++;
      return false;
    };
    expect(evictor.pick(refuse)).toBeUndefined();
    expect(asked).toBeLessThanOrEqual(1100);
  });

  it('the one that may go among thousands is found within a few picks', () => {
    const bench = makeKeyspace();
    const evictor = evictorOn(bench, 'allkeys-lru');
    fill(bench, 5000);
    const only = (_slot: number, { key }: { key: string }): boolean => key === 'key:4321';
    const found: (string | undefined)[] = [];
    for (let i = 0; i < 20; i++) found.push(evictor.pick(only)?.key);
    expect(found).toContain('key:4321');
  });
});

it('a new policy takes effect at once and sets how uses are recorded', () => {
  const bench = makeKeyspace();
  const evictor = evictorOn(bench, 'allkeys-lru');
  fill(bench, 50);
  expect(evictor.pick(any)).toBeDefined();
  evictor.policy = 'volatile-lfu';
  expect(bench.keyspace.access.mode).toBe('lfu');
  expect(evictor.pick(any)).toBeUndefined();
  evictor.policy = 'noeviction';
  expect(bench.keyspace.access.mode).toBe('lru');
});
