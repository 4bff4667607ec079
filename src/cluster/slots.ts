/**
 * What this node is to each slot under the present view, and whether it may act on it yet.
 *
 * **Activation.** A slot whose owners changed may still be held, under an older view, by nodes that
 * have not heard of the new one. Its primary runs nothing until each of them has confirmed the new
 * view, was removed from it (removal waits for the end of the lease, see `membership.ts`), or a lease
 * and margin has passed since this node saw the view: renewals sent before that cannot be running any
 * more, and later ones are answered with the newer epoch. Holders of *all* older views count until
 * they confirm (schedule two-views-back), not only those of the view just before.
 */
import type { NodeRef, View } from '../storage/postgres/store.ts';
import { assert } from './assert.ts';
import { SLOT_COUNT } from './slot.ts';
import {
  type Group,
  hasRef,
  participants,
  type Placement,
  place,
  refKey,
  sameRef,
} from './view.ts';

/** Bits of a slot's role. */
export const Role = {
  /** This node runs the slot's commands. */
  Primary: 1,
  /** This node has the slot's memory and may answer reads from it. */
  Owner: 2,
  /** This node is being filled. */
  Learner: 4,
  /** Nobody can still hold the slot under an older view: the primary may act. */
  Active: 8,
} as const;

const PRIMARY_ACTIVE = Role.Primary | Role.Active;

/** Lives of nodes that may hold some slots under an older view. Shared by the slots it is true of. */
type Holders = Set<string>;

/** What slots of the same groups, before and after, have in common. */
interface Comparison {
  readonly before: Group;
  readonly after: Group;
  readonly role: number;
  readonly isSame: boolean;
  /** No owner of the view before takes part in this one. */
  readonly isOrphan: boolean;
}

const NO_GROUP: Group = { owners: [], onRing: [], learners: [] };

/** How many slots this node is what to. */
export interface SlotCounts {
  readonly primary: number;
  readonly replica: number;
  readonly learner: number;
  /** Primary, and not active. */
  readonly waiting: number;
  /** Primary, and complete in memory. */
  readonly complete: number;
}

export class SlotTable {
  readonly #self: NodeRef;
  #placement: Placement = new Array<Group>(SLOT_COUNT).fill(NO_GROUP);
  readonly #roles = new Uint8Array(SLOT_COUNT);
  readonly #holders: (Holders | null)[] = new Array<Holders | null>(SLOT_COUNT).fill(null);
  /** 1: this node has the slot as an owner has it: it is one, or a learner that was filled. */
  readonly #held = new Uint8Array(SLOT_COUNT);
  /** 1: everything the database has of this slot is in memory (or dirty). */
  readonly #complete = new Uint8Array(SLOT_COUNT);
  /** Counts wholesale losses of a slot's content (flush, drop), so that loads notice what overtook them. */
  readonly changes = new Float64Array(SLOT_COUNT);
  /** Counts every loss, evictions too: what was being completed meanwhile is not complete. */
  readonly losses = new Float64Array(SLOT_COUNT);
  /** Counts writes this node ran as primary: the version of what is absent, and of scans. */
  readonly writes = new Float64Array(SLOT_COUNT);
  /** Epoch of the first view, of those without a gap up to the present one, with this node as the slot's primary. */
  readonly primarySince = new Float64Array(SLOT_COUNT);

  constructor(self: NodeRef) {
    this.#self = self;
  }

  group(slot: number): Group {
    return this.#placement[slot]!;
  }

  primaryOf(slot: number): Group['owners'][number] | undefined {
    return this.#placement[slot]!.owners[0];
  }

  isPrimary(slot: number): boolean {
    return (this.#roles[slot]! & Role.Primary) !== 0;
  }

  isActivePrimary(slot: number): boolean {
    return (this.#roles[slot]! & PRIMARY_ACTIVE) === PRIMARY_ACTIVE;
  }

  isOwner(slot: number): boolean {
    return (this.#roles[slot]! & Role.Owner) !== 0;
  }

  isLearner(slot: number): boolean {
    return (this.#roles[slot]! & Role.Learner) !== 0;
  }

  /** This node owns the slot, or learns it and has all of it. */
  isHeld(slot: number): boolean {
    return this.#held[slot] === 1;
  }

  /** A slot that this node learns was sent to its end. */
  setHeld(slot: number): void {
    this.#held[slot] = 1;
  }

  isComplete(slot: number): boolean {
    return this.#complete[slot] === 1;
  }

  setComplete(slot: number, complete: boolean): void {
    this.#complete[slot] = complete ? 1 : 0;
    if (!complete) this.losses[slot]!++;
  }

  /** This node owns or learns some slot. */
  get holdsAny(): boolean {
    return this.#roles.some((role) => (role & ~Role.Active) !== 0);
  }

  /** Every slot this node is primary of is active. */
  get allActive(): boolean {
    return !this.#roles.some((role) => (role & PRIMARY_ACTIVE) === Role.Primary);
  }

  /** One pass over all slots: for people and tools, not for every request. */
  counts(): SlotCounts {
    const counts = { primary: 0, replica: 0, learner: 0, waiting: 0, complete: 0 };
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      const role = this.#roles[slot]!;
      if ((role & Role.Primary) !== 0) {
        counts.primary++;
        if ((role & Role.Active) === 0) counts.waiting++;
        counts.complete += this.#complete[slot]!;
      } else if ((role & Role.Owner) !== 0) counts.replica++;
      if ((role & Role.Learner) !== 0) counts.learner++;
    }
    return counts;
  }

  /**
   * Takes over the next view. Returns the slots whose memory must go, and those it became primary of.
   *
   * Memory goes where this node holds the slot no more, and where all owners of the view before are gone: they
   * died while the slot was being handed over. What this node had learned until then may be a part, another
   * part than that of the next one, so all of them begin with the table, and a learner learns anew. All see the
   * same: a life adopts every view, in order (`membership.ts`). Nothing goes that a living owner has, and a
   * hand-over that was completed is not undone: then the next owners are the owners of the view before.
   */
  adopt(view: View): { lost: number[]; gained: number[] } {
    const placement = place(view);
    const selfKey = refKey(this.#self);
    const members = participants(view);
    const others = members.filter((member) => !sameRef(member, this.#self));
    const alive = others.map(refKey);
    // The first view this life sees: who held what under earlier ones is not known here, so everybody
    // who is still there may hold anything.
    const unknownBefore: Group = { owners: others, onRing: others, learners: [] };
    const first = this.#placement[0] === NO_GROUP;
    const merged = new Map<Holders | null, Map<Group, Map<Group, Holders>>>();
    // What neighbouring slots mostly have in common: the event loop stands still meanwhile.
    let like = this.#compare(NO_GROUP, NO_GROUP, members);
    const lost: number[] = [];
    const gained: number[] = [];
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      const before = first ? unknownBefore : this.#placement[slot]!;
      const after = placement[slot]!;
      const wasPrimary = this.isPrimary(slot);
      if (before !== like.before || after !== like.after) {
        like = this.#compare(before, after, members);
      }
      const { role } = like;
      const isOrphan = role !== 0 && like.isOrphan;
      if (isOrphan || (role === 0 && (this.#roles[slot]! & ~Role.Active) !== 0)) lost.push(slot);
      if (!like.isSame) {
        this.#holders[slot] = mergeHolders(merged, this.#holders[slot]!, before, after, alive);
      }
      const still = this.#holders[slot]!;
      const waits = still !== null && still.size > 0;
      this.#roles[slot] = waits ? role : role | Role.Active;
      if ((role & Role.Primary) !== 0 && !wasPrimary) {
        gained.push(slot);
        this.primarySince[slot] = view.epoch;
      }
      if (isOrphan) {
        this.setComplete(slot, false);
        this.#held[slot] = 0;
      }
      // Whoever goes on learning a slot that it has keeps it, as an owner does: see `fill.ts`.
      if ((role & Role.Owner) !== 0) this.#held[slot] = 1;
      else if (role === 0) this.#held[slot] = this.#complete[slot] = 0;
    }
    this.#placement = placement;
    this.#forget(new Set(alive));
    assert(!this.waitingFor().has(selfKey), 'a node waits for itself');
    return { lost, gained };
  }

  /** `ref` has confirmed the present view: it holds nothing under older ones. Returns newly active slots. */
  confirm(ref: NodeRef): number[] {
    const key = refKey(ref);
    for (const holders of this.#distinctHolders()) holders.delete(key);
    return this.#activate();
  }

  /** A lease and margin has passed since the present view was seen. Returns newly active slots. */
  expireHolders(): number[] {
    for (const holders of this.#distinctHolders()) holders.clear();
    return this.#activate();
  }

  /** Lives that some slot still waits for. */
  waitingFor(): Set<string> {
    const waiting = new Set<string>();
    for (const holders of this.#distinctHolders()) for (const key of holders) waiting.add(key);
    return waiting;
  }

  #forget(alive: Set<string>): void {
    for (const holders of this.#distinctHolders()) {
      for (const key of holders) if (!alive.has(key)) holders.delete(key);
    }
    this.#activate();
  }

  #distinctHolders(): Set<Holders> {
    const distinct = new Set<Holders>();
    let last: Holders | null = null;
    for (const holders of this.#holders) {
      if (holders !== null && holders !== last) distinct.add(holders);
      last = holders;
    }
    return distinct;
  }

  #activate(): number[] {
    const active: number[] = [];
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      const holders = this.#holders[slot];
      if (holders === null || holders === undefined || holders.size > 0) continue;
      this.#holders[slot] = null;
      this.#roles[slot]! |= Role.Active;
      active.push(slot);
    }
    return active;
  }

  #compare(before: Group, after: Group, members: readonly NodeRef[]): Comparison {
    const role = this.#roleIn(after);
    const isOrphan = !before.owners.some((ref) => hasRef(members, ref));
    return { before, after, role, isSame: sameOwners(before, after), isOrphan };
  }

  #roleIn(group: Group): number {
    const { owners, learners } = group;
    let role = 0;
    if (owners.length > 0 && sameRef(owners[0]!, this.#self)) role |= Role.Primary;
    if (hasRef(owners, this.#self)) role |= Role.Owner;
    if (hasRef(learners, this.#self)) role |= Role.Learner;
    return role;
  }
}

function sameOwners(a: Group, b: Group): boolean {
  if (a.owners === b.owners) return true;
  return a.owners.length === b.owners.length && a.owners.every((m, i) => sameRef(m, b.owners[i]!));
}

/** Who may still hold a slot: those of older views, and the owners (and learners) of the last one. */
function mergeHolders(
  merged: Map<Holders | null, Map<Group, Map<Group, Holders>>>,
  older: Holders | null,
  before: Group,
  after: Group,
  alive: readonly string[],
): Holders {
  let byBefore = merged.get(older);
  if (byBefore === undefined) merged.set(older, (byBefore = new Map<Group, Map<Group, Holders>>()));
  let byAfter = byBefore.get(before);
  if (byAfter === undefined) byBefore.set(before, (byAfter = new Map<Group, Holders>()));
  let holders = byAfter.get(after);
  if (holders === undefined) {
    holders = new Set(older);
    for (const member of [...before.owners, ...before.learners]) {
      const key = refKey(member);
      if (alive.includes(key)) holders.add(key);
    }
    byAfter.set(after, holders);
  }
  return holders;
}
