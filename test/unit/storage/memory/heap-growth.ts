/**
 * Fills a keyspace and compares its byte accounting with what the heap really grew by. Prints one JSON
 * line a case. Run by `sizes.test.ts`, and by hand when V8 changes:
 *
 *     node --expose-gc --import tsx test/unit/storage/memory/heap-growth.ts [keys]
 */
import { Keyspace, SLOT_COUNT } from '../../../../src/storage/memory/keyspace.ts';

const GROWTH_CASES = [
  {
    name: '16-byte keys, 64-byte values',
    keyBytes: 16,
    valueBytes: 64,
    ttl: false,
    slots: SLOT_COUNT,
  },
  {
    name: '16-byte keys, 64-byte values, expiry',
    keyBytes: 16,
    valueBytes: 64,
    ttl: true,
    slots: SLOT_COUNT,
  },
  {
    name: '40-byte keys, 1000-byte values, after some with expiry',
    keyBytes: 40,
    valueBytes: 1000,
    ttl: false,
    slots: SLOT_COUNT,
  },
  {
    name: '10-byte keys, 1-byte values',
    keyBytes: 10,
    valueBytes: 1,
    ttl: false,
    slots: SLOT_COUNT,
  },
  {
    name: '16-byte keys, 8-byte values, one slot',
    keyBytes: 16,
    valueBytes: 8,
    ttl: true,
    slots: 1,
  },
];

function heapBytes(): number {
  const collect = globalThis.gc;
  if (collect === undefined) throw new Error('run with --expose-gc');
  for (let i = 0; i < 3; i++) collect();
  const usage = process.memoryUsage();
  return usage.heapUsed + usage.arrayBuffers;
}

/** Strings as the decoder makes them: flat, of their own. */
function bytes(text: string, length: number): string {
  return Buffer.from(text.padStart(length, 'x'), 'latin1').toString('latin1');
}

const count = Number(process.argv[2] ?? 1_000_000);
const nowMs = 1_750_000_000_000;
const random = { float: () => 0.5, below: () => 0, id: () => '' };

for (const growth of GROWTH_CASES) {
  const keys = growth.valueBytes > 500 ? count / 10 : count;
  const keyspace = new Keyspace({ random, nowMs: () => nowMs });
  const before = heapBytes();
  for (let i = 0; i < keys; i++) {
    const slot = Math.imul(i, 0x9e3779b1) >>> 0;
    const expiresAtMs = growth.ttl ? nowMs + 1000 + i : 0;
    const value = bytes(String(i % 10), growth.valueBytes);
    keyspace.put(slot % growth.slots, 0, bytes(String(i), growth.keyBytes), value, expiresAtMs);
  }
  const grown = heapBytes() - before;
  const accounted = keyspace.usedBytes;
  const line = {
    name: growth.name,
    keys,
    heapPerKey: grown / keys,
    accountedPerKey: accounted / keys,
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
