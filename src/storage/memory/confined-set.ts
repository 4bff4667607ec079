/**
 * A working set that knows only some keys: those that are held for a transaction over several owners.
 * Any other may be changing elsewhere at this moment, or live on another node altogether, so touching it
 * throws, before anything was read or changed.
 */
import type { Entry, Value } from './entry.ts';
import { type Held, idOf, type Inspection, WorkingSet, type WorkingSetEnv } from './working-set.ts';

/** What runs touched a key that is not held for it; it has to run again with that key held. */
export class KeyNotHeld extends Error {
  readonly db: number;
  readonly key: string;

  constructor(db: number, key: string) {
    super('a key is touched that is not held');
    this.name = 'KeyNotHeld';
    this.db = db;
    this.key = key;
  }
}

export class ConfinedSet extends WorkingSet {
  readonly #ids: ReadonlySet<string>;

  /** `held`: the keys that may be touched. They may be of several slots. */
  constructor(
    env: WorkingSetEnv,
    nowMs: number,
    held: readonly { readonly db: number; readonly key: string }[],
  ) {
    super(env, nowMs, -1);
    this.#ids = new Set(held.map(({ db, key }) => idOf(db, key)));
  }

  override lend(db: number, key: string, held: Held): void {
    this.#check(db, key);
    super.lend(db, key, held);
  }

  override get(db: number, key: string): Value | undefined {
    this.#check(db, key);
    return super.get(db, key);
  }

  override expiresAtMs(db: number, key: string): number | undefined {
    this.#check(db, key);
    return super.expiresAtMs(db, key);
  }

  override peek(db: number, key: string): Entry | undefined {
    this.#check(db, key);
    return super.peek(db, key);
  }

  override inspect(db: number, key: string): Inspection | undefined {
    this.#check(db, key);
    return super.inspect(db, key);
  }

  override put(db: number, key: string, value: Value, expiresAtMs: number | 'default'): void {
    this.#check(db, key);
    super.put(db, key, value, expiresAtMs);
  }

  override setExpiry(db: number, key: string, expiresAtMs: number): boolean {
    this.#check(db, key);
    return super.setExpiry(db, key, expiresAtMs);
  }

  override remove(db: number, key: string): boolean {
    this.#check(db, key);
    return super.remove(db, key);
  }

  #check(db: number, key: string): void {
    if (!this.#ids.has(idOf(db, key))) throw new KeyNotHeld(db, key);
  }
}
