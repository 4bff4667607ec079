/**
 * CLUSTER: the placement as cluster-aware clients want to see it, so that they go straight to the
 * primary of a slot.
 *
 * A node here is primary of some slots and replica of others at the same time, a Redis node is one
 * or the other. CLUSTER NODES and SHARDS list every node as a master, with the slots it is primary
 * of; CLUSTER SLOTS, whose entries stand alone, names a range's other owners as its replicas.
 */
import { ReplyError } from '../errors.ts';
import type { Reply } from '../resp/reply.ts';
import { MapReply, OK, VerbatimReply } from '../resp/reply.ts';
import { argument, clampedInteger } from './arguments.ts';
import { ADMIN_HELP, ADMIN_SUBCOMMANDS } from './cluster-admin.ts';
import { type Command, type CommandFlag, serverCommand } from './command.ts';
import { container, help, noOptions, subcommand } from './container.ts';
import type { ClusterPort, ClusterStatus, HandOver, NodeInfo } from './ports.ts';

const SLOTS = 16384;
const STALE: readonly CommandFlag[] = ['stale'];
const PER_NODE = 'O(N) where N is the total number of Cluster nodes';

const slots = subcommand({
  name: 'CLUSTER|SLOTS',
  arity: 2,
  flags: STALE,
  since: '3.0.0',
  summary: 'List ranges of slots with their nodes, primary first',
  complexity: PER_NODE,
  parse: noOptions,
  run: (ctx) =>
    ctx.server.cluster
      .slotRanges()
      .map(({ from, to, owners }) => [from, to, ...owners.map(slotsEntry)]),
});

/** The last element is a map of further addresses, of which there are none. */
function slotsEntry(node: NodeInfo): Reply {
  return [node.host, node.port, node.clusterId, new MapReply([])];
}

const shards = subcommand({
  name: 'CLUSTER|SHARDS',
  arity: 2,
  flags: STALE,
  since: '7.0.0',
  summary: 'List groups of nodes with the slots that they serve',
  complexity: PER_NODE,
  parse: noOptions,
  run({ server: { cluster } }) {
    const ranges = primaryRanges(cluster);
    return cluster.nodes().map((node) => shardOf(node, ranges.get(node.clusterId) ?? []));
  },
});

function shardOf(node: NodeInfo, ranges: readonly Range[]): Reply {
  const facts: Reply = new MapReply([
    ...['id', node.clusterId, 'port', node.port, 'ip', node.host, 'endpoint', node.host],
    ...['role', 'master', 'replication-offset', 0, 'health', healthOf(node)],
  ]);
  return new MapReply(['slots', ranges.flatMap(({ from, to }) => [from, to]), 'nodes', [facts]]);
}

function healthOf(node: NodeInfo): string {
  if (node.state === 'removed' || !node.connected) return 'fail';
  return node.state === 'joining' ? 'loading' : 'online';
}

interface Range {
  readonly from: number;
  to: number;
}

/** The ranges each node is primary of, by cluster id, neighbours merged whatever their replicas are. */
function primaryRanges(cluster: ClusterPort): Map<string, Range[]> {
  const byNode = new Map<string, Range[]>();
  for (const { from, to, owners } of cluster.slotRanges()) {
    const primary = owners[0];
    if (primary === undefined) continue;
    let ranges = byNode.get(primary.clusterId);
    if (ranges === undefined) byNode.set(primary.clusterId, (ranges = []));
    const last = ranges.at(-1);
    if (last !== undefined && last.to === from - 1) last.to = to;
    else ranges.push({ from, to });
  }
  return byNode;
}

const nodes = subcommand({
  name: 'CLUSTER|NODES',
  arity: 2,
  flags: STALE,
  since: '3.0.0',
  summary: 'List the nodes with their states and slots, one a line',
  complexity: PER_NODE,
  parse: noOptions,
  run({ server: { cluster } }) {
    const ranges = primaryRanges(cluster);
    let text = '';
    for (const node of cluster.nodes()) {
      text += `${nodeLine(node, cluster.epoch, ranges.get(node.clusterId) ?? [])}\n`;
    }
    return new VerbatimReply(text);
  },
});

/** `<id> <host>:<port>@<bus> <flags> <master> <ping> <pong> <epoch> <link> <slots>...`; no pings, so 0. */
function nodeLine(node: NodeInfo, epoch: number, ranges: readonly Range[]): string {
  const address = `${node.host}:${node.port}@${node.linkPort}`;
  const link = node.connected ? 'connected' : 'disconnected';
  const line = `${node.clusterId} ${address} ${nodeFlags(node)} - 0 0 ${epoch} ${link}`;
  return [line, ...ranges.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`))].join(
    ' ',
  );
}

function nodeFlags(node: NodeInfo): string {
  if (node.self) return 'myself,master';
  if (node.state === 'removed') return 'master,fail';
  return node.connected ? 'master' : 'master,fail?';
}

const info = subcommand({
  name: 'CLUSTER|INFO',
  arity: 2,
  flags: STALE,
  since: '3.0.0',
  summary: 'Tell the state of the cluster as this node sees it',
  complexity: 'O(1)',
  parse: noOptions,
  run: ({ server: { cluster } }) => new VerbatimReply(infoText(cluster)),
});

/** Slots whose primary cannot be reached from here count as `pfail`: no view has replaced it yet. */
function infoText(cluster: ClusterPort): string {
  const primaries = new Set<string>();
  let assigned = 0;
  let unreachable = 0;
  for (const { from, to, owners } of cluster.slotRanges()) {
    const primary = owners[0];
    if (primary === undefined) continue;
    primaries.add(primary.clusterId);
    assigned += to - from + 1;
    if (!primary.connected) unreachable += to - from + 1;
  }
  return [
    `cluster_state:${cluster.healthy ? 'ok' : 'fail'}`,
    `cluster_slots_assigned:${assigned}`,
    `cluster_slots_ok:${assigned - unreachable}`,
    `cluster_slots_pfail:${unreachable}`,
    'cluster_slots_fail:0',
    `cluster_known_nodes:${cluster.nodes().length}`,
    `cluster_size:${primaries.size}`,
    `cluster_current_epoch:${cluster.epoch}`,
    `cluster_my_epoch:${cluster.epoch}`,
    ...ownLines(cluster.status()),
    '',
  ].join('\r\n');
}

/** Fields that Redis does not have: what changes at the moment, and how far it is. */
function ownLines({
  replicas,
  wantedReplicas,
  lead,
  moving,
  learning,
  handOvers,
}: ClusterStatus): string[] {
  const sum = (of: (handOver: HandOver) => number): number =>
    handOvers.reduce((total, handOver) => total + of(handOver), 0);
  const slowedBy = [...new Set(handOvers.map((handOver) => handOver.slowedBy))];
  return [
    `ringfence_replicas:${replicas}`,
    `ringfence_replicas_wanted:${wantedReplicas}`,
    `ringfence_lead:${lead ?? ''}`,
    `ringfence_moving:${moving ? 1 : 0}`,
    `ringfence_learning_slots:${learning.slots}`,
    `ringfence_learning_slots_left:${learning.left}`,
    `ringfence_handover_learners:${handOvers.length}`,
    `ringfence_handover_slots:${sum(({ slots }) => slots)}`,
    `ringfence_handover_slots_left:${sum(({ slots, filled }) => slots - filled)}`,
    `ringfence_handover_bytes:${sum(({ bytes }) => bytes)}`,
    `ringfence_handover_bytes_per_second:${sum(({ bytesPerSecond }) => bytesPerSecond)}`,
    `ringfence_handover_slowed_by:${slowedBy.filter((cause) => cause !== null).join(',')}`,
  ];
}

const keyslot = subcommand({
  name: 'CLUSTER|KEYSLOT',
  arity: 3,
  flags: STALE,
  since: '3.0.0',
  summary: 'Tell the slot of a key',
  complexity: 'O(N) where N is the number of bytes in the key',
  parse: (args) => argument(args, 2),
  run: (ctx, key) => ctx.server.cluster.keySlot(key),
});

const myid = subcommand({
  name: 'CLUSTER|MYID',
  arity: 2,
  flags: STALE,
  since: '3.0.0',
  summary: 'Tell the id of this node',
  complexity: 'O(1)',
  parse: noOptions,
  run(ctx) {
    const self = ctx.server.cluster.nodes().find((node) => node.self);
    if (self === undefined)
      throw new ReplyError('LOADING', 'This node has not joined the cluster yet');
    return self.clusterId;
  },
});

const countkeysinslot = subcommand({
  name: 'CLUSTER|COUNTKEYSINSLOT',
  arity: 3,
  flags: STALE,
  since: '3.0.0',
  summary: 'Count the keys of a slot',
  complexity: 'O(1)',
  parse(args) {
    const slot = clampedInteger(argument(args, 2));
    if (slot < 0 || slot >= SLOTS) throw new ReplyError('ERR', 'Invalid slot');
    return slot;
  },
  run: (ctx, slot) => ctx.server.cluster.countKeysInSlot(slot),
});

const getkeysinslot = subcommand({
  name: 'CLUSTER|GETKEYSINSLOT',
  arity: 4,
  flags: STALE,
  since: '3.0.0',
  summary: 'List keys of a slot, up to a number',
  complexity: 'O(log(N)) where N is the number of requested keys',
  parse(args) {
    const slot = clampedInteger(argument(args, 2));
    const limit = clampedInteger(argument(args, 3));
    if (slot < 0 || slot >= SLOTS || limit < 0) {
      throw new ReplyError('ERR', 'Invalid slot or number of keys');
    }
    return { slot, limit };
  },
  run: (ctx, { slot, limit }) => ctx.server.cluster.keysInSlot(slot, limit),
});

const HELP_LINES = [
  ...ADMIN_HELP,
  'COUNTKEYSINSLOT <slot>',
  '    Return the number of keys in <slot>.',
  'GETKEYSINSLOT <slot> <count>',
  '    Return key names in a slot.',
  'INFO',
  '    Return information about the cluster.',
  'KEYSLOT <key>',
  '    Return the hash slot for <key>.',
  'MYID',
  '    Return the node id.',
  'NODES',
  '    Return cluster configuration seen by node. Output format:',
  '    <id> <ip:port> <flags> <master> <pings> <pongs> <epoch> <link> <slot> ...',
  'SLOTS',
  '    Return information about slots range mappings. Each range is made of:',
  '    start, end, master and replicas IP addresses, ports and ids',
  'SHARDS',
  '    Return information about slot range mappings and the nodes associated with them.',
];

export const cluster = container({
  name: 'CLUSTER',
  group: 'cluster',
  since: '3.0.0',
  summary: 'Commands about the cluster',
  subcommands: [
    slots,
    shards,
    nodes,
    info,
    keyslot,
    myid,
    countkeysinslot,
    getkeysinslot,
    ...ADMIN_SUBCOMMANDS,
    help({ container: 'CLUSTER', since: '5.0.0', lines: HELP_LINES }),
  ],
});

// Any owner serves reads by itself and forwards what it must not answer, so the two modes are one.
export const readonly = serverCommand({
  name: 'READONLY',
  group: 'cluster',
  arity: 1,
  flags: ['loading', 'stale', 'fast'],
  since: '3.0.0',
  summary: 'Allow reads from replicas, as every node does anyway',
  complexity: 'O(1)',
  categories: ['connection'],
  parse: noOptions,
  run: () => OK,
});

export const readwrite = serverCommand({
  name: 'READWRITE',
  group: 'cluster',
  arity: 1,
  flags: ['loading', 'stale', 'fast'],
  since: '3.0.0',
  summary: 'Take READONLY back; reads are as current either way',
  complexity: 'O(1)',
  categories: ['connection'],
  parse: noOptions,
  run: () => OK,
});

export const CLUSTER_COMMANDS: readonly Command[] = [cluster, readonly, readwrite];
