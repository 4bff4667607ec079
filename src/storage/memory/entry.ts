/** A value in memory. Strings are binary strings (one character, one byte); more types join here. */
export type Value = string;

/** Redis's type name of a value, as TYPE answers it. */
export function typeName(_value: Value): 'string' {
  return 'string';
}

/** What a key is to become. Effects, fills and rows of the table have these fields. */
export interface KeyState {
  readonly slot: number;
  readonly db: number;
  readonly key: string;
  /** Null: the key is not there, which is remembered. */
  readonly value: Value | null;
  /** Moment of expiry in cluster time, milliseconds since 1970; 0 is never. */
  readonly expiresAtMs: number;
  /** Version of the change: the view's epoch, then a counter. */
  readonly epoch: number;
  readonly seq: number;
  /** Kept in the database (`through`), or only in memory (`none`). */
  readonly persistent: boolean;
}

/**
 * One key as it is in memory at the moment of the look-up. Later changes do not show in it.
 *
 * `value === null` means "not there": an uncommitted delete (dirty), or a remembered absence (clean,
 * with an end in `expiresAtMs`: a tombstone, or a negative answer of the legacy source). Such entries
 * never count as keys.
 */
export interface Entry {
  readonly key: string;
  readonly value: Value | null;
  /** Moment of expiry in cluster time, milliseconds since 1970; 0 is never. */
  readonly expiresAtMs: number;
  /** Version of the last change: the view's epoch, then a counter. */
  readonly epoch: number;
  readonly seq: number;
  /**
   * 0: clean, equal to the table. Else the number of the latest effect on this key that is not yet
   * known to be committed: at the primary its own operation number, at a replica the number in the
   * primary's stream.
   */
  readonly dirty: number;
  /** Kept in the database (`through`), or only in memory (`none`). */
  readonly persistent: boolean;
  /** Last use, for the eviction policy: see `access.ts`. */
  readonly access: number;
  /** The record it was read from; only the keyspace knows what it means. */
  readonly at: number;
}

/**
 * A key's dirty mark, as long as it has one. Whoever set it keeps this object, to take the mark off again without
 * looking the key up; it knows when the key was dropped meanwhile, and another of the same name stands in its place.
 * Only the keyspace changes it.
 */
export class DirtyMark {
  /** The number of the latest effect (`Entry.dirty`); 0 when the key is clean or was dropped. */
  dirty = 0;
  /** Version of the latest effect. */
  epoch = 0;
  seq = 0;
  /** The record, and where its key lives (`place.ts`). */
  at = 0;
  place = 0;
  /** By which the record finds its mark. */
  readonly number: number;

  constructor(number: number) {
    this.number = number;
  }
}
