import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Prepare } from '../../../src/cluster/execute.ts';
import { MANY_SLOTS } from '../../../src/cluster/execute.ts';
import { slotOf } from '../../../src/cluster/slot.ts';
import { createPrepare } from '../../../src/commands/prepare.ts';
import { ReplyError } from '../../../src/errors.ts';
import { encodeError } from '../../../src/resp/reply.ts';
import type { WorkingSet } from '../../../src/storage/memory/working-set.ts';

const limits = { protoMaxBulkLen: 64 };
const slotted: string[] = [];
// The annotation is a check of its own: what commands/ makes is what cluster/ asks for.
const prepare: Prepare = createPrepare({
  slotOf: (key) => {
    slotted.push(key);
    return slotOf(key);
  },
  limits,
  random: () => 0.5,
});

const prepared = (line: string, protocol: 2 | 3 = 2) => prepare(line.split(' '), 0, protocol);

/** The error reply that preparing ends with. */
function refusal(args: readonly string[]): string {
  try {
    prepare(args, 0, 2);
  } catch (error) {
    if (error instanceof ReplyError) return encodeError(error).trimEnd();
    throw error;
  }
  throw new Error('it was not refused');
}

/** A working set over a plain map, with as much as these commands use. */
function workingSet(values: Record<string, string> = {}): WorkingSet {
  const map = new Map(Object.entries(values));
  const set: Partial<WorkingSet> = {
    nowMs: 1000,
    get: (_db, key) => map.get(key),
    has: (_db, key) => map.has(key),
    expiresAtMs: (_db, key) => (map.has(key) ? 0 : undefined),
    put: (_db, key, value) => void map.set(key, value),
    remove: (_db, key) => map.delete(key),
  };
  return set as WorkingSet;
}

describe('what is refused, in the words of redis-server 7.0.15', () => {
  const x = (count: number): string => 'x'.repeat(count);
  const unknown = (name: string, shown: string): string =>
    `-ERR unknown command '${name}', with args beginning with: ${shown}`;

  test.each<[string, string[], string]>([
    ['no arguments', ['foo'], unknown('foo', '')],
    ['two arguments', ['foo', 'a', 'b'], unknown('foo', "'a' 'b' ")],
    ['spelling kept', ['FoO', 'a'], unknown('FoO', "'a' ")],
    ['a long name', ['f'.repeat(300), 'a'], unknown('f'.repeat(128), "'a' ")],
    ['a long argument', ['foo', x(300), 'y'], unknown('foo', `'${x(128)}' `)],
    [
      'cut in the second argument',
      ['foo', x(100), 'y'.repeat(100), 'z'],
      unknown('foo', `'${x(100)}' '${'y'.repeat(25)}' `),
    ],
    [
      'cut in the third argument',
      ['foo', x(50), 'y'.repeat(60), 'z'.repeat(50), 'w'],
      unknown('foo', `'${x(50)}' '${'y'.repeat(60)}' '${'z'.repeat(12)}' `),
    ],
    ['line ends and NUL', ['foo', '', 'b\r\nc\0d'], unknown('foo', "'' 'b  c' ")],
    ['a subcommand is no command', ['config|get', 'a'], unknown('config|get', "'a' ")],
    ['too few arguments', ['GET'], "-ERR wrong number of arguments for 'get' command"],
    ['too many arguments', ['get', 'a', 'b'], "-ERR wrong number of arguments for 'get' command"],
    ['bad options', ['SET', 'a', 'b', 'FOO'], '-ERR syntax error'],
    [
      'an unknown subcommand',
      ['OBJECT', 'x', 'y'],
      "-ERR unknown subcommand 'x'. Try OBJECT HELP.",
    ],
    [
      'a subcommand without its key',
      ['object', 'FREQ'],
      "-ERR wrong number of arguments for 'object|freq' command",
    ],
  ])('%s', (_label, args, reply) => {
    expect(refusal(args).replace(/\r?\n$/, '')).toBe(reply.trimEnd());
  });
});

describe('keys and slots', () => {
  test('a command on one key computes its slot once', () => {
    slotted.length = 0;
    const command = prepared('SET user:1 x');
    expect(command).toMatchObject({ keys: ['user:1'], slot: slotOf('user:1'), db: 0 });
    expect([command.slot, command.slot, ...slotted]).toHaveLength(3);
  });

  test.each<[string, string[], boolean]>([
    ['MSET a 1 b 2', ['a', 'b'], true],
    ['MSET {t}a 1 {t}b 2', ['{t}a', '{t}b'], false],
    ['DEL a a', ['a', 'a'], false],
    ['RENAME a b', ['a', 'b'], true],
    ['OBJECT FREQ a', ['a'], false],
    ['OBJECT HELP', [], false],
  ])('%s names %j', (line, keys, many) => {
    const command = prepared(line);
    expect(command.keys).toEqual(keys);
    expect(command.slot === MANY_SLOTS).toBe(many);
  });

  test('keys in another database come as pairs, otherwise there are none', () => {
    expect(prepared('COPY a b DB 3').refs).toEqual([
      { db: 0, key: 'a' },
      { db: 3, key: 'b' },
    ]);
    expect(prepared('MOVE a 2').refs).toEqual([
      { db: 0, key: 'a' },
      { db: 2, key: 'a' },
    ]);
    expect(prepared('COPY a b').refs).toBeUndefined();
    expect(prepared('GET a').refs).toBeUndefined();
  });
});

test('flags of the command tell whether it writes, needs memory, and loads first', () => {
  expect(prepared('get a')).toMatchObject({ name: 'GET', writes: false, needsMemory: false });
  expect(prepared('set a b')).toMatchObject({ writes: true, needsMemory: true, blind: true });
  expect(prepared('set a b get').blind).toBe(false);
  expect(prepared('del a')).toMatchObject({ writes: true, needsMemory: false });
});

describe('running', () => {
  test('the reply is encoded for the protocol of the client', () => {
    expect(prepared('GET a').run(workingSet())).toEqual({ reply: '$-1\r\n', failed: false });
    expect(prepared('GET a', 3).run(workingSet())).toEqual({ reply: '_\r\n', failed: false });
  });

  test('an error reply is an outcome that failed', () => {
    const outcome = prepared('INCR a').run(workingSet({ a: 'x' }));
    expect(outcome).toEqual({
      reply: '-ERR value is not an integer or out of range\r\n',
      failed: true,
    });
  });

  test('an exception that is no reply is passed on', () => {
    const set = { ...workingSet(), get: () => assertNever() } as unknown as WorkingSet;
    expect(() => prepared('GET a').run(set)).toThrow('broken invariant');
  });

  test('a reply longer than a string can be is an error reply, and nothing else', () => {
    const large = 'x'.repeat(2 ** 28);
    const outcome = prepared('MGET a b').run(workingSet({ a: large, b: large }));
    expect(outcome).toEqual({
      reply: '-ERR the reply or a value would be longer than 512 MB; nothing was changed\r\n',
      failed: true,
    });
  });

  test('limits are those of the moment the command runs', () => {
    const append = prepared('APPEND a 0123456789');
    const full = { a: 'x'.repeat(60) };
    expect(append.run(workingSet(full)).failed).toBe(true);
    limits.protoMaxBulkLen = 128;
    expect(append.run(workingSet(full))).toEqual({ reply: ':70\r\n', failed: false });
    limits.protoMaxBulkLen = 64;
  });
});

function assertNever(): never {
  throw new Error('broken invariant');
}

describe('parts', () => {
  test('a part has only its keys and their slot', () => {
    const part = prepared('mget a b c').part([2, 0]);
    expect(part).toMatchObject({ args: ['mget', 'c', 'a'], keys: ['c', 'a'], spread: 'collect' });
    expect(prepared('EXISTS a b c').part([1])).toMatchObject({ slot: slotOf('b'), spread: 'each' });
  });

  test('integer replies of parts are added up', () => {
    const parts = [
      { positions: [0, 2], reply: ':2\r\n' },
      { positions: [1], reply: ':0\r\n' },
    ];
    expect(prepared('EXISTS a b c').merge(parts)).toBe(':2\r\n');
  });

  test('an error of one part is the reply of the whole', () => {
    const parts = [
      { positions: [0], reply: ':1\r\n' },
      { positions: [1], reply: '-NOTDONE too late\r\n' },
    ];
    expect(prepared('TOUCH a b').merge(parts)).toBe('-NOTDONE too late\r\n');
  });

  test('a collected reply that lacks a part is never passed off as whole', () => {
    const merge = (reply: string) => () => prepared('MGET a b').merge([{ positions: [0], reply }]);
    expect(merge('*1\r\n$-1\r\n')).toThrow('a part is missing');
    expect(merge('*0\r\n')).toThrow('a part is incomplete');
  });

  test('MGET in parts answers what MGET in one piece answers, however it was split', () => {
    const value = fc.option(fc.string({ maxLength: 5 }));
    const keyed = fc.array(fc.tuple(value, fc.integer({ min: 0, max: 3 })), { minLength: 1 });
    fc.assert(
      fc.property(keyed, fc.constantFrom<2 | 3>(2, 3), (rows, protocol) => {
        const values = Object.fromEntries(
          rows.flatMap(([text], i) => (text === null ? [] : [[`k${i}`, text]])),
        ) as Record<string, string>;
        const set = workingSet(values);
        const whole = prepare(['MGET', ...rows.map((_, i) => `k${i}`)], 0, protocol);
        const groups: number[][] = [[], [], [], []];
        rows.forEach(([, group], i) => groups[group]?.push(i));
        const parts = groups
          .filter((positions) => positions.length > 0)
          .map((positions) => ({ positions, reply: whole.part(positions).run(set).reply }));
        expect(whole.merge(parts)).toBe(whole.run(set).reply);
      }),
    );
  });
});
