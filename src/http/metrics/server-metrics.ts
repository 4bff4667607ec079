/** Metrics of the process, its clients and their commands. */
import type { ClientFacts, MetricFacts } from './facts.ts';
import { labelled, type Metric, type MetricGroup, single } from './metric.ts';

type M = Metric<MetricFacts>;

// The first three have the names that Prometheus gives them for every process: ready-made dashboards know them.
const PROCESS: readonly M[] = [
  single(
    'gauge',
    'process_start_time_seconds',
    'Start of the process, since 1970.',
    (facts) => facts.startedAtMs / 1000,
  ),
  single(
    'counter',
    'process_cpu_seconds_total',
    'Processor time used, user and system.',
    ({ host }) => host.cpuUserSeconds + host.cpuSystemSeconds,
  ),
  single(
    'gauge',
    'process_resident_memory_bytes',
    'Memory of the process that is in RAM.',
    ({ host }) => host.residentBytes,
  ),
  labelled(
    'gauge',
    'ringfence_build_info',
    'Always 1; the version is the label.',
    ['version'],
    ({ version }) => [[version, 1]],
  ),
  single(
    'gauge',
    'ringfence_heap_used_bytes',
    'JavaScript heap in use.',
    ({ host }) => host.heapBytes,
  ),
  single(
    'gauge',
    'ringfence_external_memory_bytes',
    'Memory outside of the JavaScript heap that its objects hold: buffers.',
    ({ host }) => host.externalBytes,
  ),
  single(
    'counter',
    'ringfence_event_loop_active_seconds_total',
    'Time in which the event loop had work; near one second per second, the node is at its limit.',
    ({ host }) => host.eventLoopActiveSeconds,
  ),
  single(
    'counter',
    'ringfence_event_loop_idle_seconds_total',
    'Time in which the event loop waited for something to do.',
    ({ host }) => host.eventLoopIdleSeconds,
  ),
];

/** A number of the clients' facts by itself. */
const client = (
  kind: M['kind'],
  name: string,
  help: string,
  read: (clients: ClientFacts) => number,
): M => single(kind, name, help, ({ clients }) => read(clients));

const CLIENTS: readonly M[] = [
  client('gauge', 'ringfence_connections', 'Clients connected.', (c) => c.connected),
  client(
    'gauge',
    'ringfence_connections_max',
    'Clients that may be connected at once (`maxclients`).',
    (c) => c.connectedMax,
  ),
  client(
    'counter',
    'ringfence_connections_received_total',
    'Connections that were accepted.',
    (c) => c.received,
  ),
  client(
    'counter',
    'ringfence_connections_rejected_total',
    'Connections that were refused because of `maxclients`.',
    (c) => c.rejected,
  ),
  labelled(
    'counter',
    'ringfence_connections_closed_total',
    'Connections that this node ended, by reason.',
    ['reason'],
    ({ clients }) => [
      ['query-buffer-limit', clients.closedForInput],
      ['output-buffer-limit', clients.closedForOutput],
      ['idle', clients.closedForIdleness],
      ['protocol-error', clients.protocolErrors],
    ],
  ),
  client(
    'counter',
    'ringfence_network_received_bytes_total',
    'Bytes from clients.',
    (c) => c.bytesIn,
  ),
  client('counter', 'ringfence_network_sent_bytes_total', 'Bytes to clients.', (c) => c.bytesOut),
  client(
    'gauge',
    'ringfence_requests_pending',
    'Commands of clients that are under way.',
    (c) => c.requestsPending,
  ),
  client(
    'gauge',
    'ringfence_requests_pending_max',
    'Commands that may be under way at once; more are refused (`pending-requests-max`).',
    (c) => c.requestsPendingMax,
  ),
];

// Calls that succeeded are not a metric: a call under way that fails later would make that counter go back.
const COMMANDS: readonly M[] = [
  client(
    'counter',
    'ringfence_commands_processed_total',
    'Commands of clients, unknown and refused ones included.',
    (c) => c.commandsProcessed,
  ),
  labelled(
    'counter',
    'ringfence_command_calls_total',
    'Commands that were accepted, whatever their reply was.',
    ['command'],
    ({ commands }) => commands.map(([name, stat]) => [name, stat.calls]),
  ),
  labelled(
    'counter',
    'ringfence_command_failures_total',
    'Commands that were accepted and got an error reply.',
    ['command'],
    ({ commands }) => commands.map(([name, stat]) => [name, stat.failedCalls]),
  ),
  labelled(
    'counter',
    'ringfence_command_rejections_total',
    'Commands that were refused before they ran: arguments, authentication, limits.',
    ['command'],
    ({ commands }) => commands.map(([name, stat]) => [name, stat.rejectedCalls]),
  ),
  labelled(
    'counter',
    'ringfence_command_seconds_total',
    'Time of the event loop for commands, estimated from one in 16; waiting is not in it.',
    ['command'],
    ({ commands }) => commands.map(([name, stat]) => [name, stat.usec / 1e6]),
  ),
  labelled(
    'counter',
    'ringfence_error_replies_total',
    'Error replies to clients by their first word.',
    ['code'],
    ({ errors }) => errors.map(([code, count]) => [code, count]),
  ),
];

export const SERVER_METRICS: readonly MetricGroup<MetricFacts>[] = [
  { title: 'Process', metrics: PROCESS },
  { title: 'Clients', metrics: CLIENTS },
  { title: 'Commands', metrics: COMMANDS },
];
