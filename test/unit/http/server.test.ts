import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Health, type HttpServer, startHttp } from '../../../src/http/server.ts';
import type { Logger } from '../../../src/platform/logger.ts';
import { parseExposition, valueOf } from '../../support/exposition.ts';
import { FACTS } from './metrics/facts.ts';

const PORT = 57_200;

const errors: string[] = [];
const log: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: (_fields, message) => void errors.push(message),
  child: () => log,
};

const READY: Health = { ready: true, reasons: [], details: { node: 'node-1', epoch: 7 } };
const JOINING: Health = {
  ready: false,
  reasons: ['joining: being filled', 'no lease: the database is not reachable; serving reads only'],
  details: { node: 'node-1', epoch: 6 },
};

let http: HttpServer;
let health: () => Health;
let epoch: number;
const metrics = () => ({ ...FACTS, status: { ...FACTS.status, epoch } });

beforeEach(async () => {
  errors.length = 0;
  health = () => READY;
  epoch = 1;
  http = await startHttp({ host: '127.0.0.1', port: PORT, health: () => health(), metrics, log });
});

afterEach(() => http.close());

interface Got {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly text: string;
}

/** One request on a connection of its own. */
function ask(path: string, method = 'GET', body?: string): Promise<Got> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-length': body.length };
    const outgoing = request({
      host: '127.0.0.1',
      port: PORT,
      path,
      method,
      headers,
      agent: false,
    });
    outgoing.once('error', reject);
    outgoing.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
    });
    outgoing.end(body);
  });
}

/** Sends bytes and reads up to the end of the connection. */
async function exchange(bytes: string): Promise<string> {
  const socket: Socket = connect({ host: '127.0.0.1', port: PORT });
  let text = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => (text += chunk));
  // Sent before a reset may arrive: what was read until then is what counts.
  socket.on('error', () => undefined);
  socket.write(bytes);
  await closeOf(socket);
  return text;
}

/** Resolves when the socket is closed, by a reset too. */
function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

describe('health', () => {
  test('/healthz of a node that is ready answers 200 with its details', async () => {
    const { status, headers, text } = await ask('/healthz');
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('application/json; charset=utf-8');
    expect(headers['cache-control']).toBe('no-store');
    expect(JSON.parse(text)).toEqual({ status: 'ok', details: READY.details });
  });

  test('/healthz of a node that is not ready answers 200 all the same', async () => {
    health = () => JOINING;
    expect((await ask('/healthz')).status).toBe(200);
  });

  test('/readyz of a node that is ready answers 200', async () => {
    const { status, text } = await ask('/readyz');
    expect(status).toBe(200);
    expect(JSON.parse(text)).toEqual({ ready: true, reasons: [], details: READY.details });
  });

  test('/readyz of a node that is not ready answers 503 with all reasons, first in the body', async () => {
    health = () => JOINING;
    const { status, text } = await ask('/readyz');
    expect(status).toBe(503);
    expect(JSON.parse(text)).toEqual({ ...JOINING });
    expect(text.startsWith('{"ready":false,"reasons":["joining: being filled",')).toBe(true);
  });

  test('the node is asked anew for every request', async () => {
    expect((await ask('/readyz')).status).toBe(200);
    health = () => JOINING;
    expect((await ask('/readyz')).status).toBe(503);
    health = () => READY;
    expect((await ask('/readyz')).status).toBe(200);
  });

  test('a query is not part of the path', async () => {
    expect((await ask('/readyz?verbose=1')).status).toBe(200);
  });

  test('HEAD answers status and length without a body', async () => {
    health = () => JOINING;
    const { status, headers, text } = await ask('/readyz', 'HEAD');
    expect(status).toBe(503);
    expect(Number(headers['content-length'])).toBeGreaterThan(10);
    expect(text).toBe('');
  });

  test('a node that cannot say how it is answers 500 and logs why', async () => {
    health = () => {
      throw new Error('broken');
    };
    const { status, text } = await ask('/readyz');
    expect(status).toBe(500);
    expect(text).not.toContain('broken');
    expect(errors).toEqual(['an HTTP request failed']);
  });
});

describe('metrics', () => {
  test('/metrics answers in the text format, asked anew for every request', async () => {
    const { status, headers, text } = await ask('/metrics');
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(headers['cache-control']).toBe('no-store');
    expect(Number(headers['content-length'])).toBe(Buffer.byteLength(text));
    expect(valueOf(parseExposition(text), 'ringfence_view_epoch')).toBe(1);
    epoch = 2;
    const again = parseExposition((await ask('/metrics')).text);
    expect(valueOf(again, 'ringfence_view_epoch')).toBe(2);
  });

  test('HEAD answers without a body, POST is refused', async () => {
    const head = await ask('/metrics', 'HEAD');
    expect([head.status, head.text]).toEqual([200, '']);
    expect((await ask('/metrics', 'POST', 'body')).status).toBe(405);
  });
});

describe('other requests', () => {
  test.each(['/', '/readyz/', '/READYZ', '/healthz%20', '//readyz', '*'])(
    '%s is not found',
    async (path) => {
      const { status, text } = await ask(path);
      expect(status).toBe(404);
      expect(JSON.parse(text)).toEqual({ error: 'there is nothing here' });
    },
  );

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])(
    '%s is refused with the methods that are allowed, and its body ends the connection',
    async (method) => {
      const { status, headers } = await ask('/healthz', method, 'body');
      expect(status).toBe(405);
      expect(headers.allow).toBe('GET, HEAD');
      expect(headers.connection).toBe('close');
    },
  );

  test('requests on one connection are answered in order', async () => {
    const answers = await exchange(
      'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n' +
        'GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n' +
        'GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
    );
    expect(answers.match(/^HTTP\/1\.1 \d+/gm)).toEqual([
      'HTTP/1.1 200',
      'HTTP/1.1 404',
      'HTTP/1.1 200',
    ]);
  });

  test('bytes that are no HTTP get 400 and the end of the connection', async () => {
    const text = await exchange('*1\r\n$4\r\nPING\r\n');
    expect(text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(text).toContain('{"error":"this is not an HTTP request"}');
  });

  test('headers over the bound get 431 and the end of the connection', async () => {
    const text = await exchange(
      `GET /healthz HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(9000)}\r\n\r\n`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 431 /);
  });
});

describe('the listener', () => {
  test('a taken port is told to the caller', async () => {
    const again = startHttp({ host: '127.0.0.1', port: PORT, health, metrics, log });
    await expect(again).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  test('port 0 picks a free one and says which', async () => {
    const other = await startHttp({ host: '127.0.0.1', port: 0, health, metrics, log });
    expect(other.port).toBeGreaterThan(0);
    expect(other.port).not.toBe(PORT);
    await other.close();
  });

  test('close ends idle connections, half-sent requests and the listener', async () => {
    const socket = connect({ host: '127.0.0.1', port: PORT });
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write('GET /healthz HT');
    const closed = closeOf(socket);
    await http.close();
    await closed;
    await expect(ask('/healthz')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
