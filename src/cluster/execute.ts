/**
 * How the cluster runs commands it knows nothing about: `commands/` is plugged in from above through
 * these interfaces (see the import rules in CONTRIBUTING.md).
 */
import type { WorkingSet } from '../storage/memory/working-set.ts';

/** Keys of more than one slot. */
export const MANY_SLOTS = -1;

/** A command on keys, parsed and checked: ready to run at whichever node is primary of its keys. */
export interface Prepared {
  /** In capitals, for logs and error texts. */
  readonly name: string;
  /** As the client sent it; this is what travels to another node, which prepares it again. */
  readonly args: readonly string[];
  readonly db: number;
  readonly protocol: 2 | 3;
  /** What it looks at is not used by that (CLIENT NO-TOUCH). */
  readonly noTouch: boolean;
  /** Every key it names, in order, as given; may repeat. */
  readonly keys: readonly string[];
  /**
   * Every (database, key) pair it reads or changes, when one is in another database than `db` (COPY ...
   * DB, MOVE); else undefined: all `keys` are in `db`. The slot depends on the key alone.
   */
  readonly refs: readonly { readonly db: number; readonly key: string }[] | undefined;
  /** The slot of all keys, or MANY_SLOTS. */
  readonly slot: number;
  readonly writes: boolean;
  /** Needs memory: refused with OOM when the limit is reached and nothing may be evicted. */
  readonly needsMemory: boolean;
  /** Does not depend on the keys' old values: no load before it runs. */
  readonly blind: boolean;
  readonly spread: 'transaction' | 'each' | 'collect';
  /**
   * Runs against the working set and returns the encoded reply (bytes of the client's protocol
   * version, errors included). After an error reply the caller drops the working set.
   */
  run(set: WorkingSet): Outcome;
  /** The same command on some of its keys: positions into `keys`. Only for `each` and `collect`. */
  part(positions: readonly number[]): Prepared;
  /** One reply from those of the parts, `positions` telling which keys each part had. */
  merge(parts: readonly { positions: readonly number[]; reply: string }[]): string;
}

export interface Outcome {
  readonly reply: string;
  /** An error reply: no effect of the command may be kept. */
  readonly failed: boolean;
}

/** Turns arguments into a Prepared, or throws a ReplyError. */
export type Prepare = (
  args: readonly string[],
  db: number,
  protocol: 2 | 3,
  noTouch?: boolean,
) => Prepared;
