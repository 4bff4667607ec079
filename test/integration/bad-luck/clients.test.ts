/** Clients that send nonsense, too much or too slowly, or never read: memory stays bounded, others are served. */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startCluster, type TestCluster } from '../../support/cluster.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { encodeCommand, RespClient, toPlain } from '../../support/resp-client.ts';
import { eventually } from '../cluster/wait.ts';

const MB = 1024 * 1024;

let server: TestPostgres;
let cluster: TestCluster;
let store: string;
let client: RespClient;

beforeAll(async () => {
  server = await startPostgres();
  store = await server.freshDatabase();
  cluster = await startCluster({
    store,
    flags: {
      'value-bytes-max': '1mb',
      'proto-max-bulk-len': '2mb',
      'client-query-buffer-limit': '4mb',
      'client-output-buffer-limit': 'normal 4mb 0 0 replica 4mb 0 0 pubsub 4mb 0 0',
    },
  });
});

afterAll(async () => {
  await client?.close();
  await cluster?.stop();
  await server?.stop();
});

beforeEach(async () => {
  await client?.close();
  client = await connectTo(0);
});

function connectTo(node: number): Promise<RespClient> {
  const { host, port } = cluster.nodes[node]!;
  return RespClient.connect({ host, port, timeoutMs: 30_000 });
}

/** All nodes still do their work, and none of them was started anew. */
async function expectAllServe(): Promise<void> {
  for (const [node, { pid }] of cluster.nodes.entries()) {
    expect(pid, cluster.nodes[node]!.log.slice(-2000)).toBeDefined();
    const other = await connectTo(node);
    expect(await other.plain('SET', `alive:${node}`, 'yes')).toBe('OK');
    expect(await client.plain('GET', `alive:${node}`)).toBe('yes');
    await other.close();
  }
}

const residentBytes = (node: number): number => {
  const status = readFileSync(`/proc/${cluster.nodes[node]!.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)![1]) * 1024;
};

describe('frames that are none', () => {
  test.each([
    ['a bulk longer than the bound', '*2\r\n$3\r\nGET\r\n$99999999999\r\n', 'invalid bulk length'],
    ['a negative bulk length', '*2\r\n$3\r\nGET\r\n$-5\r\n', 'invalid bulk length'],
    ['too many arguments', '*2147483648\r\n', 'invalid multibulk length'],
    ['an argument that is no bulk', '*1\r\n:5\r\n', "expected '$', got ':'"],
    ['letters for a number', '*1\r\n$abc\r\n', 'invalid bulk length'],
    ['an inline line without end', 'x'.repeat(70_000), 'too big inline request'],
    ['unbalanced quotes', 'SET a "unbalanced\r\n', 'unbalanced quotes in request'],
  ])('%s: a protocol error, and the connection is closed', async (_, bytes, text) => {
    const bad = await connectTo(0);
    bad.write(bytes);
    const replies = await bad.repliesUntilClose();
    expect(replies.map(({ value }) => String(toPlain(value)))).toEqual([
      expect.stringContaining(`Protocol error: ${text}`),
    ]);
    expect(await client.plain('PING')).toBe('PONG');
  });

  test('what came before the broken frame is answered', async () => {
    const bad = await connectTo(1);
    bad.write(`${encodeCommand(['SET', 'before', 'x'])}${encodeCommand(['GET', 'before'])}*x\r\n`);
    const replies = (await bad.repliesUntilClose()).map(({ value }) => String(toPlain(value)));
    expect(replies.slice(0, 2)).toEqual(['OK', 'x']);
    expect(replies[2]).toContain('Protocol error');
  });

  test('random bytes from many connections: answered with errors or closed, and all nodes serve', async () => {
    const bytes = (seed: number): string => {
      let state = seed;
      return Array.from({ length: 5000 }, () => {
        state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
        return String.fromCharCode(state % 256);
      }).join('');
    };
    const sockets = Array.from({ length: 60 }, (_, i) => {
      const { host, port } = cluster.nodes[i % 3]!;
      const socket = connect({ host, port });
      socket.on('error', () => socket.destroy());
      socket.resume().write(Buffer.from(bytes(i + 1), 'latin1'));
      return socket;
    });
    await expectAllServe();
    for (const socket of sockets) socket.destroy();
  });

  test('HTTP on the port of clients is cut off', async () => {
    const bad = await connectTo(0);
    bad.write('POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET stolen 1\r\n');
    await bad.repliesUntilClose();
    expect(await client.plain('EXISTS', 'stolen')).toBe(0);
  });
});

describe('too much', () => {
  test('a value above value-bytes-max is refused, whichever way it grows, and nothing is changed', async () => {
    const value = 'v'.repeat(MB);
    expect(await client.plain('SET', 'big', value)).toBe('OK');
    expect(await client.plain('GET', 'big')).toBe(value);
    for (const words of [
      ['SET', 'big', `${value}x`],
      ['APPEND', 'big', 'x'],
      ['SETRANGE', 'big', String(MB), 'x'],
      ['MSET', 'big', `${value}x`, 'other', 'y'],
      ['SETBIT', 'bits', String(8 * MB + 1), '1'],
    ]) {
      expect(String(await client.plain(...words)), words[0]).toMatch(
        /maximum allowed size|unknown command/,
      );
    }
    expect(await client.plain('STRLEN', 'big')).toBe(MB);
    expect(await client.plain('EXISTS', 'other')).toBe(0);
  });

  test('unfinished input beyond the query buffer limit costs the connection', async () => {
    const flood = await connectTo(0);
    flood.write(`*1000000\r\n${'$100000\r\n'}${'x'.repeat(100_000)}\r\n`);
    for (let i = 0; i < 80; i++) flood.write(`$100000\r\n${'x'.repeat(100_000)}\r\n`);
    await flood.repliesUntilClose();
    await expectAllServe();
  });

  test('a client that asks and never reads is closed, and the memory stays bounded', async () => {
    await client.plain('SET', 'fat', 'f'.repeat(500_000));
    const before = residentBytes(0);
    const { host, port } = cluster.nodes[0]!;
    const socket: Socket = connect({ host, port });
    let closed = false;
    socket.on('error', () => socket.destroy());
    socket.on('close', () => void (closed = true));
    socket.pause();
    let highest = 0;
    const request = encodeCommand(['GET', 'fat']).repeat(50);
    await eventually(() => {
      if (!closed) socket.write(request);
      highest = Math.max(highest, residentBytes(0));
      // A paused socket sees the end only when it reads; the server's list says when it is gone.
      return expectGone(socket);
    });
    expect(highest - before).toBeLessThan(200 * MB);
    socket.destroy();
    await expectAllServe();
  });

  async function expectGone(socket: Socket): Promise<void> {
    const list = String(await client.plain('CLIENT', 'LIST'));
    expect(list).not.toContain(`addr=127.0.0.1:${socket.localPort} `);
  }

  test('keys the index of the database cannot hold fail alone; others of the same moment are kept', async () => {
    // Random bytes do not compress: longer than a third of a page, no B-tree of PostgreSQL takes them.
    let state = 7;
    const key = Array.from({ length: 5000 }, () => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return String.fromCharCode(33 + ((state >> 8) % 90));
    }).join('');
    const others = Array.from({ length: 40 }, (_, i) => `beside:${i}`);
    const replies = await client.pipeline([
      ...others.slice(0, 20).map((name) => ['SET', name, 'kept']),
      ['SET', key, 'too long'],
      ...others.slice(20).map((name) => ['SET', name, 'kept']),
    ]);
    const texts = replies.map(({ value }) => String(toPlain(value)));
    expect(texts.filter((text) => text === 'OK')).toHaveLength(40);
    expect(texts[20]).toContain('STOREFAIL the database refused the write');
    for (const node of [0, 1, 2]) {
      const other = await connectTo(node);
      expect(await other.plain('GET', key)).toBeNull();
      expect(await other.plain('MGET', ...others)).toEqual(others.map(() => 'kept'));
      await other.close();
    }
    expect(String(await client.plain('MSET', 'half', '1', key, '2'))).toContain('STOREFAIL');
    expect(await client.plain('EXISTS', 'half')).toBe(0);
    expect(await server.sql(store, `SELECT FROM kv_store WHERE key LIKE 'beside:%'`)).toHaveLength(
      40,
    );
  });
});

describe('too slow', () => {
  test('requests that come byte by byte are answered, and hold up nobody', async () => {
    const slow = await connectTo(0);
    const bytes = encodeCommand(['SET', 'slow', 'arrived']);
    for (const byte of bytes) {
      slow.write(byte);
      expect(await client.plain('PING')).toBe('PONG');
    }
    expect(toPlain((await slow.nextReply()).value)).toBe('OK');
    await slow.close();
  });

  test('hundreds of half requests that never end hold up nobody', async () => {
    const half = await Promise.all(Array.from({ length: 300 }, (_, i) => connectTo(i % 3)));
    for (const each of half) each.write('*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$100\r\nx');
    await expectAllServe();
    await Promise.all(half.map((each) => each.close()));
    expect(await client.plain('EXISTS', 'half')).toBe(0);
  });

  test('a client that closes its sending side still gets its answers', async () => {
    const { host, port } = cluster.nodes[2]!;
    const answer = await new Promise<string>((resolve, reject) => {
      let got = '';
      const socket = connect({ host, port, allowHalfOpen: true });
      socket.on('error', reject);
      socket.on('data', (chunk) => void (got += chunk.toString()));
      socket.on('end', () => socket.end(() => resolve(got)));
      socket.write(encodeCommand(['SET', 'half-open', '1']) + encodeCommand(['GET', 'half-open']));
      socket.end();
    });
    expect(['', '+OK\r\n$1\r\n1\r\n']).toContain(answer);
    await expectAllServe();
  });

  test('an idle client is disconnected once a timeout is set', async () => {
    const idle = await connectTo(1);
    const control = await connectTo(1);
    await control.plain('CONFIG', 'SET', 'timeout', '1');
    await idle.repliesUntilClose();
    const again = await connectTo(1);
    expect(await again.plain('CONFIG', 'SET', 'timeout', '0')).toBe('OK');
    await again.close();
    await control.close();
  });
});

describe('nonsense on the ports of links and HTTP', () => {
  test.each([
    ['random bytes', '\x00\x01\x02garbage'.repeat(1000)],
    ['HTTP', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['Redis commands', encodeCommand(['SET', 'stolen', '1'])],
    ['a frame of four gigabytes', `\xff\xff\xff\xff\x01${'\x00'.repeat(100)}`],
    ['an empty frame', '\x00\x00\x00\x00'],
    ['effects without a greeting', `\x00\x00\x00\x09\x08${'\x00'.repeat(8)}`],
  ])('the link port closes on %s', async (_, bytes) => {
    const bad = await RespClient.connect({ host: '127.0.0.1', port: cluster.nodes[0]!.linkPort });
    bad.write(bytes);
    await bad.repliesUntilClose();
    await expectAllServe();
  });

  test('silent connections to the link port are closed, and the links of the nodes live on', async () => {
    const silent = await Promise.all(
      Array.from({ length: 200 }, () =>
        RespClient.connect({
          host: '127.0.0.1',
          port: cluster.nodes[0]!.linkPort,
          timeoutMs: 40_000,
        }),
      ),
    );
    await Promise.all(silent.map((each) => each.repliesUntilClose()));
    await expectAllServe();
  });

  test('garbage on the HTTP port gets an error, and the health answers go on', async () => {
    const { httpPort } = cluster.nodes[0]!;
    const answer = await new Promise<string>((resolve, reject) => {
      let got = '';
      const socket = connect({ host: '127.0.0.1', port: httpPort });
      socket.on('error', reject);
      socket.on('data', (chunk) => void (got += chunk.toString()));
      socket.on('close', () => resolve(got));
      socket.write('\x00\x01\x02\x03\r\n\r\n');
    });
    expect(answer).toContain('400 Bad Request');
    expect((await fetch(`http://127.0.0.1:${httpPort}/healthz`)).status).toBe(200);
    expect((await fetch(`http://127.0.0.1:${httpPort}/nothing/here`)).status).toBe(404);
  });
});
