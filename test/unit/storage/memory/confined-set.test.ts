import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../../../chaos/sim/random.ts';
import { ConfinedSet, KeyNotHeld } from '../../../../src/storage/memory/confined-set.ts';
import { Keyspace } from '../../../../src/storage/memory/keyspace.ts';
import { WorkingSet, type WorkingSetEnv } from '../../../../src/storage/memory/working-set.ts';
import { put } from '../../../support/keyspace.ts';

const NOW_MS = 1000;

function setUp(): WorkingSetEnv {
  const keyspace = new Keyspace({ random: new SeededRandom(1), nowMs: () => NOW_MS });
  for (const key of ['held', 'other']) put(keyspace, 0, 0, key, 'old', 0);
  const policy = { persistent: true, defaultTtlMs: 0, tombstoneMs: 0 };
  return { keyspace, slotOf: () => 0, policyOf: () => policy };
}

describe('a confined set', () => {
  test('reads and changes what is held', () => {
    const set = new ConfinedSet(setUp(), NOW_MS, [{ db: 0, key: 'held' }]);
    expect(set.get(0, 'held')).toBe('old');
    set.put(0, 'held', 'new', 0);
    expect(set.setExpiry(0, 'held', 5000)).toBe(true);
    expect(set.effects()).toMatchObject([{ key: 'held', value: 'new', expiresAtMs: 5000 }]);
  });

  const held = { value: 'x', expiresAtMs: 0 };
  test.each<[string, (set: ConfinedSet, db: number, key: string) => unknown]>([
    ['get', (set, db, key) => set.get(db, key)],
    ['has', (set, db, key) => set.has(db, key)],
    ['expiresAtMs', (set, db, key) => set.expiresAtMs(db, key)],
    ['peek', (set, db, key) => set.peek(db, key)],
    ['inspect', (set, db, key) => set.inspect(db, key)],
    ['put', (set, db, key) => set.put(db, key, 'x', 0)],
    ['setExpiry', (set, db, key) => set.setExpiry(db, key, 5000)],
    ['remove', (set, db, key) => set.remove(db, key)],
    ['lend', (set, db, key) => set.lend(db, key, held)],
  ])('names the key that %s touches without holding it, and changes nothing', (_name, touch) => {
    const set = new ConfinedSet(setUp(), NOW_MS, [{ db: 0, key: 'held' }]);
    for (const [db, key] of [
      [0, 'other'],
      [1, 'held'],
    ] as const) {
      expect(() => touch(set, db, key)).toThrow(KeyNotHeld);
      expect(() => touch(set, db, key)).toThrow(expect.objectContaining({ db, key }) as Error);
    }
    expect(set.changed).toBe(false);
    expect(() => touch(set, 0, 'held')).not.toThrow();
  });
});

describe('an attempt', () => {
  test('that fails leaves what was changed before it, and nothing of its own', () => {
    const set = new WorkingSet(setUp(), NOW_MS, 0);
    set.put(0, 'held', 'first', 0);
    const outcome = set.attempt(() => {
      set.put(0, 'held', 'second', 0);
      set.put(0, 'held', 'third', 0);
      set.remove(0, 'other');
      return { failed: true };
    });
    expect(outcome).toEqual({ failed: true });
    expect([set.get(0, 'held'), set.get(0, 'other')]).toEqual(['first', 'old']);
    expect(set.effects()).toHaveLength(1);
  });

  test('that throws is undone as well, and a set without changes is one again', () => {
    const set = new WorkingSet(setUp(), NOW_MS, 0);
    const attempt = (): unknown =>
      set.attempt(() => {
        set.remove(0, 'held');
        throw new Error('half-way');
      });
    expect(attempt).toThrow('half-way');
    expect([set.changed, set.effects()]).toEqual([false, []]);
  });

  test('that succeeds stays, also when a later one fails', () => {
    const set = new WorkingSet(setUp(), NOW_MS, 0);
    set.attempt(() => {
      set.put(0, 'held', 'kept', 0);
      return { failed: false };
    });
    set.attempt(() => {
      set.remove(0, 'held');
      return { failed: true };
    });
    expect(set.effects()).toMatchObject([{ kind: 'put', key: 'held', value: 'kept' }]);
  });
});
