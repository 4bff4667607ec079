import { describe, expect, test } from 'vitest';
import { fakeServer, fakeSession, textOf } from './fakes.ts';

const WRONGPASS = '-WRONGPASS invalid username-password pair or user is disabled.\r\n';
const HELLO_2 = '*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n';

/** Replies recorded from redis-server 7.0.15, without a password. */
const REPLIES: readonly [line: string, reply: string][] = [
  ['PING', '+PONG'],
  ['PING hi', '$2\r\nhi'],
  ['PING a b', "-ERR wrong number of arguments for 'ping' command"],
  ['ECHO hi', '$2\r\nhi'],
  ['ECHO', "-ERR wrong number of arguments for 'echo' command"],
  ['SELECT 15', '+OK'],
  ['SELECT 16', '-ERR DB index is out of range'],
  ['SELECT -1', '-ERR DB index is out of range'],
  ['SELECT x', '-ERR value is not an integer or out of range'],
  ['SELECT +1', '-ERR value is not an integer or out of range'],
  [
    'SELECT 99999999999999',
    '-ERR value is out of range, value must between -2147483648 and 2147483647',
  ],
  [
    'AUTH x',
    '-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?',
  ],
  ['AUTH default anything', '+OK'],
  ['AUTH a b', WRONGPASS.trimEnd()],
  ['AUTH a b c', '-ERR syntax error'],
  ['AUTH', "-ERR wrong number of arguments for 'auth' command"],
  ['HELLO 4', '-NOPROTO unsupported protocol version'],
  ['HELLO x', '-ERR Protocol version is not an integer or out of range'],
  ['HELLO 2 AUTH a', "-ERR Syntax error in HELLO option 'AUTH'"],
  ['HELLO 2 AUTH nosuch x', WRONGPASS.trimEnd()],
  ['HELLO 2 SETNAME', "-ERR Syntax error in HELLO option 'SETNAME'"],
  [
    'HELLO 2 SETNAME a\nb',
    '-ERR Client names cannot contain spaces, newlines or special characters.',
  ],
  ['HELLO 2 FOO', "-ERR Syntax error in HELLO option 'FOO'"],
  ['RESET', '+RESET'],
  ['RESET x', "-ERR wrong number of arguments for 'reset' command"],
  ['CLIENT', "-ERR wrong number of arguments for 'client' command"],
  ['CLIENT FOO', "-ERR unknown subcommand 'FOO'. Try CLIENT HELP."],
  ['CLIENT ID', ':1'],
  ['CLIENT ID x', "-ERR wrong number of arguments for 'client|id' command"],
  ['CLIENT LIST TYPE', '-ERR syntax error'],
  ['CLIENT LIST TYPE x', "-ERR Unknown client type 'x'"],
  ['CLIENT LIST TYPE master', '$0\r\n'],
  ['CLIENT LIST ID', '-ERR syntax error'],
  ['CLIENT LIST ID x', '-ERR Invalid client ID'],
  ['CLIENT LIST ID 999', '$0\r\n'],
  ['CLIENT LIST FOO x', '-ERR syntax error'],
  ['CLIENT LIST TYPE normal x', '-ERR syntax error'],
  ['CLIENT GETNAME', '$-1'],
  [
    'CLIENT SETNAME a\u0080b',
    '-ERR Client names cannot contain spaces, newlines or special characters.',
  ],
  ['CLIENT SETNAME ""', '+OK'],
  ['CLIENT KILL x', '-ERR No such client'],
  ['CLIENT KILL ID x', '-ERR client-id should be greater than 0'],
  ['CLIENT KILL ID 0', '-ERR client-id should be greater than 0'],
  ['CLIENT KILL ID 9999', ':0'],
  ['CLIENT KILL TYPE x', "-ERR Unknown client type 'x'"],
  ['CLIENT KILL USER nosuch', "-ERR No such user 'nosuch'"],
  ['CLIENT KILL SKIPME x', '-ERR syntax error'],
  ['CLIENT KILL FOO x', '-ERR syntax error'],
  ['CLIENT KILL ID 3 TYPE', '-ERR syntax error'],
  ['CLIENT NO-EVICT x', '-ERR syntax error'],
  ['CLIENT REPLY x', '-ERR syntax error'],
  ['CLIENT GETREDIR', ':-1'],
  [
    'CLIENT TRACKINGINFO',
    '*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0',
  ],
  ['CLIENT SETINFO foo x', "-ERR Unrecognized option 'foo'"],
  [
    'CLIENT SETINFO LIB-NAME a\nb',
    '-ERR lib-name cannot contain spaces, newlines or special characters.',
  ],
];

describe('connection commands reply as Redis does', () => {
  test.each(REPLIES)('%s', async (line, reply) => {
    expect(await fakeServer().send(line)).toBe(`${reply}\r\n`);
  });
});

describe('AUTH and HELLO', () => {
  const withPassword = {
    hasPassword: true,
    checkPassword: (user: string, password: string) => user === 'default' && password === 'right',
  };
  const stranger = () => ({ session: fakeSession({ authenticated: false }) });

  test('the right password authenticates, a wrong one leaves the connection as it was', async () => {
    const server = fakeServer(withPassword, stranger());
    expect(await server.send('AUTH wrong')).toBe(WRONGPASS);
    expect(server.session.authenticated).toBe(false);
    expect(await server.send('AUTH right')).toBe('+OK\r\n');
    expect(server.session.authenticated).toBe(true);
  });

  test('HELLO without a needed password is refused and changes no protocol', async () => {
    const server = fakeServer(withPassword, stranger());
    expect(await server.send('HELLO 3')).toMatch(/^-NOAUTH HELLO must be called with the client/);
    expect(server.session.protocol).toBe(2);
  });

  test('HELLO authenticates, names the connection and switches the protocol at once', async () => {
    const server = fakeServer(withPassword, stranger());
    const reply = await server.send('HELLO 3 AUTH default right SETNAME app');
    expect(reply.startsWith('%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n')).toBe(true);
    expect(reply).toContain('$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n');
    expect(server.session).toMatchObject({ protocol: 3, name: 'app', authenticated: true });
  });

  test('HELLO without arguments describes the connection and keeps its protocol', async () => {
    expect((await fakeServer().send('HELLO')).startsWith(HELLO_2)).toBe(true);
  });

  test('HELLO options take effect in order, up to the one that is wrong', async () => {
    const server = fakeServer();
    await server.send('HELLO 3 SETNAME early FOO');
    expect(server.session).toMatchObject({ name: 'early', protocol: 2 });
  });
});

describe('CLIENT', () => {
  test('LIST has a line for each connection, INFO the own one', async () => {
    const other = fakeSession({ id: 2, name: 'worker', outputBufferBytes: 5, noEvict: true });
    const server = fakeServer({}, { others: [other] });
    const lines = textOf(await server.send('CLIENT LIST')).split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toBe(
      'id=1 addr=10.0.0.1:5001 laddr=10.0.0.9:7001 fd=-1 name= age=4 idle=1 flags=N db=0 sub=0 ' +
        'psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=10 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 ' +
        'omem=0 tot-mem=10 events=r cmd=client|list user=default redir=-1 resp=2 lib-name= lib-ver=',
    );
    expect(lines[1]).toMatch(/^id=2 .* name=worker .* flags=e .* oll=1 omem=5 tot-mem=15 /);
    expect(textOf(await server.send('CLIENT INFO'))).toBe(`${lines[0]}\n`);
    expect(textOf(await server.send('CLIENT LIST ID 2 7'))).toBe(`${lines[1]}\n`);
  });

  test('KILL spares its own connection unless told otherwise', async () => {
    const other = fakeSession({ id: 2 });
    const server = fakeServer({}, { others: [other] });
    expect(await server.send('CLIENT KILL TYPE normal')).toBe(':1\r\n');
    expect([server.session.closed, other.closed]).toEqual(['no', 'at once']);
    expect(await server.send('CLIENT KILL USER default SKIPME no')).toBe(':2\r\n');
    expect(server.session.closed).toBe('after replies');
  });

  test.each(['ID 2', 'ADDR 10.0.0.2:1', 'LADDR 10.0.0.9:7002', 'USER guest'])(
    'KILL %s closes only what matches',
    async (filter) => {
      const address = { address: '10.0.0.2:1', localAddress: '10.0.0.9:7002', user: 'guest' };
      const victim = fakeSession({ id: 2, ...address });
      const bystander = fakeSession({ id: 3 });
      const server = fakeServer({}, { others: [victim, bystander] });
      expect(await server.send(`CLIENT KILL ${filter}`)).toBe(':1\r\n');
      expect([victim.closed, bystander.closed]).toEqual(['at once', 'no']);
    },
  );

  test('KILL in its old form answers OK, also when it closes itself', async () => {
    const server = fakeServer();
    expect(await server.send('CLIENT KILL 10.0.0.1:5001')).toBe('+OK\r\n');
    expect(server.session.closed).toBe('after replies');
  });

  test('names and library survive in the session', async () => {
    const server = fakeServer();
    await server.send('CLIENT SETNAME me');
    await server.send('CLIENT SETINFO lib-name ioredis');
    await server.send('CLIENT SETINFO LIB-VER 6.0.0');
    expect(await server.send('CLIENT GETNAME')).toBe('$2\r\nme\r\n');
    expect(server.session).toMatchObject({ libName: 'ioredis', libVersion: '6.0.0' });
  });

  test('NO-EVICT and NO-TOUCH switch the flags that LIST shows', async () => {
    const server = fakeServer();
    await server.send('CLIENT NO-EVICT on');
    await server.send('CLIENT NO-TOUCH ON');
    expect(textOf(await server.send('CLIENT INFO'))).toContain(' flags=eT ');
    await server.send('CLIENT NO-EVICT off');
    expect(textOf(await server.send('CLIENT INFO'))).toContain(' flags=T ');
  });

  test('REPLY OFF and SKIP answer nothing, ON answers OK, SKIP does not end OFF', async () => {
    const server = fakeServer();
    expect(await server.send('CLIENT REPLY SKIP')).toBe('');
    expect(server.session.replyMode).toBe('skip-next');
    expect(await server.send('CLIENT REPLY OFF')).toBe('');
    expect(await server.send('CLIENT REPLY SKIP')).toBe('');
    expect(server.session.replyMode).toBe('off');
    expect(await server.send('CLIENT REPLY ON')).toBe('+OK\r\n');
    expect(server.session.replyMode).toBe('on');
  });

  test('HELP begins and ends as every HELP of Redis does', async () => {
    const reply = await fakeServer().send('CLIENT HELP');
    expect(reply).toContain('+CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n');
    expect(reply.endsWith('+HELP\r\n+    Prints this help.\r\n')).toBe(true);
  });
});

test('QUIT answers and then closes', async () => {
  const server = fakeServer();
  expect(await server.send('QUIT now')).toBe('+OK\r\n');
  expect(server.session.closed).toBe('after replies');
});

test('SELECT moves the connection to the database', async () => {
  const server = fakeServer();
  await server.send('SELECT 3');
  expect(server.session.db).toBe(3);
});
