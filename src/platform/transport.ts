/**
 * Byte streams as arguments: one shape for client sockets and node-to-node links, over TCP in
 * production and over the modelled network in the simulator.
 */

export interface ConnectionHandlers {
  /** Bytes arrived. The buffer may be reused after the call returns: copy what must live longer. */
  onData(chunk: Buffer): void;
  /** Called exactly once, when both directions are over. `error` says why, where there is a reason. */
  onClose(error?: Error): void;
  /** The outgoing buffer went from non-empty to empty. */
  onDrain?(): void;
  /**
   * The peer sends no more, but may still read: whoever handles this calls `end` when the answers under
   * way are written. Without it the connection ends by itself.
   */
  onEnd?(): void;
}

/** One byte stream. All methods are safe to call after it has closed (they do nothing). */
export interface Connection {
  /** Must be called once, in the same turn the connection was handed out. */
  handle(handlers: ConnectionHandlers): void;
  /** Queues bytes. A string is written as latin1: one character is one byte. */
  write(data: string | Buffer): void;
  /** Bytes accepted by `write` and not yet given to the operating system. */
  readonly bufferedBytes: number;
  /** Stops and restarts reading: backpressure towards the peer. */
  pause(): void;
  resume(): void;
  /** Sends what is queued, then closes. */
  end(): void;
  /** Closes at once; queued bytes are lost. */
  destroy(): void;
  /** `address:port` of the other and of this side, for people. */
  readonly remoteAddress: string;
  readonly localAddress: string;
  /** TCP keepalive; `0` switches it off. */
  setKeepAlive(idleMs: number): void;
}

export interface Listener {
  /** The port really bound (useful after asking for port 0). */
  readonly port: number;
  /** Stops accepting. Connections that were accepted stay open: their owners drain and close them. */
  close(): Promise<void>;
}

export interface Transport {
  /** Rejects with the system's error (`EADDRINUSE`, ...) when the port cannot be bound. */
  listen(
    at: { host: string; port: number },
    onConnection: (connection: Connection) => void,
  ): Promise<Listener>;
  /** Rejects when the peer cannot be reached within `timeoutMs`. */
  connect(to: { host: string; port: number; timeoutMs: number }): Promise<Connection>;
}
