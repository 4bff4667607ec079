/** One HTTP GET, bounded in time and size. Behind an interface, so that the simulator can answer instead. */
import { Pool } from 'undici';
import type { Timers } from '../../platform/clock.ts';
import type { RequestTarget } from './url-template.ts';

export interface FetchRequest extends RequestTarget {
  readonly headers: Readonly<Record<string, string>>;
  /** Bound of the whole exchange: connecting, waiting, reading. */
  readonly timeoutMs: number;
  readonly bodyBytesMax: number;
}

export type FetchResult =
  /** `body` is read only for status 200; for others it is empty. */
  | { readonly kind: 'response'; readonly status: number; readonly body: Buffer }
  | { readonly kind: 'too-large' }
  | { readonly kind: 'timeout' }
  /** No answer: refused, reset, unknown host. `message` is the system's. */
  | { readonly kind: 'unreachable'; readonly message: string };

export interface Fetcher {
  /** Never rejects. */
  get(request: FetchRequest): Promise<FetchResult>;
  /** Ends what is under way and closes the connections. */
  close(): Promise<void>;
}

class TooLargeError extends Error {}

/**
 * `undici` with one pool of connections per origin, at most `connections` each, one request at a time
 * on each of them: a slow answer must not hold up others that were queued behind it.
 */
export function createUndiciFetcher(timers: Timers, connections: number): Fetcher {
  const pools = new Map<string, Pool>();

  const poolOf = (origin: string): Pool => {
    let pool = pools.get(origin);
    if (pool === undefined) {
      // undici's own timers are coarse (one second); the abort signal bounds every exchange.
      pool = new Pool(origin, { connections, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
      pools.set(origin, pool);
    }
    return pool;
  };

  return {
    async get(request) {
      const abort = new AbortController();
      const timer = timers.after(request.timeoutMs, () => abort.abort());
      try {
        return await exchange(poolOf(request.origin), request, abort.signal);
      } catch (error) {
        if (error instanceof TooLargeError) return { kind: 'too-large' };
        if (abort.signal.aborted) return { kind: 'timeout' };
        return { kind: 'unreachable', message: messageOf(error) };
      } finally {
        timer.cancel();
      }
    },
    async close() {
      await Promise.all([...pools.values()].map((pool) => pool.destroy()));
    },
  };
}

async function exchange(
  pool: Pool,
  { path, headers, bodyBytesMax }: FetchRequest,
  signal: AbortSignal,
): Promise<FetchResult> {
  const response = await pool.request({ method: 'GET', path, headers, signal });
  if (response.statusCode !== 200) {
    // Reads a little of it, so that the connection can be used again; gives up on long ones.
    await response.body.dump({ limit: 16_384, signal });
    return { kind: 'response', status: response.statusCode, body: Buffer.alloc(0) };
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    size += chunk.length;
    // Leaving the loop by an exception destroys the stream, and with it the connection.
    if (size > bodyBytesMax) throw new TooLargeError();
    chunks.push(chunk);
  }
  return { kind: 'response', status: 200, body: Buffer.concat(chunks) };
}

/** A refused connection to several addresses is an AggregateError without a message of its own. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message !== '') return error.message;
  return (error as NodeJS.ErrnoException).code ?? error.name;
}
