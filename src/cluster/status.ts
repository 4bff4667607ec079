/** The cluster as one node sees it, for people and tools: members, settings, and how far changes are. */
import type { Member, View } from '../storage/postgres/store.ts';
import type { ClusterNode } from './cluster-node.ts';
import { slotRuns } from './effects.ts';
import type { FillProgress } from './fill.ts';
import type { LeaseReport } from './lease.ts';
import { SLOT_COUNT } from './slot.ts';
import { type Group, hasRef, isMoving, participants, refKey, sameRef } from './view.ts';

/** First and last slot of a run, both included. */
export type SlotRun = readonly [first: number, last: number];

export type MemberState = 'member' | 'joining' | 'leaving' | 'removed';

export interface Status {
  readonly node: string;
  readonly incarnation: string | null;
  readonly epoch: number;
  readonly lease: LeaseReport | null;
  readonly serving: readonly SlotRun[];
  readonly replicas: number;
  readonly wantedReplicas: number;
  /** The node that is primary of all that it owns; null: the ring decides for each slot. */
  readonly lead: string | null;
  readonly moving: boolean;
  readonly nodes: readonly MemberStatus[];
  readonly learning: { readonly slots: number; readonly left: number };
  readonly handOvers: readonly FillProgress[];
  readonly problems: readonly string[];
}

export interface MemberStatus {
  readonly name: string;
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly zone: string;
  readonly weight: number;
  readonly state: MemberState;
  readonly connected: boolean;
  readonly primarySlots: number;
  readonly ownedSlots: number;
}

export interface ViewFacts {
  readonly epoch: number;
  readonly id: string;
  readonly at: string;
  readonly replicas: number;
  readonly wantedReplicas: number;
  readonly settled: readonly string[];
  readonly removed: readonly string[];
  readonly coming: readonly string[];
  readonly leaving: readonly string[];
}

/** What a life that is listed in a view is to it. */
export function stateOf(view: View | null, member: Member): MemberState {
  if (view === null) return 'joining';
  if (hasRef(view.removed, member)) return 'removed';
  if (hasRef(view.leaving, member)) return 'leaving';
  return hasRef(view.settled, member) ? 'member' : 'joining';
}

/** All that a view lists, those who are gone last. */
export function listed(view: View): Member[] {
  const members = participants(view);
  return [...members, ...view.settled.filter((member) => !hasRef(members, member))];
}

export function statusOf(
  life: ClusterNode | null,
  about: {
    readonly node: string;
    readonly problems: readonly string[];
    clusterIdOf(node: string): string;
  },
): Status {
  const { node, problems } = about;
  const view = life?.view ?? null;
  if (life === null || view === null) {
    const incarnation = life?.self.incarnation ?? null;
    const nothing = { lease: null, serving: [], nodes: [], handOvers: [] };
    const settings = { epoch: 0, replicas: 0, wantedReplicas: 0, lead: null, moving: false };
    const learning = { slots: 0, left: 0 };
    return { node, incarnation, ...settings, ...nothing, learning, problems };
  }
  const shares = sharesOf(life);
  return {
    node,
    incarnation: life.self.incarnation,
    epoch: view.epoch,
    lease: life.lease.report(),
    serving: life.lease.valid ? servedBy(life) : [],
    replicas: view.replicas,
    wantedReplicas: view.comingReplicas,
    lead: view.lead,
    moving: isMoving(view),
    nodes: listed(view).map((member) => ({
      name: member.node,
      id: about.clusterIdOf(member.node),
      host: member.host,
      port: member.port,
      zone: member.zone,
      weight: (view.coming.find((other) => sameRef(other, member)) ?? member).tokens,
      state: stateOf(view, member),
      connected: sameRef(member, life.self) || life.peers.get(member)?.up === true,
      primarySlots: shares.get(refKey(member))?.primary ?? 0,
      ownedSlots: shares.get(refKey(member))?.owned ?? 0,
    })),
    learning: { slots: life.toLearn, left: life.learning },
    handOvers: life.fill.progress(),
    problems,
  };
}

function sharesOf(life: ClusterNode): Map<string, { primary: number; owned: number }> {
  const slotsOf = new Map<Group, number>();
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const group = life.slots.group(slot);
    slotsOf.set(group, (slotsOf.get(group) ?? 0) + 1);
  }
  const shares = new Map<string, { primary: number; owned: number }>();
  for (const [{ owners }, slots] of slotsOf) {
    owners.forEach((owner, place) => {
      const key = refKey(owner);
      const share = shares.get(key) ?? { primary: 0, owned: 0 };
      shares.set(key, share);
      share.owned += slots;
      if (place === 0) share.primary += slots;
    });
  }
  return shares;
}

/** What a node with a lease answers for as primary at the moment: its slots that are active. */
function servedBy({ slots }: ClusterNode): SlotRun[] {
  const active: number[] = [];
  for (let slot = 0; slot < SLOT_COUNT; slot++) if (slots.isActivePrimary(slot)) active.push(slot);
  return slotRuns(active, () => true).map(({ slot, to }) => [slot, to]);
}

export function viewFacts({ view, createdAtMs }: { view: View; createdAtMs: number }): ViewFacts {
  const names = (list: readonly { readonly node: string }[]): string[] =>
    list.map(({ node }) => node);
  return {
    epoch: view.epoch,
    id: view.id,
    at: new Date(createdAtMs).toISOString(),
    replicas: view.replicas,
    wantedReplicas: view.comingReplicas,
    settled: names(view.settled),
    removed: names(view.removed),
    coming: names(view.coming),
    leaving: names(view.leaving),
  };
}
