/** A value in memory. Strings are binary strings (one character, one byte); more types join here. */
export type Value = string;

/** Redis's type name of a value, as TYPE answers it. */
export function typeName(_value: Value): 'string' {
  return 'string';
}

/**
 * One key in memory.
 *
 * `value === null` means "not there": an uncommitted delete (dirty), or a remembered absence (clean,
 * with an end in `expiresAtMs`: a tombstone, or a negative answer of the legacy source). Such entries
 * never count as keys.
 *
 * Callers set `epoch`, `seq`, `dirty` and `persistent` themselves. `value` and `expiresAtMs` are
 * changed through the Keyspace only, because counts, bytes and the expiry index hang on them.
 *
 * There may be tens of millions of these, so the fields are few and hold small integers wherever
 * possible; a number that does not fit 31 bits is a box of 16 bytes. V8 would give such a box to *every*
 * entry once one of them has a large number in a field, if the field had only ever held numbers. Class
 * fields are undefined before the constructor sets them, which prevents that: `expiresAtMs`, 0 for
 * most keys, costs nothing there. (`heap-growth.ts` among the tests would show it.)
 */
export class Entry {
  /** The same string object as the map's key, so it costs one pointer. */
  readonly key: string;
  value: Value | null;
  /** Moment of expiry in cluster time, milliseconds since 1970; 0 is never. */
  expiresAtMs: number;
  /** Version of the last change: the view's epoch, then a counter. */
  epoch: number;
  seq: number;
  /**
   * 0: clean, equal to the table. Else the number of the latest effect on this key that is not yet
   * known to be committed: at the primary its own operation number, at a replica the number in the
   * primary's stream.
   */
  dirty: number;
  /** Kept in the database (`through`), or only in memory (`none`). */
  persistent: boolean;
  /** Last use, for the eviction policy: see `access.ts`. */
  access: number;
  /** Place in the expiry index, -1 when the entry has no expiry: see `expiry.ts`. */
  timer: number;

  constructor(key: string, value: Value | null, expiresAtMs: number) {
    this.key = key;
    this.value = value;
    this.expiresAtMs = expiresAtMs;
    this.epoch = 0;
    this.seq = 0;
    this.dirty = 0;
    this.persistent = true;
    this.access = 0;
    this.timer = -1;
  }
}
