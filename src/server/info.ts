/**
 * INFO, section by section, with Redis's field names where tools read them. Fields that cannot mean
 * anything here have the value that Redis shows when the feature is off.
 */
import { REDIS_VERSION } from '../commands/connection.ts';
import type { InfoSection } from '../commands/ports.ts';
import type { HostFacts } from '../platform/host.ts';
import type { ClientRegistry } from './clients.ts';

type Lines = [field: string, value: string | number][];

/** Where the numbers that the server itself does not have come from. Each is called when INFO is. */
export interface InfoSources {
  host(): HostFacts;
  identity(): ServerIdentity;
  memory(): MemoryFacts;
  persistence(): PersistenceFacts;
  /** Databases with keys on this node. */
  keyspace(): readonly { db: number; keys: number; expires: number; avgTtlMs: number }[];
  /** Counters of the keyspace since start. */
  keyspaceCounters(): { hits: number; misses: number; expired: number; evicted: number };
  /** Section `ringfence`: view epoch, lease, lane, links, legacy sources, and whatever else helps. */
  ringfence(): readonly (readonly [field: string, value: string | number])[];
}

export interface ServerIdentity {
  /** Version of this program. */
  readonly version: string;
  /** Identity of this life of the process: 40 hexadecimal digits. */
  readonly runId: string;
  readonly port: number;
  readonly configFile: string;
  /** Monotonic milliseconds. */
  readonly startedAtMs: number;
  /** Cluster time, milliseconds since 1970. */
  nowMs(): number;
}

export interface MemoryFacts {
  /** Bytes of keys and values, as `maxmemory` counts them. */
  readonly usedBytes: number;
  readonly peakBytes: number;
  /** 0: no limit. */
  readonly maxBytes: number;
  readonly policy: string;
}

export interface PersistenceFacts {
  /** True while this node is joining and cannot answer yet. */
  readonly loading: boolean;
  /** The last commit worked. */
  readonly lastWriteOk: boolean;
  /** Effects that are announced and not committed. */
  readonly uncommitted: number;
  /** Last commit, milliseconds since 1970. */
  readonly lastCommitAtMs: number;
}

const SECONDS_PER_DAY = 86_400;
/** How often expired keys are looked for; fixed here, an option in Redis. */
const TICKS_PER_SECOND = 10;

/** The sections in Redis's order, `ringfence` last. */
export function infoSections(clients: ClientRegistry, sources: InfoSources): InfoSection[] {
  const section = (name: string, lines: () => Lines, byDefault = true): InfoSection => ({
    name,
    byDefault,
    lines,
  });
  return [
    section('server', () => serverLines(clients, sources)),
    section('clients', () => clientLines(clients)),
    section('memory', () => memoryLines(sources)),
    section('persistence', () => persistenceLines(sources.persistence())),
    section('stats', () => statsLines(clients, sources)),
    section('replication', () => replicationLines(sources)),
    section('cpu', () => cpuLines(sources.host())),
    section('modules', () => []),
    section('commandstats', () => commandLines(clients), false),
    section('errorstats', () => errorLines(clients)),
    // Cluster-aware tools (redis-cli --cluster, some clients) turn away from a node that says 0.
    section('cluster', () => [['cluster_enabled', 1]]),
    section('keyspace', () => keyspaceLines(sources)),
    section('ringfence', () => sources.ringfence().map(([field, value]) => [field, value])),
  ];
}

function serverLines(clients: ClientRegistry, sources: InfoSources): Lines {
  const host = sources.host();
  const identity = sources.identity();
  const upSeconds = Math.floor((clients.clock.monotonicMs() - identity.startedAtMs) / 1000);
  return [
    ['redis_version', REDIS_VERSION],
    ['redis_git_sha1', '00000000'],
    ['redis_git_dirty', 0],
    ['redis_mode', 'standalone'],
    ['ringfence_version', identity.version],
    ['os', host.os],
    ['arch_bits', 64],
    ['process_id', host.processId],
    ['run_id', identity.runId],
    ['tcp_port', identity.port],
    ['server_time_usec', Math.floor(identity.nowMs() * 1000)],
    ['uptime_in_seconds', upSeconds],
    ['uptime_in_days', Math.floor(upSeconds / SECONDS_PER_DAY)],
    ['hz', TICKS_PER_SECOND],
    ['configured_hz', TICKS_PER_SECOND],
    ['executable', host.executable],
    ['config_file', identity.configFile],
  ];
}

function clientLines(clients: ClientRegistry): Lines {
  let input = 0;
  let output = 0;
  for (const session of clients.sessions()) {
    input = Math.max(input, session.queryBufferBytes);
    output = Math.max(output, session.outputBufferBytes);
  }
  return [
    ['connected_clients', clients.count],
    ['cluster_connections', 0],
    ['maxclients', clients.settings.maxclients],
    ['client_recent_max_input_buffer', input],
    ['client_recent_max_output_buffer', output],
    ['blocked_clients', 0],
    ['tracking_clients', 0],
    ['pending_requests', clients.pendingRequests],
  ];
}

function memoryLines(sources: InfoSources): Lines {
  const { usedBytes, peakBytes, maxBytes, policy } = sources.memory();
  const { residentBytes, heapBytes, machineBytes } = sources.host();
  return [
    ['used_memory', usedBytes],
    ['used_memory_human', humanBytes(usedBytes)],
    ['used_memory_rss', residentBytes],
    ['used_memory_rss_human', humanBytes(residentBytes)],
    ['used_memory_peak', peakBytes],
    ['used_memory_peak_human', humanBytes(peakBytes)],
    ['used_memory_peak_perc', `${((100 * usedBytes) / Math.max(1, peakBytes)).toFixed(2)}%`],
    ['used_memory_dataset', usedBytes],
    ['used_memory_heap', heapBytes],
    ['total_system_memory', machineBytes],
    ['total_system_memory_human', humanBytes(machineBytes)],
    ['maxmemory', maxBytes],
    ['maxmemory_human', humanBytes(maxBytes)],
    ['maxmemory_policy', policy],
    ['mem_fragmentation_ratio', (residentBytes / Math.max(1, usedBytes)).toFixed(2)],
    ['mem_allocator', 'v8'],
  ];
}

/** PostgreSQL is what a snapshot is elsewhere; no file is written, so those fields say "off". */
function persistenceLines(facts: PersistenceFacts): Lines {
  return [
    ['loading', facts.loading ? 1 : 0],
    ['async_loading', 0],
    ['rdb_changes_since_last_save', facts.uncommitted],
    ['rdb_bgsave_in_progress', 0],
    ['rdb_last_save_time', Math.floor(facts.lastCommitAtMs / 1000)],
    ['rdb_last_bgsave_status', facts.lastWriteOk ? 'ok' : 'err'],
    ['rdb_last_bgsave_time_sec', -1],
    ['rdb_current_bgsave_time_sec', -1],
    ['aof_enabled', 0],
    ['aof_rewrite_in_progress', 0],
    ['aof_last_bgrewrite_status', 'ok'],
    ['aof_last_write_status', facts.lastWriteOk ? 'ok' : 'err'],
  ];
}

function statsLines(clients: ClientRegistry, sources: InfoSources): Lines {
  const { stats } = clients;
  const counters = sources.keyspaceCounters();
  return [
    ['total_connections_received', stats.connectionsReceived],
    ['total_commands_processed', stats.commandsProcessed],
    ['instantaneous_ops_per_sec', stats.opsPerSecond],
    ['total_net_input_bytes', stats.netInputBytes],
    ['total_net_output_bytes', stats.netOutputBytes],
    ['instantaneous_input_kbps', stats.inputKbPerSecond.toFixed(2)],
    ['instantaneous_output_kbps', stats.outputKbPerSecond.toFixed(2)],
    ['rejected_connections', stats.connectionsRejected],
    ['sync_full', 0],
    ['sync_partial_ok', 0],
    ['sync_partial_err', 0],
    ['expired_keys', counters.expired],
    ['evicted_keys', counters.evicted],
    ['evicted_clients', 0],
    ['keyspace_hits', counters.hits],
    ['keyspace_misses', counters.misses],
    ['pubsub_channels', 0],
    ['pubsub_patterns', 0],
    ['latest_fork_usec', 0],
    ['unexpected_error_replies', 0],
    ['total_error_replies', stats.errorReplies],
    ['client_query_buffer_limit_disconnections', stats.queryBufferDisconnects],
    ['client_output_buffer_limit_disconnections', stats.outputBufferDisconnects],
    ['client_idle_disconnections', stats.idleDisconnects],
    ['client_protocol_errors', stats.protocolErrors],
  ];
}

/** Every node takes writes: to a tool that asks for roles it is a primary without Redis replicas. */
function replicationLines(sources: InfoSources): Lines {
  return [
    ['role', 'master'],
    ['connected_slaves', 0],
    ['master_failover_state', 'no-failover'],
    ['master_replid', sources.identity().runId],
    ['master_replid2', '0'.repeat(40)],
    ['master_repl_offset', 0],
    ['second_repl_offset', -1],
    ['repl_backlog_active', 0],
  ];
}

function cpuLines({ cpuSystemSeconds, cpuUserSeconds }: HostFacts): Lines {
  return [
    ['used_cpu_sys', cpuSystemSeconds.toFixed(6)],
    ['used_cpu_user', cpuUserSeconds.toFixed(6)],
    ['used_cpu_sys_children', '0.000000'],
    ['used_cpu_user_children', '0.000000'],
  ];
}

function commandLines({ stats }: ClientRegistry): Lines {
  return stats.commands().map(([name, { calls, usec, failedCalls, rejectedCalls }]) => {
    const perCall = (usec / Math.max(1, calls)).toFixed(2);
    return [
      `cmdstat_${name}`,
      `calls=${calls},usec=${Math.round(usec)},usec_per_call=${perCall},` +
        `rejected_calls=${rejectedCalls},failed_calls=${failedCalls}`,
    ];
  });
}

function errorLines({ stats }: ClientRegistry): Lines {
  return stats.errors().map(([code, count]) => [`errorstat_${code}`, `count=${count}`]);
}

function keyspaceLines(sources: InfoSources): Lines {
  return sources
    .keyspace()
    .map(({ db, keys, expires, avgTtlMs }) => [
      `db${db}`,
      `keys=${keys},expires=${expires},avg_ttl=${Math.round(avgTtlMs)}`,
    ]);
}

/** As Redis prints sizes: `894.73K`. */
export function humanBytes(bytes: number): string {
  const units = ['B', 'K', 'M', 'G', 'T', 'P'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(2)}${units[unit]}`;
}
