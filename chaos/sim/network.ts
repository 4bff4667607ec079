/** A modelled network: bytes in order, with a delay; links that can be cut, slowed down and broken. */
import type { Connection, ConnectionHandlers, Transport } from '../../src/platform/transport.ts';
import type { VirtualTime } from './time.ts';
import type { Host } from './machine.ts';

/** Every message takes this long, over the network and to the database, milliseconds. */
export const HOP_MS = 1;

class SimConnection implements Connection {
  readonly from: Host;
  readonly to: Host;
  readonly #network: SimNetwork;
  peer!: SimConnection;
  #handlers: ConnectionHandlers | null = null;
  #inbox: Buffer[] = [];
  #paused = false;
  #closed = false;
  readonly bufferedBytes = 0;
  /** This is the end that dialled. */
  dialled = false;

  constructor(network: SimNetwork, from: Host, to: Host) {
    this.#network = network;
    this.from = from;
    this.to = to;
  }

  get remoteAddress(): string {
    return this.to.name;
  }
  get localAddress(): string {
    return this.from.name;
  }

  handle(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    if (this.#inbox.length > 0) this.#network.carry(this.from, this.from, () => this.#drain());
  }

  write(data: string | Buffer): void {
    if (this.#closed) return;
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : Buffer.from(data);
    this.#network.carry(this.from, this.to, () => this.peer.receive(bytes), this);
  }

  receive(bytes: Buffer): void {
    if (this.#closed) return;
    this.#inbox.push(bytes);
    this.#drain();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#network.carry(this.from, this.from, () => this.#drain());
  }

  /** What comes before anybody listens waits, as in a socket's buffer. */
  #drain(): void {
    const handlers = this.#handlers;
    if (handlers === null) return;
    while (!this.#paused && !this.#closed && this.#inbox.length > 0) {
      handlers.onData(this.#inbox.shift()!);
    }
  }

  end(): void {
    this.destroy();
  }

  destroy(): void {
    this.destroyAs(undefined);
  }

  /** Closes; the owner of this end is told the error, the other end hears of it in its time. */
  destroyAs(error: Error | undefined): void {
    if (this.#closed) return;
    this.#close(error);
    this.#network.carry(this.from, this.to, () => this.peer.#close(undefined), this);
  }

  /** The other side is gone for good: seen at once, as a reset. */
  reset(): void {
    this.#close(new Error('connection reset'));
  }

  #close(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#network.forget(this);
    this.#handlers?.onClose(error);
  }

  setKeepAlive(): void {
    // Nothing to keep alive here.
  }
}

export class SimNetwork {
  readonly #time: VirtualTime;
  readonly #listeners = new Map<string, { host: Host; accept: (connection: Connection) => void }>();
  readonly #cuts = new Set<string>();
  readonly #delays = new Map<string, number>();
  /** Last arrival per direction, so that nothing overtakes. */
  readonly #arrivals = new Map<string, number>();
  readonly #held = new Map<string, (() => void)[]>();
  readonly #connections = new Set<SimConnection>();
  readonly #stranded = new Map<SimConnection, (() => void)[]>();

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  /** What `from` sends to `to` stays on the way until `heal`. */
  cutOneWay(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`);
  }

  cut(a: string, b: string): void {
    this.cutOneWay(a, b);
    this.cutOneWay(b, a);
  }

  heal(a: string, b: string): void {
    for (const way of [`${a}>${b}`, `${b}>${a}`]) {
      this.#cuts.delete(way);
      const held = this.#held.get(way) ?? [];
      this.#held.delete(way);
      // On the way at once, so that nothing sent from now on overtakes them.
      for (const carryAgain of held) carryAgain();
    }
  }

  /** Extra time on the way from one host to another, milliseconds. */
  delay(from: string, to: string, ms: number): void {
    this.#delays.set(`${from}>${to}`, ms);
  }

  /** All connections between two hosts break; new ones can be made. */
  break(a: string, b: string): void {
    for (const connection of [...this.#connections]) {
      const ends = [connection.from.name, connection.to.name];
      if (ends.includes(a) && ends.includes(b)) connection.from.run(() => connection.reset());
    }
  }

  /**
   * What `from` sends on the connections that it has dialled to `to` arrives only after `arrive`,
   * whatever newer connections carry meanwhile.
   */
  strand(from: string, to: string): void {
    for (const connection of this.#connections) {
      const isIt = connection.from.name === from && connection.to.name === to;
      if (isIt && connection.dialled) this.#stranded.set(connection, []);
    }
  }

  /** The stranded ends see their connections break; the other ends do not hear of it yet. */
  breakStranded(): void {
    for (const connection of [...this.#stranded.keys()])
      connection.from.run(() => connection.destroyAs(new Error('connection reset')));
  }

  /** What was stranded arrives. */
  arrive(): void {
    const late = [...this.#stranded.values()].flat();
    this.#stranded.clear();
    for (const again of late) again();
  }

  killHost(host: Host): void {
    for (const [id, listener] of this.#listeners)
      if (listener.host === host) this.#listeners.delete(id);
    for (const connection of [...this.#connections]) {
      if (connection.to === host) this.carry(host, connection.from, () => connection.reset());
    }
  }

  carry(from: Host, to: Host, deliver: () => void, connection?: SimConnection): void {
    const stranded = connection === undefined ? undefined : this.#stranded.get(connection);
    if (stranded !== undefined) {
      stranded.push(() => this.carry(from, to, deliver));
      return;
    }
    const way = `${from.name}>${to.name}`;
    if (this.#cuts.has(way)) {
      const held = this.#held.get(way);
      const again = (): void => this.carry(from, to, deliver);
      if (held === undefined) this.#held.set(way, [again]);
      else held.push(again);
      return;
    }
    const now = this.#time.monotonicMs();
    const at = Math.max(now + HOP_MS + (this.#delays.get(way) ?? 0), this.#arrivals.get(way) ?? 0);
    this.#arrivals.set(way, at);
    this.#time.after(at - now, () => to.run(deliver));
  }

  forget(connection: SimConnection): void {
    this.#connections.delete(connection);
  }

  transport(host: Host): Transport {
    return {
      listen: ({ port }, accept) => {
        this.#listeners.set(`${host.name}:${port}`, { host, accept });
        const close = (): Promise<void> => {
          this.#listeners.delete(`${host.name}:${port}`);
          return Promise.resolve();
        };
        return Promise.resolve({ port, close });
      },
      connect: ({ host: to, port, timeoutMs }) =>
        new Promise((resolve, reject) => {
          let abandoned = false;
          const timer = host.timers.after(timeoutMs, () => {
            abandoned = true;
            reject(new Error('connect timed out'));
          });
          const target = this.#listeners.get(`${to}:${port}`);
          if (target === undefined) {
            timer.cancel();
            reject(new Error('connection refused'));
            return;
          }
          this.carry(host, target.host, () => {
            const here = new SimConnection(this, host, target.host);
            here.dialled = true;
            const there = new SimConnection(this, target.host, host);
            here.peer = there;
            there.peer = here;
            this.#connections.add(here).add(there);
            target.accept(there);
            this.carry(target.host, host, () => {
              timer.cancel();
              if (abandoned) here.destroy();
              else resolve(here);
            });
          });
        }),
    };
  }
}
