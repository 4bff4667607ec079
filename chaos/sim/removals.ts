/**
 * Watches who is removed from the cluster. Nobody whose lease still runs may be: it would answer while others
 * take over. And nobody may be for whom nothing went wrong: every removal costs a hand-over.
 */
import type { NodeRef } from '../../src/storage/postgres/store.ts';
import type { Sim } from './cluster.ts';
import type { Ground } from './ground.ts';
import { holdsLease } from './watch.ts';

export class RemovalWatch {
  readonly #sim: Sim;
  readonly #ground: Ground;
  readonly findings: string[] = [];
  removals = 0;

  constructor(sim: Sim, ground: Ground) {
    this.#sim = sim;
    this.#ground = ground;
    sim.database.onView = (view, removed) => {
      for (const ref of removed) this.#look(view.epoch, ref);
    };
  }

  /** What comes after this is not looked at. */
  stop(): void {
    this.#sim.database.onView = () => undefined;
  }

  #look(epoch: number, ref: NodeRef): void {
    this.removals++;
    const at = `at ${this.#sim.time.monotonicMs().toFixed(3)} ms, by view ${epoch}`;
    const who = `${ref.node} (${ref.incarnation})`;
    if (!this.#ground.accountsFor(ref.node))
      this.findings.push(`${who} was removed ${at}, and nothing had happened to it`);
    if (this.#leaseRuns(ref)) this.findings.push(`${who} was removed ${at}, and its lease ran on`);
  }

  #leaseRuns(ref: NodeRef): boolean {
    return this.#sim.processes().some(({ host, cluster: { life } }) => {
      if (life?.self.incarnation !== ref.incarnation || host.asleep) return false;
      return holdsLease(life.lease, host);
    });
  }
}
