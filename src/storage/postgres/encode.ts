/**
 * Parameters in PostgreSQL's binary array format. This is the hot path of every write: one buffer an
 * array, of exactly the right size, filled in one pass, values copied as bytes (as text, `bytea` would
 * travel as hexadecimal digits, twice as long, and be parsed again).
 *
 *   int32 dimensions (1) | int32 has nulls | int32 element type | int32 length | int32 lower bound (1)
 *   then for each element: int32 byte length (-1: null) | bytes
 */
import assert from 'node:assert/strict';
import type { Batch, FloorChange, RowChange } from './store.ts';
import { RowType, StoreError } from './store.ts';
import { encodeKey } from './key-codec.ts';

const HEADER_BYTES = 20;
const OID = { int8: 20, int2: 21, bytea: 17, text: 25, timestamptz: 1184 } as const;

/** The largest value that can be written and read back whole: text results hold two digits a byte, and end at 1 GB. */
export const VALUE_BYTES_MAX = 256 * 1024 * 1024;

const EPOCH_MAX = 2 ** 23;
const SEQ_MAX = 2 ** 40;
/** 2000-01-01, where PostgreSQL's timestamps begin, in milliseconds since 1970. */
const POSTGRES_EPOCH_MS = 946_684_800_000;

function arrayBuffer(oid: number, length: number, bytes: number, hasNulls: boolean): Buffer {
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + 4 * length + bytes);
  buffer.writeInt32BE(1, 0);
  buffer.writeInt32BE(hasNulls ? 1 : 0, 4);
  buffer.writeInt32BE(oid, 8);
  buffer.writeInt32BE(length, 12);
  buffer.writeInt32BE(1, 16);
  return buffer;
}

/** `int2[]`. */
export function int2Array(values: readonly number[]): Buffer {
  const buffer = arrayBuffer(OID.int2, values.length, 2 * values.length, false);
  let at = HEADER_BYTES;
  for (const value of values) {
    buffer.writeInt32BE(2, at);
    at = buffer.writeInt16BE(value, at + 4);
  }
  return buffer;
}

/** `int8[]` of integers that a JavaScript number holds exactly; null where there is none. */
export function int8Array(values: readonly (number | null)[]): Buffer {
  const nulls = countNulls(values);
  const buffer = arrayBuffer(OID.int8, values.length, 8 * (values.length - nulls), nulls > 0);
  let at = HEADER_BYTES;
  for (const value of values) {
    if (value === null) {
      at = buffer.writeInt32BE(-1, at);
      continue;
    }
    buffer.writeInt32BE(8, at);
    buffer.writeInt32BE(Math.floor(value / 2 ** 32), at + 4);
    at = buffer.writeUInt32BE(value >>> 0, at + 8);
  }
  return buffer;
}

/** `int8[]` of versions: the epoch in the upper 24 bits, the counter in the lower 40. */
export function versionArray(
  versions: readonly { readonly epoch: number; readonly seq: number }[],
): Buffer {
  const buffer = arrayBuffer(OID.int8, versions.length, 8 * versions.length, false);
  let at = HEADER_BYTES;
  for (const { epoch, seq } of versions) {
    assert.ok(epoch >= 0 && epoch < EPOCH_MAX, 'epoch is below 2^23');
    assert.ok(seq >= 0 && seq < SEQ_MAX, 'seq is below 2^40');
    buffer.writeInt32BE(8, at);
    buffer.writeInt32BE(epoch * 256 + Math.floor(seq / 2 ** 32), at + 4);
    at = buffer.writeUInt32BE(seq % 2 ** 32, at + 8);
  }
  return buffer;
}

/** `text[]` of binary strings that hold valid UTF-8. */
export function textArray(values: readonly string[]): Buffer {
  return stringArray(OID.text, values);
}

/** `bytea[]` of binary strings. */
export function byteaArray(values: readonly (string | null)[]): Buffer {
  return stringArray(OID.bytea, values);
}

function stringArray(oid: number, values: readonly (string | null)[]): Buffer {
  let bytes = 0;
  let hasNulls = false;
  for (const value of values) {
    if (value === null) hasNulls = true;
    else bytes += value.length;
  }
  const buffer = arrayBuffer(oid, values.length, bytes, hasNulls);
  let at = HEADER_BYTES;
  for (const value of values) {
    at = buffer.writeInt32BE(value === null ? -1 : value.length, at);
    if (value !== null) at += buffer.write(value, at, 'latin1');
  }
  return buffer;
}

/** `timestamptz[]` of milliseconds since 1970 (fractions are cut off); 0 becomes null. */
export function timestampArray(values: readonly number[]): Buffer {
  let nulls = 0;
  for (const value of values) if (value === 0) nulls++;
  const buffer = arrayBuffer(
    OID.timestamptz,
    values.length,
    8 * (values.length - nulls),
    nulls > 0,
  );
  let at = HEADER_BYTES;
  for (const value of values) {
    if (value === 0) {
      at = buffer.writeInt32BE(-1, at);
      continue;
    }
    buffer.writeInt32BE(8, at);
    at = writeTimestamp(buffer, value, at + 4);
  }
  return buffer;
}

/** One `timestamptz`. */
export function timestamp(ms: number): Buffer {
  const buffer = Buffer.allocUnsafe(8);
  writeTimestamp(buffer, ms, 0);
  return buffer;
}

/** Microseconds since 2000 need more than 53 bits, so they are made in two halves. */
function writeTimestamp(buffer: Buffer, ms: number, at: number): number {
  assert.ok(ms > -Number.MAX_SAFE_INTEGER && ms <= Number.MAX_SAFE_INTEGER, 'time is in range');
  const since2000 = Math.floor(ms) - POSTGRES_EPOCH_MS;
  const upper = Math.floor(since2000 / 2 ** 32);
  const lower = (since2000 - upper * 2 ** 32) * 1000;
  const carry = Math.floor(lower / 2 ** 32);
  buffer.writeInt32BE(upper * 1000 + carry, at);
  return buffer.writeUInt32BE(lower - carry * 2 ** 32, at + 4);
}

/** The `timestamptz` at `at` in milliseconds since 1970, rounded; nearly 2^63 microseconds, hence in two halves too. */
export function readTimestamp(buffer: Buffer, at: number): number {
  const upper = buffer.readInt32BE(at);
  const thousands = Math.floor(upper / 1000);
  const rest = (upper - thousands * 1000) * 2 ** 32 + buffer.readUInt32BE(at + 4);
  return thousands * 2 ** 32 + Math.round(rest / 1000) + POSTGRES_EPOCH_MS;
}

function countNulls(values: readonly unknown[]): number {
  let nulls = 0;
  for (const value of values) if (value === null) nulls++;
  return nulls;
}

/** What `ringfence.commit_batch` takes after the five numbers: arrays, or null where there is nothing to do. */
export type BatchParameters = (Buffer | null)[];

/**
 * The rows and floors of a batch as parameters 6 to 24 of `ringfence.commit_batch`. Throws a StoreError
 * of kind 'rejected' for a value that is too large for the database.
 */
export function encodeBatch(batch: Batch): BatchParameters {
  const puts: RowChange[] = [];
  const deletes: RowChange[] = [];
  const expiries: RowChange[] = [];
  for (const row of batch.rows) {
    if (row.kind === 'expire') expiries.push(row);
    // A tombstone is a row like any other, without a value.
    else if (row.kind === 'put' || row.expiresAtMs !== 0) puts.push(row);
    else deletes.push(row);
  }
  return [
    ...encodePuts(puts),
    ...(deletes.length === 0 ? [null, null, null, null] : encodeIdentity(deletes)),
    ...encodeExpiries(expiries),
    ...encodeFloors(batch.floors),
  ];
}

function encodeIdentity(rows: readonly RowChange[]): [Buffer, Buffer, Buffer, Buffer] {
  return [
    int2Array(rows.map((row) => row.slot)),
    int2Array(rows.map((row) => row.db)),
    textArray(rows.map((row) => encodeKey(row.key))),
    versionArray(rows),
  ];
}

function encodePuts(rows: readonly RowChange[]): BatchParameters {
  if (rows.length === 0) return [null, null, null, null, null, null, null];
  for (const { value } of rows) {
    if (value !== null && value.length > VALUE_BYTES_MAX) {
      throw new StoreError(
        'rejected',
        `a value of ${value.length} bytes is too large for the database`,
      );
    }
  }
  const [slots, dbs, keys, versions] = encodeIdentity(rows);
  const types = int2Array(
    rows.map((row) => (row.kind === 'put' ? RowType.String : RowType.Tombstone)),
  );
  const values = byteaArray(rows.map((row) => (row.kind === 'put' ? row.value : null)));
  const expires = timestampArray(rows.map((row) => row.expiresAtMs));
  return [slots, dbs, keys, types, values, versions, expires];
}

function encodeExpiries(rows: readonly RowChange[]): BatchParameters {
  if (rows.length === 0) return [null, null, null, null, null];
  return [...encodeIdentity(rows), timestampArray(rows.map((row) => row.expiresAtMs))];
}

function encodeFloors(floors: readonly FloorChange[]): BatchParameters {
  if (floors.length === 0) return [null, null, null];
  const rows = floors.flatMap(({ slots, db, epoch, seq }) =>
    slots.map((slot) => ({ slot, db: db ?? -1, epoch, seq })),
  );
  return [
    int2Array(rows.map((row) => row.slot)),
    int2Array(rows.map((row) => row.db)),
    versionArray(rows),
  ];
}
