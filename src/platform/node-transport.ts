/**
 * Transport over TCP. ADR 0003 has the measurements behind its choices: plain `data` events, strings
 * written as latin1 (V8 hands their bytes to the socket without a copy in JavaScript), no Nagle delay.
 */
import { createServer, connect as connectSocket, type Server, type Socket } from 'node:net';
import type { Connection, ConnectionHandlers, Listener, Transport } from './transport.ts';

/** Connections that the system holds until they are accepted; the kernel caps it (`somaxconn`). */
const BACKLOG = 511;

export function createNodeTransport(): Transport {
  return { listen, connect };
}

function listen(
  at: { host: string; port: number },
  onConnection: (connection: Connection) => void,
): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
      onConnection(new NodeConnection(socket));
    });
    server.once('error', reject);
    // Accepting can fail later, when the process is out of file descriptors: that client is lost, the
    // listener goes on, and whoever reads the process's warnings learns of it.
    server.on('error', (error) => {
      if (server.listening) process.emitWarning(error);
    });
    server.listen({ host: at.host, port: at.port, backlog: BACKLOG }, () => {
      server.off('error', reject);
      resolve({ port: boundPort(server), close: () => closeServer(server) });
    });
  });
}

function boundPort(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not a TCP listener');
  return address.port;
}

/** Resolves when the port is free, which is before the last connection has ended. */
function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close();
    setImmediate(resolve);
  });
}

function connect(to: { host: string; port: number; timeoutMs: number }): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket({
      host: to.host,
      port: to.port,
      noDelay: true,
      allowHalfOpen: true,
    });
    const timer = setTimeout(() => {
      socket.destroy(new Error(`no connection to ${to.host}:${to.port} within ${to.timeoutMs} ms`));
    }, to.timeoutMs);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
    };
    socket.once('error', fail);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', fail);
      resolve(new NodeConnection(socket));
    });
  });
}

/** One socket. Errors are kept for `onClose`, which the `close` event that always follows reports. */
class NodeConnection implements Connection {
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly #socket: Socket;
  #error: Error | undefined;
  #onDrain: (() => void) | undefined;
  #drainAwaited = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    // Kept, because a closed socket no longer knows them.
    this.remoteAddress = formatAddress(socket.remoteAddress, socket.remotePort);
    this.localAddress = formatAddress(socket.localAddress, socket.localPort);
    socket.on('error', (error: Error) => {
      this.#error ??= error;
    });
  }

  handle(handlers: ConnectionHandlers): void {
    const socket = this.#socket;
    const onEnd = handlers.onEnd?.bind(handlers);
    this.#onDrain = handlers.onDrain?.bind(handlers);
    socket.on('data', (chunk: Buffer) => handlers.onData(chunk));
    socket.on('end', onEnd ?? (() => socket.end()));
    if (socket.closed) {
      // It broke between `connect` and this call; its `close` event is past.
      process.nextTick(() => handlers.onClose(this.#error));
    } else {
      socket.once('close', () => handlers.onClose(this.#error));
    }
  }

  write(data: string | Buffer): void {
    if (!this.#socket.writable) return;
    if (typeof data === 'string') this.#socket.write(data, 'latin1');
    else this.#socket.write(data);
    if (this.#onDrain !== undefined && !this.#drainAwaited) this.#awaitDrain(this.#onDrain);
  }

  /**
   * Reports when what is queued has gone. Not by the stream's own `drain`, which is silent below its high
   * water mark, but by an empty write behind the queued ones.
   */
  #awaitDrain(onDrain: () => void): void {
    if (this.#socket.writableLength === 0) return;
    this.#drainAwaited = true;
    this.#socket.write('', (error) => {
      this.#drainAwaited = false;
      if (error) return; // The connection is over, and says so by `onClose`.
      if (this.#socket.writableLength === 0) onDrain();
      else this.#awaitDrain(onDrain);
    });
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  setKeepAlive(idleMs: number): void {
    this.#socket.setKeepAlive(idleMs > 0, idleMs);
  }
}

/** `address:port`, IPv6 in brackets, IPv4 inside IPv6 as IPv4. */
function formatAddress(address = '', port = 0): string {
  const plain = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
  return plain.includes(':') ? `[${plain}]:${port}` : `${plain}:${port}`;
}
