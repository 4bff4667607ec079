import { describe, expect, it } from 'vitest';
import {
  encodeBatch,
  int2Array,
  int8Array,
  readTimestamp,
  textArray,
  timestamp,
  VALUE_BYTES_MAX,
  versionArray,
} from '../../../../src/storage/postgres/encode.ts';
import { StoreError, type RowChange } from '../../../../src/storage/postgres/store.ts';

const header = (oid: number, length: number, nulls = 0): number[] =>
  [1, nulls, oid, length, 1].flatMap((n) => [0, 0, n >> 8, n & 255]);

const row = (rest: Partial<RowChange>): RowChange => ({
  kind: 'put',
  slot: 1,
  db: 0,
  key: 'k',
  value: 'v',
  expiresAtMs: 0,
  epoch: 1,
  seq: 1,
  ...rest,
});

describe('binary arrays', () => {
  it('int2[] has a header and a length before each element', () => {
    expect([...int2Array([1, -2])]).toEqual([
      ...header(21, 2),
      ...[0, 0, 0, 2, 0, 1],
      ...[0, 0, 0, 2, 255, 254],
    ]);
  });

  it('int8[] keeps negative numbers and numbers of more than 32 bits, and has nulls', () => {
    const buffer = int8Array([-1, 2 ** 53 - 1, null]);
    expect(buffer.readInt32BE(4)).toBe(1);
    expect(buffer.readBigInt64BE(24)).toBe(-1n);
    expect(buffer.readBigInt64BE(36)).toBe(2n ** 53n - 1n);
    expect(buffer.readInt32BE(44)).toBe(-1);
    expect(buffer).toHaveLength(48);
  });

  it('text[] counts bytes', () => {
    expect([...textArray(['ab', ''])]).toEqual([
      ...header(25, 2),
      ...[0, 0, 0, 2, 97, 98],
      ...[0, 0, 0, 0],
    ]);
  });

  it('a version has the epoch in its upper 24 bits', () => {
    const buffer = versionArray([{ epoch: 2 ** 23 - 1, seq: 2 ** 40 - 1 }]);
    expect(buffer.readBigInt64BE(24)).toBe(2n ** 63n - 1n);
  });

  it.each([
    ['an epoch', { epoch: 2 ** 23, seq: 0 }],
    ['a counter', { epoch: 1, seq: 2 ** 40 }],
  ])('%s that does not fit is a broken invariant, not a wrong version', (_label, version) => {
    expect(() => versionArray([version])).toThrow(/below/);
  });

  it.each([0, 1, 946_684_799_999, 946_684_800_000, 1_795_000_000_123, Number.MAX_SAFE_INTEGER])(
    'the moment %i is exact to the microsecond',
    (ms) => {
      expect(timestamp(ms).readBigInt64BE()).toBe((BigInt(ms) - 946_684_800_000n) * 1000n);
      expect(readTimestamp(timestamp(ms), 0)).toBe(ms);
    },
  );
});

describe('encodeBatch', () => {
  it('a batch without rows has no parameters but nulls', () => {
    const parameters = encodeBatch({ number: 1, epoch: 1, rows: [], floors: [] });
    expect(parameters).toEqual(Array(19).fill(null));
  });

  it('puts and tombstones go together, deletes and expiry changes apart, floors slot by slot', () => {
    const parameters = encodeBatch({
      number: 1,
      epoch: 1,
      rows: [
        row({ key: 'a' }),
        row({ kind: 'delete', key: 'b', value: null, expiresAtMs: 5 }),
        row({ kind: 'delete', key: 'c', value: null }),
        row({ kind: 'expire', key: 'd', value: null, expiresAtMs: 9 }),
      ],
      floors: [{ slots: [1, 2, 3], db: null, epoch: 1, seq: 4 }],
    });
    const lengths = parameters.map((parameter) => parameter?.readInt32BE(12));
    expect(lengths).toEqual([...Array<number>(7).fill(2), ...Array<number>(9).fill(1), 3, 3, 3]);
    expect(parameters[17]).toEqual(int2Array([-1, -1, -1]));
  });

  it('a value beyond the limit is rejected before it is sent', () => {
    const value = { length: VALUE_BYTES_MAX + 1 } as unknown as string;
    try {
      encodeBatch({ number: 1, epoch: 1, rows: [row({ value })], floors: [] });
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(StoreError);
      expect((error as StoreError).kind).toBe('rejected');
    }
  });
});
