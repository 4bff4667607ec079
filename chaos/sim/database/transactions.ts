/**
 * Transactions of the modelled PostgreSQL: row locks, waits, and writes that nobody sees before the
 * commit. A statement is a generator that gives control away wherever the real one would wait; between
 * two such points it reads one snapshot, which is what is committed at that moment (READ COMMITTED).
 */

/** What a statement waits for. */
export type Step =
  /** A row lock, held until the transaction ends. */
  | { readonly lock: string }
  /** The server is at work for so long, milliseconds. */
  | { readonly workMs: number }
  /** Nothing, unless a test holds statements of this name back. */
  | { readonly gate: string };

export type Statement<T> = (transaction: Transaction) => Generator<Step, T, void>;

let lastId = 0;

export class Transaction {
  /** Tells a backend that has been busy all along from one that began something new. */
  readonly id = ++lastId;
  readonly writes: (() => void)[] = [];
  readonly locks = new Set<string>();
  /** The lock it waits for. */
  waitsFor: string | null = null;
  /** The process of its backend. */
  readonly pid: number;

  constructor(pid: number) {
    this.pid = pid;
  }

  /** Done when it commits, seen by nobody before. */
  write(change: () => void): void {
    this.writes.push(change);
  }
}

interface Lock {
  holder: Transaction;
  readonly waiting: { readonly transaction: Transaction; readonly granted: () => void }[];
}

export class Locks {
  readonly #locks = new Map<string, Lock>();

  /** True: it has the lock. False: `granted` is called when it has. */
  take(transaction: Transaction, key: string, granted: () => void): boolean {
    if (transaction.locks.has(key)) return true;
    const lock = this.#locks.get(key);
    if (lock === undefined) {
      this.#locks.set(key, { holder: transaction, waiting: [] });
      transaction.locks.add(key);
      return true;
    }
    transaction.waitsFor = key;
    lock.waiting.push({ transaction, granted });
    return false;
  }

  isFree(key: string): boolean {
    return !this.#locks.has(key);
  }

  /** The transaction is over, or waits no more: the next ones get what it had. */
  release(transaction: Transaction): void {
    if (transaction.waitsFor !== null) {
      const { waiting } = this.#locks.get(transaction.waitsFor)!;
      const at = waiting.findIndex((waiter) => waiter.transaction === transaction);
      if (at >= 0) waiting.splice(at, 1);
      transaction.waitsFor = null;
    }
    const granted: (() => void)[] = [];
    for (const key of transaction.locks) {
      const lock = this.#locks.get(key)!;
      const next = lock.waiting.shift();
      if (next === undefined) {
        this.#locks.delete(key);
        continue;
      }
      lock.holder = next.transaction;
      next.transaction.waitsFor = null;
      next.transaction.locks.add(key);
      granted.push(next.granted);
    }
    transaction.locks.clear();
    for (const callback of granted) callback();
  }

  /** Who a transaction waits for in the end: those at the ends of the chains, who wait for nobody. */
  rootOf(transaction: Transaction): Transaction | null {
    const seen = new Set<Transaction>();
    let at = transaction;
    while (at.waitsFor !== null && !seen.has(at)) {
      seen.add(at);
      at = this.#locks.get(at.waitsFor)!.holder;
    }
    return at === transaction || seen.has(at) ? null : at;
  }

  /** It waits for somebody who waits for it. */
  isDeadlocked(transaction: Transaction): boolean {
    const seen = new Set<Transaction>();
    let at = transaction;
    while (at.waitsFor !== null) {
      if (seen.has(at)) return true;
      seen.add(at);
      at = this.#locks.get(at.waitsFor)!.holder;
    }
    return false;
  }
}
