/**
 * The keys in this node's memory, by slot, then database, then key.
 *
 * A map a slot, because slots are what is filled, handed over, dropped and counted; database 0, which
 * nearly everybody uses, is reached without a second look-up.
 */
import { Entry, type Value } from './entry.ts';

export const SLOT_COUNT = 16384;
export const DB_COUNT = 16;

type Keys = Map<string, Entry>;

export class Keyspace {
  readonly #db0: (Keys | undefined)[] = new Array<Keys | undefined>(SLOT_COUNT).fill(undefined);

  /** The entry as it is: may be expired, dirty or a remembered absence. */
  find(slot: number, db: number, key: string): Entry | undefined {
    const keys = db === 0 ? this.#db0[slot] : undefined;
    return keys?.get(key);
  }

  /** Creates or overwrites. `value` null remembers an absence. Marks (`dirty`, `persistent`) are the caller's. */
  put(slot: number, db: number, key: string, value: Value | null, expiresAtMs: number): Entry {
    void [slot, db, key];
    return new Entry(value, expiresAtMs, 0, 0);
  }
}
