import { describe, expect, test } from 'vitest';
import type { ClientReply } from '../../../src/cli/client/connection.ts';
import { formatForPeople, formatNodes, formatRaw } from '../../../src/cli/client/format.ts';

const bulk = (text: string): ClientReply => ({ kind: 'bulk', bytes: Buffer.from(text, 'latin1') });
const array = (...items: ClientReply[]): ClientReply => ({ kind: 'array', items });

describe('replies for people look as in redis-cli', () => {
  test.each<[string, ClientReply, string]>([
    ['status', { kind: 'status', text: 'OK' }, 'OK'],
    ['error', { kind: 'error', text: 'ERR no' }, '(error) ERR no'],
    ['integer', { kind: 'integer', text: '9007199254740993' }, '(integer) 9007199254740993'],
    ['null', { kind: 'null' }, '(nil)'],
    ['bytes', bulk('a"\n\xff'), '"a\\"\\n\\xff"'],
    ['empty array', array(), '(empty array)'],
    ['nested array', array(bulk('a'), array(bulk('b'), bulk('c'))), '1) "a"\n2) 1) "b"\n   2) "c"'],
  ])('%s', (_label, reply, text) => {
    expect(formatForPeople(reply)).toBe(text);
  });

  test('numbers of a long array are aligned', () => {
    const lines = formatForPeople(array(...Array.from({ length: 10 }, () => bulk('x')))).split(
      '\n',
    );
    expect(lines[0]).toBe(' 1) "x"');
    expect(lines[9]).toBe('10) "x"');
  });
});

test('raw replies are the bytes, one element a line', () => {
  expect(formatRaw(array(bulk('\xff'), { kind: 'null' }, { kind: 'integer', text: '1' }))).toEqual(
    Buffer.from('\xff\n\n1', 'latin1'),
  );
});

describe('LIST_NODES', () => {
  test('shows a table with the number of slots', () => {
    const text =
      'aaa 127.0.0.1:7001@17001 myself,master - 0 0 5 connected 0-99 200\n' +
      'bbb 127.0.0.1:7002@17002 master - 0 0 5 connected 100-199\n';
    expect(formatNodes(text).split('\n')).toEqual([
      'id   address               flags          state      epoch  slots',
      'aaa  127.0.0.1:7001@17001  myself,master  connected  5      101',
      'bbb  127.0.0.1:7002@17002  master         connected  5      100',
    ]);
  });

  test('shows a text of another form as it is', () => {
    expect(formatNodes('something else\n')).toBe('something else');
  });
});
