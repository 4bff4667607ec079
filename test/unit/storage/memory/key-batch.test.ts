/** Values that are copied as bytes, looked up by keys that are bytes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyBatch } from '../../../../src/storage/memory/key-batch.ts';
import { keyHash, keyHashOfBytes } from '../../../../src/storage/memory/key-hash.ts';
import type { Keyspace } from '../../../../src/storage/memory/keyspace.ts';
import { put } from '../../../support/keyspace.ts';
import { makeKeyspace, START_MS } from './support.ts';

const SLOT = 5;

/** The values of plain keys, null for the others. */
function valuesOf(
  keyspace: Keyspace,
  keys: readonly string[],
  { db = 0, untilMs = START_MS, touches = true, slot = SLOT } = {},
): (string | null)[] {
  const batch = new KeyBatch(keys.length);
  // Something before the first key, and nothing between them.
  const bytes = Buffer.from(`xyz${keys.join('')}`, 'latin1');
  batch.bytes = bytes;
  batch.count = keys.length;
  let at = 3;
  keys.forEach((key, i) => {
    batch.starts[i] = at;
    batch.ends[i] = at += key.length;
    batch.slots[i] = slot;
  });
  keyspace.findPlain(batch, db, untilMs);
  return [...batch.found].map((found) => {
    if (found === 0) return null;
    const memory = new ArrayBuffer(keyspace.plainBytes(found) + 2);
    const target = { bytes: Buffer.from(memory), view: new DataView(memory), used: 1 };
    keyspace.copyPlain(found, target, untilMs, touches);
    expect(target.used).toBe(memory.byteLength - 1);
    expect([target.bytes[0], target.bytes.at(-1)]).toEqual([0, 0]);
    return target.bytes.toString('latin1', 1, target.used);
  });
}

const binary = fc
  .uint8Array({ maxLength: 20 })
  .map((bytes) => Buffer.from(bytes).toString('latin1'));

describe('the hash of a key', () => {
  it('is the same when it is given as bytes', () => {
    fc.assert(
      fc.property(binary, fc.nat(5), (key, offset) => {
        const bytes = Buffer.from(`${'#'.repeat(offset)}${key}##`, 'latin1');
        expect(keyHashOfBytes(bytes, offset, offset + key.length)).toBe(keyHash(key));
      }),
    );
  });
});

describe('values in place', () => {
  it('are those of the keys that are there, whatever bytes keys and values have', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(binary, fc.boolean()), { selector: ([key]) => key }),
        fc.array(binary),
        (entries, others) => {
          const { keyspace } = makeKeyspace();
          const values = new Map<string, string>();
          for (const [key, isThere] of entries) if (isThere) values.set(key, `${key}'s value`);
          for (const [key, value] of values) put(keyspace, SLOT, 0, key, value, 0);
          const asked = [...entries.map(([key]) => key), ...others];
          expect(valuesOf(keyspace, asked)).toEqual(asked.map((key) => values.get(key) ?? null));
        },
      ),
    );
  });

  it.each([0, 1, 3, 4, 5, 63, 64, 127, 128, 129, 132, 1000, 65_535])(
    'of %i bytes are copied whole',
    (length) => {
      const { keyspace } = makeKeyspace();
      const value = Array.from({ length }, (_, i) => String.fromCharCode((i * 7) & 0xff)).join('');
      for (const key of ['', 'a', 'ab', 'abc', 'abcd']) {
        put(keyspace, SLOT, 0, key, value, 0);
        expect(valuesOf(keyspace, [key])).toEqual([value]);
      }
    },
  );

  it('are found behind others of the same hash, in full buckets, and twice', () => {
    const { keyspace } = makeKeyspace();
    // Equal hashes (keyspace.test.ts).
    const colliding = ['k58972', 'k93082'];
    const many = Array.from({ length: 200 }, (_, i) => `key:${i}`);
    for (const key of [...colliding, ...many]) put(keyspace, SLOT, 0, key, key, 0);
    const asked = [...many, ...colliding, ...colliding];
    expect(valuesOf(keyspace, asked)).toEqual(asked);
  });

  it('are looked for in their own slot and database only', () => {
    const { keyspace } = makeKeyspace();
    put(keyspace, SLOT, 0, 'k', 'v', 0);
    put(keyspace, SLOT, 3, 'k', 'other', 0);
    expect(valuesOf(keyspace, ['k'], { db: 3 })).toEqual(['other']);
    expect(valuesOf(keyspace, ['k'], { db: 4 })).toEqual([null]);
    expect(valuesOf(keyspace, ['k'], { slot: SLOT + 1 })).toEqual([null]);
  });

  it('are none for what is dirty, absent, long, or expires by then', () => {
    const { keyspace } = makeKeyspace();
    const state = { slot: SLOT, db: 0, expiresAtMs: 0, epoch: 1, seq: 1, persistent: true };
    const mark = keyspace.change({ ...state, key: 'dirty', value: 'v' }, 7);
    put(keyspace, SLOT, 0, 'absent', null, START_MS + 5000);
    put(keyspace, SLOT, 0, 'long', 'x'.repeat(65_536), 0);
    put(keyspace, SLOT, 0, 'k'.repeat(40_000), 'a long key', 0);
    put(keyspace, SLOT, 0, 'expires', 'v', START_MS + 10);
    const keys = ['dirty', 'absent', 'long', 'k'.repeat(40_000), 'expires'];
    expect(valuesOf(keyspace, keys, { untilMs: START_MS + 10 })).toEqual(keys.map(() => null));
    expect(valuesOf(keyspace, ['expires'], { untilMs: START_MS + 9 })).toEqual(['v']);
    keyspace.settle(mark, 7);
    expect(valuesOf(keyspace, ['dirty'])).toEqual(['v']);
  });

  it('count as looked up, and as used if the reader touches', () => {
    const { keyspace, clock } = makeKeyspace();
    put(keyspace, SLOT, 0, 'k', 'v', 0);
    clock.nowMs = START_MS + 8000;
    const untilMs = clock.nowMs;
    const idle = (): number => keyspace.idleSeconds(keyspace.find(SLOT, 0, 'k')!);
    valuesOf(keyspace, ['k', 'missing'], { untilMs, touches: false });
    expect([keyspace.hits, idle()]).toEqual([1, 8]);
    valuesOf(keyspace, ['k', 'k'], { untilMs });
    expect([keyspace.hits, keyspace.misses, idle()]).toEqual([3, 0, 0]);
  });
});
