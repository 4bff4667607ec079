/** Members for tests that need nothing of them but names. */
import type { Member, View } from '../../../src/storage/postgres/store.ts';

export function member(node: string, fields: Partial<Member> = {}): Member {
  const ports = { port: 1, linkPort: 2, httpPort: 3 };
  return { node, incarnation: `${node}-1`, host: node, ...ports, zone: node, tokens: 8, ...fields };
}

/** A view whose lists are equal. */
export function settledView(epoch: number, members: readonly Member[], replicas = 3): View {
  const lists = { settled: members, removed: [], coming: members, leaving: [] };
  return {
    epoch,
    previous: epoch - 1,
    id: `view-${epoch}`,
    replicas,
    comingReplicas: replicas,
    lead: null,
    ...lists,
    weights: {},
  };
}
