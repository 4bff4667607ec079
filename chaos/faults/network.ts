/** Cuts, resets, loss and delay between hosts that are all alive. Clients reach every node all along. */
import type { Disturbance } from '../live/network.ts';
import { type Host, POSTGRES, type Target } from '../target.ts';
import { type Fault, type FaultContext, LONG_MS, otherNodes, pause, whileBroken } from './fault.ts';

const RESET_MS = 500;
const LOSS_PERCENT = 30;
const DELAY_MS = 60;

interface NetworkFault {
  readonly name: string;
  readonly summary: string;
  readonly nodes: number;
  readonly ms?: number;
  /** What is wrong, for the nodes that were picked, and in words. */
  readonly shape: (
    nodes: readonly Host[],
    target: Target,
  ) => { disturbance: Disturbance; words: string };
}

function networkFault({ name, summary, nodes, shape, ms = LONG_MS }: NetworkFault): Fault {
  return {
    name,
    summary,
    part: 'a node',
    nodes,
    whyNot(target) {
      const all = target.nodes.map((node) => node.name);
      if (all.length < nodes) return `it takes ${nodes} nodes`;
      return target.network.whyNot(shape(all.slice(0, nodes), target).disturbance);
    },
    async inject(context: FaultContext) {
      const { target, say } = context;
      const picked = Array.from({ length: nodes }, () => context.pickNode());
      const { disturbance, words } = shape(picked, target);
      say(`${words} for ${ms / 1000} s`);
      const mend = await target.network.disturb(disturbance);
      await whileBroken(mend, () => pause(ms));
      say('the network is whole again');
    },
  };
}

const everybodyElse = (target: Target, ...hosts: Host[]): Host[] => [
  ...otherNodes(target, ...hosts),
  POSTGRES,
];

export const cutLink = networkFault({
  name: 'cut-link',
  summary: 'silence between two nodes; both reach the others and PostgreSQL',
  nodes: 2,
  shape: ([a = '', b = '']) => ({
    disturbance: { kind: 'split', hosts: [a], others: [b] },
    words: `${a} and ${b} do not hear each other`,
  }),
});

export const cutOneWay = networkFault({
  name: 'cut-one-way',
  summary: 'one node does not hear another, which hears it',
  nodes: 2,
  shape: ([from = '', to = '']) => ({
    disturbance: { kind: 'one-way', from, to },
    words: `${to} does not hear ${from}`,
  }),
});

export const cutFromPostgres = networkFault({
  name: 'cut-from-postgres',
  summary: 'silence between one node and PostgreSQL; it reaches the other nodes',
  nodes: 1,
  shape: ([node = '']) => ({
    disturbance: { kind: 'split', hosts: [node], others: [POSTGRES] },
    words: `${node} is cut from PostgreSQL`,
  }),
});

export const partitionMinority = networkFault({
  name: 'partition-minority',
  summary: 'one node is cut from all others and from PostgreSQL; its clients still reach it',
  nodes: 1,
  shape: ([node = ''], target) => ({
    disturbance: { kind: 'split', hosts: [node], others: everybodyElse(target, node) },
    words: `${node} is cut from everybody but its clients`,
  }),
});

export const resetConnections = networkFault({
  name: 'reset-connections',
  summary: 'all connections of a node with the others and PostgreSQL are reset',
  nodes: 1,
  ms: RESET_MS,
  shape: ([host = ''], target) => ({
    disturbance: { kind: 'reset', host, others: everybodyElse(target, host) },
    words: `connections of ${host} are reset`,
  }),
});

export const resetFromPostgres = networkFault({
  name: 'reset-from-postgres',
  summary: 'all connections of a node with PostgreSQL are reset',
  nodes: 1,
  ms: RESET_MS,
  shape: ([host = '']) => ({
    disturbance: { kind: 'reset', host, others: [POSTGRES] },
    words: `connections of ${host} with PostgreSQL are reset`,
  }),
});

export const packetLoss = networkFault({
  name: 'packet-loss',
  summary: `${LOSS_PERCENT}% of what one node is sent is lost`,
  nodes: 1,
  shape: ([host = ''], target) => ({
    disturbance: {
      kind: 'loss',
      host,
      others: everybodyElse(target, host),
      percent: LOSS_PERCENT,
    },
    words: `${LOSS_PERCENT}% of the packets to ${host} are lost`,
  }),
});

export const packetDelay = networkFault({
  name: 'packet-delay',
  summary: `what one node sends arrives ${DELAY_MS} ms later`,
  nodes: 1,
  shape: ([host = '']) => ({
    disturbance: { kind: 'delay', host, ms: DELAY_MS },
    words: `what ${host} sends arrives ${DELAY_MS} ms later`,
  }),
});
