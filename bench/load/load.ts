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

export type LoadCommand = 'get' | 'set' | 'incr' | 'mget';

/**
 * Who sends a load. `redis-benchmark` to one port; `redis-benchmark --cluster`, which learns the primaries
 * and goes to them; or our own generator, for what redis-benchmark cannot do.
 */
export type LoadClient = 'redis-benchmark' | 'redis-benchmark --cluster' | 'own';

/**
 * Which keys our own generator sends where. `any`: all keys to the first node. `primaries`: each connection
 * to one primary, with keys of its slots, as a cluster-aware client does. `owned` and `not-owned`: to the
 * first node, only keys of which it is, or is not, an owner. `everywhere`: all keys to all nodes.
 */
export type Route = 'any' | 'primaries' | 'owned' | 'not-owned' | 'everywhere';

export interface Load {
  readonly command: LoadCommand;
  readonly prefix: string;
  readonly connections: number;
  /** Commands sent at once on each connection; 1: one, then its reply. */
  readonly pipeline: number;
  /** `redis-benchmark` when left out. */
  readonly client?: LoadClient;
  /** `redis-benchmark` talks to this node, the first when left out: 0. */
  readonly node?: number;
  /** Keys of one MGET; each counts as an operation. */
  readonly keysPerCommand?: number;
  /** All commands name this one key. */
  readonly hotKey?: string;
  /** Distinct keys; KEY_SPACE when left out. */
  readonly keySpace?: number;
  /** Own generator only; `any` when left out. */
  readonly route?: Route;
  /** Own generator only: each write is followed by `WAIT <this>` on the same connection, and ends with it. */
  readonly waitFor?: number;
  /** Own generator only: commands begin at this rate whether earlier ones were answered or not. */
  readonly ratePerSecond?: number;
}

/** What a client saw of one round. */
export interface Measured {
  readonly operations: number;
  readonly opsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Where the client tells. */
  readonly p999Ms?: number;
  readonly maxMs?: number;
  /** Processor time of a client that goes on living, microseconds; of one that ends, the system tells. */
  readonly clientUs?: number;
}

/** Something that was started, and has to be stopped. */
export interface Running {
  /** Its processes now, which a restart would change. */
  processes(): readonly ProcessGroup[];
  stop(): Promise<void>;
}

/** Something that a load can be given to. */
export interface Contender extends Running {
  readonly id: string;
  /** For people: `redis-server`. */
  readonly label: string;
  /**
   * Writes every key that the load names once: reads then find them, writes are updates on all sides, and
   * code that is compiled while it runs has been compiled.
   */
  fill(load: Load): Promise<void>;
  /** Sends `operations` commands and resolves when all are answered. Rejects when one got an error. */
  run(load: Load, operations: number): Promise<Measured>;
}

/** Loads with the same mark need the same keys; undefined: they need none. */
export function fillMark({
  client,
  prefix,
  hotKey,
  keySpace = KEY_SPACE,
}: Load): string | undefined {
  if (hotKey !== undefined) return undefined;
  return client === 'redis-benchmark --cluster' ? `${prefix} by slot` : `${prefix} ${keySpace}`;
}
