import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Effect, EffectKind } from '../../../../src/storage/memory/effect.ts';
import type { Keyspace } from '../../../../src/storage/memory/keyspace.ts';
import { type KeyPolicy, WorkingSet } from '../../../../src/storage/memory/working-set.ts';
import { makeKeyspace, someSlot, START_MS } from './support.ts';
import { put } from '../../../support/keyspace.ts';

const MANY_SLOTS = -1;
const PLAIN: KeyPolicy = { persistent: true, defaultTtlMs: 0, tombstoneMs: 0 };

interface Setup {
  readonly keyspace: Keyspace;
  /** A working set for another command, on the same keyspace. */
  readonly begin: (slot?: number) => WorkingSet;
}

function setUp(policies: Record<string, Partial<KeyPolicy>> = {}): Setup {
  const { keyspace } = makeKeyspace();
  const policyOf = (key: string): KeyPolicy => ({ ...PLAIN, ...policies[key.split(':')[0]!] });
  const env = { keyspace, policyOf, slotOf: someSlot };
  return { keyspace, begin: (slot = MANY_SLOTS) => new WorkingSet(env, START_MS, slot) };
}

function store(
  keyspace: Keyspace,
  key: string,
  value: string | null,
  expiresAtMs = 0,
  db = 0,
): void {
  put(keyspace, someSlot(key), db, key, value, expiresAtMs);
}

function effect(kind: EffectKind, key: string, rest: Partial<Effect> = {}): Effect {
  const base = { kind, slot: someSlot(key), db: 0, key, value: null, expiresAtMs: 0 };
  return { ...base, persistent: true, epoch: 0, seq: 0, ...rest };
}

describe('reading', () => {
  it('sees what the keyspace holds, and reading alone changes nothing', () => {
    const { keyspace, begin } = setUp();
    store(keyspace, 'k', 'v', START_MS + 5);
    store(keyspace, 'empty', '');
    store(keyspace, 'absent', null, START_MS + 5);
    const set = begin();
    expect([set.get(0, 'k'), set.expiresAtMs(0, 'k')]).toEqual(['v', START_MS + 5]);
    expect([set.get(0, 'empty'), set.has(0, 'empty'), set.expiresAtMs(0, 'empty')]).toEqual([
      '',
      true,
      0,
    ]);
    for (const key of ['absent', 'unheard of']) {
      expect([set.get(0, key), set.has(0, key), set.expiresAtMs(0, key)]).toEqual([
        undefined,
        false,
        undefined,
      ]);
    }
    expect(set.get(1, 'k')).toBeUndefined();
    expect(set.changed).toBe(false);
    expect(set.effects()).toEqual([]);
  });

  it('get counts as a use, also after a change of another key; expiresAtMs, peek and inspect do not', () => {
    const { keyspace, clock, nowMs } = makeKeyspace();
    const env = { keyspace, policyOf: () => PLAIN, slotOf: someSlot };
    put(keyspace, someSlot('k'), 0, 'k', 'v', 0);
    const idle = (): number => keyspace.idleSeconds(keyspace.find(someSlot('k'), 0, 'k')!);
    for (const changedBefore of [false, true]) {
      clock.nowMs += 10_000;
      const set = new WorkingSet(env, nowMs(), MANY_SLOTS);
      if (changedBefore) set.put(0, 'other', 'w', 0);
      set.expiresAtMs(0, 'k');
      expect(set.peek(0, 'k')?.value).toBe('v');
      expect(set.inspect(0, 'k')).toMatchObject({ value: 'v', accessMode: 'lru', idleSeconds: 10 });
      expect(idle()).toBe(10);
      set.get(0, 'k');
      expect(idle()).toBe(0);
    }
  });

  it('uses the slot it was given instead of computing it', () => {
    const { keyspace, begin } = setUp();
    put(keyspace, 42, 0, 'k', 'v', 0);
    const set = begin(42);
    expect(set.get(0, 'k')).toBe('v');
    set.put(0, 'k', 'w', 0);
    expect(set.effects()).toEqual([effect(EffectKind.Put, 'k', { slot: 42, value: 'w' })]);
  });
});

describe('expiry found while reading', () => {
  const readers: [string, (set: WorkingSet) => unknown][] = [
    ['get', (set) => set.get(0, 'k')],
    ['has', (set) => set.has(0, 'k') || undefined],
    ['expiresAtMs', (set) => set.expiresAtMs(0, 'k')],
    ['inspect', (set) => set.inspect(0, 'k')],
    ['remove', (set) => set.remove(0, 'k') || undefined],
    ['setExpiry', (set) => set.setExpiry(0, 'k', START_MS + 5) || undefined],
  ];
  for (const [name, read] of readers) {
    it(`${name} finds no key, and its deletion becomes an effect`, () => {
      const { keyspace, begin } = setUp();
      store(keyspace, 'k', 'v', START_MS);
      const set = begin();
      expect(read(set)).toBeUndefined();
      expect(read(set)).toBeUndefined();
      expect(set.changed).toBe(true);
      expect(set.effects()).toEqual([effect(EffectKind.Delete, 'k')]);
    });
  }

  it('a key lives to the last millisecond before its expiry', () => {
    const { keyspace, begin } = setUp();
    store(keyspace, 'k', 'v', START_MS + 1);
    expect(begin().get(0, 'k')).toBe('v');
  });

  it('leaves no tombstone: the legacy source is to be asked again', () => {
    const { keyspace, begin } = setUp({ user: { tombstoneMs: 1000 } });
    store(keyspace, 'user:1', 'v', START_MS);
    const set = begin();
    expect(set.remove(0, 'user:1')).toBe(false);
    expect(set.effects()).toEqual([effect(EffectKind.Delete, 'user:1')]);
  });

  it('a new value after it replaces the deletion', () => {
    const { keyspace, begin } = setUp();
    store(keyspace, 'k', 'old', START_MS - 1);
    const set = begin();
    expect(set.get(0, 'k')).toBeUndefined();
    set.put(0, 'k', 'new', 0);
    expect(set.effects()).toEqual([effect(EffectKind.Put, 'k', { value: 'new' })]);
  });

  it('a remembered absence whose end has come is no effect', () => {
    const { keyspace, begin } = setUp();
    store(keyspace, 'k', null, START_MS - 1);
    const set = begin();
    expect(set.get(0, 'k')).toBeUndefined();
    expect(set.effects()).toEqual([]);
  });
});

describe('writing', () => {
  it('is seen by later reads of the same command and not by the keyspace', () => {
    const { keyspace, begin } = setUp();
    store(keyspace, 'k', 'old', START_MS + 7);
    const set = begin();
    set.put(0, 'k', 'new', 0);
    set.put(0, 'fresh', 'f', START_MS + 9);
    expect([set.get(0, 'k'), set.expiresAtMs(0, 'k')]).toEqual(['new', 0]);
    expect([set.get(0, 'fresh'), set.expiresAtMs(0, 'fresh')]).toEqual(['f', START_MS + 9]);
    expect(begin().get(0, 'k')).toBe('old');
    expect(begin().get(0, 'fresh')).toBeUndefined();
    expect(keyspace.keyCount).toBe(1);
  });

  it('several changes of one key are one effect; keys of several databases are kept apart', () => {
    const { begin } = setUp();
    const set = begin();
    for (const value of ['1', '2', '3']) set.put(0, 'k', value, 0);
    set.put(1, 'k', 'other database', 0);
    set.put(1, '0:k', 'confusing', 0);
    expect(set.get(0, 'k')).toBe('3');
    expect(set.effects()).toEqual([
      effect(EffectKind.Put, 'k', { value: '3' }),
      effect(EffectKind.Put, 'k', { db: 1, value: 'other database' }),
      effect(EffectKind.Put, '0:k', { db: 1, value: 'confusing' }),
    ]);
  });

  it('a command that throws half-way leaves nothing', () => {
    const { keyspace, begin } = setUp();
    store(keyspace, 'k', 'old');
    const bytes = keyspace.usedBytes;
    const command = (set: WorkingSet): void => {
      set.put(0, 'k', 'new', START_MS + 5);
      set.put(0, 'fresh', 'x', 0);
      set.remove(0, 'k');
      throw new Error('half-way');
    };
    expect(() => command(begin())).toThrow('half-way');
    expect(begin().get(0, 'k')).toBe('old');
    expect(begin().expiresAtMs(0, 'k')).toBe(0);
    expect(begin().has(0, 'fresh')).toBe(false);
    expect(keyspace.usedBytes).toBe(bytes);
  });

  it("put with 'default' takes the time to live of the key's policy", () => {
    const { begin } = setUp({ session: { defaultTtlMs: 1800 } });
    const set = begin();
    set.put(0, 'session:1', 'v', 'default');
    set.put(0, 'session:2', 'v', 0);
    set.put(0, 'session:3', 'v', START_MS + 1);
    set.put(0, 'plain', 'v', 'default');
    expect(set.effects().map(({ expiresAtMs }) => expiresAtMs)).toEqual([
      START_MS + 1800,
      0,
      START_MS + 1,
      0,
    ]);
  });

  it('put with a moment not in the future deletes, whether the key is in memory or not', () => {
    const { keyspace, begin } = setUp({ user: { tombstoneMs: 50 } });
    store(keyspace, 'user:1', 'v');
    for (const key of ['user:1', 'user:2']) {
      const set = begin();
      set.put(0, key, 'w', START_MS);
      expect(set.get(0, key)).toBeUndefined();
      const tombstone = effect(EffectKind.Delete, key, { expiresAtMs: START_MS + 50 });
      expect(set.effects()).toEqual([tombstone]);
    }
  });

  it('the policy says whether an effect is kept in the database', () => {
    const { begin } = setUp({ cache: { persistent: false } });
    const set = begin();
    set.put(0, 'cache:1', 'v', 0);
    set.put(0, 'k', 'v', 0);
    expect(set.effects().map(({ persistent }) => persistent)).toEqual([false, true]);
  });
});

describe('remove', () => {
  it('tells whether the key was there, once', () => {
    const { keyspace, begin } = setUp();
    store(keyspace, 'k', 'v');
    const set = begin();
    expect([set.remove(0, 'k'), set.remove(0, 'k'), set.remove(0, 'other')]).toEqual([
      true,
      false,
      false,
    ]);
    expect(set.has(0, 'k')).toBe(false);
    expect(set.effects()).toEqual([effect(EffectKind.Delete, 'k')]);
  });

  it('leaves a tombstone where the policy wants one', () => {
    const { keyspace, begin } = setUp({ user: { tombstoneMs: 30_000 } });
    store(keyspace, 'user:1', 'v');
    const set = begin();
    set.remove(0, 'user:1');
    const tombstone = effect(EffectKind.Delete, 'user:1', { expiresAtMs: START_MS + 30_000 });
    expect(set.effects()).toEqual([tombstone]);
  });

  it('of a remembered absence finds nothing and changes nothing', () => {
    const { keyspace, begin } = setUp();
    store(keyspace, 'k', null, START_MS + 1000);
    const set = begin();
    expect(set.remove(0, 'k')).toBe(false);
    expect(set.changed).toBe(false);
  });
});

describe('setExpiry', () => {
  it('of a key in memory is an Expire effect, which carries no value', () => {
    const { keyspace, begin } = setUp();
    store(keyspace, 'k', 'v');
    const set = begin();
    expect(set.setExpiry(0, 'k', START_MS + 5)).toBe(true);
    expect([set.get(0, 'k'), set.expiresAtMs(0, 'k')]).toEqual(['v', START_MS + 5]);
    expect(set.setExpiry(0, 'k', START_MS + 6)).toBe(true);
    expect(set.effects()).toEqual([effect(EffectKind.Expire, 'k', { expiresAtMs: START_MS + 6 })]);
    expect(begin().expiresAtMs(0, 'k')).toBe(0);
  });

  it('of a key that this command has written is part of the Put', () => {
    const { begin } = setUp();
    const set = begin();
    set.put(0, 'k', 'v', 0);
    set.setExpiry(0, 'k', START_MS + 5);
    expect(set.effects()).toEqual([
      effect(EffectKind.Put, 'k', { value: 'v', expiresAtMs: START_MS + 5 }),
    ]);
  });

  it('followed by a write is a Put', () => {
    const { keyspace, begin } = setUp();
    store(keyspace, 'k', 'v');
    const set = begin();
    set.setExpiry(0, 'k', START_MS + 5);
    set.put(0, 'k', 'w', set.expiresAtMs(0, 'k')!);
    expect(set.effects()).toEqual([
      effect(EffectKind.Put, 'k', { value: 'w', expiresAtMs: START_MS + 5 }),
    ]);
  });

  it('of a lent key is a Put, however often it is changed', () => {
    const { begin } = setUp();
    const set = begin();
    set.lend(0, 'k', { value: 'lent', expiresAtMs: 0 });
    expect(set.setExpiry(0, 'k', START_MS + 5)).toBe(true);
    expect(set.setExpiry(0, 'k', START_MS + 6)).toBe(true);
    expect(set.effects()).toEqual([
      effect(EffectKind.Put, 'k', { value: 'lent', expiresAtMs: START_MS + 6 }),
    ]);
  });

  it('to a moment not in the future deletes, with a tombstone where the policy wants one', () => {
    const { keyspace, begin } = setUp({ user: { tombstoneMs: 10 } });
    store(keyspace, 'user:1', 'v');
    const set = begin();
    expect(set.setExpiry(0, 'user:1', START_MS)).toBe(true);
    expect(set.has(0, 'user:1')).toBe(false);
    const tombstone = effect(EffectKind.Delete, 'user:1', { expiresAtMs: START_MS + 10 });
    expect(set.effects()).toEqual([tombstone]);
  });

  it('of a missing, deleted or absent key does nothing', () => {
    const { keyspace, begin } = setUp();
    store(keyspace, 'deleted', 'v');
    store(keyspace, 'absent', null, START_MS + 1000);
    const set = begin();
    set.remove(0, 'deleted');
    for (const key of ['deleted', 'absent', 'missing']) {
      expect(set.setExpiry(0, key, START_MS + 5), key).toBe(false);
    }
    expect(set.effects()).toEqual([effect(EffectKind.Delete, 'deleted')]);
  });
});

describe('lent values', () => {
  it('come before what the keyspace holds, and after what the command has changed', () => {
    const { keyspace, begin } = setUp();
    store(keyspace, 'k', 'stale');
    store(keyspace, 'gone', 'stale');
    const set = begin();
    set.lend(0, 'k', { value: 'lent', expiresAtMs: START_MS + 5 });
    set.lend(0, 'gone', { value: null, expiresAtMs: 0 });
    expect([set.get(0, 'k'), set.expiresAtMs(0, 'k')]).toEqual(['lent', START_MS + 5]);
    expect([set.get(0, 'gone'), set.remove(0, 'gone')]).toEqual([undefined, false]);
    expect(set.changed).toBe(false);
    set.put(0, 'k', 'mine', 0);
    expect(set.get(0, 'k')).toBe('mine');
    expect(set.remove(0, 'k')).toBe(true);
    expect(set.get(0, 'k')).toBeUndefined();
    expect(set.effects()).toEqual([effect(EffectKind.Delete, 'k')]);
  });

  it('that have expired are deleted as an effect', () => {
    const { begin } = setUp();
    const set = begin();
    set.lend(2, 'k', { value: 'lent', expiresAtMs: START_MS });
    expect(set.get(2, 'k')).toBeUndefined();
    expect(set.effects()).toEqual([effect(EffectKind.Delete, 'k', { db: 2 })]);
  });
});

describe('RENAME-like commands', () => {
  function rename(set: WorkingSet, from: string, to: string): boolean {
    const value = set.get(0, from);
    const expiresAtMs = set.expiresAtMs(0, from);
    if (value === undefined || expiresAtMs === undefined) return false;
    set.remove(0, from);
    set.put(0, to, value, expiresAtMs);
    return true;
  }

  it('move value and expiry', () => {
    const { keyspace, begin } = setUp();
    store(keyspace, 'from', 'v', START_MS + 5);
    store(keyspace, 'to', 'overwritten');
    const set = begin();
    expect(rename(set, 'from', 'to')).toBe(true);
    expect([set.has(0, 'from'), set.get(0, 'to')]).toEqual([false, 'v']);
    expect(set.effects()).toEqual([
      effect(EffectKind.Delete, 'from'),
      effect(EffectKind.Put, 'to', { value: 'v', expiresAtMs: START_MS + 5 }),
    ]);
  });

  it('onto itself keep the key', () => {
    const { keyspace, begin } = setUp();
    store(keyspace, 'k', 'v', START_MS + 5);
    const set = begin();
    rename(set, 'k', 'k');
    expect(set.effects()).toEqual([
      effect(EffectKind.Put, 'k', { value: 'v', expiresAtMs: START_MS + 5 }),
    ]);
  });

  it('there and back again, of lent and local keys, end where they began', () => {
    const { keyspace, begin } = setUp();
    store(keyspace, 'local', '1');
    const set = begin();
    set.lend(0, 'lent', { value: '2', expiresAtMs: 0 });
    rename(set, 'local', 'aside');
    rename(set, 'lent', 'local');
    rename(set, 'aside', 'lent');
    expect([set.get(0, 'local'), set.get(0, 'lent'), set.get(0, 'aside')]).toEqual([
      '2',
      '1',
      undefined,
    ]);
  });
});

describe('property: a working set and its applied effects', () => {
  const step = fc.record({
    action: fc.constantFrom('put', 'default', 'remove', 'expiry', 'get'),
    key: fc.constantFrom('a', 'b', 'c', 'session:1', 'lent'),
    value: fc.constantFrom('x', 'y', ''),
    expiresAtMs: fc.constantFrom(0, START_MS - 1, START_MS, START_MS + 1, START_MS + 50),
  });

  it('leave in the keyspace what the command itself saw last', () => {
    fc.assert(
      fc.property(fc.array(step), fc.array(step), (before, steps) => {
        const { keyspace, begin } = setUp({ session: { defaultTtlMs: 10, tombstoneMs: 20 } });
        for (const { key, value, expiresAtMs } of before) store(keyspace, key, value, expiresAtMs);
        const set = begin();
        set.lend(0, 'lent', { value: 'from afar', expiresAtMs: START_MS + 3 });
        for (const { action, key, value, expiresAtMs } of steps) {
          if (action === 'put') set.put(0, key, value, expiresAtMs);
          else if (action === 'default') set.put(0, key, value, 'default');
          else if (action === 'remove') set.remove(0, key);
          else if (action === 'expiry') set.setExpiry(0, key, expiresAtMs);
          else set.get(0, key);
        }
        const keys = ['a', 'b', 'c', 'session:1'];
        const seen = keys.map((key) => [set.get(0, key), set.expiresAtMs(0, key)]);
        const effects = set.effects();
        expect(new Set(effects.map(({ key }) => key)).size).toBe(effects.length);
        for (const change of effects) apply(keyspace, change);
        const after = begin();
        expect(keys.map((key) => [after.get(0, key), after.expiresAtMs(0, key)])).toEqual(seen);
      }),
    );
  });

  function apply(keyspace: Keyspace, { kind, slot, db, key, value, expiresAtMs }: Effect): void {
    if (kind === EffectKind.Expire) {
      const entry = keyspace.find(slot, db, key);
      if (entry !== undefined) put(keyspace, slot, db, key, entry.value, expiresAtMs);
    } else {
      put(keyspace, slot, db, key, value, expiresAtMs);
    }
  }
});
