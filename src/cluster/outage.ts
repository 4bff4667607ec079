/**
 * Reads while the database is away. Leases cannot be renewed then, and without more a cache would stop
 * answering when it is needed most.
 *
 * A node without a lease goes on answering reads when a majority of its view's members (itself
 * included) said within the last third of a lease that they have none either, and nobody it hears has
 * one. That is stale only if nodes cut off from this majority, but not from the database, have removed
 * it and written; `reads-without-store refuse` excludes even that.
 */
import type { Clock } from '../platform/clock.ts';
import type { Lease } from './lease.ts';
import type { Peers } from './peers.ts';

export interface OutageEnv {
  readonly clock: Clock;
  readonly lease: Lease;
  readonly peers: Peers;
  readonly leaseMs: number;
  readonly mode: 'serve' | 'refuse';
  /** Members of the view this node lives in; 0: it is in none. */
  members(): number;
  /** The last renewal failed because the database could not be asked. */
  storeUnreachable(): boolean;
}

/** How long one verdict is used again, milliseconds; well below what a lease's third may change. */
const CACHE_MS = 20;

export class Outage {
  readonly #env: OutageEnv;
  #verdict = false;
  #atMs = Number.NEGATIVE_INFINITY;

  constructor(env: OutageEnv) {
    this.#env = env;
  }

  readsWithoutLease(): boolean {
    if (this.#env.mode === 'refuse' || !this.#env.storeUnreachable()) return false;
    const now = this.#env.clock.monotonicMs();
    if (now - this.#atMs < CACHE_MS) return this.#verdict;
    this.#atMs = now;
    this.#verdict = this.#judge(now);
    return this.#verdict;
  }

  #judge(now: number): boolean {
    let leaseless = 1;
    for (const peer of this.#env.peers.all()) {
      if (now - peer.heardAtMs > this.#env.leaseMs / 3) continue;
      if (!peer.leaseless) return false;
      leaseless++;
    }
    return leaseless * 2 > this.#env.members();
  }
}
