import { beforeEach, describe, expect, test } from 'vitest';
import type { ReplyError } from '../../../src/errors.ts';
import { Loader } from '../../../src/cluster/loader.ts';
import { slotOf } from '../../../src/cluster/slot.ts';
import { SlotTable } from '../../../src/cluster/slots.ts';
import type { LegacyAnswer, LegacySource } from '../../../src/storage/legacy/source.ts';
import { Keyspace } from '../../../src/storage/memory/keyspace.ts';
import {
  type LoadPool,
  type Row,
  RowType,
  StoreError,
} from '../../../src/storage/postgres/store.ts';
import { SeededRandom } from '../../../chaos/sim/random.ts';
import { VirtualTime } from '../../../chaos/sim/time.ts';
import { put } from '../../support/keyspace.ts';

const KEY = 'user:1';
const SLOT = slotOf(KEY);

class Fixture {
  readonly time = new VirtualTime();
  readonly keyspace = new Keyspace({
    random: new SeededRandom(1),
    nowMs: () => this.time.wallMs(),
  });
  readonly slots = new SlotTable({ node: 'a', incarnation: '1' });
  readonly rows: Row[] = [];
  readonly hydrated: string[] = [];
  queries = 0;
  fetches = 0;
  storeFails = false;
  covered = false;
  mayHydrate = true;
  growths = 0;
  answer: LegacyAnswer = { kind: 'absent', ttlMs: 0 };
  readonly loader = new Loader({
    timers: this.time,
    keyspace: this.keyspace,
    slots: this.slots,
    loads: {
      load: () => {
        this.queries++;
        if (this.storeFails) return Promise.reject(new StoreError('unavailable', 'gone'));
        return Promise.resolve(this.rows);
      },
    } as Partial<LoadPool> as LoadPool,
    legacy: {
      covers: () => this.covered,
      fetch: () => {
        this.fetches++;
        return Promise.resolve(this.answer);
      },
    } as Partial<LegacySource> as LegacySource,
    nowMs: () => this.time.wallMs(),
    pendingMax: () => 2,
    isPersistent: () => true,
    onLoaded: () => undefined,
    onGrowth: () => this.growths++,
    mayHydrate: () => this.mayHydrate,
    hydrate: ({ key, value }) => {
      this.hydrated.push(value);
      put(this.keyspace, slotOf(key), 0, key, value, 0);
    },
  });

  /** Asks for a key; the promise has what the waiter is told. */
  load(key = KEY): Promise<ReplyError | null> {
    return new Promise((resolve) => this.loader.load(slotOf(key), 0, key, resolve));
  }

  value(): string | null | undefined {
    return this.keyspace.find(SLOT, 0, KEY)?.value;
  }
}

const row = (value: string): Row => ({
  slot: SLOT,
  db: 0,
  key: KEY,
  type: RowType.String,
  value,
  expiresAtMs: 0,
  epoch: 1,
  seq: 1,
});

let fixture: Fixture;
beforeEach(() => {
  fixture = new Fixture();
});

describe('a load', () => {
  test('is one query for all who wait, and brings the row into memory', async () => {
    fixture.rows.push(row('v'));
    const waiting = [fixture.load(), fixture.load()];
    fixture.time.endTurn();
    expect(await Promise.all(waiting)).toEqual([null, null]);
    expect([fixture.queries, fixture.value(), fixture.growths]).toEqual([1, 'v', 1]);
  });

  test('remembers for a while that the table has no such key', async () => {
    const waiting = fixture.load();
    fixture.time.endTurn();
    await waiting;
    expect(fixture.value()).toBeNull();
    expect(fixture.loader.isMissing(SLOT, 0, KEY)).toBe(false);
    fixture.time.advance(2000);
    expect(fixture.loader.isMissing(SLOT, 0, KEY)).toBe(true);
  });

  test('asks no legacy source for what could not be taken over', async () => {
    fixture.covered = true;
    fixture.mayHydrate = false;
    const waiting = fixture.load();
    fixture.time.endTurn();
    expect((await waiting)?.code).toBe('STOREDOWN');
    expect([fixture.queries, fixture.fetches]).toEqual([1, 0]);
  });

  test('that a scan of the slot overtakes before it is asked takes nothing for absent', async () => {
    fixture.covered = true;
    const waiting = fixture.load();
    put(fixture.keyspace, SLOT, 0, KEY, 'from the scan', 0);
    fixture.slots.setComplete(SLOT, true);
    fixture.time.endTurn();
    expect(await waiting).toBeNull();
    expect(fixture.value()).toBe('from the scan');
    expect([fixture.queries, fixture.fetches]).toEqual([0, 0]);
  });

  test('that a scan of the slot overtakes while it is under way leaves what the scan brought', async () => {
    const waiting = fixture.load();
    fixture.time.endTurn();
    put(fixture.keyspace, SLOT, 0, KEY, 'from the scan', 0);
    fixture.slots.setComplete(SLOT, true);
    expect(await waiting).toBeNull();
    expect(fixture.value()).toBe('from the scan');
  });

  test('that a write overtakes is worthless, whatever it finds (fetch-meets-delete)', async () => {
    fixture.rows.push(row('old'));
    const waiting = fixture.load();
    fixture.time.endTurn();
    fixture.loader.override(0, KEY);
    expect(await waiting).toBeNull();
    expect(fixture.value()).toBeUndefined();
  });

  test('asks the legacy source when the table has nothing, and takes over its value', async () => {
    fixture.covered = true;
    fixture.answer = { kind: 'found', value: 'legacy', ttlMs: 0 };
    const waiting = fixture.load();
    fixture.time.endTurn();
    expect(await waiting).toBeNull();
    expect(fixture.hydrated).toEqual(['legacy']);
  });

  test('that the database does not answer, or the legacy source fails, is a clear error', async () => {
    fixture.storeFails = true;
    const first = fixture.load();
    fixture.time.endTurn();
    expect((await first)?.code).toBe('STOREDOWN');
    fixture.storeFails = false;
    fixture.covered = true;
    fixture.answer = { kind: 'failed', reason: 'it hangs' };
    const second = fixture.load();
    fixture.time.endTurn();
    expect((await second)?.code).toBe('LEGACYDOWN');
  });

  test('beyond the bound of keys being loaded is refused', async () => {
    void fixture.load('a');
    void fixture.load('b');
    expect((await fixture.load('c'))?.code).toBe('BUSY');
  });
});
