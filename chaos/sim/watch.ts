/**
 * Watches who would answer as primary of which slots: a slot that is active on a node with a running lease is
 * served by it. All slots are looked at whenever something changes in what a life is to its slots, and at the
 * beginning and end of its lease. The end of a lease that just runs out is seen a moment later and then told
 * exactly; a process that is killed serves nothing any more from the last look on.
 */
import { SLOT_COUNT } from '../../src/cluster/slot.ts';
import type { Cluster } from '../../src/cluster/cluster.ts';
import type { Lease } from '../../src/cluster/lease.ts';
import type { SlotTable } from '../../src/cluster/slots.ts';
import type { History } from '../history.ts';
import type { Sim, SimNode } from './cluster.ts';
import type { Host } from './machine.ts';

const PERIOD_MS = 4;
/** Of a slot that is not served. */
const NOT = Number.NaN;

export class PrimaryWatch {
  readonly #sim: Sim;
  readonly #history: History;
  /** By incarnation. */
  readonly #services = new Map<string, Service>();

  constructor(sim: Sim, history: History) {
    this.#sim = sim;
    this.#history = history;
    sim.time.every(PERIOD_MS, () => this.#look());
  }

  /** Ends what is open. */
  stop(): void {
    for (const service of this.#services.values()) service.end();
  }

  #look(): void {
    const seen = new Set<Service>();
    for (const node of this.#sim.processes()) {
      const { life } = node.cluster;
      if (life === null) continue;
      const service = this.#services.get(life.self.incarnation) ?? this.#begin(node, life);
      seen.add(service);
      service.onLease();
    }
    for (const [incarnation, service] of this.#services) {
      if (seen.has(service)) continue;
      service.end();
      this.#services.delete(incarnation);
    }
  }

  #begin({ host }: SimNode, life: Life): Service {
    const service = new Service(this.#sim, this.#history, host, life);
    this.#services.set(life.self.incarnation, service);
    return service;
  }
}

type Life = NonNullable<Cluster['life']>;

/** What one life serves. */
class Service {
  readonly #sim: Sim;
  readonly #history: History;
  readonly #host: Host;
  readonly #life: Life;
  /** By slot: since when it is served, and the epoch of that moment. */
  readonly #since = new Float64Array(SLOT_COUNT).fill(NOT);
  readonly #epochs = new Float64Array(SLOT_COUNT);
  #holdsLease = false;
  #seenAtMs: number;
  #ended = false;

  constructor(sim: Sim, history: History, host: Host, life: Life) {
    this.#sim = sim;
    this.#history = history;
    this.#host = host;
    this.#life = life;
    this.#seenAtMs = sim.time.monotonicMs();
    const { slots, lease } = life;
    afterEach(slots, ['adopt', 'confirm', 'expireHolders'], () => {
      this.onLease();
      this.#onSlots();
    });
    afterEach(lease, ['grant', 'end'], () => this.onLease());
  }

  /** The lease may have begun, gone on or ended. */
  onLease(): void {
    const nowMs = this.#sim.time.monotonicMs();
    const holds = !this.#ended && !this.#host.asleep && holdsLease(this.#life.lease, this.#host);
    const before = this.#holdsLease;
    this.#holdsLease = holds;
    if (holds && !before) this.#onSlots();
    if (!holds && before) this.#update(() => false, this.#leaseEnd(nowMs));
    this.#seenAtMs = nowMs;
  }

  /** For good. */
  end(): void {
    this.#ended = true;
    this.#update(() => false, this.#seenAtMs);
  }

  #onSlots(): void {
    if (!this.#holdsLease || this.#ended) return;
    const { slots } = this.#life;
    this.#update((slot) => slots.isActivePrimary(slot), this.#sim.time.monotonicMs());
  }

  /** One that was ended on purpose, or ran out since it was looked at last. */
  #leaseEnd(nowMs: number): number {
    const overMs = this.#host.clock.monotonicMs() - this.#life.lease.untilMs;
    return overMs < Infinity ? Math.max(this.#seenAtMs, nowMs - Math.max(0, overMs)) : nowMs;
  }

  #update(serves: (slot: number) => boolean, nowMs: number): void {
    let ending = 0;
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      const since = this.#since[slot]!;
      const isServed = serves(slot);
      if (isServed && Number.isNaN(since)) {
        this.#since[slot] = nowMs;
        this.#epochs[slot] = this.#life.epoch;
      }
      const ends = !isServed && !Number.isNaN(since);
      const goesOn = ends && ending > 0 && this.#isLike(slot, slot - 1);
      if (ending > 0 && !goesOn) this.#tell(slot - ending, slot - 1, nowMs);
      ending = goesOn ? ending + 1 : ends ? 1 : 0;
    }
    if (ending > 0) this.#tell(SLOT_COUNT - ending, SLOT_COUNT - 1, nowMs);
  }

  #isLike(slot: number, other: number): boolean {
    return this.#since[slot] === this.#since[other] && this.#epochs[slot] === this.#epochs[other];
  }

  #tell(first: number, last: number, endedAtMs: number): void {
    const { node, incarnation } = this.#life.self;
    const startedAtMs = this.#since[first]!;
    const epoch = this.#epochs[first]!;
    const slots = [first, last] as const;
    this.#history.addPrimary({ node, incarnation, epoch, slots, startedAtMs, endedAtMs });
    this.#since.fill(NOT, first, last + 1);
  }
}

/** Calls `then` whenever one of these methods of the object has run. */
function afterEach<T extends SlotTable | Lease>(
  object: T,
  names: readonly (keyof T)[],
  then: () => void,
): void {
  for (const name of names) {
    const method = object[name] as (...args: unknown[]) => unknown;
    const watched = (...args: unknown[]): unknown => {
      const result = method.apply(object, args);
      then();
      return result;
    };
    Object.defineProperty(object, name, { value: watched });
  }
}

/** As the node itself would find. `valid` remembers what it saw, so it is asked only where it must be. */
export function holdsLease(lease: Lease, host: Host): boolean {
  return host.hasSlept ? lease.valid : lease.untilMs > host.clock.monotonicMs();
}
