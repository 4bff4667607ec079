/** Short ways to bring keys into a keyspace. */
import type { Entry, Value } from '../../src/storage/memory/entry.ts';
import type { Keyspace } from '../../src/storage/memory/keyspace.ts';

const FIRST = { epoch: 0, seq: 0, persistent: true };

/** A clean, persistent key of version 0, 0. */
export function put(
  keyspace: Keyspace,
  slot: number,
  db: number,
  key: string,
  value: Value | null,
  expiresAtMs: number,
): Entry {
  keyspace.load({ slot, db, key, value, expiresAtMs, ...FIRST });
  return keyspace.find(slot, db, key)!;
}
