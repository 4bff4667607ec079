/**
 * Rows as `COPY (...) TO STDOUT (FORMAT binary)` sends them. Of many rows this is the cheapest form on both sides: the
 * server neither prints numbers nor looks into values, and here a row is two strings instead of nine.
 *
 *   once:      11 bytes signature | int32 flags | int32 length of an extension, and the extension
 *   each row:  int16 number of columns, then for each one: int32 length (-1: null) | bytes
 *   the end:   int16 -1
 */
import assert from 'node:assert/strict';
import { readTimestamp } from './encode.ts';
import { decodeKey } from './key-codec.ts';
import type { Row, RowType } from './store.ts';

/** What is copied, in this order: those of fixed length first, so that they are always at the same place. */
export const COPIED_COLUMNS = 'e.slot, e.db, e.type, e.version, e.expires_at, e.key, e.value';

const SIGNATURE = 'PGCOPY\n\xff\r\n\0';
/** Behind the signature come the flags. */
const EXTENSION_LENGTH_AT = SIGNATURE.length + 4;
const COLUMNS = 7;
const END = -1;

const SLOT_AT = 6;
const DB_AT = 12;
const TYPE_AT = 18;
const VERSION_AT = 24;
const EXPIRY_LENGTH_AT = 32;
const EXPIRY_AT = 36;

/** Takes the messages of one COPY, each of which has a whole row; what it keeps are the rows, not the messages. */
export class CopiedRows {
  readonly rows: Row[] = [];
  #begun = false;

  /** Throws an AssertionError for anything but what was asked for. */
  take(message: Buffer): void {
    const start = this.#begun ? 0 : headerBytes(message);
    this.#begun = true;
    // The header may come alone, if there are no rows.
    if (start === message.length) return;
    const columns = message.readInt16BE(start);
    if (columns === END) return;
    assert.equal(columns, COLUMNS, 'a copied row has all columns');
    this.rows.push(decodeRow(message, start));
  }
}

function headerBytes(message: Buffer): number {
  assert.equal(message.latin1Slice(0, SIGNATURE.length), SIGNATURE, 'a copy has its signature');
  return EXTENSION_LENGTH_AT + 4 + message.readInt32BE(EXTENSION_LENGTH_AT);
}

function decodeRow(message: Buffer, start: number): Row {
  const high = message.readInt32BE(start + VERSION_AT);
  const low = message.readUInt32BE(start + VERSION_AT + 4);
  const expires = message.readInt32BE(start + EXPIRY_LENGTH_AT) >= 0;
  let at = start + EXPIRY_AT + (expires ? 8 : 0);
  const keyEnd = at + 4 + message.readInt32BE(at);
  const key = message.latin1Slice(at + 4, keyEnd);
  at = keyEnd + 4;
  const valueBytes = message.readInt32BE(keyEnd);
  const end = valueBytes < 0 ? at : at + valueBytes;
  assert.equal(end, message.length, 'a message has one row');
  return {
    slot: message.readInt16BE(start + SLOT_AT),
    db: message.readInt16BE(start + DB_AT),
    key: decodeKey(key),
    type: message.readInt16BE(start + TYPE_AT) as RowType,
    value: valueBytes < 0 ? null : message.latin1Slice(at, end),
    expiresAtMs: expires ? readTimestamp(message, start + EXPIRY_AT) : 0,
    // The upper 24 bits and the lower 40, see `versionArray`.
    epoch: high >> 8,
    seq: (high & 0xff) * 2 ** 32 + low,
  };
}
