/** The committed state of the modelled PostgreSQL: what a new snapshot sees. */
import { slotOf } from '../../../src/cluster/slot.ts';
import {
  type Batch,
  type FloorChange,
  type LeaseInfo,
  type NodeRef,
  type Row,
  type RowChange,
  type RowKey,
  RowType,
  type View,
} from '../../../src/storage/postgres/store.ts';

export interface LaneRow {
  generation: number;
  epoch: number | null;
  /** Number of the last batch. */
  last: number;
}

export interface LeaseRow {
  readonly ref: NodeRef;
  counter: number;
  givenUp: boolean;
  complaints: readonly NodeRef[];
  /** Why it may not renew any more. */
  expelled: string | null;
}

export interface Version {
  readonly epoch: number;
  readonly seq: number;
}

export const keyOf = (ref: NodeRef): string => `${ref.node}/${ref.incarnation}`;
export const rowId = ({ slot, db, key }: RowKey): string => `${slot}:${db}:${key}`;

export function isOlder(a: Version, b: Version): boolean {
  return a.epoch !== b.epoch ? a.epoch < b.epoch : a.seq < b.seq;
}

/** Order of (slot, db, key), as the primary key has it. */
export function inOrder(a: RowKey, b: RowKey): number {
  return a.slot - b.slot || a.db - b.db || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
}

/** Everything that is committed. */
export interface Content {
  readonly lanes: ReadonlyMap<string, LaneRow>;
  readonly leases: ReadonlyMap<string, LeaseRow>;
  readonly views: readonly View[];
  readonly rows: ReadonlyMap<string, Row>;
  readonly floors: ReadonlyMap<string, Version>;
}

function refill<K, V>(map: Map<K, V>, from: ReadonlyMap<K, V>): void {
  map.clear();
  for (const [key, value] of from) map.set(key, value);
}

export class Tables implements Content {
  readonly lanes = new Map<string, LaneRow>();
  readonly leases = new Map<string, LeaseRow>();
  readonly views: View[] = [];
  readonly rows = new Map<string, Row>();
  readonly floors = new Map<string, Version>();

  copy(): Content {
    const { lanes, leases, views, rows, floors } = this;
    return structuredClone({ lanes, leases, views, rows, floors });
  }

  restore(content: Content): void {
    const { lanes, leases, views, rows, floors } = structuredClone(content);
    refill(this.lanes, lanes);
    refill(this.leases, leases);
    refill(this.rows, rows);
    refill(this.floors, floors);
    this.views.splice(0, this.views.length, ...views);
  }

  get newestEpoch(): number {
    return this.views.at(-1)?.epoch ?? 0;
  }

  /** The row of a key as `kv_store` shows it, also when its time is over; undefined when there is none. */
  rowOf(key: string, db = 0): Row | undefined {
    const row = this.rows.get(rowId({ slot: slotOf(key), db, key }));
    return row === undefined || this.isGone(row) ? undefined : row;
  }

  /** A row's value as `kv_store` shows it; undefined when there is none. */
  valueOf(key: string, db = 0): string | undefined {
    return this.rowOf(key, db)?.value ?? undefined;
  }

  /** Rows above the floors, tombstones and expired ones included, in order. */
  visibleRows(wanted: (row: Row) => boolean): Row[] {
    return [...this.rows.values()]
      .filter((row) => wanted(row) && this.isAboveFloor(row))
      .sort(inOrder);
  }

  leaseInfos(): LeaseInfo[] {
    return [...this.leases.values()].map(({ ref, counter, givenUp, complaints, expelled }) => ({
      node: ref.node,
      incarnation: ref.incarnation,
      counter,
      givenUp,
      complaints,
      expelled: expelled !== null,
    }));
  }

  isAboveFloor(row: Row): boolean {
    for (const db of [row.db, -1]) {
      const floor = this.floors.get(`${row.slot}:${db}`);
      if (floor !== undefined && !isOlder(floor, row)) return false;
    }
    return true;
  }

  /** A tombstone stands in the key's place. */
  isDeleted(key: string, db = 0): boolean {
    const row = this.rows.get(rowId({ slot: slotOf(key), db, key }));
    return row !== undefined && row.type === RowType.Tombstone && this.isAboveFloor(row);
  }

  isGone(row: Row): boolean {
    return row.type === RowType.Tombstone || !this.isAboveFloor(row);
  }

  /** Why a batch cannot be right for what the table has; null: it can. */
  contradiction(batch: Batch): string | null {
    for (const change of batch.rows) {
      const row = this.rows.get(rowId(change));
      if (row !== undefined && isOlder(change, row))
        return 'a row is older than what the table has';
      if (change.kind === 'expire' && (row === undefined || this.isGone(row)))
        return 'the expiry of a row that is not there';
    }
    return null;
  }

  write(change: RowChange): void {
    const { slot, db, key, value, expiresAtMs, epoch, seq } = change;
    const id = rowId(change);
    const before = this.rows.get(id);
    if (change.kind === 'put') {
      this.rows.set(id, { slot, db, key, type: RowType.String, value, expiresAtMs, epoch, seq });
    } else if (change.kind === 'expire') {
      this.rows.set(id, { ...before!, expiresAtMs, epoch, seq });
    } else if (expiresAtMs === 0) {
      this.rows.delete(id);
    } else {
      const type = RowType.Tombstone;
      this.rows.set(id, { slot, db, key, type, value: null, expiresAtMs, epoch, seq });
    }
  }

  raiseFloors({ slots, db, epoch, seq }: FloorChange): void {
    for (const slot of slots) {
      const id = `${slot}:${db ?? -1}`;
      const before = this.floors.get(id);
      if (before === undefined || isOlder(before, { epoch, seq }))
        this.floors.set(id, { epoch, seq });
    }
  }
}
