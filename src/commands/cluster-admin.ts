/**
 * CLUSTER subcommands that change the cluster, and those of Redis Cluster that have nothing to change
 * here. The latter do what leads to the same end where there is one, else they say what to use instead:
 * an operator's habit should end in a sentence, not in a puzzle.
 */
import { ReplyError } from '../errors.ts';
import type { Reply } from '../resp/reply.ts';
import { OK, VerbatimReply } from '../resp/reply.ts';
import { argument, clampedInteger } from './arguments.ts';
import type { Args, CommandFlag } from './command.ts';
import { type AnySubcommand, noOptions, subcommand } from './container.ts';
import type { ClusterPort, NodeInfo } from './ports.ts';

const ADMIN: readonly CommandFlag[] = ['admin', 'noscript', 'stale'];
const STALE: readonly CommandFlag[] = ['stale'];

const REPLICAS_MAX = 16;
const TOKENS_MAX = 4096;
const VIEWS_DEFAULT = 10;
const VIEWS_MAX = 1000;

/** A node by its name or by its id of 40 hexadecimal digits. */
function nodeNamed(cluster: ClusterPort, text: string): NodeInfo {
  const found = cluster.nodes().find(({ name, clusterId }) => name === text || clusterId === text);
  if (found === undefined) throw new ReplyError('ERR', `Unknown node ${text}`);
  return found;
}

function numberFrom(text: string, { min, max }: { min: number; max: number }): number {
  const number = clampedInteger(text);
  if (number >= min && number <= max) return number;
  throw new ReplyError('ERR', `value is out of range, must be between ${min} and ${max}`);
}

// -- what an operator can ask for -----------------------------------------------------------------

const leave = subcommand({
  name: 'CLUSTER|LEAVE',
  arity: -2,
  flags: ADMIN,
  since: '7.0.0',
  summary: 'Hand over what a node has to the others; it can be stopped afterwards',
  complexity: 'O(1), and the hand-over in the background',
  parse: (args) => args[2] ?? null,
  async run({ server: { cluster } }, name) {
    const node =
      name === null ? cluster.nodes().find(({ self }) => self) : nodeNamed(cluster, name);
    if (node === undefined)
      throw new ReplyError('LOADING', 'This node has not joined the cluster yet');
    await cluster.grant({ kind: 'leave', node: node.name });
    return OK;
  },
});

const setReplicas = subcommand({
  name: 'CLUSTER|SET-REPLICAS',
  arity: 3,
  flags: ADMIN,
  since: '7.0.0',
  summary: 'Set how many nodes hold each key in memory, the primary included',
  complexity: 'O(1), and the hand-over in the background',
  parse: (args) => numberFrom(argument(args, 2), { min: 1, max: REPLICAS_MAX }),
  async run({ server: { cluster } }, replicas) {
    await cluster.grant({ kind: 'replicas', replicas });
    return OK;
  },
});

const setLead = subcommand({
  name: 'CLUSTER|SET-LEAD',
  arity: 3,
  flags: ADMIN,
  since: '7.0.0',
  summary: 'Make one node the primary of all slots that it owns, or none (NONE)',
  complexity: 'O(1)',
  parse: (args) => argument(args, 2),
  async run({ server: { cluster } }, text) {
    const node = text.toUpperCase() === 'NONE' ? null : nodeNamed(cluster, text).name;
    await cluster.grant({ kind: 'lead', node });
    return OK;
  },
});

const setWeight = subcommand({
  name: 'CLUSTER|SET-WEIGHT',
  arity: 4,
  flags: ADMIN,
  since: '7.0.0',
  summary: 'Set how many points a node has on the ring: its share of the slots',
  complexity: 'O(1), and the hand-over in the background',
  parse: (args) => ({
    name: argument(args, 2),
    tokens: numberFrom(argument(args, 3), { min: 1, max: TOKENS_MAX }),
  }),
  async run({ server: { cluster } }, { name, tokens }) {
    const node = nodeNamed(cluster, name);
    await cluster.grant({ kind: 'weight', node: node.name, tokens });
    return OK;
  },
});

const status = subcommand({
  name: 'CLUSTER|STATUS',
  arity: 2,
  flags: STALE,
  since: '7.0.0',
  summary: 'Get members, settings and the progress of hand-overs as this node sees them, in JSON',
  complexity: 'O(N) where N is the total number of Cluster nodes',
  parse: noOptions,
  run: (ctx) => new VerbatimReply(JSON.stringify(ctx.server.cluster.status())),
});

const views = subcommand({
  name: 'CLUSTER|VIEWS',
  arity: -2,
  flags: STALE,
  since: '7.0.0',
  summary: 'Get the latest views (who belonged to the cluster, and when), newest first, in JSON',
  complexity: 'O(N) where N is the number of views asked for',
  parse: (args) =>
    args[2] === undefined ? VIEWS_DEFAULT : numberFrom(args[2], { min: 1, max: VIEWS_MAX }),
  run: async (ctx, count) =>
    new VerbatimReply(JSON.stringify(await ctx.server.cluster.views(count))),
});

// -- Redis Cluster's, with another way to the same end ----------------------------------------------

const meet = subcommand({
  name: 'CLUSTER|MEET',
  arity: -4,
  flags: ADMIN,
  since: '3.0.0',
  summary: 'Says how a node joins: by being started with the same database',
  complexity: 'O(1)',
  parse(args) {
    const text = argument(args, 3);
    const port = clampedInteger(text);
    if (port < 1 || port > 65_535)
      throw new ReplyError('ERR', `Invalid base port specified: ${text}`);
    return { host: argument(args, 2), port };
  },
  run({ server: { cluster } }, { host, port }) {
    const isHere = (node: NodeInfo): boolean => node.host === host && node.port === port;
    if (cluster.nodes().some((node) => node.state !== 'removed' && isHere(node))) return OK;
    throw new ReplyError(
      'ERR',
      'nodes meet in the database: start the node with the same --store (ringfence node --store URL, ' +
        'or ringfence cluster add for a local cluster), and it joins by itself',
    );
  },
});

const forget = subcommand({
  name: 'CLUSTER|FORGET',
  arity: 3,
  flags: ADMIN,
  since: '3.0.0',
  summary: 'Planned leave of another node: the same as CLUSTER LEAVE',
  complexity: 'O(1), and the hand-over in the background',
  parse: (args) => argument(args, 2),
  async run({ server: { cluster } }, name) {
    const node = nodeNamed(cluster, name);
    if (node.self) {
      throw new ReplyError(
        'ERR',
        "I tried hard but I can't forget myself... use CLUSTER LEAVE for a planned leave of this node",
      );
    }
    // A dead one is replaced by the others without being told to.
    if (node.state !== 'removed') await cluster.grant({ kind: 'leave', node: node.name });
    return OK;
  },
});

const replicas = (name: 'REPLICAS' | 'SLAVES'): AnySubcommand =>
  subcommand({
    name: `CLUSTER|${name}`,
    arity: 3,
    flags: STALE,
    since: name === 'SLAVES' ? '3.0.0' : '5.0.0',
    summary: 'List the replica nodes of a primary: none, as every node is a primary of some slots',
    complexity: 'O(N) where N is the total number of Cluster nodes',
    parse: (args) => argument(args, 2),
    run({ server: { cluster } }, text): Reply {
      nodeNamed(cluster, text);
      return [];
    },
  });

const countFailureReports = subcommand({
  name: 'CLUSTER|COUNT-FAILURE-REPORTS',
  arity: 3,
  flags: ['admin', 'stale'],
  since: '3.0.0',
  summary: 'Returns the number of failure reports about a node: none, as leases decide',
  complexity: 'O(1)',
  parse: (args) => argument(args, 2),
  run({ server: { cluster } }, text): Reply {
    nodeNamed(cluster, text);
    return 0;
  },
});

const saveconfig = subcommand({
  name: 'CLUSTER|SAVECONFIG',
  arity: 2,
  flags: ADMIN,
  since: '3.0.0',
  summary: 'Nothing to do: views are in the database before anybody acts on them',
  complexity: 'O(1)',
  parse: noOptions,
  run: () => OK,
});

const BY_THE_RING =
  'slots are placed by the ring, not by hand; for another share of them use CLUSTER SET-WEIGHT node ' +
  'tokens (ringfence cluster weight NODE N), to empty a node CLUSTER LEAVE (ringfence cluster remove NODE)';
const BY_ITSELF =
  'every node is primary of some slots and replica of others, and the others take over by themselves ' +
  'when one dies; to take a running node out use CLUSTER LEAVE (ringfence cluster remove NODE)';
const BY_NUMBER =
  'replicas follow from the ring; for more or fewer of them use CLUSTER SET-REPLICAS n (ringfence cluster replicas N)';
const BY_VIEW = 'epochs count the views in the database, and nobody sets them; see CLUSTER VIEWS';
const BY_LIFE =
  'a node has no state of its own to reset: restart it, or take it out with CLUSTER LEAVE (ringfence cluster remove NODE)';

interface Refused {
  readonly name: string;
  readonly arity: number;
  readonly since: string;
  readonly instead: string;
}

const REFUSED: readonly Refused[] = [
  { name: 'ADDSLOTS', arity: -3, since: '3.0.0', instead: BY_THE_RING },
  { name: 'ADDSLOTSRANGE', arity: -4, since: '7.0.0', instead: BY_THE_RING },
  { name: 'BUMPEPOCH', arity: 2, since: '3.0.0', instead: BY_VIEW },
  { name: 'DELSLOTS', arity: -3, since: '3.0.0', instead: BY_THE_RING },
  { name: 'DELSLOTSRANGE', arity: -4, since: '7.0.0', instead: BY_THE_RING },
  { name: 'FAILOVER', arity: -2, since: '3.0.0', instead: BY_ITSELF },
  { name: 'FLUSHSLOTS', arity: 2, since: '3.0.0', instead: BY_THE_RING },
  { name: 'REPLICATE', arity: 3, since: '3.0.0', instead: BY_NUMBER },
  { name: 'RESET', arity: -2, since: '3.0.0', instead: BY_LIFE },
  { name: 'SET-CONFIG-EPOCH', arity: 3, since: '3.0.0', instead: BY_VIEW },
  { name: 'SETSLOT', arity: -4, since: '3.0.0', instead: BY_THE_RING },
];

const refused = REFUSED.map(({ name, arity, since, instead }) =>
  subcommand<Args>({
    name: `CLUSTER|${name}`,
    arity,
    flags: ADMIN,
    since,
    summary: 'Not in this kind of cluster; the error says what to use instead',
    complexity: 'O(1)',
    parse: (args) => args,
    run() {
      throw new ReplyError('ERR', `CLUSTER ${name} is not used here: ${instead}`);
    },
  }),
);

export const ADMIN_SUBCOMMANDS: readonly AnySubcommand[] = [
  leave,
  setReplicas,
  setLead,
  setWeight,
  status,
  views,
  meet,
  forget,
  replicas('REPLICAS'),
  replicas('SLAVES'),
  countFailureReports,
  saveconfig,
  ...refused,
];

export const ADMIN_HELP: readonly string[] = [
  'FORGET <node>',
  '    The same as LEAVE, for another node.',
  'LEAVE [<node>]',
  '    Hand over what a node (name or id; this one) has. It can be stopped afterwards.',
  'SET-LEAD <node>|NONE',
  '    Make a node the primary of all slots that it owns; NONE: the ring spreads that.',
  'SET-REPLICAS <count>',
  '    Set how many nodes hold each key in memory.',
  'SET-WEIGHT <node> <tokens>',
  '    Set the points of a node on the ring: its share of the slots.',
  'STATUS',
  '    Return members, settings and progress of hand-overs, in JSON.',
  'VIEWS [<count>]',
  '    Return the latest views, newest first, in JSON.',
];
