/**
 * A node's connection to the modelled PostgreSQL, with the same account of what is known of each statement
 * as `storage/postgres/session.ts` keeps: not sent, done, rolled back, or unknown.
 */
import type { TimerHandle } from '../../../src/platform/clock.ts';
import type { Connection } from '../../../src/platform/transport.ts';
import { StoreError } from '../../../src/storage/postgres/store.ts';
import { DATABASE } from '../ground.ts';
import type { Host } from '../machine.ts';
import type { SimNetwork } from '../network.ts';
import type { Request, Result } from './backend.ts';
import type { Statement } from './transactions.ts';

/** Where the modelled server listens. */
export const DATABASE_PORT = 5432;

/** The content of frames: over the network goes only the number under which it lies here. */
export interface Mail {
  put(content: object): string;
  take(frame: Buffer): object;
}

/** First frame of a connection. */
export interface Hello {
  readonly node: string;
  readonly role: string;
}

/** The server's answer to it. */
export interface Welcome {
  readonly pid: number;
  readonly history: number;
  /** How often the server was started before. */
  readonly start: number;
}

/** The second part of a request that came in two. */
export interface Sync {
  readonly sync: number;
}

export interface SessionOptions {
  readonly network: SimNetwork;
  readonly mail: Mail;
  readonly host: Host;
  readonly role: string;
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
  /** A statement that is not answered for this long costs the connection. */
  readonly answerTimeoutMs: number;
  /** Whether the next statement travels in two parts, with whatever may happen between. */
  readonly inTwoParts: () => boolean;
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: StoreError) => void;
  readonly watch: TimerHandle;
}

export class DatabaseSession {
  readonly #options: SessionOptions;
  readonly #connection: Connection;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #lost: string | null = null;
  #closing = false;
  #over: () => void = () => undefined;
  #welcomed: () => void = () => undefined;
  /** The server's process for this connection. */
  backendPid = 0;
  /** Which server it is, and which history it has. */
  history = 0;
  /** Which run of the server it is, as `LeaseSession.serverStart` says it. */
  serverStart = '';
  /** Resolves when the connection is over, for whatever reason. */
  readonly closed: Promise<void>;

  private constructor(options: SessionOptions, connection: Connection) {
    this.#options = options;
    this.#connection = connection;
    this.closed = new Promise((resolve) => {
      this.#over = resolve;
    });
    connection.handle({
      onData: (frame) => this.#onFrame(options.mail.take(frame) as Welcome | Result),
      onClose: (error) => this.#lose(error?.message ?? 'the connection was closed'),
    });
  }

  static async open(options: SessionOptions): Promise<DatabaseSession> {
    const { network, host, role, mail, connectTimeoutMs: timeoutMs } = options;
    let connection: Connection;
    try {
      const at = { host: DATABASE, port: DATABASE_PORT, timeoutMs };
      connection = await network.transport(host).connect(at);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new StoreError('unavailable', `cannot connect to the database: ${why}`);
    }
    const session = new DatabaseSession(options, connection);
    connection.write(mail.put({ node: host.name, role } satisfies Hello));
    await session.#untilWelcomed(timeoutMs);
    return session;
  }

  async #untilWelcomed(timeoutMs: number): Promise<void> {
    const watch = this.#options.host.timers.after(timeoutMs, () => this.destroy());
    const welcomed = new Promise<void>((resolve) => {
      this.#welcomed = resolve;
    });
    await Promise.race([welcomed, this.closed]);
    watch.cancel();
    if (this.#lost !== null) throw new StoreError('unavailable', this.#lost);
  }

  get lost(): boolean {
    return this.#lost !== null;
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  /** Runs a statement; rejects with what the server says, 'unavailable' (not sent) or 'unknown'. */
  run<T>(
    statement: Statement<T>,
    timeoutMs = this.#options.statementTimeoutMs,
    answerTimeoutMs = this.#options.answerTimeoutMs,
  ): Promise<T> {
    if (this.#lost !== null || this.#closing)
      return Promise.reject(new StoreError('unavailable', this.#lost ?? 'being closed'));
    const { mail, host } = this.#options;
    const id = ++this.#lastId;
    const request: Request = { id, statement, timeoutMs };
    return new Promise<T>((resolve, reject) => {
      const watch = host.timers.after(answerTimeoutMs, () =>
        this.#lose(`the database did not answer for ${answerTimeoutMs} ms`),
      );
      this.#pending.set(id, { resolve: resolve as (value: unknown) => void, reject, watch });
      const parts = this.#options.inTwoParts();
      this.#connection.write(mail.put({ request, complete: !parts }));
      if (parts) this.#connection.write(mail.put({ sync: id } satisfies Sync));
    });
  }

  /** For a statement without effects nothing is unknown. */
  async read<T>(statement: Statement<T>): Promise<T> {
    try {
      return await this.run(statement);
    } catch (error) {
      throw asRead(error);
    }
  }

  /** Waits for what is under way, then closes. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#lost !== null) return;
    if (this.#pending.size === 0) return this.#lose('closed');
    const watch = this.#options.host.timers.after(this.#options.answerTimeoutMs, () =>
      this.destroy(),
    );
    await this.closed;
    watch.cancel();
  }

  /** Ends the connection at once; what is open is of unknown outcome. */
  destroy(): void {
    this.#lose('the connection was given up');
  }

  #onFrame(frame: Welcome | Result): void {
    if ('id' in frame) return this.#onResult(frame);
    this.backendPid = frame.pid;
    this.history = frame.history;
    this.serverStart = String(frame.start);
    this.#welcomed();
  }

  #onResult(result: Result): void {
    const pending = this.#pending.get(result.id);
    if (pending === undefined) return;
    this.#pending.delete(result.id);
    pending.watch.cancel();
    if ('error' in result) pending.reject(result.error);
    else pending.resolve(result.value);
    if (this.#closing && this.#pending.size === 0) this.#lose('closed');
  }

  #lose(reason: string): void {
    if (this.#lost !== null) return;
    this.#lost = reason;
    this.#connection.destroy();
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { watch, reject } of pending) {
      watch.cancel();
      reject(new StoreError('unknown', `the connection was lost before the answer: ${reason}`));
    }
    this.#over();
  }
}

export function asRead(error: unknown): unknown {
  if (!(error instanceof StoreError) || error.kind !== 'unknown') return error;
  return new StoreError('unavailable', error.message);
}
