/** What a round sends, who it is sent to, and what comes out: the words that all of the bench shares. */
import type { ProcessGroup } from './processor-time.ts';

/** Keys are `<prefix><12 digits>`, drawn at random from this many (as `redis-benchmark -r` does). */
export const KEY_SPACE = 100_000;
export const VALUE_BYTES = 64;
/** One value for all: what is measured does not look at its bytes. */
export const VALUE = 'v'.repeat(VALUE_BYTES);

const KEY_DIGITS = 12;

export function keyName(prefix: string, number: number): string {
  return prefix + String(number).padStart(KEY_DIGITS, '0');
}

export interface Load {
  readonly command: 'get' | 'set';
  readonly prefix: string;
  readonly connections: number;
  /** Commands sent at once on each connection; 1: one, then its reply. */
  readonly pipeline: number;
}

/** What a client saw of one round. */
export interface Measured {
  readonly operations: number;
  readonly opsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Something that a load can be given to. */
export interface Contender {
  readonly id: string;
  /** For people: `redis-server`. */
  readonly label: string;
  /** Its processes now, which a restart would change. */
  processes(): readonly ProcessGroup[];
  /**
   * Writes every key with this prefix once: reads then find them, writes are updates on all sides, and
   * code that is compiled while it runs has been compiled.
   */
  fill(prefix: string): Promise<void>;
  /** Sends `operations` commands and resolves when all are answered. Rejects when one got an error. */
  run(load: Load, operations: number): Promise<Measured>;
  stop(): Promise<void>;
}
