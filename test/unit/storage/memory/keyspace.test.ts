import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DirtyMark } from '../../../../src/storage/memory/entry.ts';
import { type Keyspace, scanHash } from '../../../../src/storage/memory/keyspace.ts';
import { makeKeyspace, START_MS } from './support.ts';
import { put } from '../../../support/keyspace.ts';

/** Of '', 'a', 'user:1001' and '\xff\0'. Cursors of running clients depend on them. */
const KNOWN_HASHES = [2334143849, 1704393287, 2115805519, 695143293];
const COLLIDING = ['k58972', 'k93082'] as const;

function keysOf(keyspace: Keyspace, slot: number, db: number): string[] {
  return [...keyspace.entries(slot, db)].map(({ key }) => key);
}

const version = { epoch: 2, seq: 9 };

describe('find, load, remove', () => {
  it('finds a key only in its own slot and database', () => {
    const { keyspace } = makeKeyspace();
    put(keyspace, 5, 0, 'k', 'v', 0);
    put(keyspace, 5, 3, 'k', 'other', 0);
    expect(keyspace.find(5, 0, 'k')?.value).toBe('v');
    expect(keyspace.find(5, 3, 'k')?.value).toBe('other');
    expect(keyspace.find(6, 0, 'k')).toBeUndefined();
    expect(keyspace.find(5, 1, 'k')).toBeUndefined();
    expect(keyspace.databases(5)).toEqual([0, 3]);
    expect(keyspace.databases(6)).toEqual([]);
  });

  it('keeps every field of what is loaded, and the entry is clean', () => {
    const { keyspace } = makeKeyspace();
    const state = { slot: 1, db: 7, key: 'k', value: 'v', expiresAtMs: START_MS + 5.5 };
    for (const seq of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
      for (const persistent of [true, false]) {
        keyspace.load({ ...state, epoch: 2 ** 32 - 1, seq, persistent });
        const { key, value, expiresAtMs } = state;
        const content = { key, value, expiresAtMs, epoch: 2 ** 32 - 1, seq, persistent };
        expect(keyspace.find(1, 7, 'k')).toMatchObject({ ...content, dirty: 0 });
      }
    }
  });

  it('what was found before a change stays what it was', () => {
    const { keyspace } = makeKeyspace();
    const before = put(keyspace, 1, 0, 'k', 'v', 0);
    put(keyspace, 1, 0, 'k', 'longer than it was', START_MS + 1);
    expect(before).toMatchObject({ value: 'v', expiresAtMs: 0 });
    keyspace.remove(1, 0, 'k');
    expect(keyspace.find(1, 0, 'k')).toBeUndefined();
  });

  it('remove tells whether there was an entry, and an emptied slot has no databases', () => {
    const { keyspace } = makeKeyspace();
    put(keyspace, 1, 2, 'k', 'v', 0);
    expect(keyspace.remove(1, 2, 'other')).toBe(false);
    expect(keyspace.remove(1, 2, 'k')).toBe(true);
    expect(keyspace.remove(1, 2, 'k')).toBe(false);
    expect(keyspace.databases(1)).toEqual([]);
  });

  it.each([0, 1, 16, 32_767, 32_768, 65_535, 65_536, 1_000_000])(
    'keys and values of %i bytes come back as they were',
    (length) => {
      const { keyspace } = makeKeyspace();
      const text = Buffer.from(Array.from({ length }, (_, i) => (i * 7 + length) % 256)).toString(
        'latin1',
      );
      put(keyspace, 1, 0, text, 'v', START_MS + 1);
      put(keyspace, 2, 0, 'k', text, 0);
      put(keyspace, 3, 0, text, text, 0);
      expect(keyspace.find(1, 0, text)).toMatchObject({ key: text, value: 'v' });
      expect(keyspace.find(2, 0, 'k')?.value === text).toBe(true);
      expect(keyspace.find(3, 0, text)?.value === text).toBe(true);
      expect([...keyspace.entries(3, 0)][0]?.key === text).toBe(true);
      expect(keyspace.usedBytes).toBeGreaterThan(4 * length);
      for (const [slot, key] of [
        [1, text],
        [2, 'k'],
        [3, text],
      ] as const)
        expect(keyspace.remove(slot, 0, key)).toBe(true);
      expect(keyspace.usedBytes).toBe(0);
    },
  );
});

describe('dirty marks', () => {
  const state = { slot: 1, db: 0, key: 'k', value: 'v', expiresAtMs: 0, persistent: true };

  it('a change is dirty until the effect of its number is settled', () => {
    const { keyspace } = makeKeyspace();
    const mark = keyspace.change({ ...state, ...version }, 7);
    expect(keyspace.find(1, 0, 'k')).toMatchObject({ value: 'v', dirty: 7, ...version });
    expect(keyspace.dirtyCount).toBe(1);
    keyspace.settle(mark, 6);
    expect(keyspace.find(1, 0, 'k')?.dirty).toBe(7);
    keyspace.settle(mark, 7);
    expect(keyspace.find(1, 0, 'k')).toMatchObject({ value: 'v', dirty: 0, ...version });
    expect(keyspace.dirtyCount).toBe(0);
  });

  it('only the latest of several changes makes the key clean', () => {
    const { keyspace } = makeKeyspace();
    const first = keyspace.change({ ...state, ...version }, 7);
    const second = keyspace.change({ ...state, value: 'w'.repeat(100), epoch: 3, seq: 1 }, 8);
    keyspace.settle(first, 7);
    expect(keyspace.find(1, 0, 'k')).toMatchObject({ dirty: 8, epoch: 3, seq: 1 });
    keyspace.settle(second, 8);
    expect(keyspace.find(1, 0, 'k')).toMatchObject({ dirty: 0, epoch: 3, seq: 1 });
  });

  it('the mark of a key that was dropped does nothing to the one that stands in its place', () => {
    const { keyspace } = makeKeyspace();
    const mark = keyspace.change({ ...state, ...version }, 7);
    keyspace.remove(1, 0, 'k');
    const other = keyspace.change({ ...state, key: 'other', ...version }, 7);
    keyspace.change({ ...state, ...version }, 7);
    keyspace.settle(mark, 7);
    expect(keyspace.find(1, 0, 'k')?.dirty).toBe(7);
    keyspace.settle(other, 7);
    expect([keyspace.find(1, 0, 'k')?.dirty, keyspace.find(1, 0, 'other')?.dirty]).toEqual([7, 0]);
    keyspace.clearSlot(1, null);
    expect(keyspace.dirtyCount).toBe(0);
  });

  it('a settled delete is no key; a settled tombstone is remembered', () => {
    const { keyspace } = makeKeyspace();
    put(keyspace, 1, 0, 'k', 'v', 0);
    const deleted = keyspace.change({ ...state, value: null, ...version }, 7);
    expect(keyspace.find(1, 0, 'k')).toMatchObject({ value: null, dirty: 7 });
    keyspace.settle(deleted, 7);
    expect(keyspace.has(1, 0, 'k')).toBe(false);
    const until = { ...state, value: null, expiresAtMs: START_MS + 1000 };
    keyspace.settle(keyspace.change({ ...until, ...version }, 8), 8);
    expect(keyspace.find(1, 0, 'k')).toMatchObject({ value: null, dirty: 0 });
  });

  it('a load keeps the mark; mark gives one to any key, and changes nothing else', () => {
    const { keyspace } = makeKeyspace();
    keyspace.change({ ...state, ...version }, 7);
    keyspace.load({ ...state, value: 'loaded', epoch: 5, seq: 5 });
    const loaded = { value: 'loaded', epoch: 5, seq: 5 };
    expect(keyspace.find(1, 0, 'k')).toMatchObject({ ...loaded, dirty: 7 });
    const mark = keyspace.mark(1, 0, 'k', 9);
    expect(keyspace.find(1, 0, 'k')).toMatchObject({ ...loaded, dirty: 9 });
    keyspace.settle(mark, 9);
    expect(keyspace.find(1, 0, 'k')).toMatchObject({ ...loaded, dirty: 0 });
    const unknown = keyspace.mark(1, 0, 'unknown', 9);
    expect(keyspace.find(1, 0, 'unknown')).toMatchObject({ value: null, dirty: 9 });
    keyspace.settle(unknown, 9);
    expect(keyspace.has(1, 0, 'unknown')).toBe(false);
  });

  it('changeExpiry changes only that, and nothing when there is no value', () => {
    const { keyspace } = makeKeyspace();
    put(keyspace, 1, 0, 'k', 'v', 0);
    put(keyspace, 1, 0, 'absent', null, START_MS + 1);
    const to = { slot: 1, db: 0, expiresAtMs: START_MS + 9, ...version };
    keyspace.changeExpiry({ ...to, key: 'k' }, 7);
    expect(keyspace.find(1, 0, 'k')).toMatchObject({ value: 'v', dirty: 7, ...version });
    expect(keyspace.find(1, 0, 'k')?.expiresAtMs).toBe(START_MS + 9);
    expect(keyspace.changeExpiry({ ...to, key: 'absent' }, 7)).toBeNull();
    expect(keyspace.changeExpiry({ ...to, key: 'unknown' }, 7)).toBeNull();
    expect(keyspace.find(1, 0, 'absent')).toMatchObject({ dirty: 0, expiresAtMs: START_MS + 1 });
  });
});

describe('counts', () => {
  it('remembered absences are entries, not keys', () => {
    const { keyspace } = makeKeyspace();
    put(keyspace, 1, 0, 'gone', null, START_MS + 1000);
    expect(keyspace.entryCount).toBe(1);
    expect(keyspace.keyCount).toBe(0);
    expect(keyspace.expiresCount(0)).toBe(0);
    put(keyspace, 1, 0, 'gone', 'back', START_MS + 1000);
    expect([keyspace.keyCount, keyspace.slotKeyCount(1, 0), keyspace.expiresCount(0)]).toEqual([
      1, 1, 1,
    ]);
    put(keyspace, 1, 0, 'gone', null, 0);
    expect([keyspace.keyCount, keyspace.slotKeyCount(1, 0), keyspace.expiresCount(0)]).toEqual([
      0, 0, 0,
    ]);
  });

  it('sums can be restricted to slots by a list or a predicate', () => {
    const { keyspace } = makeKeyspace();
    for (let slot = 0; slot < 10; slot++) {
      for (let i = 0; i <= slot; i++)
        put(keyspace, slot, 1, `k${i}`, 'v', i === 0 ? START_MS + 1 : 0);
    }
    expect(keyspace.dbKeyCount(1)).toBe(55);
    expect(keyspace.dbKeyCount(1, [0, 9, 100])).toBe(11);
    expect(keyspace.dbKeyCount(1, (slot) => slot % 2 === 0)).toBe(25);
    expect(keyspace.expiresCount(1, (slot) => slot < 3)).toBe(3);
    expect(keyspace.dbKeyCount(0)).toBe(0);
  });

  it('an expiry is counted when it is given and when it is taken away', () => {
    const { keyspace } = makeKeyspace();
    const counts = (): number[] => [keyspace.expiresCount(0), keyspace.volatileCount];
    put(keyspace, 1, 0, 'k', 'v', 0);
    const bytes = keyspace.usedBytes;
    put(keyspace, 1, 0, 'k', 'v', START_MS + 1);
    expect(counts()).toEqual([1, 1]);
    expect(keyspace.usedBytes).toBeGreaterThan(bytes);
    put(keyspace, 1, 0, 'k', 'v', 0);
    expect(counts()).toEqual([0, 0]);
    expect(keyspace.usedBytes).toBe(bytes);
  });
});

describe('dropping', () => {
  it('clearSlot empties one database or all of a slot, and nothing else', () => {
    const { keyspace } = makeKeyspace();
    for (const slot of [1, 2])
      for (const db of [0, 4]) put(keyspace, slot, db, 'k', 'v', START_MS + 1);
    expect(keyspace.clearSlot(1, 4)).toBe(1);
    expect(keyspace.databases(1)).toEqual([0]);
    expect(keyspace.clearSlot(1, null)).toBe(1);
    expect(keyspace.clearSlot(1, null)).toBe(0);
    expect(keyspace.databases(2)).toEqual([0, 4]);
    expect([keyspace.keyCount, keyspace.volatileCount]).toEqual([2, 2]);
  });

  it('clearSlotUpTo leaves only what no database has and is younger', () => {
    const { keyspace } = makeKeyspace();
    const load = (key: string, db: number, [epoch, seq]: number[], persistent: boolean): void =>
      keyspace.load({
        slot: 1,
        db,
        key,
        value: 'v',
        expiresAtMs: 0,
        epoch: epoch!,
        seq: seq!,
        persistent,
      });
    load('row', 0, [3, 9], true);
    load('older', 0, [2, 9], false);
    load('same', 0, [3, 5], false);
    load('younger', 0, [3, 6], false);
    load('later', 0, [4, 1], false);
    load('other', 4, [2, 1], false);
    const left = (): string[] =>
      keyspace
        .databases(1)
        .flatMap((db) => [...keyspace.entries(1, db)].map(({ key }) => key))
        .sort();
    keyspace.clearSlotUpTo(1, 0, { epoch: 3, seq: 5 });
    expect(left()).toEqual(['later', 'other', 'younger']);
    keyspace.clearSlotUpTo(1, null, { epoch: 3, seq: 6 });
    expect(left()).toEqual(['later']);
  });
});

describe('entries', () => {
  it('come up once each, in the order of the hash, while others come and go', () => {
    const { keyspace, random } = makeKeyspace();
    const fixed = Array.from({ length: 300 }, (_, i) => `fixed:${i}`);
    for (const key of fixed) put(keyspace, 1, 2, key, 'v', 0);
    const seen: string[] = [];
    for (const { key } of keyspace.entries(1, 2)) {
      if (key.startsWith('fixed')) seen.push(key);
      const passing = `passing:${random.below(500)}`;
      if (!keyspace.remove(1, 2, passing)) put(keyspace, 1, 2, passing, 'v', 0);
    }
    expect(seen).toEqual(fixed.toSorted((a, b) => scanHash(a) - scanHash(b)));
  });

  it('are as they are when they come up, and what is removed does not', () => {
    const { keyspace } = makeKeyspace();
    for (let i = 0; i < 50; i++) put(keyspace, 1, 0, `k${i}`, 'old', 0);
    const order = keysOf(keyspace, 1, 0);
    const found: [string, string | null][] = [];
    for (const { key, value } of keyspace.entries(1, 0)) {
      found.push([key, value]);
      if (found.length > 1) continue;
      put(keyspace, 1, 0, order[1]!, 'new', 0);
      keyspace.remove(1, 0, order[2]!);
    }
    expect(found.slice(0, 3)).toEqual([
      [order[0], 'old'],
      [order[1], 'new'],
      [order[3], 'old'],
    ]);
    expect(found).toHaveLength(49);
  });
});

describe('use', () => {
  it('load and touch reset the idle time, find does not', () => {
    const { keyspace, clock } = makeKeyspace();
    const idle = (): number => keyspace.idleSeconds(keyspace.find(1, 0, 'k')!);
    put(keyspace, 1, 0, 'k', 'v', 0);
    clock.nowMs += 60_500;
    keyspace.find(1, 0, 'k');
    expect(idle()).toBe(60);
    keyspace.touch(1, 0, 'k', clock.nowMs);
    expect(idle()).toBe(0);
    clock.nowMs += 5000;
    expect(idle()).toBe(5);
    put(keyspace, 1, 0, 'k', 'v', 0);
    expect(idle()).toBe(0);
    clock.nowMs -= 1_000_000;
    expect(idle()).toBe(0);
  });

  it('the LFU counter starts at 5, grows ever slower and decays by the minute', () => {
    const { keyspace, clock } = makeKeyspace();
    keyspace.access.mode = 'lfu';
    const frequency = (): number => keyspace.frequency(keyspace.find(1, 0, 'k')!);
    put(keyspace, 1, 0, 'k', 'v', 0);
    expect(frequency()).toBe(5);
    for (let i = 0; i < 100; i++) keyspace.touch(1, 0, 'k', clock.nowMs);
    const hundred = frequency();
    for (let i = 0; i < 100_000; i++) keyspace.touch(1, 0, 'k', clock.nowMs);
    const many = frequency();
    // Redis documents about 10 for a hundred hits and 142 for a hundred thousand.
    expect(hundred).toBeGreaterThan(6);
    expect(hundred).toBeLessThan(18);
    expect(many).toBeGreaterThan(120);
    expect(many).toBeLessThan(165);
    clock.nowMs += 10 * 60_000;
    expect(frequency()).toBe(many - 10);
    keyspace.access.lfuDecayMinutes = 0;
    expect(frequency()).toBe(many);
  });
});

describe('scanHash', () => {
  it('is a fixed function, the same in every version of the program', () => {
    const hashes = ['', 'a', 'user:1001', '\xff\x00'].map(scanHash);
    expect(hashes).toEqual(KNOWN_HASHES);
  });

  it('spreads similar keys evenly over its first bits', () => {
    const counts = new Array<number>(16).fill(0);
    for (let i = 0; i < 16_000; i++) counts[scanHash(`key:${i}`) >>> 28]!++;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});

describe('scanSlot', () => {
  for (const size of [0, 1, 100, 5000]) {
    it(`pages through ${size} keys in order of hash, each key once`, () => {
      const { keyspace } = makeKeyspace();
      const all = Array.from({ length: size }, (_, i) => `key:${i}`);
      for (const key of all) put(keyspace, 3, 1, key, 'v', 0);
      put(keyspace, 3, 1, 'absent', null, START_MS + 1);
      const seen: string[] = [];
      let after = -1;
      for (let done = false; !done; ) {
        const page = keyspace.scanSlot(3, 1, after, 7);
        const hashes = page.items.map((item) => item.hash);
        expect(hashes).toEqual(hashes.toSorted((a, b) => a - b));
        for (const hash of hashes) expect(hash).toBeGreaterThan(after);
        for (const { entry } of page.items) seen.push(entry.key);
        after = page.lastHash;
        done = page.done;
      }
      expect(seen.toSorted()).toEqual(all.toSorted());
    });
  }

  it('never parts keys of equal hash, even beyond the limit', () => {
    const { keyspace } = makeKeyspace();
    const [one, other] = COLLIDING;
    expect(scanHash(one)).toBe(scanHash(other));
    for (const key of [one, other]) put(keyspace, 3, 0, key, 'v', 0);
    const page = keyspace.scanSlot(3, 0, -1, 1);
    expect(page.items.map((item) => item.entry.key).toSorted()).toEqual([one, other].toSorted());
    expect(page).toMatchObject({ lastHash: scanHash(one), done: true });
  });

  it('sees every key that is there throughout, while others come and go', () => {
    const { keyspace, random } = makeKeyspace();
    const fixed = new Set(Array.from({ length: 4000 }, (_, i) => `fixed:${i}`));
    for (const key of fixed) put(keyspace, 3, 0, key, 'v', 0);
    for (const lap of [1, 2, 3]) {
      const seen: string[] = [];
      let after = -1;
      for (let done = false; !done; ) {
        for (let i = 0; i < 200; i++) {
          const key = `passing:${random.below(2000)}`;
          if (!keyspace.remove(3, 0, key)) put(keyspace, 3, 0, key, 'v', 0);
        }
        const page = keyspace.scanSlot(3, 0, after, 50);
        for (const { entry } of page.items) {
          expect(keyspace.find(3, 0, entry.key)).toEqual(entry);
          if (fixed.has(entry.key)) seen.push(entry.key);
        }
        after = page.lastHash;
        done = page.done;
      }
      expect(seen.toSorted(), `lap ${lap}`).toEqual([...fixed].toSorted());
    }
  });

  it('goes on in a slot that shrank, grew or was emptied since', () => {
    const { keyspace } = makeKeyspace();
    for (let i = 0; i < 3000; i++) put(keyspace, 3, 0, `key:${i}`, 'v', 0);
    const { lastHash } = keyspace.scanSlot(3, 0, -1, 10);
    for (let i = 0; i < 2990; i++) keyspace.remove(3, 0, `key:${i}`);
    const left = keyspace.scanSlot(3, 0, lastHash, 100);
    expect(left.items.length).toBeLessThanOrEqual(10);
    expect(left.done).toBe(true);
    keyspace.clearSlot(3, 0);
    expect(keyspace.scanSlot(3, 0, lastHash, 100)).toEqual({ items: [], lastHash, done: true });
    for (let i = 0; i < 3000; i++) put(keyspace, 3, 0, `key:${i}`, 'v', 0);
    expect(keyspace.scanSlot(3, 0, -1, 10_000).items).toHaveLength(3000);
  });
});

describe('randomKey', () => {
  it('draws every live key about as often, whatever the size of its slot', () => {
    const { keyspace } = makeKeyspace();
    for (let i = 0; i < 5; i++) put(keyspace, i * 100, 0, `alone:${i}`, 'v', 0);
    for (let i = 0; i < 15; i++) put(keyspace, 7, 0, `together:${i}`, 'v', 0);
    put(keyspace, 7, 0, 'absent', null, START_MS + 1);
    const counts = new Map<string, number>();
    for (let i = 0; i < 20_000; i++) {
      const key = keyspace.randomKey(0)!.key;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.size).toBe(20);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  it('keeps to the slots asked for, and knows when there is nothing', () => {
    const { keyspace } = makeKeyspace();
    expect(keyspace.randomKey(0)).toBeUndefined();
    put(keyspace, 1, 0, 'a', 'v', 0);
    put(keyspace, 2, 0, 'b', 'v', 0);
    expect(keyspace.randomKey(0, [2])).toMatchObject({ slot: 2, db: 0, key: 'b' });
    expect(keyspace.randomKey(0, (slot) => slot === 1)?.key).toBe('a');
    expect(keyspace.randomKey(0, [3])).toBeUndefined();
    expect(keyspace.randomKey(1)).toBeUndefined();
  });

  it('finds the few live keys of a large slot full of absences', () => {
    const { keyspace } = makeKeyspace();
    for (let i = 0; i < 5000; i++) put(keyspace, 7, 0, `absent:${i}`, null, START_MS + 1);
    put(keyspace, 7, 0, 'live', 'v', 0);
    expect(keyspace.randomKey(0)?.key).toBe('live');
  });
});

describe('property: after any sequence of changes', () => {
  const step = fc.record({
    action: fc.constantFrom('load', 'load', 'change', 'absent', 'remove', 'settle', 'clear'),
    slot: fc.constantFrom(0, 1, 16383),
    db: fc.constantFrom(0, 9),
    key: fc.constantFrom(...Array.from({ length: 12 }, (_, i) => 'k'.repeat(i))),
    value: fc.string({ maxLength: 90, unit: 'binary-ascii' }),
    expiresAtMs: fc.constantFrom(0, START_MS + 10, START_MS + 100_000, START_MS + 1e12),
  });
  interface Known {
    value: string | null;
    expiresAtMs: number;
    dirty: number;
    seq: number;
  }

  it('every key is what the model says, counts equal a recount, and nothing is left when all is removed', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const { keyspace } = makeKeyspace();
        const model = new Map<string, Known>();
        const marks = new Map<number, [id: string, mark: DirtyMark]>();
        let seq = 0;
        for (const { action, slot, db, key, value, expiresAtMs } of steps) {
          const id = `${slot}/${db}/${key}`;
          seq++;
          const state = { slot, db, key, value, expiresAtMs, epoch: 1, seq, persistent: true };
          if (action === 'load' || action === 'absent') {
            const stored = action === 'load' ? value : null;
            keyspace.load({ ...state, value: stored });
            const dirty = model.get(id)?.dirty ?? 0;
            model.set(id, { value: stored, expiresAtMs, dirty, seq });
          } else if (action === 'change') {
            marks.set(seq, [id, keyspace.change(state, seq)]);
            model.set(id, { value, expiresAtMs, dirty: seq, seq });
          } else if (action === 'settle') {
            const [number, [marked, mark]] = [...marks][seq % marks.size] ?? [0, ['', null]];
            if (mark === null) continue;
            keyspace.settle(mark, number);
            const known = model.get(marked);
            if (known?.dirty !== number) continue;
            if (known.value === null && known.expiresAtMs === 0) model.delete(marked);
            else known.dirty = 0;
          } else if (action === 'remove') {
            expect(keyspace.remove(slot, db, key)).toBe(model.delete(id));
          } else {
            keyspace.clearSlot(slot, db);
            for (const known of model.keys())
              if (known.startsWith(`${slot}/${db}/`)) model.delete(known);
          }
        }
        const live = [...model.values()].filter((entry) => entry.value !== null);
        expect(keyspace.entryCount).toBe(model.size);
        expect(keyspace.keyCount).toBe(live.length);
        expect(keyspace.expiresCount(0) + keyspace.expiresCount(9)).toBe(
          live.filter((entry) => entry.expiresAtMs !== 0).length,
        );
        expect(keyspace.volatileCount).toBe(
          [...model.values()].filter((entry) => entry.expiresAtMs !== 0).length,
        );
        expect(keyspace.dirtyCount).toBe(
          [...model.values()].filter(({ dirty }) => dirty > 0).length,
        );
        for (const [id, known] of model) {
          const [slot, db, key] = id.split('/') as [string, string, string];
          expect(keyspace.find(Number(slot), Number(db), key)).toMatchObject(known);
        }
        for (const id of model.keys()) {
          const [slot, db, key] = id.split('/') as [string, string, string];
          keyspace.remove(Number(slot), Number(db), key);
        }
        const { usedBytes, entryCount, volatileCount, dirtyCount } = keyspace;
        expect([usedBytes, entryCount, volatileCount, dirtyCount]).toEqual([0, 0, 0, 0]);
      }),
      { numRuns: 300 },
    );
  });
});

it('a key of 16 bytes with a value of 64 takes about 120 bytes, its share of the table included', () => {
  const { keyspace } = makeKeyspace();
  for (let i = 0; i < 200_000; i++)
    put(keyspace, i % 16_384, 0, `key:${String(i).padStart(12, '0')}`, 'x'.repeat(64), 0);
  expect(keyspace.usedBytes / 200_000).toBeGreaterThan(112);
  expect(keyspace.usedBytes / 200_000).toBeLessThan(125);
});
