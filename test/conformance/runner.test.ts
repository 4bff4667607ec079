import { describe, expect, it } from 'vitest';
import { parseReply, toPlain } from '../support/resp-client.ts';
import { parseCaseFile, parseStep, splitArguments } from './case-file.ts';
import { normalize } from './matchers.ts';
import { expectedFromUs, idleDifferences } from './recordings.ts';
import { parseAddresses } from './target.ts';

function reply(raw: string): {
  raw: string;
  value: NonNullable<ReturnType<typeof parseReply>>['value'];
} {
  return { raw, value: parseReply(raw, 0)!.value };
}

describe('case files', () => {
  it.each([
    ['words', 'SET  a\tb', ['SET', 'a', 'b']],
    ['double quotes with escapes', '"a\\x00\\xff\\r\\n\\"" ""', ['a\x00\xff\r\n"', '']],
    ['single quotes as they are', "'a\\x00 b'", ['a\\x00 b']],
  ])('split %s', (_label, line, expected) => {
    expect(splitArguments(line)).toEqual(expected);
  });

  it('take connection, matcher and action from the beginning of a line', () => {
    expect(parseStep('@2 ~near(100,2) TTL k')).toEqual({
      line: '@2 ~near(100,2) TTL k',
      connection: 2,
      matcher: { name: 'near', argument: '100,2' },
      action: { kind: 'command' },
      args: ['TTL', 'k'],
    });
    expect(parseStep('| GET k').action).toEqual({ kind: 'pipelined' });
    expect(parseStep('!until(0) EXISTS k').action).toEqual({ kind: 'until', text: '0' });
    expect(parseStep('~match/a (b)/ GET k').matcher).toEqual({ name: 'match', argument: 'a (b)' });
  });

  it('are refused with the line that is wrong', () => {
    expect(() => parseCaseFile('PING', 'x')).toThrow('x.txt:1: PING');
    expect(() => parseCaseFile('=== a\n!nonsense PING', 'x')).toThrow('x.txt:2');
    expect(() => parseCaseFile('=== a\n=== a', 'x')).toThrow('two scenarios');
  });
});

describe('matchers', () => {
  it.each([
    ['near fits', 'near', '100,2', ':98\r\n', 'integer as expected'],
    ['near does not fit', 'near', '100,2', ':97\r\n', ':97\r\n'],
    ['match fits', 'match', '^:\\d+', ':5\r\n', 'matches'],
    ['match does not fit', 'match', '^:\\d+', '+OK\r\n', '+OK\r\n'],
    ['sorted', 'sorted', '', '*2\r\n$1\r\nb\r\n$1\r\na\r\n', 'array of 2: a b'],
    [
      'fields of a flat array',
      'fields',
      'b,c',
      '*2\r\n$1\r\nb\r\n:1\r\n',
      'array: b=integer:1 c=(missing)',
    ],
    ['fields of a map', 'fields', 'b', '%1\r\n$1\r\nb\r\n:1\r\n', 'map: b=integer:1'],
    ['has', 'has', 'a,# S,z', '$8\r\n# S\r\na:1\r\n', 'bulk with a,# S'],
    ['lacks', 'lacks', 'a,z', '$3\r\na:1\r\n', 'bulk without z'],
  ])('%s', (_label, name, argument, raw, expected) => {
    expect(normalize(reply(raw), { name, argument }, argument)).toBe(expected);
  });
});

describe('the table of differences', () => {
  const recorded = [
    ['PING', '+PONG\r\n'],
    ['GET k', '$-1\r\n'],
  ] as const;
  const difference = { scenario: 'x: t', step: 'PING', ours: '+HELLO\r\n', reason: 'an example' };

  it('replaces what is recorded for the step it names, and nothing else', () => {
    expect(expectedFromUs('x: t', recorded, [difference])).toEqual([
      ['PING', '+HELLO\r\n'],
      recorded[1],
    ]);
    expect(expectedFromUs('x: other', recorded, [difference])).toEqual(recorded);
  });

  it('is found out when it names no step, or no difference', () => {
    const recordings = new Map([['x', { t: recorded }]]);
    expect(idleDifferences([difference], recordings)).toEqual([]);
    expect(idleDifferences([{ ...difference, step: 'ECHO' }], recordings)).toHaveLength(1);
    expect(idleDifferences([{ ...difference, ours: '+PONG\r\n' }], recordings)).toHaveLength(1);
  });
});

describe('the raw client', () => {
  it('decodes every RESP2 and RESP3 type', () => {
    const raw =
      '*8\r\n+a\r\n-ERR b\r\n:-1\r\n$2\r\n\r\n\r\n_\r\n#t\r\n,1.5\r\n%1\r\n$1\r\nk\r\n~1\r\n=5\r\ntxt:x\r\n';
    expect(toPlain(parseReply(raw, 0)!.value)).toEqual([
      'a',
      new Error('ERR b'),
      -1,
      '\r\n',
      null,
      true,
      '1.5',
      [['k', ['txt:x']]],
    ]);
  });

  it('waits for the rest of a reply that is not complete', () => {
    const raw = '*2\r\n$3\r\nabc\r\n%1\r\n+a\r\n:1\r\n';
    for (let end = 0; end < raw.length; end++)
      expect(parseReply(raw.slice(0, end), 0)).toBeUndefined();
    expect(parseReply(raw, 0)?.next).toBe(raw.length);
  });
});

describe('RINGFENCE_TEST_TARGET', () => {
  it('is a list of addresses', () => {
    expect(parseAddresses('127.0.0.1:7001,h:2')).toEqual([
      { host: '127.0.0.1', port: 7001 },
      { host: 'h', port: 2 },
    ]);
    expect(() => parseAddresses('7001')).toThrow('not host:port');
  });
});
