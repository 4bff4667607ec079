/**
 * What one command, block of commands or script sees and changes.
 *
 * Writes go to an overlay and touch the keyspace only when the caller applies the effects. So a
 * handler that throws half-way leaves nothing behind, a block of commands is atomic, and several
 * changes of one key are one effect. Reads look in the overlay, then among values handed over by
 * other primaries (`lend`), then in the keyspace.
 */
import type { AccessMode } from './access.ts';
import type { Effect } from './effect.ts';
import { EffectKind } from './effect.ts';
import type { Entry, Value } from './entry.ts';
import type { Keyspace } from './keyspace.ts';

/** What policies say about a key when it is created or deleted. */
export interface KeyPolicy {
  readonly persistent: boolean;
  /** Time to live of a key written without one, milliseconds; 0 for none. */
  readonly defaultTtlMs: number;
  /** How long a delete is remembered, so that the legacy source does not bring the value back; 0: not. */
  readonly tombstoneMs: number;
}

export interface WorkingSetEnv {
  readonly keyspace: Keyspace;
  policyOf(key: string): KeyPolicy;
  slotOf(key: string): number;
}

/** A key's value and expiry. */
export interface Held {
  readonly value: Value | null;
  readonly expiresAtMs: number;
}

/** A key's value and how it has been used lately. */
export interface Inspection {
  readonly value: Value;
  /** Which of the two following numbers is kept up to date. */
  readonly accessMode: AccessMode;
  readonly idleSeconds: number;
  /** Logarithmic counter of uses, 0-255. */
  readonly frequency: number;
}

interface Change {
  slot: number;
  db: number;
  key: string;
  /** Null: deleted. */
  value: Value | null;
  expiresAtMs: number;
  /** False: only the expiry differs from what the keyspace holds. */
  valueChanged: boolean;
  /** Deleted because its time was over, not because the command says so: leaves no tombstone. */
  expired: boolean;
}

type NewState = Pick<Change, 'value' | 'expiresAtMs' | 'valueChanged' | 'expired'>;

const DELETED: NewState = { value: null, expiresAtMs: 0, valueChanged: true, expired: false };
const EXPIRED: NewState = { ...DELETED, expired: true };

export class WorkingSet {
  readonly #env: WorkingSetEnv;
  /** Cluster time at which the command runs, milliseconds since 1970; one value for the whole command. */
  readonly nowMs: number;
  /** False: looking at a key does not count as a use of it (CLIENT NO-TOUCH). */
  touches = true;
  /** The slot of every key, or -1 when keys are of several slots. */
  readonly #slot: number;
  #changes: Map<string, Change> | undefined;
  #lent: Map<string, Held> | undefined;
  /** While a part is attempted: what its keys were before it, undefined for unchanged. */
  #undo: Map<string, Change | undefined> | undefined;

  constructor(env: WorkingSetEnv, nowMs: number, slot: number) {
    this.#env = env;
    this.nowMs = nowMs;
    this.#slot = slot;
  }

  /** Makes a value known that another primary handed over for this command; null: known to be absent. */
  lend(db: number, key: string, held: Held): void {
    this.#lent ??= new Map();
    this.#lent.set(idOf(db, key), held);
  }

  /** The value, or undefined when there is no such key (or it has expired). Counts as a use of the key, if it `touches`. */
  get(db: number, key: string): Value | undefined {
    const own = this.#ownState(db, key);
    if (own !== undefined) return this.#unlessExpired(db, key, own)?.value ?? undefined;
    const { keyspace } = this.#env;
    const slot = this.#slotOf(key);
    const entry = keyspace.find(slot, db, key);
    if (entry === undefined || this.#unlessExpired(db, key, entry) === undefined) {
      keyspace.misses++;
      return undefined;
    }
    keyspace.hits++;
    if (this.touches) keyspace.touch(slot, db, key, this.nowMs);
    return entry.value ?? undefined;
  }

  has(db: number, key: string): boolean {
    return this.get(db, key) !== undefined;
  }

  /** Moment of expiry (milliseconds since 1970), 0 for none, or undefined when there is no such key. */
  expiresAtMs(db: number, key: string): number | undefined {
    return this.#lookUp(db, key)?.expiresAtMs;
  }

  /** The keyspace's entry behind a key that was not changed by this command: for OBJECT and its like. */
  peek(db: number, key: string): Entry | undefined {
    return this.#env.keyspace.find(this.#slotOf(key), db, key);
  }

  /** What OBJECT and TYPE tell about a key, or undefined when there is none. Not counted as a use. */
  inspect(db: number, key: string): Inspection | undefined {
    const held = this.#lookUp(db, key);
    if (held === undefined || held.value === null) return undefined;
    const { keyspace } = this.#env;
    const entry = keyspace.find(this.#slotOf(key), db, key);
    return {
      value: held.value,
      accessMode: keyspace.access.mode,
      idleSeconds: entry === undefined ? 0 : keyspace.idleSeconds(entry),
      frequency: entry === undefined ? 0 : keyspace.frequency(entry),
    };
  }

  /**
   * Sets the value. `expiresAtMs`: the moment of expiry, 0 for never, or `'default'` for what the
   * policy of the key's prefix says. A moment not in the future deletes the key, also when it is not in memory:
   * a command that does not look at the old value runs without it being loaded.
   */
  put(db: number, key: string, value: Value, expiresAtMs: number | 'default'): void {
    let at = expiresAtMs;
    if (at === 'default') {
      const { defaultTtlMs } = this.#env.policyOf(key);
      at = defaultTtlMs > 0 ? this.nowMs + defaultTtlMs : 0;
    }
    if (at !== 0 && at <= this.nowMs) {
      this.#change(db, key, DELETED);
      return;
    }
    this.#change(db, key, { value, expiresAtMs: at, valueChanged: true, expired: false });
  }

  /**
   * Changes only the expiry (0: never). A moment not in the future deletes the key. Returns false when
   * there is no such key.
   */
  setExpiry(db: number, key: string, expiresAtMs: number): boolean {
    const held = this.#lookUp(db, key);
    if (held === undefined) return false;
    if (expiresAtMs !== 0 && expiresAtMs <= this.nowMs) return this.remove(db, key);
    // A value that was lent or changed here may be in no owner's memory as it is now, so it must
    // travel whole; else the new expiry is enough.
    const id = idOf(db, key);
    const earlier = this.#changes?.get(id);
    const valueChanged = earlier?.valueChanged ?? this.#lent?.has(id) ?? false;
    this.#change(db, key, { value: held.value, expiresAtMs, valueChanged, expired: false });
    return true;
  }

  /** Deletes the key. Returns whether it was there. */
  remove(db: number, key: string): boolean {
    if (this.#lookUp(db, key) === undefined) return false;
    this.#change(db, key, DELETED);
    return true;
  }

  /**
   * Runs one of several commands on this set. When it fails or throws, what it changed is undone, and
   * what was changed before it stays. Attempts do not nest.
   */
  attempt<T extends { readonly failed: boolean }>(run: () => T): T {
    const undo = new Map<string, Change | undefined>();
    this.#undo = undo;
    let failed = true;
    try {
      const outcome = run();
      ({ failed } = outcome);
      return outcome;
    } finally {
      this.#undo = undefined;
      if (failed) this.#restore(undo);
    }
  }

  #restore(before: ReadonlyMap<string, Change | undefined>): void {
    for (const [id, change] of before) {
      if (change === undefined) this.#changes?.delete(id);
      else this.#changes?.set(id, change);
    }
    if (this.#changes?.size === 0) this.#changes = undefined;
  }

  /** True when the command has changed something so far, or found that a key has expired. */
  get changed(): boolean {
    return this.#changes !== undefined;
  }

  /** The net change of the command, one effect a key, without versions. Empty when nothing changed. */
  effects(): Effect[] {
    if (this.#changes === undefined) return [];
    const effects: Effect[] = [];
    for (const change of this.#changes.values()) effects.push(this.#effectOf(change));
    return effects;
  }

  #effectOf(change: Change): Effect {
    const policy = this.#env.policyOf(change.key);
    const { slot, db, key, value } = change;
    const common = { slot, db, key, persistent: policy.persistent, epoch: 0, seq: 0 };
    if (value === null) {
      // A tombstone keeps the legacy source from bringing a deleted value back. A value that has
      // expired is another matter: it is to be fetched anew.
      const remembered = policy.tombstoneMs > 0 && !change.expired;
      const until = remembered ? this.nowMs + policy.tombstoneMs : 0;
      return { kind: EffectKind.Delete, value: null, expiresAtMs: until, ...common };
    }
    const { expiresAtMs, valueChanged } = change;
    if (!valueChanged) return { kind: EffectKind.Expire, value: null, expiresAtMs, ...common };
    return { kind: EffectKind.Put, value, expiresAtMs, ...common };
  }

  #slotOf(key: string): number {
    return this.#slot >= 0 ? this.#slot : this.#env.slotOf(key);
  }

  /** What the command itself has made of the key, or was handed. */
  #ownState(db: number, key: string): Held | undefined {
    if (this.#changes === undefined && this.#lent === undefined) return undefined;
    const id = idOf(db, key);
    return this.#changes?.get(id) ?? this.#lent?.get(id);
  }

  /** The key as the command sees it, or undefined when it is not there. */
  #lookUp(db: number, key: string): Held | undefined {
    const held = this.#ownState(db, key) ?? this.#env.keyspace.find(this.#slotOf(key), db, key);
    return held && this.#unlessExpired(db, key, held);
  }

  /**
   * Only a primary runs commands that change keys, and only a primary declares a key expired: as an
   * effect. (A replica that finds one while it reads drops the result and asks the primary.)
   */
  #unlessExpired(db: number, key: string, held: Held): Held | undefined {
    if (held.value === null) return undefined;
    if (held.expiresAtMs === 0 || held.expiresAtMs > this.nowMs) return held;
    this.#change(db, key, EXPIRED);
    return undefined;
  }

  #change(db: number, key: string, to: NewState): void {
    this.#changes ??= new Map();
    const id = idOf(db, key);
    const undo = this.#undo;
    if (undo !== undefined && !undo.has(id)) undo.set(id, this.#changes.get(id));
    this.#changes.set(id, { slot: this.#slotOf(key), db, key, ...to });
  }
}

/** A key of a database as one text. Unambiguous, since a database's number has no colon in it. */
export function idOf(db: number, key: string): string {
  return `${db}:${key}`;
}
