/**
 * Which entry goes when memory is full: Redis's policies with Redis's approximation. A few entries are
 * drawn and the best candidates ever drawn are kept in a pool; the best of the pool goes.
 *
 * Drawing must be even: a map cannot be asked for a random entry, and picking a random slot first would
 * wear out the small slots and spare a slot that one hash tag has made large. So for `allkeys-*` a
 * few hands walk through all of memory, each with a position that stays where it was between calls,
 * and each draw takes a step of the next hand. On a lap every entry comes up once, whatever its slot's size; the
 * hash that makes slots is what makes the order random. For `volatile-*`, the expiry index is numbered without gaps
 * and random numbers do.
 *
 * The victim is the caller's to drop, and whether an entry may go is in part its knowledge too.
 */
import type { Random } from '../../platform/clock.ts';
import type { Entry } from './entry.ts';
import type { Keyspace } from './keyspace.ts';
import { DB_COUNT, located, type Located, placeOf, SLOT_COUNT } from './place.ts';

export const EVICTION_POLICIES = [
  'noeviction',
  'allkeys-lru',
  'allkeys-lfu',
  'allkeys-random',
  'volatile-lru',
  'volatile-lfu',
  'volatile-random',
  'volatile-ttl',
] as const;
export type EvictionPolicy = (typeof EVICTION_POLICIES)[number];

/** The caller's say: may this entry be dropped now? Asked only for clean ones. */
export type MayEvict = (slot: number, entry: Entry) => boolean;

export interface EvictorOptions {
  readonly keyspace: Keyspace;
  readonly random: Random;
  /** Cluster time, milliseconds since 1970. */
  nowMs(): number;
  readonly policy: EvictionPolicy;
  /** Entries drawn for one victim (`maxmemory-samples`). */
  readonly samples: number;
}

const POOL_SIZE = 16;
const HANDS = 4;
/** Entries looked at by one pick at most; what cannot be evicted is passed over. */
const DRAWS_MAX = 1024;

interface Candidate {
  readonly slot: number;
  readonly db: number;
  readonly key: string;
  /** The higher, the sooner it goes. */
  readonly score: number;
}

export class Evictor {
  readonly #keyspace: Keyspace;
  readonly #random: Random;
  readonly #nowMs: () => number;
  readonly #hands: Hand[] = [];
  #nextHand = 0;
  #policy: EvictionPolicy = 'noeviction';
  #volatile = false;
  /** Best last. */
  #pool: Candidate[] = [];
  /** Entries drawn for one victim; may be changed at any time. */
  samples: number;

  constructor(options: EvictorOptions) {
    this.#keyspace = options.keyspace;
    this.#random = options.random;
    this.#nowMs = () => options.nowMs();
    this.samples = options.samples;
    for (let i = 0; i < HANDS; i++) {
      this.#hands.push(new Hand(options.keyspace, options.random.below(SLOT_COUNT)));
    }
    this.policy = options.policy;
  }

  get policy(): EvictionPolicy {
    return this.#policy;
  }

  /** Also tells the keyspace which kind of use to record; see `access.ts` for what becomes of old records. */
  set policy(policy: EvictionPolicy) {
    this.#policy = policy;
    this.#volatile = policy.startsWith('volatile');
    this.#pool = [];
    this.#keyspace.access.mode = policy.endsWith('lfu') ? 'lfu' : 'lru';
  }

  /**
   * An entry to drop: clean, allowed by the policy and by `mayEvict`; or undefined when the policy is
   * noeviction or none was found. The search is bounded, so when hardly anything may go,
   * one call may miss it; the hands go on from where they are at the next.
   */
  pick(mayEvict: MayEvict): Located | undefined {
    if (this.#policy === 'noeviction') return undefined;
    const random = this.#policy.endsWith('random');
    const nowMs = this.#nowMs();
    let suitable = 0;
    for (let draws = 0; draws < DRAWS_MAX; draws++) {
      const at = this.#draw();
      if (at === undefined) break;
      if (!this.#suits(at, mayEvict)) continue;
      if (random) return at;
      this.#admit(at, nowMs);
      if (++suitable % this.samples !== 0) continue;
      const best = this.#takeBest(mayEvict, nowMs);
      if (best !== undefined) return best;
    }
    return this.#takeBest(mayEvict, nowMs);
  }

  #draw(): Located | undefined {
    if (this.#volatile) {
      const count = this.#keyspace.volatileCount;
      return count === 0 ? undefined : this.#keyspace.volatileAt(this.#random.below(count));
    }
    this.#nextHand = (this.#nextHand + 1) % HANDS;
    return this.#hands[this.#nextHand]!.step();
  }

  #suits(at: Located, mayEvict: MayEvict): boolean {
    if (at.entry.dirty !== 0) return false;
    if (this.#volatile && at.entry.expiresAtMs === 0) return false;
    return mayEvict(at.slot, at.entry);
  }

  #score(entry: Entry, nowMs: number): number {
    if (this.#policy === 'volatile-ttl') return -entry.expiresAtMs;
    const { access } = this.#keyspace;
    if (this.#policy.endsWith('lfu')) return -access.frequency(entry.access, nowMs);
    return access.idleSeconds(entry.access, nowMs);
  }

  #admit({ slot, db, key, entry }: Located, nowMs: number): void {
    for (const other of this.#pool) {
      if (other.key === key && other.slot === slot && other.db === db) return;
    }
    const score = this.#score(entry, nowMs);
    let rank = this.#pool.length;
    while (rank > 0 && this.#pool[rank - 1]!.score > score) rank--;
    if (rank === 0 && this.#pool.length === POOL_SIZE) return;
    this.#pool.splice(rank, 0, { slot, db, key, score });
    if (this.#pool.length > POOL_SIZE) this.#pool.shift();
  }

  /** The best of the pool that is still there and has not been used since it was drawn. */
  #takeBest(mayEvict: MayEvict, nowMs: number): Located | undefined {
    for (let best = this.#pool.pop(); best !== undefined; best = this.#pool.pop()) {
      const { slot, db, key, score } = best;
      const entry = this.#keyspace.find(slot, db, key);
      if (entry === undefined || this.#score(entry, nowMs) < score) continue;
      const at = { slot, db, key, entry };
      if (this.#suits(at, mayEvict)) return at;
    }
    return undefined;
  }
}

/** Goes round through all entries of all databases, one at a time. */
class Hand {
  readonly #keyspace: Keyspace;
  #slot: number;
  #db = 0;
  /** Hash of the last entry in the slot, -1 before the first. */
  #position = -1;

  constructor(keyspace: Keyspace, slot: number) {
    this.#keyspace = keyspace;
    this.#slot = slot;
  }

  /** The next entry, or undefined when there is none in a whole lap. */
  step(): Located | undefined {
    if (this.#keyspace.entryCount === 0) return undefined;
    for (let empty = 0; empty <= SLOT_COUNT * DB_COUNT; empty++) {
      const next = this.#keyspace.nextAfter(this.#slot, this.#db, this.#position);
      if (next !== undefined) {
        this.#position = next.hash;
        return located(placeOf(this.#slot, this.#db), next.entry);
      }
      this.#nextPlace();
    }
    return undefined;
  }

  #nextPlace(): void {
    this.#position = -1;
    this.#slot++;
    if (this.#slot < SLOT_COUNT) return;
    this.#slot = 0;
    do this.#db = (this.#db + 1) % DB_COUNT;
    while (!this.#keyspace.hasDatabase(this.#db));
  }
}
