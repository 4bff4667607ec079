/**
 * Watches who is removed from the cluster. Nobody whose lease still runs may be: it would answer while others
 * take over. And nobody may be for whom nothing went wrong: every removal costs a hand-over. An epoch stands
 * for one view for ever, also where the database has lost it.
 */
import { living, sameRef } from '../../src/cluster/view.ts';
import type { NodeRef, View } from '../../src/storage/postgres/store.ts';
import type { Sim } from './cluster.ts';
import type { Ground } from './ground.ts';
import type { Plan } from './plan.ts';
import { holdsLease } from './watch.ts';

/** Where nodes and links are fine, everybody has heard of a view by then, milliseconds. */
const HEARD_MS = 1_000;
/** A complaint is settled by then, and its loser gone: see `complaints.ts`; milliseconds. */
const SETTLED_MS = 4_000;

export class RemovalWatch {
  readonly #sim: Sim;
  /** Incarnations that were removed. */
  readonly #removed = new Set<string>();
  readonly #ground: Ground;
  readonly findings: string[] = [];
  removals = 0;

  constructor(sim: Sim, ground: Ground, { faults }: Plan) {
    const allHear = faults.every(
      ({ fault: { name, harmless } }) => harmless === true || name.startsWith('database-'),
    );
    this.#sim = sim;
    this.#ground = ground;
    sim.database.onView = (view, removed) => {
      for (const ref of removed) this.#look(view, ref);
      if (allHear) this.#lookAtEpoch(view.epoch);
    };
  }

  /** What comes after this is not looked at. */
  stop(): void {
    this.#sim.database.onView = () => undefined;
  }

  /** A view that was lost before anybody had heard of it may be followed by one of the same epoch. */
  #lookAtEpoch(epoch: number): void {
    const lostAtMs = this.#ground.lostCommits.at(-1)?.atMs;
    if (lostAtMs === undefined) return;
    const known = this.#sim.database.committedViews.filter(
      ({ atMs }) => atMs < lostAtMs - HEARD_MS,
    );
    const highest = Math.max(...known.map(({ view }) => view.epoch));
    if (epoch <= highest) this.findings.push(`view ${epoch} came after view ${highest}`);
  }

  #look(view: View, ref: NodeRef): void {
    this.removals++;
    const at = `at ${this.#sim.time.monotonicMs().toFixed(3)} ms, by view ${view.epoch}`;
    const who = `${ref.node} (${ref.incarnation})`;
    // In a database that has lost the view that removed it, a life is removed once more.
    const isFirst = !this.#removed.has(ref.incarnation);
    this.#removed.add(ref.incarnation);
    if (isFirst && !this.#ground.accountsFor(ref.node) && !this.#wasEitherOfTwo(view, ref))
      this.findings.push(`${who} was removed ${at}, and nothing had happened to it`);
    if (this.#leaseRuns(ref)) this.findings.push(`${who} was removed ${at}, and its lease ran on`);
  }

  /** Two without a link between them, while nobody else was well enough to say whose fault it was. */
  #wasEitherOfTwo(view: View, ref: NodeRef): boolean {
    const settlement = this.#sim.database.settlements.find(({ loser }) => sameRef(loser, ref));
    if (settlement === undefined) return false;
    const { by, about } = settlement;
    const other = sameRef(by, ref) ? about : by;
    const sinceMs = this.#sim.time.monotonicMs() - SETTLED_MS;
    return !living(view).some(
      (member) => !sameRef(member, other) && this.#ground.isCalmSince(member.node, sinceMs),
    );
  }

  #leaseRuns(ref: NodeRef): boolean {
    return this.#sim.processes().some(({ host, cluster: { life } }) => {
      if (life?.self.incarnation !== ref.incarnation || host.asleep) return false;
      return holdsLease(life.lease, host);
    });
  }
}
