/**
 * The server's process for one connection. It runs what has arrived in full, one statement after the
 * other, each in its own transaction, whether its client still lives or not: what was being done when a
 * client dies is committed all the same, perhaps much later.
 */
import type { TimerHandle } from '../../../src/platform/clock.ts';
import { StoreError } from '../../../src/storage/postgres/store.ts';
import type { SimConnection } from '../connection.ts';
import type { Host } from '../machine.ts';
import { type Locks, type Statement, type Step, Transaction } from './transactions.ts';

export interface Request {
  readonly id: number;
  readonly statement: Statement<unknown>;
  /** The server gives up after this time, milliseconds; 0: never. */
  readonly timeoutMs: number;
}

export type Result =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: StoreError };

/** What a backend needs of its server. */
export interface BackendEnv {
  readonly host: Host;
  readonly locks: Locks;
  /** Time until a commit is on the disk, milliseconds. */
  flushMs(): number;
  /** True: `resume` is called later, when the gate is opened. */
  isHeld(gate: string, resume: () => void): boolean;
  answer(backend: Backend, result: Result): void;
  onEnd(backend: Backend): void;
}

interface Running {
  readonly request: Request;
  readonly transaction: Transaction;
  readonly steps: Generator<Step, unknown, void>;
  readonly watch: TimerHandle | null;
  /** Its COMMIT is being written: nothing cancels it any more but a crash. */
  committing: boolean;
}

/** Of the chain of locks: how long a deadlock goes unnoticed, milliseconds. */
const DEADLOCK_MS = 1000;

export class Backend {
  readonly pid: number;
  /** The node it works for. */
  readonly node: string;
  readonly role: string;
  readonly connection: SimConnection;
  readonly #env: BackendEnv;
  readonly #queue: Request[] = [];
  /** Requests whose end (Sync) has not arrived: they run, and wait for it before they commit. */
  readonly #unfinished = new Set<number>();
  #running: Running | null = null;
  #hungUp = false;
  #ended = false;

  constructor(
    env: BackendEnv,
    pid: number,
    of: { node: string; role: string; connection: SimConnection },
  ) {
    this.#env = env;
    this.pid = pid;
    this.node = of.node;
    this.role = of.role;
    this.connection = of.connection;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get transaction(): Transaction | null {
    return this.#running?.transaction ?? null;
  }

  receive(request: Request, complete: boolean): void {
    if (this.#ended) return;
    if (!complete) this.#unfinished.add(request.id);
    this.#queue.push(request);
    this.#next();
  }

  /** The end of a request that came in two parts. */
  sync(id: number): void {
    if (!this.#unfinished.delete(id)) return;
    const running = this.#running;
    if (running?.request.id === id && running.committing) this.#flush(running);
  }

  /**
   * The client is gone. What has arrived is still done, unless it was in the buffers of a connection
   * that was reset; what had no end is rolled back.
   */
  hangUp(reset: boolean): void {
    if (this.#ended) return;
    this.#hungUp = true;
    if (reset) this.#queue.length = 0;
    const running = this.#running;
    if (running === null) this.#end();
    else if (this.#unfinished.has(running.request.id)) this.terminate();
  }

  /** pg_terminate_backend, or a crash of the server. */
  terminate(): void {
    if (this.#ended) return;
    this.#abort();
    this.#end();
    this.connection.destroyAs(new Error('terminated'));
  }

  #end(): void {
    this.#ended = true;
    this.#queue.length = 0;
    this.#env.onEnd(this);
  }

  #next(): void {
    if (this.#running !== null || this.#ended) return;
    const request = this.#queue.shift();
    if (request === undefined) {
      if (this.#hungUp) this.#end();
      return;
    }
    const transaction = new Transaction(this.pid);
    const { timeoutMs } = request;
    const watch =
      timeoutMs === 0
        ? null
        : this.#env.host.timers.after(timeoutMs, () =>
            this.#cancel(transaction, 'canceling statement due to statement timeout'),
          );
    const steps = request.statement(transaction);
    this.#running = { request, transaction, steps, watch, committing: false };
    this.#go(this.#running);
  }

  /** Goes on until it has to wait. */
  #go(running: Running): void {
    const { transaction, steps } = running;
    const resume = (): void => {
      if (this.#running === running) this.#go(running);
    };
    try {
      for (;;) {
        const { done, value } = steps.next();
        if (done === true) return this.#finish(running, value);
        if (this.#mustWait(value, transaction, resume)) return;
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#fail(error);
    }
  }

  #mustWait(step: Step, transaction: Transaction, resume: () => void): boolean {
    const { host, locks } = this.#env;
    if ('gate' in step) return this.#env.isHeld(step.gate, resume);
    if ('workMs' in step) {
      if (step.workMs > 0) host.timers.after(step.workMs, resume);
      return step.workMs > 0;
    }
    if (locks.take(transaction, step.lock, resume)) return false;
    host.timers.after(DEADLOCK_MS, () => {
      if (locks.isDeadlocked(transaction)) this.#cancel(transaction, 'deadlock detected');
    });
    return true;
  }

  #finish(running: Running, value: unknown): void {
    this.#value = value;
    if (running.transaction.writes.length === 0 && running.transaction.locks.size === 0)
      return this.#answer({ id: running.request.id, value });
    running.committing = true;
    if (!this.#unfinished.has(running.request.id)) this.#flush(running);
  }

  #value: unknown;

  #flush(running: Running): void {
    running.watch?.cancel();
    const flushMs = this.#env.flushMs();
    const commit = (): void => {
      if (this.#running !== running) return;
      for (const write of running.transaction.writes) write();
      this.#answer({ id: running.request.id, value: this.#value });
    };
    if (flushMs > 0) this.#env.host.timers.after(flushMs, commit);
    else commit();
  }

  /** The server cancels the statement: rolled back, and the session goes on. */
  #cancel(transaction: Transaction, reason: string): void {
    const running = this.#running;
    if (running?.transaction !== transaction) return;
    if (running.committing && !this.#unfinished.has(running.request.id)) return;
    this.#fail(new StoreError('unavailable', reason));
  }

  #fail(error: StoreError): void {
    this.#answer({ id: this.#running!.request.id, error });
  }

  /** The transaction is over, one way or the other. */
  #answer(result: Result): void {
    this.#abort();
    this.#unfinished.delete(result.id);
    if (!this.#hungUp) this.#env.answer(this, result);
    this.#next();
  }

  /** Ends the transaction; what it wanted to write is forgotten, if it was not written. */
  #abort(): void {
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    running.watch?.cancel();
    this.#env.locks.release(running.transaction);
  }
}
