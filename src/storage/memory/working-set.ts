/**
 * What one command (later: one script, one MULTI block) sees and changes.
 *
 * Writes go to an overlay and touch the keyspace only when the caller applies the effects. So a
 * handler that throws half-way leaves nothing behind, a block of commands is atomic, and several
 * changes of one key are one effect. Reads look in the overlay, then among values handed over by
 * other primaries (`lend`), then in the keyspace.
 */
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

interface Change {
  slot: number;
  db: number;
  key: string;
  /** Null: deleted. */
  value: Value | null;
  expiresAtMs: number;
  /** False: only the expiry differs from what the keyspace holds. */
  valueChanged: boolean;
}

export class WorkingSet {
  readonly #env: WorkingSetEnv;
  /** Cluster time at which the command runs, milliseconds since 1970; one value for the whole command. */
  readonly nowMs: number;
  /** The slot of every key, or -1 when keys are of several slots. */
  readonly #slot: number;
  #changes: Map<string, Change> | undefined;
  #lent: Map<string, Held> | undefined;
  /** Keys that were found expired: their deletion is an effect of this command too. */

  constructor(env: WorkingSetEnv, nowMs: number, slot: number) {
    this.#env = env;
    this.nowMs = nowMs;
    this.#slot = slot;
  }

  /** Makes a value known that another primary handed over for this command. */
  lend(db: number, key: string, held: Held): void {
    this.#lent ??= new Map();
    this.#lent.set(`${db}:${key}`, held);
  }

  /** The value, or undefined when there is no such key (or it has expired). */
  get(db: number, key: string): Value | undefined {
    if (this.#changes === undefined && this.#lent === undefined) {
      const entry = this.#env.keyspace.find(this.#slotOf(key), db, key);
      if (entry === undefined || entry.value === null) return undefined;
      if (entry.expiresAtMs !== 0 && entry.expiresAtMs <= this.nowMs) {
        this.#expire(db, key);
        return undefined;
      }
      this.#env.keyspace.touch(entry);
      return entry.value;
    }
    return this.#lookUp(db, key)?.value ?? undefined;
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

  /**
   * Sets the value. `expiresAtMs`: the moment of expiry, 0 for never, or `'default'` for what the
   * policy of the key's prefix says. A moment not in the future deletes the key.
   */
  put(db: number, key: string, value: Value, expiresAtMs: number | 'default'): void {
    let at = expiresAtMs;
    if (at === 'default') {
      const { defaultTtlMs } = this.#env.policyOf(key);
      at = defaultTtlMs > 0 ? this.nowMs + defaultTtlMs : 0;
    }
    if (at !== 0 && at <= this.nowMs) {
      this.remove(db, key);
      return;
    }
    this.#change(db, key, { value, expiresAtMs: at, valueChanged: true });
  }

  /** Changes only the expiry (0: never). Returns false when there is no such key. */
  setExpiry(db: number, key: string, expiresAtMs: number): boolean {
    const held = this.#lookUp(db, key);
    if (held === undefined || held.value === null) return false;
    if (expiresAtMs !== 0 && expiresAtMs <= this.nowMs) return this.remove(db, key);
    const id = `${db}:${key}`;
    const valueChanged =
      this.#changes?.get(id)?.valueChanged === true || this.#lent?.has(id) === true;
    this.#change(db, key, { value: held.value, expiresAtMs, valueChanged });
    return true;
  }

  /** Deletes the key. Returns whether it was there. */
  remove(db: number, key: string): boolean {
    const held = this.#lookUp(db, key);
    if (held === undefined) return false;
    this.#change(db, key, { value: null, expiresAtMs: 0, valueChanged: true });
    return true;
  }

  /** True when the command has changed something so far. */
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
      const until = policy.tombstoneMs > 0 ? this.nowMs + policy.tombstoneMs : 0;
      return { kind: EffectKind.Delete, value: null, expiresAtMs: until, ...common };
    }
    const kind = change.valueChanged ? EffectKind.Put : EffectKind.Expire;
    return { kind, value, expiresAtMs: change.expiresAtMs, ...common };
  }

  #slotOf(key: string): number {
    return this.#slot >= 0 ? this.#slot : this.#env.slotOf(key);
  }

  #lookUp(db: number, key: string): Held | undefined {
    const id = `${db}:${key}`;
    const change = this.#changes?.get(id);
    if (change !== undefined) return change.value === null ? undefined : change;
    const held = this.#lent?.get(id) ?? this.#env.keyspace.find(this.#slotOf(key), db, key);
    if (held === undefined || held.value === null) return undefined;
    if (held.expiresAtMs !== 0 && held.expiresAtMs <= this.nowMs) {
      this.#expire(db, key);
      return undefined;
    }
    return held;
  }

  /** Only a primary runs commands, and only a primary declares a key expired: as an effect. */
  #expire(db: number, key: string): void {
    this.#change(db, key, { value: null, expiresAtMs: 0, valueChanged: true });
  }

  #change(db: number, key: string, to: Pick<Change, 'value' | 'expiresAtMs' | 'valueChanged'>): void {
    this.#changes ??= new Map();
    this.#changes.set(`${db}:${key}`, { slot: this.#slotOf(key), db, key, ...to });
  }
}
