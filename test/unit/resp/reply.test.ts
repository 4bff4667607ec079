import { describe, expect, it } from 'vitest';
import { ReplyError } from '../../../src/errors.ts';
import {
  DoubleReply,
  encodeReply,
  MapReply,
  NO_REPLY,
  NULL_ARRAY,
  OK,
  PushReply,
  type Reply,
  SetReply,
  VerbatimReply,
} from '../../../src/resp/reply.ts';

describe('encodeReply', () => {
  it.each<[label: string, reply: Reply, resp2: string, resp3: string]>([
    ['a status', OK, '+OK\r\n', '+OK\r\n'],
    ['a bulk string of bytes', 'a\xff', '$2\r\na\xff\r\n', '$2\r\na\xff\r\n'],
    ['an empty bulk string', '', '$0\r\n\r\n', '$0\r\n\r\n'],
    ['an integer', -7, ':-7\r\n', ':-7\r\n'],
    ['a large integer', 2n ** 62n, ':4611686018427387904\r\n', ':4611686018427387904\r\n'],
    ['true', true, ':1\r\n', '#t\r\n'],
    ['false', false, ':0\r\n', '#f\r\n'],
    ['a null', null, '$-1\r\n', '_\r\n'],
    ['a null array', NULL_ARRAY, '*-1\r\n', '_\r\n'],
    ['no reply', NO_REPLY, '', ''],
    [
      'an array',
      ['a', 1, [null]],
      '*3\r\n$1\r\na\r\n:1\r\n*1\r\n$-1\r\n',
      '*3\r\n$1\r\na\r\n:1\r\n*1\r\n_\r\n',
    ],
    ['a map', new MapReply(['a', 1]), '*2\r\n$1\r\na\r\n:1\r\n', '%1\r\n$1\r\na\r\n:1\r\n'],
    ['a set', new SetReply(['a']), '*1\r\n$1\r\na\r\n', '~1\r\n$1\r\na\r\n'],
    ['a push', new PushReply(['a']), '*1\r\n$1\r\na\r\n', '>1\r\n$1\r\na\r\n'],
    ['a double', new DoubleReply('1.5'), '$3\r\n1.5\r\n', ',1.5\r\n'],
    ['a verbatim string', new VerbatimReply('hi'), '$2\r\nhi\r\n', '=6\r\ntxt:hi\r\n'],
    [
      'an error, on one line',
      new ReplyError('WRONGTYPE', 'a\r\nb'),
      '-WRONGTYPE a  b\r\n',
      '-WRONGTYPE a  b\r\n',
    ],
  ])('%s', (_label, reply, resp2, resp3) => {
    expect(encodeReply(reply, 2)).toBe(resp2);
    expect(encodeReply(reply, 3)).toBe(resp3);
  });
});
