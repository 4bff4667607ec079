/** The server over real sockets: what clients on a network do to it. */
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createHarness, type Harness } from './harness.ts';

const open: { server: Harness['server']; sockets: Socket[] }[] = [];

afterEach(async () => {
  for (const { server, sockets } of open.splice(0)) {
    for (const socket of sockets) socket.destroy();
    await server.close(1000);
  }
});

/** A raw client: collects what comes, and lets a test wait for it. */
class RawClient {
  readonly socket: Socket;
  received = '';
  readonly closed: Promise<void>;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.received += text;
      this.#wake();
    });
    // A reset is one of the ways in which the server closes; `closed` is what tests wait for.
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
  }
  send(text: string): void {
    this.socket.write(text, 'latin1');
  }
  /** Resolves when at least `length` bytes have come. */
  async length(length: number): Promise<string> {
    while (this.received.length < length) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.received;
  }
  async text(expected: string): Promise<void> {
    expect(await this.length(expected.length)).toBe(expected);
  }
}

async function start(
  settings: Parameters<typeof createHarness>[0] = {},
): Promise<Harness & { readonly client: () => Promise<RawClient> }> {
  const harness = createHarness(settings);
  const { port } = await harness.server.listen({ host: '127.0.0.1', port: 0 });
  const sockets: Socket[] = [];
  open.push({ server: harness.server, sockets });
  const client = async (): Promise<RawClient> => {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new RawClient(socket);
  };
  return { ...harness, client };
}

const frame = (...args: string[]): string =>
  `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('')}`;

describe('over real sockets', () => {
  it('a pipeline of 100,000 commands is answered in order', async () => {
    const { client } = await start();
    const raw = await client();
    const count = 100_000;
    raw.send(Array.from({ length: count }, (_, n) => frame('ECHO', String(n))).join(''));
    const expected = Array.from({ length: count }, (_, n) => `$${String(n).length}\r\n${n}\r\n`);
    await raw.text(expected.join(''));
  });

  it('a pipeline of 100,000 commands whose answers come late stays within client-pending-max', async () => {
    const { client, router } = await start({ settings: { clientPendingMax: 100 } });
    router.holding = true;
    const raw = await client();
    const count = 100_000;
    raw.send(frame('GET', 'a').repeat(count));
    while (raw.received.length < count * 5) {
      router.releaseAll();
      await new Promise(setImmediate);
    }
    expect(raw.received).toBe('$-1\r\n'.repeat(count));
    expect(router.mostHeld).toBeLessThanOrEqual(100);
  });

  it('a client that sends byte by byte is understood', async () => {
    const { client, server } = await start();
    const raw = await client();
    for (const byte of `${frame('SET', 'k', 'v\r\n\xff')}${frame('GET', 'k')}`) {
      raw.send(byte);
      await new Promise(setImmediate);
    }
    await raw.text('+OK\r\n$4\r\nv\r\n\xff\r\n');
    expect([...server.clients.sessions()][0]?.queryBufferBytes).toBe(0);
  });

  it('values of all bytes and of 8 MiB come back as they were', async () => {
    const { client } = await start();
    const raw = await client();
    const all = Array.from({ length: 256 }, (_, n) => String.fromCharCode(n)).join('');
    const value = all.repeat((8 * 1024 * 1024) / 256);
    raw.send(frame('SET', 'k', value) + frame('GET', 'k'));
    await raw.text(`+OK\r\n$${value.length}\r\n${value}\r\n`);
  });

  it('a client that never reads is closed at its output limit, and others go on', async () => {
    const { client, router, server } = await start({
      settings: {
        clientOutputBufferLimit: { normal: { hardBytes: 1_000_000, softBytes: 0, softSeconds: 0 } },
      },
    });
    router.values.set('0:big', 'x'.repeat(100_000));
    const deaf = await client();
    deaf.socket.pause();
    deaf.send(frame('GET', 'big').repeat(1000));
    while (server.stats.outputBufferDisconnects === 0) await new Promise(setImmediate);
    const other = await client();
    other.send('PING\r\n');
    await other.text('+PONG\r\n');
    expect(server.clients.count).toBe(1);
  });

  it.each([
    ['an oversized bulk', '*2\r\n$3\r\nGET\r\n$9999999999\r\n', 'invalid bulk length'],
    ['a count out of range', '*9999999999\r\n', 'invalid multibulk length'],
    ['an endless inline command', 'x'.repeat(70_000), 'too big inline request'],
    ['HTTP with an open quote', 'GET "/ HTTP/1.1\r\n', 'unbalanced quotes in request'],
    ['a wrong type byte', '*1\r\n+PING\r\n', "expected '$', got '+'"],
  ])('%s is answered with an error and a closed connection', async (_label, bytes, text) => {
    const { client, server } = await start();
    const raw = await client();
    raw.send(bytes);
    await raw.closed;
    expect(raw.received).toBe(`-ERR Protocol error: ${text}\r\n`);
    while (server.clients.count > 0) await new Promise(setImmediate);
  });

  it('one client above maxclients gets the reason and is closed; when one left, the next may come', async () => {
    const { client, server } = await start({ settings: { maxclients: 2 } });
    const first = await client();
    const second = await client();
    const third = await client();
    await third.closed;
    expect(third.received).toBe('-ERR max number of clients reached\r\n');
    expect(server.stats.connectionsRejected).toBe(1);
    first.socket.destroy();
    while (server.clients.count > 1) await new Promise(setImmediate);
    const fourth = await client();
    for (const raw of [second, fourth]) {
      raw.send('PING\r\n');
      await raw.text('+PONG\r\n');
    }
  });

  it('a client that ends its side after its commands gets its answers, then the end', async () => {
    const { client, router } = await start();
    router.holding = true;
    const raw = await client();
    raw.socket.end(frame('GET', 'a') + frame('PING'), 'latin1');
    while (router.held.length === 0) await new Promise(setImmediate);
    router.releaseAll();
    await raw.closed;
    expect(raw.received).toBe('$-1\r\n+PONG\r\n');
  });

  it('CLIENT KILL closes another client, CLIENT LIST shows who is left', async () => {
    const { client, server } = await start();
    const [one, two] = [await client(), await client()];
    const victim = [...server.clients.sessions()][1];
    one.send(frame('CLIENT', 'KILL', 'ID', String(victim?.id)));
    await one.text(':1\r\n');
    await two.closed;
    while (server.clients.count > 1) await new Promise(setImmediate);
  });

  it('close answers what is under way before it closes', async () => {
    const { client, router, server } = await start();
    router.holding = true;
    const raw = await client();
    raw.send(frame('GET', 'a'));
    while (router.held.length === 0) await new Promise(setImmediate);
    const closing = server.close(60_000);
    router.releaseAll();
    await raw.closed;
    await closing;
    expect(raw.received).toBe('$-1\r\n');
  });
});
