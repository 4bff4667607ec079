import { describe, expect, it } from 'vitest';
import { CopiedRows } from '../../../../src/storage/postgres/copy-rows.ts';

const HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const END = Buffer.from([255, 255]);

function int(bytes: 2 | 4, value: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeIntBE(value, 0, bytes);
  return buffer;
}

function column(content: Buffer | null): Buffer {
  return content === null ? int(4, -1) : Buffer.concat([int(4, content.length), content]);
}

interface Columns {
  readonly version: bigint;
  /** Microseconds since 2000. */
  readonly expires: bigint | null;
  readonly key: string;
  readonly value: string | null;
}

/** A row of slot 300 and database 2. */
function copied({ version, expires, key, value }: Columns): Buffer {
  const int8 = (content: bigint): Buffer => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64BE(content);
    return buffer;
  };
  const columns = [
    int(2, 300),
    int(2, 2),
    int(2, 1),
    int8(version),
    expires === null ? null : int8(expires),
    Buffer.from(key, 'latin1'),
    value === null ? null : Buffer.from(value, 'latin1'),
  ];
  return Buffer.concat([int(2, columns.length), ...columns.map(column)]);
}

const plain = { version: 1n, expires: null, key: 'k', value: 'v' };

describe('copied rows', () => {
  it('the header may come alone or with the first row, and the end has no row', () => {
    for (const messages of [
      [HEADER, copied(plain), copied({ ...plain, key: 'l' }), END],
      [Buffer.concat([HEADER, copied(plain)]), copied({ ...plain, key: 'l' }), END],
    ]) {
      const page = new CopiedRows();
      for (const message of messages) page.take(message);
      expect(page.rows.map(({ key }) => key)).toEqual(['k', 'l']);
    }
    const empty = new CopiedRows();
    empty.take(Buffer.concat([HEADER, END]));
    expect(empty.rows).toEqual([]);
  });

  it('all columns come back, the greatest version and bytes that are no text included', () => {
    const page = new CopiedRows();
    page.take(HEADER);
    page.take(
      copied({ version: 2n ** 63n - 1n, expires: 1000n, key: 'a\\\\\\x00', value: '\0\xff' }),
    );
    page.take(copied({ ...plain, version: (1n << 40n) + 5n, value: null }));
    const at = { slot: 300, db: 2, type: 1 };
    expect(page.rows).toEqual([
      {
        ...at,
        key: 'a\\\0',
        value: '\0\xff',
        expiresAtMs: 946_684_800_001,
        epoch: 2 ** 23 - 1,
        seq: 2 ** 40 - 1,
      },
      { ...at, key: 'k', value: null, expiresAtMs: 0, epoch: 1, seq: 5 },
    ]);
  });

  it('what is not such a copy is refused', () => {
    expect(() => new CopiedRows().take(copied(plain))).toThrow('signature');
    const page = new CopiedRows();
    page.take(HEADER);
    expect(() => page.take(int(2, 6))).toThrow('columns');
    const cut = copied(plain);
    expect(() => page.take(cut.subarray(0, cut.length - 20))).toThrow();
  });
});
