/**
 * Watches who would answer as primary of which slots, all the time: a slot that is active on a node with a
 * running lease is served by it. Some slots are looked at, which are enough, as slots come in ranges.
 */
import type { History } from '../history.ts';
import { SLOT_COUNT } from '../../src/cluster/slot.ts';
import type { Lease } from '../../src/cluster/lease.ts';
import type { Sim, SimNode } from './cluster.ts';
import type { Host } from './machine.ts';

const WATCHED = 96;
const PERIOD_MS = 4;

/** What one life serves now, by position of the slot in the list of those that are watched. */
interface Service {
  readonly node: string;
  readonly incarnation: string;
  readonly since: ({ epoch: number; startedAtMs: number } | null)[];
  /** The last moment at which it was seen. */
  seenAtMs: number;
}

export class PrimaryWatch {
  readonly #sim: Sim;
  readonly #history: History;
  readonly #slots: readonly number[];
  /** By incarnation. */
  readonly #services = new Map<string, Service>();

  constructor(sim: Sim, history: History) {
    this.#sim = sim;
    this.#history = history;
    this.#slots = Array.from({ length: WATCHED }, (_, i) =>
      Math.floor(((i + 0.5) * SLOT_COUNT) / WATCHED),
    );
    sim.time.every(PERIOD_MS, () => this.#look());
  }

  /** Ends what is open. */
  stop(): void {
    for (const service of this.#services.values()) this.#end(service);
  }

  #look(): void {
    const nowMs = this.#sim.time.monotonicMs();
    for (const node of this.#sim.processes()) this.#lookAt(node, nowMs);
    for (const service of this.#services.values()) if (service.seenAtMs < nowMs) this.#end(service);
  }

  #lookAt({ host, cluster }: SimNode, nowMs: number): void {
    const { life } = cluster;
    if (host.asleep || life === null || !holdsLease(life.lease, host)) return;
    const { incarnation } = life.self;
    let service = this.#services.get(incarnation);
    if (service === undefined) {
      const since = new Array<null>(WATCHED).fill(null);
      service = { node: host.name, incarnation, since, seenAtMs: nowMs };
      this.#services.set(incarnation, service);
    }
    for (let i = 0; i < WATCHED; i++) {
      if (!life.slots.isActivePrimary(this.#slots[i]!)) this.#close(service, i);
      else service.since[i] ??= { epoch: life.epoch, startedAtMs: nowMs };
    }
    service.seenAtMs = nowMs;
  }

  #end(service: Service): void {
    this.#services.delete(service.incarnation);
    for (let i = 0; i < WATCHED; i++) this.#close(service, i);
  }

  #close({ node, incarnation, since, seenAtMs: endedAtMs }: Service, i: number): void {
    const open = since[i];
    if (open === null || open === undefined) return;
    since[i] = null;
    const slot = this.#slots[i]!;
    this.#history.addPrimary({ node, incarnation, ...open, slots: [slot, slot], endedAtMs });
  }
}

/** As the node itself would find. `valid` remembers what it saw, so it is asked only where it must be. */
function holdsLease(lease: Lease, host: Host): boolean {
  return host.hasSlept ? lease.valid : lease.untilMs > host.clock.monotonicMs();
}
