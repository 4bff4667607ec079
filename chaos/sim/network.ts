/**
 * A modelled network. Every message of a connection takes its own time and none overtakes another of the
 * same connection and direction; those of different connections do. What is sent over a cut stays on the
 * way until it is healed, as TCP repeats it; connections can break at both ends or unnoticed at one.
 */
import type { Connection, Listener, Transport } from '../../src/platform/transport.ts';
import type { Host } from './machine.ts';
import { SimConnection } from './connection.ts';
import type { VirtualTime } from './time.ts';

/** Every message takes at least this long, over the network and to the database, milliseconds. */
export const HOP_MS = 1;

/** One direction between two processes: messages arrive in the order in which they were sent. */
export class Pipe {
  readonly from: Host;
  readonly to: Host;
  /** Arrival of the last message that was sent. */
  arrivesAtMs = 0;

  constructor(from: Host, to: Host) {
    this.from = from;
    this.to = to;
  }
}

interface Listening {
  readonly host: Host;
  readonly accept: (connection: Connection) => void;
}

export class SimNetwork {
  readonly time: VirtualTime;
  readonly #listeners = new Map<string, Listening>();
  readonly #cuts = new Set<string>();
  readonly #delays = new Map<string, number>();
  readonly #held = new Map<string, { pipe: Pipe; deliver: () => void }[]>();
  readonly #connections = new Set<SimConnection>();
  readonly #stranded = new Map<Pipe, { connection: SimConnection; late: (() => void)[] }>();
  /** What a message takes on top of the hop; asked for each, milliseconds. */
  jitterMs: () => number = () => 0;
  /** Every message that arrived, mixed into one number: two runs that differ show it here. */
  digest = 0;
  carried = 0;

  constructor(time: VirtualTime) {
    this.time = time;
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
    for (const way of [`${a}>${b}`, `${b}>${a}`]) this.#heal(way);
  }

  healAll(): void {
    this.#delays.clear();
    for (const way of [...this.#cuts]) this.#heal(way);
  }

  #heal(way: string): void {
    this.#cuts.delete(way);
    const held = this.#held.get(way) ?? [];
    this.#held.delete(way);
    for (const { pipe, deliver } of held) this.carry(pipe, deliver);
  }

  /** Extra time on the way from one host to another, milliseconds; 0 ends it. */
  delay(from: string, to: string, ms: number): void {
    if (ms === 0) this.#delays.delete(`${from}>${to}`);
    else this.#delays.set(`${from}>${to}`, ms);
  }

  /** All connections between two hosts break; new ones can be made. */
  break(a: string, b: string): void {
    for (const connection of this.#between(a, b))
      connection.from.run(() => connection.reset('connection reset'));
  }

  /** Connections of `here` to `there` break, and `there` does not hear of it until it sends something. */
  breakUnnoticed(here: string, there: string): void {
    for (const connection of this.#between(here, there)) {
      if (connection.from.name === here)
        connection.from.run(() => connection.reset('connection reset'));
    }
  }

  #between(a: string, b: string): SimConnection[] {
    return [...this.#connections].filter(
      ({ from, to }) => (from.name === a && to.name === b) || (from.name === b && to.name === a),
    );
  }

  /**
   * What `from` sends on the connections that it has dialled to `to` arrives only after `arrive`,
   * whatever newer connections carry meanwhile.
   */
  strand(from: string, to: string): void {
    for (const connection of this.#connections) {
      const isIt = connection.from.name === from && connection.to.name === to;
      if (isIt && connection.dialled) this.#stranded.set(connection.out, { connection, late: [] });
    }
  }

  /** The stranded ends see their connections break; the other ends do not hear of it yet. */
  breakStranded(): void {
    for (const { connection } of [...this.#stranded.values()])
      connection.from.run(() => connection.destroyAs(new Error('connection reset')));
  }

  /** What was stranded arrives. */
  arrive(): void {
    const stranded = [...this.#stranded];
    this.#stranded.clear();
    for (const [pipe, { late }] of stranded) for (const deliver of late) this.carry(pipe, deliver);
  }

  /**
   * The process is gone. Its machine goes on and tells the other ends (`silent`: it does not, as when
   * the power fails).
   */
  killHost(host: Host, { silent = false } = {}): void {
    host.dead = true;
    for (const [id, listener] of this.#listeners)
      if (listener.host === host) this.#listeners.delete(id);
    for (const connection of [...this.#connections]) {
      if (connection.from !== host) continue;
      this.#connections.delete(connection);
      if (!silent) connection.tellPeer('connection reset');
    }
  }

  /** Some process listens on a machine of this name: it answers what is sent to a dead one's sockets. */
  isUp(name: string): boolean {
    for (const { host } of this.#listeners.values()) if (host.name === name) return true;
    return false;
  }

  carry(pipe: Pipe, deliver: () => void): void {
    const stranded = this.#stranded.get(pipe);
    if (stranded !== undefined) return void stranded.late.push(deliver);
    const { from, to } = pipe;
    const way = `${from.name}>${to.name}`;
    if (this.#cuts.has(way)) {
      const held = this.#held.get(way);
      if (held === undefined) this.#held.set(way, [{ pipe, deliver }]);
      else held.push({ pipe, deliver });
      return;
    }
    const now = this.time.monotonicMs();
    const delayMs = HOP_MS + this.jitterMs() + (this.#delays.get(way) ?? 0);
    pipe.arrivesAtMs = Math.max(now + delayMs, pipe.arrivesAtMs);
    this.time.after(pipe.arrivesAtMs - now, () => {
      this.carried++;
      deliver();
    });
  }

  /** Mixes what arrived into the digest. */
  note(bytes: Buffer): void {
    let hash = this.digest ^ bytes.length;
    const step = bytes.length > 256 ? bytes.length >> 7 : 1;
    for (let i = 0; i < bytes.length; i += step) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
    this.digest = (hash ^ (this.time.monotonicMs() * 64)) | 0;
  }

  register(connection: SimConnection): void {
    this.#connections.add(connection);
  }

  forget(connection: SimConnection): void {
    this.#connections.delete(connection);
  }

  transport(host: Host): Transport {
    return {
      listen: ({ port }, accept) => Promise.resolve(this.#listen(host, port, accept)),
      connect: ({ host: to, port, timeoutMs }) => this.#connect(host, `${to}:${port}`, timeoutMs),
    };
  }

  #listen(host: Host, port: number, accept: Listening['accept']): Listener {
    const id = `${host.name}:${port}`;
    const listening = { host, accept };
    this.#listeners.set(id, listening);
    const close = (): Promise<void> => {
      if (this.#listeners.get(id) === listening) this.#listeners.delete(id);
      return Promise.resolve();
    };
    return { port, close };
  }

  #connect(host: Host, address: string, timeoutMs: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      let over = false;
      const fail = (reason: string): void => {
        if (over) return;
        over = true;
        timer.cancel();
        reject(new Error(reason));
      };
      const timer = host.timers.after(timeoutMs, () => fail('connect timed out'));
      const target = this.#listeners.get(address);
      if (target === undefined) return fail('connection refused');
      const there = new Pipe(host, target.host);
      const back = new Pipe(target.host, host);
      this.carry(there, () => {
        if (over || target.host.dead) return;
        const [here, peer] = SimConnection.pair(this, there, back);
        // The machine answers, whether the process runs or is stopped.
        this.carry(back, () => {
          host.run(() => {
            if (over) return here.destroy();
            over = true;
            timer.cancel();
            resolve(here);
          });
        });
        target.host.run(() => target.accept(peer));
      });
    });
  }
}
