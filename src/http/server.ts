/**
 * The HTTP side of a node. In this version: health and metrics. REST and the console get their routes here
 * later, and run commands through the same dispatcher as Redis clients.
 *
 * On `node:http` and not behind `Transport`: nothing that decides about data goes through HTTP, so the
 * cluster's code runs without it (ADR 0007). Everything a stranger can send is bounded below, and an
 * answer is small (metrics, tens of kilobytes) and made in one go, so nothing waits for a slow reader.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from '../platform/logger.ts';
import { type Health, healthRoutes } from './health.ts';
import type { MetricFacts } from './metrics/facts.ts';
import { metricsRoute } from './metrics/registry.ts';
import { type Answer, answerRequest, type Route } from './routes.ts';

export type { Health } from './health.ts';

export interface HttpOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Asked for every request; must be quick and must not wait. */
  health(): Health;
  /** The same. */
  metrics(): MetricFacts;
  readonly log: Logger;
}

export interface HttpServer {
  /** The port really bound. */
  readonly port: number;
  /** Stops listening and ends all connections; resolves when the port is free. */
  close(): Promise<void>;
}

/** Request line and headers, bytes. */
const HEADER_BYTES_MAX = 8 * 1024;
const HEADERS_MAX = 64;
/** From the first byte of a request to its last, milliseconds. */
const REQUEST_MS_MAX = 5_000;
/** How long a connection may stay open between requests, milliseconds. */
const IDLE_MS_MAX = 10_000;
/** How often the two are looked at, milliseconds. */
const CHECK_MS = 1_000;
const CONNECTIONS_MAX = 256;
const REQUESTS_PER_CONNECTION_MAX = 1_000;

/** Rejects with the system's error (`EADDRINUSE`, ...) when the port cannot be bound. */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const routes = new Map<string, Route>([
    ...healthRoutes(() => options.health()),
    metricsRoute(() => options.metrics()),
  ]);
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: REQUEST_MS_MAX,
      requestTimeout: REQUEST_MS_MAX,
      keepAliveTimeout: IDLE_MS_MAX,
      connectionsCheckingInterval: CHECK_MS,
    },
    (request, response) => respond(request, response, { routes, log: options.log }),
  );
  server.maxConnections = CONNECTIONS_MAX;
  server.maxHeadersCount = HEADERS_MAX;
  server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION_MAX;
  // A connection that sends nothing at all.
  server.timeout = IDLE_MS_MAX;
  server.on('clientError', refuse);
  await listen(server, options);
  server.on('error', (error) => options.log.error({ err: error }, 'the HTTP listener failed'));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => closeServer(server),
  };
}

function respond(
  request: IncomingMessage,
  response: ServerResponse,
  { routes, log }: { routes: ReadonlyMap<string, Route>; log: Logger },
): void {
  const method = request.method ?? '';
  // No route has a use for a body; what arrives of one is thrown away, and the connection with it.
  const hasBody =
    request.headers['transfer-encoding'] !== undefined ||
    (request.headers['content-length'] ?? '0') !== '0';
  request.resume();
  let answer: Answer;
  try {
    answer = answerRequest(routes, { method, target: request.url ?? '' });
  } catch (error) {
    log.error({ err: error }, 'an HTTP request failed');
    answer = { status: 500, body: { error: 'the request failed; the log of the node says why' } };
  }
  const text = typeof answer.body === 'string' ? answer.body : `${JSON.stringify(answer.body)}\n`;
  response.writeHead(answer.status, {
    'content-type': answer.contentType ?? 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...(answer.allow === undefined ? {} : { allow: answer.allow }),
    ...(hasBody ? { connection: 'close' } : {}),
  });
  response.end(method === 'HEAD' ? undefined : text);
}

/** Bytes that are no request, or one that is too long or too slow: said once, then closed. */
function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, reason] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', 'the headers are too long']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'the request took too long']
        : ['400 Bad Request', 'this is not an HTTP request'];
  const text = `${JSON.stringify({ error: reason })}\n`;
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json; charset=utf-8\r\n` +
      `content-length: ${text.length}\r\nconnection: close\r\n\r\n${text}`,
    () => socket.destroy(),
  );
}

function listen(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // The only error there can be is that it was closed before.
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
