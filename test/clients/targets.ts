/** What the client tests need besides a target: its addresses in the forms that clients take, and a wait. */
import { startTarget } from '../conformance/target.ts';
import { RespClient, type RespAddress } from '../support/resp-client.ts';

export interface ClientTarget {
  /** Every node, for clients that are made for one server. */
  readonly nodes: readonly RespAddress[];
  /** Nodes that answer the CLUSTER commands cluster-aware clients use (the same nodes, for us). */
  readonly clusterNodes: readonly RespAddress[];
  /** Removes all keys. */
  flush(): Promise<void>;
  stop(): Promise<void>;
}

export async function startClientTarget(): Promise<ClientTarget> {
  const target = await startTarget();
  const nodes = await target.nodesFor('string');
  const clusterNodes = await target.clusterNodes();
  return {
    nodes,
    clusterNodes,
    async flush() {
      for (const node of new Set([...nodes, ...clusterNodes])) await flushOne(node);
    },
    stop: () => target.stop(),
  };
}

async function flushOne(address: RespAddress): Promise<void> {
  const client = await RespClient.connect(address);
  const { raw } = await client.command('FLUSHALL');
  await client.close();
  if (raw !== '+OK\r\n') throw new Error(`FLUSHALL: ${raw}`);
}

/** The node a client number goes to: clients take the nodes in turn. */
export function nodeFor(target: ClientTarget, index: number): RespAddress {
  return target.nodes[index % target.nodes.length]!;
}

/** `count` names: `prefix0`, `prefix1`, ... */
export function names(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}
