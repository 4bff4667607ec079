/**
 * Views: what they mean for placement, and how the next one is made. Pure functions; who may propose,
 * and when, is decided in `membership.ts`, and the transaction that makes a view true is in
 * `storage/postgres`.
 *
 * A view has two lists. Owners of a slot are the first N of the *settled* list, less the removed: a
 * crash therefore never makes an empty newcomer an owner. Whoever the *coming* list adds to a slot is
 * its learner; when all learners are filled, the coming list becomes the settled one.
 */
import type { Member, NodeRef, View } from '../storage/postgres/store.ts';
import { computeOwners } from './ring.ts';
import { SLOT_COUNT } from './slot.ts';

/** Owners and learners of slots that share them. */
export interface Group {
  /** Primary first. */
  readonly owners: readonly Member[];
  readonly learners: readonly Member[];
}

export type Placement = readonly Group[];

/** `node/incarnation`: the key of maps over lives of nodes. */
export function refKey(ref: NodeRef): string {
  return `${ref.node}/${ref.incarnation}`;
}

export function sameRef(a: NodeRef, b: NodeRef): boolean {
  return a.node === b.node && a.incarnation === b.incarnation;
}

export function hasRef(list: readonly NodeRef[], ref: NodeRef): boolean {
  return list.some((other) => sameRef(other, ref));
}

/** The settled members that are not removed. */
export function living(view: View): Member[] {
  return view.settled.filter((member) => !hasRef(view.removed, member));
}

/** Everybody who takes part in a view: living settled members and coming ones. */
export function participants(view: View): Member[] {
  const members = living(view);
  for (const member of view.coming) if (!hasRef(members, member)) members.push(member);
  return members;
}

/** Owners and learners of every slot under a view. Slots with the same lists share one Group object. */
export function place(view: View): Placement {
  const settled = computeOwners(view.settled, view.replicas);
  const coming = computeOwners(view.coming, view.replicas);
  const groups = new Map<readonly Member[], Map<readonly Member[], Group>>();
  const placement = new Array<Group>(SLOT_COUNT);
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const before = settled[slot]!;
    const after = coming[slot]!;
    let row = groups.get(before);
    if (row === undefined) groups.set(before, (row = new Map<readonly Member[], Group>()));
    let group = row.get(after);
    if (group === undefined) row.set(after, (group = makeGroup(view, before, after)));
    placement[slot] = group;
  }
  return placement;
}

function makeGroup(view: View, settled: readonly Member[], coming: readonly Member[]): Group {
  const alive = settled.filter((member) => !hasRef(view.removed, member));
  // All owners of this slot are gone: nobody has its memory, so the coming owners start from the table.
  if (alive.length === 0) return { owners: coming, learners: [] };
  return { owners: alive, learners: coming.filter((member) => !hasRef(alive, member)) };
}

/** True when some slot has a learner. */
export function hasLearners(placement: Placement): boolean {
  return placement.some((group) => group.learners.length > 0);
}

export interface Change {
  readonly remove: readonly NodeRef[];
  /** A node that joins, in the life that joins. */
  readonly add: Member | null;
  /** All learners of the present view are filled. */
  readonly settle: boolean;
}

/**
 * The view after `view` (null: there is none yet). Returns null when the change changes nothing.
 * A list that needs nobody to be filled is settled at once.
 */
export function nextView(
  view: View | null,
  change: Change,
  fresh: { id: string; replicas: number },
): View | null {
  if (view === null) {
    if (change.add === null) return null;
    return { epoch: 1, ...fresh, settled: [change.add], removed: [], coming: [change.add] };
  }
  const gone = (ref: NodeRef): boolean => hasRef(change.remove, ref);
  const coming = view.coming.filter((member) => !gone(member));
  if (change.add !== null && !hasRef(coming, change.add)) coming.push(change.add);
  coming.sort((a, b) => (a.node < b.node ? -1 : 1));
  // What is filled are the learners of the present view: whoever joins with this change is not among them.
  const settled = change.settle ? view.coming : view.settled;
  const removedBefore = change.settle ? [] : view.removed;
  const leaving = settled.filter((member) => !hasRef(removedBefore, member) && gone(member));
  const removed = [...removedBefore, ...leaving];
  const same = leaving.length === 0 && sameList(coming, view.coming);
  if (same && !change.settle) return null;
  if (coming.length === 0) return null;
  const candidate: View = {
    epoch: view.epoch + 1,
    id: fresh.id,
    // The founder's replication factor holds until somebody changes it on purpose.
    replicas: view.replicas,
    settled,
    removed,
    coming,
  };
  const done = living(candidate).length === 0 || !hasLearners(place(candidate));
  return done ? { ...candidate, settled: coming, removed: [] } : candidate;
}

function sameList(a: readonly Member[], b: readonly Member[]): boolean {
  return a.length === b.length && a.every((member) => hasRef(b, member));
}

/** True when the coming list is not yet the settled one. */
export function isMoving(view: View): boolean {
  return view.removed.length > 0 || !sameList(view.settled, view.coming);
}
