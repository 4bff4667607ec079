/**
 * A few sessions for reads, opened when first needed and again after a loss. One statement a session at
 * a time: a slow one must not hold up those behind it.
 */
import type { TimerHandle } from '../../platform/clock.ts';
import { openSession, type StoreContext } from './context.ts';
import type { Answer, Session, SessionSettings, Statement } from './session.ts';
import { StoreError } from './store.ts';

interface Waiting {
  readonly start: () => void;
  readonly refuse: (error: StoreError) => void;
  watch: TimerHandle;
}

export class ConnectionPool {
  readonly #context: StoreContext;
  readonly #role: string;
  readonly #settings: Partial<SessionSettings>;
  readonly #connections: number;
  readonly #waitMs: number;
  readonly #idle: Session[] = [];
  readonly #waiting: Waiting[] = [];
  #busy = 0;
  #closed = false;

  constructor(
    context: StoreContext,
    role: string,
    connections: number,
    settings: Partial<SessionSettings>,
  ) {
    this.#context = context;
    this.#role = role;
    this.#connections = connections;
    this.#settings = settings;
    this.#waitMs = settings.statementTimeoutMs ?? context.options.statementTimeoutMs;
  }

  /** Runs a statement that changes nothing. Rejects with 'unavailable' when it waits too long for its turn. */
  async read(statement: Statement): Promise<Answer['rows']> {
    return this.#withSession((session) => session.read(statement));
  }

  /** Runs a statement that may change something. */
  async run(statement: Statement): Promise<Answer> {
    return this.#withSession((session) => session.run(statement));
  }

  /** See `Session.copyOut`. Rejects as `read` does. */
  async copyOut(text: string, take: (message: Buffer) => void): Promise<void> {
    await this.#withSession((session) => session.copyOut(text, take));
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const waiting of this.#waiting.splice(0)) {
      waiting.watch.cancel();
      waiting.refuse(new StoreError('unavailable', 'the store is being closed'));
    }
    await Promise.all(this.#idle.splice(0).map((session) => session.close()));
  }

  async #withSession<T>(use: (session: Session) => Promise<T>): Promise<T> {
    await this.#turn();
    let session: Session | undefined;
    try {
      session = await this.#take();
      return await use(session);
    } finally {
      await this.#release(session);
    }
  }

  #turn(): Promise<void> {
    if (this.#closed) return Promise.reject(new StoreError('unavailable', 'the store is closed'));
    if (this.#busy < this.#connections) {
      this.#busy++;
      return Promise.resolve();
    }
    if (this.#waiting.length >= this.#context.options.loadQueueMax) {
      return Promise.reject(new StoreError('unavailable', 'too many reads wait for the database'));
    }
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        start: resolve,
        refuse: reject,
        watch: this.#context.options.timers.after(this.#waitMs, () => {
          this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
          reject(new StoreError('unavailable', `no connection was free for ${this.#waitMs} ms`));
        }),
      };
      this.#waiting.push(waiting);
    });
  }

  async #take(): Promise<Session> {
    for (let session = this.#idle.pop(); session !== undefined; session = this.#idle.pop()) {
      if (session.lost) continue;
      if (session.history === this.#context.history) return session;
      // Of the server that was there before.
      session.destroy();
    }
    return openSession(this.#context, this.#role, this.#settings);
  }

  async #release(session: Session | undefined): Promise<void> {
    const reusable = session !== undefined && !session.lost;
    if (reusable && !this.#closed) this.#idle.push(session);
    const next = this.#waiting.shift();
    if (next === undefined) {
      this.#busy--;
    } else {
      next.watch.cancel();
      next.start();
    }
    if (reusable && this.#closed) await session.close();
  }
}
