/**
 * Reads of data. See `LoadPool` in store.ts for the contract.
 *
 * The driver decodes every result as UTF-8 text, and as text a `bytea` is two digits a byte. But bytes
 * that PostgreSQL takes for LATIN1 come back, after the driver's decoding, as exactly the binary string
 * that is wanted. Only values with a NUL (which text cannot hold) and very large ones travel as digits.
 * Scans read too much for any of that: they are copied in binary, see copy-rows.ts.
 */
import assert from 'node:assert/strict';
import { ConnectionPool } from './connection-pool.ts';
import { BY_INDEX, BY_INDEX_IN_ORDER, type StoreContext } from './context.ts';
import { COPIED_COLUMNS, CopiedRows } from './copy-rows.ts';
import { int2Array, textArray, timestamp } from './encode.ts';
import { decodeKeyText, encodeKey } from './key-codec.ts';
import type { Answer } from './session.ts';
import type { LoadPool, Row, RowKey, RowType } from './store.ts';

type ScanRange = Parameters<LoadPool['scan']>[0];

/** How much longer scans, counts and sweeps may take than a single load. */
const BULK_FACTOR = 10;

/** Above this size the conversion to LATIN1, which reserves four times the size, costs more than it saves. */
const LATIN1_BYTES_MAX = 16 * 1024 * 1024;

const ABOVE_FLOORS = `NOT EXISTS (
  SELECT 1 FROM ringfence.floor f
  WHERE f.slot = e.slot AND (f.db = e.db OR f.db = -1) AND f.version >= e.version)`;

const live = (now: string): string =>
  `e.type <> 0 AND (e.expires_at IS NULL OR e.expires_at > ${now}::timestamptz) AND ${ABOVE_FLOORS}`;

const AS_LATIN1 = `octet_length(e.value) <= ${LATIN1_BYTES_MAX} AND position('\\x00'::bytea IN e.value) = 0`;

/** type, value as text, value as digits, expiry in milliseconds, epoch, seq: see `toRow`. */
const ROW_COLUMNS = `e.type,
  CASE WHEN ${AS_LATIN1} THEN convert_from(e.value, 'LATIN1') END,
  CASE WHEN NOT (${AS_LATIN1}) THEN e.value END,
  round(extract(epoch FROM e.expires_at) * 1000)::bigint,
  e.version >> 40, e.version & 1099511627775`;

// The position of the key comes back instead of the key itself: nothing to decode.
const LOAD = `SELECT k.i, ${ROW_COLUMNS}
  FROM unnest($1::int2[], $2::int2[], $3::text[]) WITH ORDINALITY AS k(slot, db, key, i)
  JOIN ringfence.entry e ON e.slot = k.slot AND e.db = k.db AND e.key = k.key
  WHERE ${ABOVE_FLOORS}`;

/** The same for many rows: the first look, once a statement, spares the second, once a row, where nothing was ever flushed. */
const ABOVE_FLOORS_OF_MANY = `NOT ((SELECT EXISTS (SELECT 1 FROM ringfence.floor)) AND NOT ${ABOVE_FLOORS})`;

/**
 * A page of the table. COPY takes no parameters, so `after` and the numbers stand in the text. The sizes of values are
 * known without reading them, so those beyond `bytesMax` are never touched.
 */
const scanText = (after: string, { to, limit, bytesMax }: ScanRange): string => `COPY (
  SELECT ${COPIED_COLUMNS}
  FROM (
    SELECT c.*, sum(octet_length(c.value)) OVER (
        ORDER BY c.slot, c.db, c.key ROWS UNBOUNDED PRECEDING) AS total
    FROM (
      SELECT e.* FROM ringfence.entry e
      WHERE ${after} AND e.slot <= ${integer(to)} AND ${ABOVE_FLOORS_OF_MANY}
      ORDER BY e.slot, e.db, e.key LIMIT ${integer(limit)}) c) e
  WHERE coalesce(e.total, 0) - coalesce(octet_length(e.value), 0) < ${integer(Math.max(bytesMax, 1))}
  ORDER BY e.slot, e.db, e.key) TO STDOUT (FORMAT binary)`;

const COUNT = `SELECT count(*) FROM ringfence.entry e
  WHERE e.slot = ANY($1::int2[]) AND e.db = $2::int2 AND ${live('$3')}`;

const KEYS = `SELECT e.key, e.type FROM ringfence.entry e
  WHERE e.slot = $1::int2 AND e.db = $2::int2 AND e.key > $3::text AND ${live('$5')}
  ORDER BY e.key LIMIT $4::int`;

// A probe a slot: the cost follows the slots asked for and the rows found, not the size of the table.
const EXPIRED = `SELECT s.slot, x.db, x.key
  FROM unnest($1::int2[], $2::int2[]) AS r(first, last),
    LATERAL generate_series(r.first::int, r.last::int) AS s(slot),
    LATERAL (
      SELECT e.db, e.key FROM ringfence.entry e
      WHERE e.slot = s.slot::int2 AND e.expires_at <= $3::timestamptz
      ORDER BY e.expires_at LIMIT $4::int) AS x
  LIMIT $4::int`;

export class PostgresLoadPool implements LoadPool {
  readonly #single: ConnectionPool;
  readonly #bulk: ConnectionPool;

  constructor(context: StoreContext) {
    const { loadConnections, statementTimeoutMs } = context.options;
    this.#single = new ConnectionPool(context, 'load', loadConnections, { set: BY_INDEX });
    this.#bulk = new ConnectionPool(context, 'bulk', 1, {
      set: BY_INDEX_IN_ORDER,
      statementTimeoutMs: statementTimeoutMs * BULK_FACTOR,
    });
  }

  async load(keys: readonly RowKey[]): Promise<Row[]> {
    if (keys.length === 0) return [];
    const rows = await this.#single.read({
      name: 'load',
      text: LOAD,
      values: [
        int2Array(keys.map(({ slot }) => slot)),
        int2Array(keys.map(({ db }) => db)),
        textArray(keys.map(({ key }) => encodeKey(key))),
      ],
    });
    return rows.map((row) => {
      const asked = keys[Number(row[0]) - 1];
      if (asked === undefined)
        throw new RangeError('the database answered for a key not asked for');
      return toRow(asked, row, 1);
    });
  }

  async scan(range: ScanRange): Promise<Row[]> {
    const { from, after } = range;
    const page = new CopiedRows();
    const where = after === null ? `e.slot >= ${integer(from)}` : isAfter(after);
    await this.#bulk.copyOut(scanText(where, range), (message) => page.take(message));
    return page.rows;
  }

  async count(slots: readonly number[], db: number, nowMs: number): Promise<number> {
    if (slots.length === 0) return 0;
    const values = [int2Array(slots), db, timestamp(nowMs)];
    const [row] = await this.#bulk.read({ name: 'count', text: COUNT, values });
    return Number(row?.[0]);
  }

  async keys(at: Parameters<LoadPool['keys']>[0]): Promise<{ key: string; type: RowType }[]> {
    const after = keyText(at.after ?? '');
    // "After nothing" includes the empty key; no text sorts before it, so it is asked for by `>=`.
    const text = at.after === null ? KEYS.replace('e.key > $3', 'e.key >= $3') : KEYS;
    const rows = await this.#bulk.read({
      name: at.after === null ? 'keys' : 'keys_after',
      text,
      values: [at.slot, at.db, after, at.limit, timestamp(at.nowMs)],
    });
    return rows.map(([key, type]) => ({
      key: decodeKeyText(key ?? ''),
      type: Number(type) as RowType,
    }));
  }

  async expired(
    slots: readonly { readonly from: number; readonly to: number }[],
    nowMs: number,
    limit: number,
  ): Promise<RowKey[]> {
    if (slots.length === 0) return [];
    const rows = await this.#bulk.read({
      name: 'expired',
      text: EXPIRED,
      values: [
        int2Array(slots.map(({ from }) => from)),
        int2Array(slots.map(({ to }) => to)),
        timestamp(nowMs),
        limit,
      ],
    });
    return rows.map(toRowKey);
  }

  async close(): Promise<void> {
    await Promise.all([this.#single.close(), this.#bulk.close()]);
  }
}

/** A key as a text parameter; the driver encodes strings as UTF-8, so the bytes are decoded first. */
function keyText(key: string): string {
  return Buffer.from(encodeKey(key), 'latin1').toString('utf8');
}

/** Digits only, whatever comes: it becomes a part of a statement. */
function integer(value: number): string {
  assert.ok(Number.isSafeInteger(value), 'a number of a statement is an integer');
  return String(value);
}

/** The condition for what comes after a row. The key is written in digits: nothing in it can end the literal. */
function isAfter({ slot, db, key }: RowKey): string {
  const digits = Buffer.from(encodeKey(key), 'latin1').toString('hex');
  const text = `convert_from('\\x${digits}'::bytea, 'UTF8')`;
  return `(e.slot, e.db, e.key) > (${integer(slot)}, ${integer(db)}, ${text})`;
}

type Columns = Answer['rows'][number];

function toRowKey(row: Columns): RowKey {
  return { slot: Number(row[0]), db: Number(row[1]), key: decodeKeyText(row[2] ?? '') };
}

/** `at`: where ROW_COLUMNS begin. */
function toRow({ slot, db, key }: RowKey, row: Columns, at: number): Row {
  const digits = row[at + 2] ?? null;
  return {
    slot,
    db,
    key,
    type: Number(row[at]) as RowType,
    // Digits come as \x00ff...
    value:
      digits === null
        ? (row[at + 1] ?? null)
        : Buffer.from(digits.slice(2), 'hex').toString('latin1'),
    expiresAtMs: Number(row[at + 3] ?? 0),
    epoch: Number(row[at + 4]),
    seq: Number(row[at + 5]),
  };
}
