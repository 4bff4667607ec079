/** The way to PostgreSQL that can be cut: what passes, what waits, and what is reset. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { OPEN, TcpProxy } from '../../../../chaos/live/tcp-proxy.ts';
import { freePorts } from '../../../support/cluster.ts';

let server: Server;
let proxy: TcpProxy;
let port: number;
/** The server's ends, in the order in which they came. */
let ends: Socket[];
let clients: Socket[];

beforeEach(async () => {
  ends = [];
  clients = [];
  server = createServer((socket) => {
    ends.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => socket.write(`echo ${chunk.toString()}`));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = new TcpProxy({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  [port = 0] = await freePorts(1);
  await proxy.listen({ host: '127.0.0.1', port });
});

afterEach(async () => {
  for (const socket of [...clients, ...ends]) socket.destroy();
  await proxy.close();
  server.close();
});

function dial(): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  clients.push(socket);
  return socket;
}

async function client(): Promise<Socket> {
  const socket = dial();
  await once(socket, 'connect');
  return socket;
}

async function answer(socket: Socket): Promise<string> {
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  return chunk.toString();
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

test('passes bytes and the end of a connection', async () => {
  const socket = await client();
  socket.write('a');
  expect(await answer(socket)).toBe('echo a');
  const ended = once(ends[0]!, 'end');
  socket.end();
  await ended;
  await once(socket, 'end');
});

test('while cut, nothing passes, also not the end; when mended, all of it does, in order', async () => {
  const socket = await client();
  socket.write('a');
  await answer(socket);
  const heard: string[] = [];
  ends[0]!.on('data', (chunk) => heard.push(chunk.toString()));
  ends[0]!.once('end', () => heard.push('end'));
  proxy.set({ ...OPEN, toServer: false });
  socket.end('b');
  // The other direction works: what it brings was sent after the cut.
  ends[0]!.write('c');
  expect(await answer(socket)).toBe('c');
  expect(heard).toEqual([]);
  const ended = once(ends[0]!, 'end');
  proxy.set(OPEN);
  await ended;
  expect(heard).toEqual(['b', 'end']);
});

test('a connection made while cut is answered after it', async () => {
  proxy.set({ toServer: false, toClient: false, reset: false });
  const socket = await client();
  socket.write('a');
  const answered = answer(socket);
  proxy.set(OPEN);
  expect(await answered).toBe('echo a');
});

test('a reset ends both sides of every connection, and every new one', async () => {
  const socket = await client();
  socket.write('a');
  await answer(socket);
  const over = [closed(socket), closed(ends[0]!)];
  proxy.set({ ...OPEN, reset: true });
  await Promise.all(over);
  await closed(dial());
  proxy.set(OPEN);
  const fresh = await client();
  fresh.write('b');
  expect(await answer(fresh)).toBe('echo b');
});
