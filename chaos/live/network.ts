/** What can be wrong with a network, in words that every kind of target understands or refuses. */
import type { Host, Mend, Network } from '../target.ts';

export type Disturbance =
  /** Silence between the two sides, both ways; within a side all is well. Clients reach every node. */
  | { readonly kind: 'split'; readonly hosts: readonly Host[]; readonly others: readonly Host[] }
  /** What `from` sends never reaches `to`; the other direction works. */
  | { readonly kind: 'one-way'; readonly from: Host; readonly to: Host }
  /** Every connection between the host and the others is reset, and so is every new one. */
  | { readonly kind: 'reset'; readonly host: Host; readonly others: readonly Host[] }
  /** That share of the packets which the host gets from the others is lost. */
  | {
      readonly kind: 'loss';
      readonly host: Host;
      readonly others: readonly Host[];
      readonly percent: number;
    }
  /** Whatever the host sends, to anybody, arrives that much later. */
  | { readonly kind: 'delay'; readonly host: Host; readonly ms: number };

/**
 * Disturbances in force, for networks that are told everything that is wrong at once: `apply` gets the
 * whole list after each change, and changes follow one another.
 */
export class Disturbances implements Network {
  readonly #active = new Set<Disturbance>();
  readonly #whyNot: (disturbance: Disturbance) => string | undefined;
  readonly #apply: (active: readonly Disturbance[]) => Promise<void>;
  #last: Promise<void> = Promise.resolve();

  constructor(
    whyNot: (disturbance: Disturbance) => string | undefined,
    apply: (active: readonly Disturbance[]) => Promise<void>,
  ) {
    this.#whyNot = whyNot;
    this.#apply = apply;
  }

  whyNot(disturbance: Disturbance): string | undefined {
    return this.#whyNot(disturbance);
  }

  async disturb(disturbance: Disturbance): Promise<Mend> {
    this.#active.add(disturbance);
    await this.#change();
    return async () => {
      if (this.#active.delete(disturbance)) await this.#change();
    };
  }

  /** Says the whole list again: for parts that were started anew. */
  renew(): Promise<void> {
    return this.#change();
  }

  #change(): Promise<void> {
    const next = this.#last.then(() => this.#apply([...this.#active]));
    // The next change is made even if this one failed; whoever asked for this one is told.
    this.#last = next.catch(() => undefined);
    return next;
  }
}

/** All pairs of hosts between which nothing passes from the first to the second. */
export function silentPairs(active: readonly Disturbance[]): [from: Host, to: Host][] {
  return active.flatMap((disturbance): [Host, Host][] => {
    if (disturbance.kind === 'one-way') return [[disturbance.from, disturbance.to]];
    if (disturbance.kind !== 'split') return [];
    const { hosts, others } = disturbance;
    return hosts.flatMap((host) =>
      others.flatMap((other): [Host, Host][] => [
        [host, other],
        [other, host],
      ]),
    );
  });
}
