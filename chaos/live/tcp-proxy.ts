/**
 * A way to PostgreSQL that can be cut without being root: each node gets its own. A cut is silence,
 * as on a network: what was sent waits, new connections are accepted and get no answer, and the end
 * of a connection is not heard of on the other side before the cut is mended.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** What passes: both ways, one way only, nothing; or every connection is reset. */
export interface Passage {
  readonly toServer: boolean;
  readonly toClient: boolean;
  readonly reset: boolean;
}

export const OPEN: Passage = { toServer: true, toClient: true, reset: false };

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

export class TcpProxy {
  readonly #listener: Server;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #pairs = new Set<Pair>();
  #passage: Passage = OPEN;

  constructor(target: { host: string; port: number }) {
    this.#target = target;
    // Paused until both ends are there, so that no byte is lost; half-open, so that FIN passes as FIN.
    this.#listener = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (client) =>
      this.#accept(client),
    );
  }

  async listen(at: { host: string; port: number }): Promise<void> {
    this.#listener.listen(at.port, at.host);
    await once(this.#listener, 'listening');
  }

  async close(): Promise<void> {
    this.#listener.close();
    for (const pair of this.#pairs) end(pair);
    await once(this.#listener, 'close');
  }

  set(passage: Passage): void {
    this.#passage = passage;
    for (const pair of this.#pairs) this.#enforce(pair);
  }

  #accept(client: Socket): void {
    if (this.#passage.reset) {
      client.resetAndDestroy();
      return;
    }
    const server = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    client.setNoDelay(true);
    const pair = { client, server };
    this.#pairs.add(pair);
    this.#forward(client, server, pair, () => this.#passage.toServer);
    this.#forward(server, client, pair, () => this.#passage.toClient);
    server.once('connect', () => this.#enforce(pair));
  }

  #forward(from: Socket, to: Socket, pair: Pair, open: () => boolean): void {
    from.on('data', (chunk) => {
      if (!to.write(chunk)) from.pause();
    });
    to.on('drain', () => {
      if (open()) from.resume();
    });
    from.on('end', () => to.end());
    // The reason is passed on as a reset; a plain end has been passed on by then.
    from.on('error', () => end(pair));
    from.on('close', () => {
      if (pair.client.destroyed && pair.server.destroyed) this.#pairs.delete(pair);
    });
  }

  #enforce(pair: Pair): void {
    const { toServer, toClient, reset } = this.#passage;
    if (reset) {
      end(pair);
      return;
    }
    flow(pair.client, pair.server, toServer);
    flow(pair.server, pair.client, toClient);
  }
}

/** Reads go on only where the other side takes more: a full pipe stays full until it drains. */
function flow(from: Socket, to: Socket, open: boolean): void {
  if (!open) from.pause();
  else if (!to.writableNeedDrain) from.resume();
}

function end({ client, server }: Pair): void {
  client.resetAndDestroy();
  server.resetAndDestroy();
}
