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
 */
export class Entry {
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
  /** Clock of the eviction policy: see `eviction.ts`. */
  access: number;

  constructor(value: Value | null, expiresAtMs: number, epoch: number, seq: number) {
    this.value = value;
    this.expiresAtMs = expiresAtMs;
    this.epoch = epoch;
    this.seq = seq;
    this.dirty = 0;
    this.persistent = true;
    this.access = 0;
  }
}
