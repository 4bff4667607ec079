/** Replies as text: for people the way redis-cli shows them, for scripts as they are. */
import type { ClientReply } from './connection.ts';

const NAMED_ESCAPES: Readonly<Record<number, string>> = {
  0x07: '\\a',
  0x08: '\\b',
  0x09: '\\t',
  0x0a: '\\n',
  0x0d: '\\r',
  0x22: '\\"',
  0x5c: '\\\\',
};

/** For a terminal: types are visible, bytes are escaped. No line end after the last line. */
export function formatForPeople(reply: ClientReply, indent = ''): string {
  switch (reply.kind) {
    case 'status':
      return reply.text;
    case 'error':
      return `(error) ${reply.text}`;
    case 'integer':
      return `(integer) ${reply.text}`;
    case 'null':
      return '(nil)';
    case 'bulk':
      return quote(reply.bytes);
    case 'array':
      return formatArray(reply.items, indent);
  }
}

function formatArray(items: readonly ClientReply[], indent: string): string {
  if (items.length === 0) return '(empty array)';
  const width = String(items.length).length;
  const inner = indent + ' '.repeat(width + 2);
  return items
    .map((item, i) => {
      const label = `${String(i + 1).padStart(width)}) `;
      return (i === 0 ? '' : indent) + label + formatForPeople(item, inner);
    })
    .join('\n');
}

/** Double quotes, with everything escaped that is not printable ASCII. */
export function quote(bytes: Buffer): string {
  let out = '"';
  for (const byte of bytes) {
    const named = NAMED_ESCAPES[byte];
    if (named !== undefined) out += named;
    else if (byte >= 0x20 && byte < 0x7f) out += String.fromCharCode(byte);
    else out += `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return `${out}"`;
}

/** For a pipe: the bytes themselves, one line per element, an empty line for null. */
export function formatRaw(reply: ClientReply): Buffer {
  switch (reply.kind) {
    case 'status':
    case 'error':
    case 'integer':
      return Buffer.from(reply.text, 'utf8');
    case 'null':
      return Buffer.alloc(0);
    case 'bulk':
      return reply.bytes;
    case 'array': {
      const lines = reply.items.flatMap((item, i) =>
        i === 0 ? [formatRaw(item)] : [Buffer.from('\n'), formatRaw(item)],
      );
      return Buffer.concat(lines);
    }
  }
}

/**
 * CLUSTER NODES as a table: id, address, role, state and number of slots. A text that is not in that
 * form is shown as it came.
 */
export function formatNodes(text: string): string {
  const rows = text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.trim().split(' '));
  if (rows.length === 0 || rows.some((fields) => fields.length < 8)) return text.trimEnd();
  const cells = rows.map(([id, address, flags, , , , epoch, state, ...slots]) => [
    id ?? '',
    address ?? '',
    flags ?? '',
    state ?? '',
    epoch ?? '',
    String(slots.reduce((sum, range) => sum + slotCount(range), 0)),
  ]);
  const table = [['id', 'address', 'flags', 'state', 'epoch', 'slots'], ...cells];
  const widths = table[0]?.map((_, column) =>
    Math.max(...table.map((r) => r[column]?.length ?? 0)),
  );
  return table
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths?.[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function slotCount(range: string): number {
  // [123->-node] and [123-<-node] are slots on the move; they are not counted.
  const [first, last] = /^\d+(-\d+)?$/.test(range) ? range.split('-').map(Number) : [];
  return first === undefined ? 0 : (last ?? first) - first + 1;
}
