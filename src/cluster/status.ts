/** The cluster as one node sees it, for people and tools: members, settings, and how far changes are. */
import type { Member, View } from '../storage/postgres/store.ts';
import type { ClusterNode } from './cluster-node.ts';
import type { FillProgress } from './fill.ts';
import { SLOT_COUNT } from './slot.ts';
import { hasRef, isMoving, participants, refKey, sameRef } from './view.ts';

export type MemberState = 'member' | 'joining' | 'leaving' | 'removed';

export interface Status {
  readonly node: string;
  readonly epoch: number;
  readonly replicas: number;
  readonly wantedReplicas: number;
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
    const nothing = { replicas: 0, wantedReplicas: 0, moving: false, nodes: [], handOvers: [] };
    return { node, epoch: 0, ...nothing, learning: { slots: 0, left: 0 }, problems };
  }
  const shares = sharesOf(life);
  return {
    node,
    epoch: view.epoch,
    replicas: view.replicas,
    wantedReplicas: view.comingReplicas,
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
  const shares = new Map<string, { primary: number; owned: number }>();
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    life.slots.group(slot).owners.forEach((owner, place) => {
      const key = refKey(owner);
      const share = shares.get(key) ?? { primary: 0, owned: 0 };
      shares.set(key, share);
      share.owned++;
      if (place === 0) share.primary++;
    });
  }
  return shares;
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
