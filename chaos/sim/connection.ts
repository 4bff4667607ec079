/** One end of a modelled TCP connection. */
import type { Connection, ConnectionHandlers } from '../../src/platform/transport.ts';
import type { Host } from './machine.ts';
import type { Pipe, SimNetwork } from './network.ts';

/** Bytes that the systems of both sides take before `bufferedBytes` begins to grow. */
const SOCKET_BUFFER_BYTES = 256 * 1024;

export class SimConnection implements Connection {
  readonly #network: SimNetwork;
  /** What this end sends. */
  readonly out: Pipe;
  /** This is the end that dialled. */
  readonly dialled: boolean;
  #peer!: SimConnection;
  #handlers: ConnectionHandlers | null = null;
  #inbox: Buffer[] = [];
  /** Why it closed, for handlers that come later. */
  #reason: Error | undefined;
  #paused = false;
  #closed = false;
  /** The other side has ended; what it sent before is still to be read. */
  #ended = false;
  #unread = 0;

  private constructor(network: SimNetwork, out: Pipe, dialled: boolean) {
    this.#network = network;
    this.out = out;
    this.dialled = dialled;
    network.register(this);
  }

  /** Both ends of a new connection. */
  static pair(network: SimNetwork, there: Pipe, back: Pipe): [SimConnection, SimConnection] {
    const here = new SimConnection(network, there, true);
    const peer = new SimConnection(network, back, false);
    here.#peer = peer;
    peer.#peer = here;
    return [here, peer];
  }

  get from(): Host {
    return this.out.from;
  }
  get to(): Host {
    return this.out.to;
  }
  get remoteAddress(): string {
    return this.to.name;
  }
  get localAddress(): string {
    return this.from.name;
  }
  get bufferedBytes(): number {
    return Math.max(0, this.#unread - SOCKET_BUFFER_BYTES);
  }

  handle(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    if (this.#closed) handlers.onClose(this.#reason);
    else if (this.#inbox.length > 0) this.#drainSoon();
  }

  write(data: string | Buffer): void {
    if (this.#closed) return;
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : Buffer.from(data);
    this.#unread += bytes.length;
    this.#network.carry(this.out, () => this.#peer.#arrive(bytes));
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#drainSoon();
  }

  end(): void {
    this.destroyAs(undefined);
  }

  destroy(): void {
    this.destroyAs(undefined);
  }

  /** Closes; the owner of this end is told the error, the other end hears of it after all that was sent. */
  destroyAs(error: Error | undefined): void {
    if (this.#closed) return;
    this.#close(error);
    this.tellPeer(undefined);
  }

  setKeepAlive(): void {
    // Nothing to keep alive here.
  }

  /** Broken, as this end sees it. */
  reset(reason: string): void {
    this.#close(new Error(reason));
  }

  /** Broken at both ends. */
  breakBoth(): void {
    const peer = this.#peer;
    this.from.run(() => this.reset('connection reset'));
    peer.from.run(() => peer.reset('connection reset'));
  }

  /** The other end hears that this one is over, after all that was sent. */
  tellPeer(reason: string | undefined): void {
    const peer = this.#peer;
    this.#network.carry(this.out, () =>
      peer.from.run(() => (reason === undefined ? peer.#end() : peer.reset(reason))),
    );
  }

  #arrive(bytes: Buffer): void {
    this.#network.note(bytes);
    const sender = this.#peer;
    if (this.#closed || this.from.dead) {
      // Nobody has this connection any more: its machine says so, if it is up.
      if (this.from.dead && !this.#network.isUp(this.from.name)) return;
      this.#network.carry(this.out, () => sender.from.run(() => sender.reset('connection reset')));
      return;
    }
    this.from.run(() => {
      if (this.#closed) return;
      this.#inbox.push(bytes);
      this.#drain();
    });
  }

  #drainSoon(): void {
    this.#network.time.after(0, () => this.from.run(() => this.#drain()));
  }

  #drain(): void {
    const handlers = this.#handlers;
    if (handlers === null) return;
    while (!this.#paused && !this.#closed && this.#inbox.length > 0) {
      const bytes = this.#inbox.shift()!;
      this.#peer.#taken(bytes.length);
      handlers.onData(bytes);
    }
    if (this.#ended && this.#inbox.length === 0) this.#close(undefined);
  }

  #end(): void {
    this.#ended = true;
    if (this.#inbox.length === 0) this.#close(undefined);
  }

  /** The other side has read some of it. */
  #taken(bytes: number): void {
    const before = this.bufferedBytes;
    this.#unread -= bytes;
    if (before > 0 && this.bufferedBytes === 0 && !this.#closed)
      this.from.run(() => this.#handlers?.onDrain?.());
  }

  #close(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reason = error;
    this.#network.forget(this);
    this.#handlers?.onClose(error);
  }
}
