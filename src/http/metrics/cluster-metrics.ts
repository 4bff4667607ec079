/** Metrics of membership, links, slots and hand-over, each as this node sees it. */
import type { HandOver } from '../../commands/ports.ts';
import { ofLife } from './data-metrics.ts';
import type { MetricFacts, PeerFacts } from './facts.ts';
import { labelled, type Metric, type MetricGroup, single } from './metric.ts';

type M = Metric<MetricFacts>;

const STATES = ['member', 'joining', 'leaving', 'removed'] as const;

const MEMBERSHIP: readonly M[] = [
  single(
    'gauge',
    'ringfence_ready',
    '1 while clients should be sent here, as `/readyz` says.',
    ({ blockingProblems }) => Number(blockingProblems === 0),
  ),
  single(
    'gauge',
    'ringfence_problems',
    'Sentences in `/readyz` about what is wrong.',
    ({ status }) => status.problems.length,
  ),
  single(
    'gauge',
    'ringfence_view_epoch',
    'Epoch of the view that this node acts under; 0 before the first.',
    ({ status }) => status.epoch,
  ),
  labelled(
    'gauge',
    'ringfence_members',
    'Nodes in the view by what they are to it.',
    ['state'],
    ({ status }) =>
      STATES.map((state) => [state, status.nodes.filter((node) => node.state === state).length]),
  ),
  single(
    'gauge',
    'ringfence_replicas',
    'How many nodes hold each key.',
    ({ status }) => status.replicas,
  ),
  single(
    'gauge',
    'ringfence_replicas_wanted',
    'How many are to hold each key when all is handed over.',
    ({ status }) => status.wantedReplicas,
  ),
  single(
    'counter',
    'ringfence_expulsions_total',
    'Lives of this node that the others have ended.',
    ({ expulsions }) => expulsions,
  ),
  single(
    'gauge',
    'ringfence_lease_remaining_seconds',
    'How long this node may answer without a renewal of its lease; 0 is no lease.',
    ({ status: { lease } }) => (lease === null ? 0 : (lease.untilMs - lease.nowMs) / 1000),
  ),
  single(
    'gauge',
    'ringfence_lease_held_seconds',
    'For how long it has had a lease without a gap; 0 is no lease.',
    ({ status: { lease } }) => (lease === null ? 0 : (lease.nowMs - lease.sinceMs) / 1000),
  ),
  ofLife(
    'gauge',
    'ringfence_lease_seconds',
    'A whole lease (`lease-ms`).',
    ({ leaseMs }) => leaseMs / 1000,
  ),
  ofLife(
    'gauge',
    'ringfence_reads_without_lease',
    '1 while cached keys are read although nobody has a lease (`reads-without-store`).',
    ({ readsWithoutLease }) => Number(readsWithoutLease),
  ),
];

const perPeer = (name: string, help: string, read: (peer: PeerFacts) => number): M =>
  labelled(
    'gauge',
    name,
    help,
    ['peer'],
    ({ life }) => life?.peers.map((peer) => [peer.name, read(peer)]) ?? [],
  );

const LINKS: readonly M[] = [
  perPeer('ringfence_link_up', '1 while the link to the other node works.', ({ up }) => Number(up)),
  perPeer(
    'ringfence_link_buffered_bytes',
    'Bytes that wait to be written to the link.',
    ({ bufferedBytes }) => bufferedBytes,
  ),
  perPeer(
    'ringfence_replication_unconfirmed',
    'Effects and parts of hand-overs that the other node has not confirmed.',
    ({ unconfirmed }) => unconfirmed,
  ),
];

const SLOTS: readonly M[] = [
  labelled(
    'gauge',
    'ringfence_slots',
    'Slots by what this node is to them.',
    ['role'],
    ({ life }) =>
      life === null
        ? []
        : (['primary', 'replica', 'learner'] as const).map((role) => [role, life.slots[role]]),
  ),
  ofLife(
    'gauge',
    'ringfence_slots_waiting',
    'Primary slots that wait for the nodes that held them before.',
    ({ slots }) => slots.waiting,
  ),
  ofLife(
    'gauge',
    'ringfence_slots_complete',
    'Primary slots whose rows are all in memory, so that a miss needs no query.',
    ({ slots }) => slots.complete,
  ),
];

/** One number for each node that this one hands slots over to. */
const perLearner = (name: string, help: string, read: (handOver: HandOver) => number): M =>
  labelled('gauge', name, help, ['to'], ({ status }) =>
    status.handOvers.map((handOver) => [handOver.to, read(handOver)]),
  );

const HAND_OVER: readonly M[] = [
  single(
    'gauge',
    'ringfence_moving',
    '1 while members, weights or replicas change and something is handed over.',
    ({ status }) => Number(status.moving),
  ),
  single(
    'gauge',
    'ringfence_learning_slots',
    'Slots that this node learns in the present view, those included that it has already.',
    ({ status }) => status.learning.slots,
  ),
  single(
    'gauge',
    'ringfence_learning_slots_left',
    'Those of them that it does not have yet.',
    ({ status }) => status.learning.left,
  ),
  perLearner(
    'ringfence_handover_slots',
    'Slots that this node hands over to another one in the present view.',
    ({ slots }) => slots,
  ),
  perLearner(
    'ringfence_handover_slots_left',
    'Those of them that the other node has not confirmed.',
    ({ slots, filled }) => slots - filled,
  ),
  perLearner(
    'ringfence_handover_sent_bytes',
    'Keys and values sent in this hand-over.',
    ({ bytes }) => bytes,
  ),
  perLearner(
    'ringfence_handover_unconfirmed_bytes',
    'Those of them that are not confirmed.',
    ({ unconfirmedBytes }) => unconfirmedBytes,
  ),
  labelled(
    'gauge',
    'ringfence_handover_slowed',
    '1 while the hand-over goes at a trickle, or waits, for that cause; no sample when it does not.',
    ['to', 'cause'],
    ({ status }) =>
      status.handOvers.flatMap(({ to, slowedBy }) =>
        slowedBy === null ? [] : [[to, slowedBy, 1] as const],
      ),
  ),
  ofLife(
    'counter',
    'ringfence_handover_bytes_total',
    'Keys and values sent to nodes that learn slots.',
    ({ handedOver }) => handedOver.bytes,
  ),
  ofLife(
    'counter',
    'ringfence_handover_slots_total',
    'Slots handed over and confirmed.',
    ({ handedOver }) => handedOver.slots,
  ),
  ofLife(
    'counter',
    'ringfence_handover_slowed_ticks_total',
    'Steps of hand-overs, of 5 milliseconds, at which they were slowed down.',
    ({ handedOver }) => handedOver.slowedTicks,
  ),
];

export const CLUSTER_METRICS: readonly MetricGroup<MetricFacts>[] = [
  { title: 'Membership and lease', metrics: MEMBERSHIP },
  { title: 'Links', metrics: LINKS },
  { title: 'Slots', metrics: SLOTS },
  { title: 'Hand-over', metrics: HAND_OVER },
];
