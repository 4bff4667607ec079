/**
 * Views: what they mean for placement, and how the next one is made. Pure functions; who may propose,
 * and when, is decided in `membership.ts`, and the transaction that makes a view true is in
 * `storage/postgres`.
 *
 * A view has two lists. Owners of a slot are the first N of the *settled* list, less the removed: a
 * crash therefore never makes an empty newcomer an owner. Whoever the *coming* list adds to a slot is
 * its learner; when all learners are filled, the coming list becomes the settled one. Join, planned
 * leave, replacement, other weights and another N are all a coming list that differs.
 *
 * **Why a node that leaves is still a participant.** Until the hand-over is settled it is an owner like
 * any other. From then on it is none, but has to be told so before the next owners act: as a participant
 * it counts among the holders that must confirm (`slots.ts`), and it can still bring its clients'
 * commands to the new owners. When it stops, it takes nothing along.
 */
import type { Member, NodeRef, View } from '../storage/postgres/store.ts';
import { computeOwners } from './ring.ts';
import { SLOT_COUNT } from './slot.ts';

/** Owners and learners of slots that share them. */
export interface Group {
  /** Primary first. */
  readonly owners: readonly Member[];
  /**
   * The same in the order of the ring, whoever leads. It is what clients are told (CLUSTER SLOTS): every owner
   * answers reads, so their connections should be spread over all of them.
   */
  readonly onRing: readonly Member[];
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

/** Everybody who takes part in a view: living settled members, coming ones, and those who leave. */
export function participants(view: View): Member[] {
  const members = living(view);
  for (const member of view.coming) if (!hasRef(members, member)) members.push(member);
  for (const member of view.leaving) if (!hasRef(members, member)) members.push(member);
  return members;
}

/** Owners and learners of every slot under a view. Slots with the same lists share one Group object. */
export function place(view: View): Placement {
  const settled = computeOwners(view.settled, view.replicas);
  const coming = computeOwners(view.coming, view.comingReplicas);
  const groups = new Map<readonly Member[], Map<readonly Member[], Group>>();
  const placement = new Array<Group>(SLOT_COUNT);
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const before = settled[slot]!;
    const after = coming[slot]!;
    // Mostly it is that of the slot before.
    if (slot > 0 && before === settled[slot - 1] && after === coming[slot - 1]) {
      placement[slot] = placement[slot - 1]!;
      continue;
    }
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
  if (alive.length === 0) return { owners: ledBy(view.lead, coming), onRing: coming, learners: [] };
  return {
    owners: ledBy(view.lead, alive),
    onRing: alive,
    learners: coming.filter((member) => !hasRef(alive, member)),
  };
}

/** The same owners, the lead first if it is one of them: any owner can be a slot's primary. */
function ledBy(lead: string | null, owners: readonly Member[]): readonly Member[] {
  const first = owners.find(({ node }) => node === lead);
  if (first === undefined || first === owners[0]) return owners;
  return [first, ...owners.filter((member) => member !== first)];
}

/**
 * True when slots lost all their settled owners, and have owners from the coming list instead. Until that list is
 * settled it is what says who has these slots, so nobody may be added to it and nothing changed about it: an empty
 * newcomer could come first on the ring, and keys that are only in memory would be gone with all their owners alive.
 * Not so where all who have such a slot are in `remove`: then there is nothing left to keep.
 */
export function hasOrphans(view: View, remove: readonly NodeRef[]): boolean {
  if (view.removed.length === 0) return false;
  const coming = computeOwners(view.coming, view.comingReplicas);
  return computeOwners(view.settled, view.replicas).some(
    (owners, slot) =>
      owners.every((member) => hasRef(view.removed, member)) &&
      coming[slot]!.some((member) => !hasRef(remove, member)),
  );
}

/** True when some slot has a learner. */
export function hasLearners(placement: Placement): boolean {
  return placement.some((group) => group.learners.length > 0);
}

/** What an operator asks for; one of them. Each names an end, not a step, so asking twice is harmless. */
export type Wish =
  /** The node hands over what it has and takes part no more. */
  | { readonly kind: 'leave'; readonly node: string }
  /** So many nodes hold each slot. */
  | { readonly kind: 'replicas'; readonly replicas: number }
  /** That node is primary of all slots that it owns, and another one when it goes; null: the ring says for each slot. */
  | { readonly kind: 'lead'; readonly node: string | null }
  /** So many points of the node on the ring, in this life and in later ones. */
  | { readonly kind: 'weight'; readonly node: string; readonly tokens: number };

export interface Change {
  readonly remove: readonly NodeRef[];
  /** A node that joins, in the life that joins. */
  readonly add: Member | null;
  /** It was told to leave in an earlier life: it joins to forward commands, and takes no data. */
  readonly asGuest?: boolean;
  /** All learners of the present view are filled. */
  readonly settle: boolean;
  readonly wish?: Wish | null;
}

/** True when nothing is left to be done for the wish but the hand-over. */
export function isGranted(view: View, wish: Wish): boolean {
  switch (wish.kind) {
    case 'leave':
      return !view.coming.some(({ node }) => node === wish.node);
    case 'replicas':
      return view.comingReplicas === wish.replicas;
    case 'lead':
      return view.lead === wish.node;
    case 'weight':
      return view.weights[wish.node] === wish.tokens;
  }
}

export interface Fresh {
  readonly id: string;
  /** Of the first view only. */
  readonly replicas: number;
  /** Of the first view only: the founder leads. */
  readonly led?: boolean;
  /** An epoch that was seen once, perhaps in a database that has lost it: the view's is higher. */
  readonly above?: number;
}

/**
 * The view after `view` (null: there is none yet). Returns null when the change changes nothing.
 * A list that needs nobody to be filled is settled at once.
 */
export function nextView(view: View | null, change: Change, fresh: Fresh): View | null {
  if (view === null) return change.add === null ? null : firstView(change.add, fresh);
  const gone = (ref: NodeRef): boolean => hasRef(change.remove, ref);
  // What is filled are the learners of the present view: whoever joins with this change is not among them.
  const settled = change.settle ? view.coming : view.settled;
  const removedBefore = change.settle ? [] : view.removed;
  const dead = settled.filter((member) => !hasRef(removedBefore, member) && gone(member));
  const candidate: View = {
    epoch: Math.max(view.epoch, fresh.above ?? 0) + 1,
    previous: view.epoch,
    id: fresh.id,
    // The founder's replication factor holds until somebody changes it on purpose.
    replicas: change.settle ? view.comingReplicas : view.replicas,
    settled,
    removed: [...removedBefore, ...dead],
    ...nextMembers(view, change),
    lead: change.wish?.kind === 'lead' ? change.wish.node : view.lead,
    comingReplicas: change.wish?.kind === 'replicas' ? change.wish.replicas : view.comingReplicas,
  };
  if (candidate.coming.length === 0 || sameContent(view, candidate)) return null;
  // Another one in its place would be no answer to the wish, and it would be asked for again and again.
  if (change.wish?.kind === 'lead' && candidate.lead !== null) {
    if (!ableToLead(candidate).some(({ node }) => node === candidate.lead)) return null;
  }
  const done = living(candidate).length === 0 || !hasLearners(place(candidate));
  if (!done) return withLead(candidate);
  const { coming, comingReplicas } = candidate;
  return withLead({ ...candidate, settled: coming, removed: [], replicas: comingReplicas });
}

/** Settled members that stay: they have what they own. */
function ableToLead(view: View): Member[] {
  return living(view).filter((member) => hasRef(view.coming, member));
}

/** Why no view can have what is wished for. */
export function refusalOf(wish: Wish): string {
  return wish.kind === 'lead'
    ? 'only a node that has all of its share, and is not leaving, can lead'
    : 'no node would be left to hold the data';
}

/**
 * The view with a lead that can lead: an owner that stays. It leads on until it cannot, since each change of primaries
 * costs a short wait; then it is the one with the largest weight, of equals the first by name.
 */
function withLead(view: View): View {
  if (view.lead === null) return view;
  const able = ableToLead(view);
  if (able.some(({ node }) => node === view.lead)) return view;
  const [best] = able.toSorted((a, b) => b.tokens - a.tokens || (a.node < b.node ? -1 : 1));
  return best === undefined ? view : { ...view, lead: best.node };
}

function firstView(founder: Member, { id, replicas, led = false, above = 0 }: Fresh): View {
  const [settled, coming] = [[founder], [founder]];
  const lists = { settled, removed: [], coming, leaving: [] };
  return {
    epoch: above + 1,
    previous: 0,
    id,
    replicas,
    comingReplicas: replicas,
    ...lists,
    lead: led ? founder.node : null,
    weights: {},
  };
}

/** Who is to hold data after the change, who leaves, and with which weights. */
function nextMembers(view: View, change: Change): Pick<View, 'coming' | 'leaving' | 'weights'> {
  const { remove, add, asGuest = false, wish = null } = change;
  const stays = (ref: NodeRef): boolean => !hasRef(remove, ref);
  const leaves = ({ node }: Member): boolean => wish?.kind === 'leave' && wish.node === node;
  let coming = view.coming.filter((member) => stays(member) && !leaves(member));
  let leaving = [
    ...view.leaving.filter(stays),
    ...view.coming.filter((m) => stays(m) && leaves(m)),
  ];
  if (add !== null && !hasRef([...coming, ...leaving], add)) (asGuest ? leaving : coming).push(add);
  // Somebody must hold the data: when everybody else is gone, those who were to leave stay.
  if (coming.length === 0) [coming, leaving] = [leaving, []];
  const weights =
    wish?.kind === 'weight' ? { ...view.weights, [wish.node]: wish.tokens } : view.weights;
  coming = coming.map((member) => weighted(member, weights));
  coming.sort((a, b) => (a.node < b.node ? -1 : 1));
  return { coming, leaving, weights };
}

function weighted(member: Member, weights: View['weights']): Member {
  const tokens = weights[member.node] ?? member.tokens;
  return tokens === member.tokens ? member : { ...member, tokens };
}

/** The same members with the same weights. */
function sameList(a: readonly Member[], b: readonly Member[]): boolean {
  const isIn = (list: readonly Member[], { tokens, ...ref }: Member): boolean =>
    list.some((other) => sameRef(other, ref) && other.tokens === tokens);
  return a.length === b.length && a.every((member) => isIn(b, member));
}

function sameContent(a: View, b: View): boolean {
  return (
    a.replicas === b.replicas &&
    a.lead === b.lead &&
    a.comingReplicas === b.comingReplicas &&
    a.removed.length === b.removed.length &&
    a.leaving.length === b.leaving.length &&
    // Weights are only ever added or changed by a wish.
    Object.entries(b.weights).every(([node, tokens]) => a.weights[node] === tokens) &&
    sameList(a.settled, b.settled) &&
    sameList(a.coming, b.coming)
  );
}

/** True when the coming list is not yet the settled one. */
export function isMoving(view: View): boolean {
  return (
    view.removed.length > 0 ||
    view.replicas !== view.comingReplicas ||
    !sameList(view.settled, view.coming)
  );
}
