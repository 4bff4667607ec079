/**
 * A small legacy API to try things with: users 1 to 10000, a count of the calls, and switches for
 * faults.
 *
 *   GET  /legacy/data/{key}    200 with {key, value, ...} for user:1 to user:10000, else 404
 *   GET  /legacy/stats[?key=]  how often data was asked for
 *   POST /legacy/faults        ?delayMs= &status= &garbage=yes &hang=yes &bodyBytes= ; without any: no faults
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SampleLegacy {
  /** The port really bound. */
  readonly port: number;
  close(): Promise<void>;
}

const USERS = 10_000;
/** Distinct keys that are counted one by one; further ones count in the total only. */
const COUNTED_KEYS_MAX = 100_000;

interface Faults {
  /** Wait before answering, milliseconds. */
  readonly delayMs: number;
  /** Answer every call for data with this status; 0: as it should be. */
  readonly status: number;
  /** Answer with something that is not JSON. */
  readonly garbage: boolean;
  /** Accept the call and never answer. */
  readonly hang: boolean;
  /** Length of the value, 0: as it should be. */
  readonly bodyBytes: number;
}

const NO_FAULTS: Faults = { delayMs: 0, status: 0, garbage: false, hang: false, bodyBytes: 0 };

interface State {
  faults: Faults;
  calls: number;
  readonly callsByKey: Map<string, number>;
}

/** Port 0 picks a free one. Rejects with the system's error when the port cannot be bound. */
export async function startSampleLegacy(at: { host: string; port: number }): Promise<SampleLegacy> {
  const state: State = { faults: NO_FAULTS, calls: 0, callsByKey: new Map() };
  const server = createServer((request, response) => answer(state, request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(at.port, at.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(state: State, request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  const target = request.url ?? '/';
  if (!URL.canParse(target, 'http://localhost')) {
    send(response, 400, { error: 'bad request target' });
    return;
  }
  const url = new URL(target, 'http://localhost');
  const [, root, what, ...rest] = url.pathname.split('/');
  if (root === 'legacy' && what === 'data' && request.method === 'GET') {
    answerData(state, rest.join('/'), response);
  } else if (root === 'legacy' && what === 'stats' && request.method === 'GET') {
    send(response, 200, statsOf(state, url.searchParams.get('key')));
  } else if (root === 'legacy' && what === 'faults' && request.method === 'POST') {
    state.faults = faultsFrom(url.searchParams);
    send(response, 200, state.faults);
  } else {
    send(response, 404, { error: 'not found' });
  }
}

function answerData(state: State, encodedKey: string, response: ServerResponse): void {
  const key = decode(encodedKey);
  if (key === null) {
    send(response, 400, { error: 'the key is not valid percent-encoded UTF-8' });
    return;
  }
  count(state, key);
  const { faults } = state;
  if (faults.hang) return;
  if (faults.delayMs === 0) answerKey(key, faults, response);
  else setTimeout(() => answerKey(key, faults, response), faults.delayMs);
}

function answerKey(key: string, faults: Faults, response: ServerResponse): void {
  if (faults.status !== 0) {
    send(response, faults.status, { error: 'a fault was asked for' });
    return;
  }
  if (faults.garbage) {
    response
      .writeHead(200, { 'content-type': 'text/html' })
      .end('<html>Down for maintenance</html>');
    return;
  }
  const user = /^user:([1-9][0-9]{0,4})$/.exec(key);
  const id = Number(user?.[1] ?? 0);
  if (id < 1 || id > USERS) {
    send(response, 404, { error: 'no such key' });
    return;
  }
  const value =
    faults.bodyBytes > 0
      ? 'x'.repeat(faults.bodyBytes)
      : JSON.stringify({ id, name: `User ${id}`, email: `user${id}@example.com` });
  send(response, 200, { key, value, source: 'legacy' });
}

function count(state: State, key: string): void {
  state.calls += 1;
  const soFar = state.callsByKey.get(key);
  if (soFar === undefined && state.callsByKey.size >= COUNTED_KEYS_MAX) return;
  state.callsByKey.set(key, (soFar ?? 0) + 1);
}

function statsOf(state: State, key: string | null): object {
  if (key !== null) return { key, calls: state.callsByKey.get(key) ?? 0 };
  return { calls: state.calls, keys: state.callsByKey.size };
}

function faultsFrom(query: URLSearchParams): Faults {
  const number = (name: string): number => {
    const value = Number(query.get(name) ?? 0);
    return Number.isInteger(value) && value >= 0 ? value : 0;
  };
  const status = number('status');
  return {
    delayMs: Math.min(number('delayMs'), 600_000),
    status: status >= 200 && status <= 599 ? status : 0,
    garbage: query.get('garbage') === 'yes',
    hang: query.get('hang') === 'yes',
    bodyBytes: Math.min(number('bodyBytes'), 1 << 28),
  };
}

function decode(encoded: string): string | null {
  try {
    return decodeURIComponent(encoded);
  } catch (error) {
    if (error instanceof URIError) return null;
    throw error;
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
