/**
 * Loads what a command needs and memory lacks: from the table, then from the legacy source.
 *
 * One load a key, however many wait (single flight); all keys asked for in one turn travel in one
 * query. A load is only news if nothing overtook it: a change of the key while it ran (`override`),
 * a flush or loss in its slot (`changes`) or a new view (`adopt`) makes its result worthless, and
 * whoever waited looks again. Schedules fetch-meets-delete, delete-then-hydrate.
 */
import type { Timers } from '../platform/clock.ts';
import type { KeyState } from '../storage/memory/entry.ts';
import type { Keyspace } from '../storage/memory/keyspace.ts';
import type { LegacySource } from '../storage/legacy/source.ts';
import { type LoadPool, type Row, RowType } from '../storage/postgres/store.ts';
import { ReplyError } from '../errors.ts';
import { keyId } from './op.ts';
import type { SlotTable } from './slots.ts';

/** How long "the database has no such key" is remembered when the slot is not complete, milliseconds. */
const ABSENCE_MS = 1000;
/** Keys in one query. */
const QUERY_KEYS_MAX = 500;

/** Null: look again, it is there (or known to be absent) now. An error: it could not be found out. */
export type LoadWaiter = (error: ReplyError | null) => void;

interface Load {
  readonly id: string;
  readonly slot: number;
  readonly db: number;
  readonly key: string;
  readonly changes: number;
  overridden: boolean;
  readonly waiters: LoadWaiter[];
}

export interface LoaderEnv {
  readonly timers: Timers;
  readonly keyspace: Keyspace;
  readonly slots: SlotTable;
  readonly loads: LoadPool;
  readonly legacy: LegacySource;
  nowMs(): number;
  /** Keys being loaded at once; more are refused. */
  pendingMax(): number;
  /** Does the key live in the database at all? */
  isPersistent(key: string): boolean;
  /** A committed row came into memory: the other owners get it too. */
  onLoaded(row: Row): void;
  /** Memory has grown: evict if need be. */
  onGrowth(): void;
  /**
   * A value of the legacy source could be written now. Without a lease it could not, and another node may have
   * taken the key over since the table was asked: a node that was stopped in between must not ask again.
   */
  mayHydrate(key: string): boolean;
  /** The legacy source has it: write it like any write. Calls back when it has been applied. */
  hydrate(at: { slot: number; db: number; key: string; value: string; ttlMs: number }): void;
}

export class Loader {
  readonly #env: LoaderEnv;
  #loading = new Map<string, Load>();
  #batch: Load[] = [];
  #scheduled = false;
  loads = 0;
  legacyFetches = 0;

  constructor(env: LoaderEnv) {
    this.#env = env;
  }

  get pending(): number {
    return this.#loading.size;
  }

  /** True when a command on this key must wait for a load. Only for slots this node is primary of. */
  isMissing(slot: number, db: number, key: string): boolean {
    const { keyspace, slots, legacy } = this.#env;
    const entry = keyspace.find(slot, db, key);
    if (entry !== undefined) {
      if (entry.value !== null || entry.dirty !== 0) return false;
      if (entry.expiresAtMs > this.#env.nowMs()) return false;
      keyspace.remove(slot, db, key);
    }
    if (legacy.covers(key)) return true;
    return !slots.isComplete(slot) && this.#env.isPersistent(key);
  }

  /** Calls `waiter` once, later. */
  load(slot: number, db: number, key: string, waiter: LoadWaiter): void {
    const id = keyId(db, key);
    const running = this.#loading.get(id);
    if (running !== undefined) {
      running.waiters.push(waiter);
      return;
    }
    if (this.#loading.size >= this.#env.pendingMax()) {
      waiter(new ReplyError('BUSY', 'too many keys are being loaded; nothing was changed'));
      return;
    }
    const changes = this.#env.slots.changes[slot]!;
    const load: Load = { id, slot, db, key, changes, overridden: false, waiters: [waiter] };
    this.#loading.set(id, load);
    this.#batch.push(load);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#env.timers.turnEnd(() => this.#query());
  }

  /** The key has changed in memory: what a load finds is old. */
  override(db: number, key: string): void {
    if (this.#loading.size === 0) return;
    const load = this.#loading.get(keyId(db, key));
    if (load !== undefined) load.overridden = true;
  }

  /** A new view: nothing begun in the old one counts. Returns those who waited. */
  adopt(): LoadWaiter[] {
    const waiters = [...this.#loading.values()].flatMap((load) => load.waiters);
    this.#loading = new Map();
    this.#batch = [];
    return waiters;
  }

  #query(): void {
    this.#scheduled = false;
    const batch = this.#batch;
    this.#batch = [];
    const ask: Load[] = [];
    for (const load of batch) {
      // Warm-up may have read the slot since the load was asked for: what it found is no absence.
      if (this.#isStale(load)) {
        this.#finish(load, null);
        continue;
      }
      const inTable = !this.#env.slots.isComplete(load.slot) && this.#env.isPersistent(load.key);
      if (inTable) ask.push(load);
      else void this.#askLegacy(load);
    }
    for (let i = 0; i < ask.length; i += QUERY_KEYS_MAX) {
      void this.#askTable(ask.slice(i, i + QUERY_KEYS_MAX));
    }
  }

  async #askTable(batch: readonly Load[]): Promise<void> {
    this.loads += batch.length;
    let rows: Row[];
    try {
      rows = await this.#env.loads.load(batch);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      for (const load of batch) {
        this.#finish(
          load,
          new ReplyError(
            'STOREDOWN',
            `the key could not be read from the database (${reason}); nothing was changed`,
          ),
        );
      }
      return;
    }
    const found = new Map(rows.map((row) => [keyId(row.db, row.key), row]));
    for (const load of batch) this.#onRow(load, found.get(load.id));
    // Now that those who waited have had what they asked for.
    this.#env.onGrowth();
  }

  #onRow(load: Load, row: Row | undefined): void {
    if (this.#isStale(load)) return this.#finish(load, null);
    const now = this.#env.nowMs();
    if (row !== undefined && row.type !== RowType.Tombstone) {
      this.#env.keyspace.load({ ...row, persistent: true });
      this.#env.onLoaded(row);
      return this.#finish(load, null);
    }
    if (row !== undefined && row.expiresAtMs > now) {
      this.#env.keyspace.load(absence(load, row.expiresAtMs));
      return this.#finish(load, null);
    }
    void this.#askLegacy(load);
  }

  async #askLegacy(load: Load): Promise<void> {
    const { slot, db, key } = load;
    if (!this.#env.legacy.covers(key)) return this.#rememberAbsence(load, ABSENCE_MS);
    if (!this.#env.mayHydrate(key)) {
      const text =
        'the key may be in the legacy source, but this node cannot take it over now, without a lease or the database; nothing was changed';
      return this.#finish(load, new ReplyError('STOREDOWN', text));
    }
    this.legacyFetches++;
    const answer = await this.#env.legacy.fetch(key);
    if (this.#isStale(load)) return this.#finish(load, null);
    if (answer.kind === 'absent')
      return this.#rememberAbsence(load, Math.max(answer.ttlMs, ABSENCE_MS));
    if (answer.kind === 'failed') {
      const text = `the key is not in the database, and the legacy source failed: ${answer.reason}; nothing was changed`;
      return this.#finish(load, new ReplyError('LEGACYDOWN', text));
    }
    this.#env.hydrate({ slot, db, key, value: answer.value, ttlMs: answer.ttlMs });
    this.#finish(load, null);
  }

  #rememberAbsence(load: Load, forMs: number): void {
    this.#env.keyspace.load(absence(load, this.#env.nowMs() + forMs));
    this.#finish(load, null);
  }

  #isStale(load: Load): boolean {
    if (this.#loading.get(load.id) !== load || load.overridden) return true;
    if (this.#env.slots.changes[load.slot] !== load.changes) return true;
    // Something else has brought the key, or the knowledge that there is none.
    return !this.isMissing(load.slot, load.db, load.key);
  }

  #finish(load: Load, error: ReplyError | null): void {
    if (this.#loading.get(load.id) !== load) return;
    this.#loading.delete(load.id);
    for (const waiter of load.waiters) waiter(error);
  }
}

/** What is remembered of a key that is nowhere, until then. */
function absence({ slot, db, key }: Load, untilMs: number): KeyState {
  return { slot, db, key, value: null, expiresAtMs: untilMs, epoch: 0, seq: 0, persistent: true };
}
