import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { commandsPage } from '../../../scripts/docs/commands.ts';
import { categoriesOf } from '../../../src/commands/details.ts';
import { DOCUMENTED, documentationOf } from '../../../src/commands/documentation.ts';
import type { Argument } from '../../../src/commands/syntax.ts';
import { commandOf, commandTable, findCommand } from '../../../src/commands/table.ts';
import { ReplyError } from '../../../src/errors.ts';
import { fakeServer } from './fakes.ts';

const commands = [...commandTable.values()];

describe('the table', () => {
  test('finds a command in any spelling, and nothing else', () => {
    for (const spelling of ['GET', 'get', 'Get', 'gEt', 'gEt']) {
      expect(findCommand(spelling)?.name).toBe('GET');
    }
    for (const name of ['', 'GETT', 'config|get', 'g'.repeat(1000), 'constructor', 'get ']) {
      expect(findCommand(name)).toBeUndefined();
    }
    expect(() => commandOf(['nosuch', 'a'])).toThrow(ReplyError);
  });

  test('is in alphabetical order, each command under its own name', () => {
    const names = [...commandTable.keys()];
    expect(names).toEqual(names.toSorted());
    expect(commands.map((command) => command.name)).toEqual(names);
  });

  test('has every command of the string, generic, connection, server and cluster groups', () => {
    const expected =
      'APPEND AUTH CLIENT CLUSTER COMMAND CONFIG COPY DBSIZE DECR DECRBY DEL ECHO EXISTS EXPIRE ' +
      'EXPIREAT EXPIRETIME FLUSHALL FLUSHDB GET GETDEL GETEX GETRANGE GETSET HELLO INCR INCRBY ' +
      'INCRBYFLOAT INFO KEYS LASTSAVE LCS MGET MOVE MSET MSETNX OBJECT PERSIST PEXPIRE PEXPIREAT ' +
      'PEXPIRETIME PING PSETEX PTTL QUIT RANDOMKEY READONLY READWRITE RENAME RENAMENX RESET SCAN ' +
      'SELECT SET SETEX SETNX SETRANGE STRLEN SUBSTR TIME TOUCH TTL TYPE UNLINK WAIT';
    expect([...commandTable.keys()]).toEqual(expect.arrayContaining(expected.split(' ')));
  });

  test.each(commands.map((command) => [command.name, command] as const))(
    '%s is complete: arity within reach of its keys, subcommands named after it, texts there',
    (name, command) => {
      expect(command.arity).not.toBe(0);
      expect(command.summary).not.toBe('');
      expect(command.complexity).not.toBe('');
      expect(command.since).toMatch(/^\d+\.\d+\.\d+$/);
      for (const sub of command.subcommands ?? []) {
        expect(sub.name.startsWith(`${name}|`)).toBe(true);
        expect(sub.since).toMatch(/^\d+\.\d+\.\d+$/);
      }
    },
  );
});

/** The fewest words that an argument can be. */
function wordsAtLeast(argument: Argument): number {
  if (argument.optional) return 0;
  const inner = (argument.arguments ?? []).map(wordsAtLeast);
  if (argument.type === 'pure-token') return 1;
  const token = argument.token === undefined ? 0 : 1;
  // One of them has to be there, also where each of them may be left out.
  if (argument.type === 'oneof') return token + Math.max(1, Math.min(...inner));
  return token + (argument.type === 'block' ? inner.reduce((sum, words) => sum + words, 0) : 1);
}

describe('documentation', () => {
  const all = commands.flatMap((command) => [command, ...(command.subcommands ?? [])]);

  test('is about commands that there are', () => {
    const names = new Set(all.map(({ name }) => name));
    expect(DOCUMENTED.filter((name) => !names.has(name))).toEqual([]);
  });

  test('has as many arguments as the command needs, for each', () => {
    // Their arguments are a whole command, which Redis does not describe either.
    const inner = ['COMMAND|GETKEYS', 'COMMAND|GETKEYSANDFLAGS'];
    const containers = commands.filter(({ subcommands }) => subcommands !== undefined);
    const rest = all.filter(
      (command) => !inner.includes(command.name) && !containers.some((other) => other === command),
    );
    const words = rest.map(({ name }) =>
      documentationOf(name).arguments.reduce(
        (sum, argument) => sum + wordsAtLeast(argument),
        name.split('|').length,
      ),
    );
    expect(rest.map(({ name }, i) => [name, words[i]])).toEqual(
      rest.map(({ name, arity }) => [name, Math.abs(arity)]),
    );
  });

  test('tells every version in which something changed, oldest first, never before the command', () => {
    for (const { name, since } of all) {
      const versions = [since, ...documentationOf(name).history.map(([version]) => version)];
      const numbers = versions.map((version) =>
        version.split('.').reduce((number, part) => number * 100 + Number(part), 0),
      );
      expect(numbers, name).toEqual(numbers.toSorted((a, b) => a - b));
    }
  });
});

describe('categories', () => {
  test.each([
    ['GET', 'read string fast'],
    ['SET', 'write string slow'],
    ['DEL', 'keyspace write slow'],
    ['KEYS', 'keyspace read slow dangerous'],
    ['PING', 'fast connection'],
    ['WAIT', 'slow connection'],
    ['CONFIG', 'slow'],
    ['CLIENT', 'slow'],
    ['COMMAND', 'slow connection'],
    ['LASTSAVE', 'admin fast dangerous'],
    ['FLUSHALL', 'keyspace write slow dangerous'],
  ])('%s is in %s', (name, categories) => {
    const command = commandOf([name]);
    expect(categoriesOf(command, command.group).join(' ')).toBe(categories);
  });
});

/** Replies recorded from redis-server 7.0.15. */
const REPLIES: readonly [line: string, reply: string][] = [
  [
    'COMMAND INFO get nosuch',
    '*2\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*3\r\n+@read\r\n' +
      '+@string\r\n+@fast\r\n*0\r\n*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n' +
      '$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n$5\r\nindex\r\n:1\r\n' +
      '$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n*6\r\n$7\r\nlastkey\r\n:0\r\n' +
      '$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n$-1',
  ],
  [
    'COMMAND INFO config|get',
    '*1\r\n*10\r\n$10\r\nconfig|get\r\n:-3\r\n*4\r\n+admin\r\n+noscript\r\n+loading\r\n+stale\r\n:0\r\n' +
      ':0\r\n:0\r\n*3\r\n+@admin\r\n+@slow\r\n+@dangerous\r\n*0\r\n*0\r\n*0',
  ],
  ['COMMAND DOCS nosuch', '*0'],
  [
    'COMMAND DOCS getset',
    '*2\r\n$6\r\ngetset\r\n' +
      '*16\r\n$7\r\nsummary\r\n$50\r\nStore a string at key and return the one before it\r\n' +
      '$5\r\nsince\r\n$5\r\n1.0.0\r\n$5\r\ngroup\r\n$6\r\nstring\r\n$10\r\ncomplexity\r\n$4\r\nO(1)\r\n' +
      '$9\r\ndoc_flags\r\n*1\r\n+deprecated\r\n$16\r\ndeprecated_since\r\n$5\r\n6.2.0\r\n' +
      '$11\r\nreplaced_by\r\n$27\r\n`SET` with the option `GET`\r\n' +
      '$9\r\narguments\r\n*2\r\n*6\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n$14\r\nkey_spec_index\r\n:0\r\n' +
      '*4\r\n$4\r\nname\r\n$5\r\nvalue\r\n$4\r\ntype\r\n$6\r\nstring',
  ],
  ['COMMAND LIST FILTERBY', '-ERR syntax error'],
  ['COMMAND LIST FILTERBY X y', '-ERR syntax error'],
  ['COMMAND LIST X', '-ERR syntax error'],
  ['COMMAND LIST FILTERBY ACLCAT nosuch', '*0'],
  ['COMMAND LIST FILTERBY MODULE x', '*0'],
  ['COMMAND LIST FILTERBY PATTERN GeT', '*1\r\n$3\r\nget'],
  ['COMMAND COUNT x', "-ERR wrong number of arguments for 'command|count' command"],
  ['COMMAND FOO', "-ERR unknown subcommand 'FOO'. Try COMMAND HELP."],
  ['COMMAND GETKEYS GET', "-ERR wrong number of arguments for 'command|getkeys' command"],
  ['COMMAND GETKEYS nosuch a', '-ERR Invalid command specified'],
  ['COMMAND GETKEYS CONFIG FOO', '-ERR Invalid command specified'],
  ['COMMAND GETKEYS GET a b', '-ERR Invalid number of arguments specified for command'],
  ['COMMAND GETKEYS TIME x', '-ERR The command has no key arguments'],
  ['COMMAND GETKEYS MSET a b c d', '*2\r\n$1\r\na\r\n$1\r\nc'],
  ['COMMAND GETKEYS OBJECT ENCODING a', '*1\r\n$1\r\na'],
  ['COMMAND GETKEYSANDFLAGS SET a b get', '*1\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+update'],
  ['COMMAND GETKEYSANDFLAGS SET a b', '*1\r\n*2\r\n$1\r\na\r\n*2\r\n+OW\r\n+update'],
  [
    'COMMAND GETKEYSANDFLAGS COPY a b',
    '*2\r\n*2\r\n$1\r\na\r\n*2\r\n+RO\r\n+access\r\n*2\r\n$1\r\nb\r\n*2\r\n+OW\r\n+update',
  ],
];

describe('COMMAND replies as Redis does', () => {
  test.each(REPLIES)('%s', async (line, reply) => {
    expect(await fakeServer().send(line)).toBe(`${reply}\r\n`);
  });

  test('COUNT, LIST, INFO, DOCS and COMMAND alone agree on how many there are', async () => {
    const server = fakeServer();
    const { size } = commandTable;
    const all = commands.flatMap((command) => [command, ...(command.subcommands ?? [])]);
    expect(await server.send('COMMAND COUNT')).toBe(`:${size}\r\n`);
    expect(await server.send('COMMAND')).toMatch(new RegExp(`^\\*${size}\\r\\n`));
    expect(await server.send('COMMAND INFO')).toBe(await server.send('COMMAND'));
    expect(await server.send('COMMAND DOCS')).toMatch(new RegExp(`^\\*${size * 2}\\r\\n`));
    expect(await server.send('COMMAND LIST')).toMatch(new RegExp(`^\\*${all.length}\\r\\n`));
  });

  test('DOCS of a container documents its subcommands, in RESP3 as maps', async () => {
    const server = fakeServer();
    await server.send('HELLO 3');
    const reply = await server.send('COMMAND DOCS config');
    expect(reply.startsWith('%1\r\n$6\r\nconfig\r\n%5\r\n$7\r\nsummary\r\n')).toBe(true);
    expect(reply).toContain('$11\r\nsubcommands\r\n%5\r\n$10\r\nconfig|get\r\n%6\r\n');
    expect(await server.send('COMMAND DOCS CONFIG|GET')).toMatch(/^%1\r\n\$10\r\nconfig\|get\r\n/);
  });
});

test('docs/commands.md is what scripts/generate-docs.ts would write', () => {
  const page = readFileSync(new URL('../../../docs/commands.md', import.meta.url), 'utf8');
  expect(page, 'run: npx tsx scripts/generate-docs.ts').toBe(commandsPage());
});
