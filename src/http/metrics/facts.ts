/**
 * Everything that metrics are read from, as one node knows it at the moment it is asked. It is put
 * together in `src/node-metrics.ts` from counters that are kept anyway: no counter exists for metrics
 * alone, and nothing here walks over keys.
 */
import type { ClusterStatus } from '../../commands/ports.ts';
import type { HostFacts } from '../../platform/host.ts';
import type { CommandStat } from '../../server/stats.ts';

export interface MetricFacts {
  /** Of this program. */
  readonly version: string;
  /** Wall clock at the start of the process, milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly host: HostFacts;
  readonly clients: ClientFacts;
  /** Commands that were used, with their counters; `config|get` for a subcommand. */
  readonly commands: readonly (readonly [name: string, stat: Readonly<CommandStat>])[];
  /** Error replies by their first word. */
  readonly errors: readonly (readonly [code: string, count: number])[];
  readonly memoryMaxBytes: number;
  readonly legacy: readonly LegacyFacts[];
  readonly status: ClusterStatus;
  /** Reasons not to send clients here; `/readyz` says them. */
  readonly blockingProblems: number;
  /** Lives of this node that the others have ended. */
  readonly expulsions: number;
  /** Null while the node waits for its database or begins anew. */
  readonly life: LifeFacts | null;
}

export interface ClientFacts {
  readonly connected: number;
  readonly connectedMax: number;
  readonly received: number;
  readonly rejected: number;
  readonly closedForInput: number;
  readonly closedForOutput: number;
  readonly closedForIdleness: number;
  readonly protocolErrors: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly commandsProcessed: number;
  readonly requestsPending: number;
  readonly requestsPendingMax: number;
}

export interface LegacyFacts {
  /** Bytes, one character each, as everywhere. */
  readonly prefix: string;
  readonly requests: number;
  readonly found: number;
  readonly absent: number;
  readonly failed: number;
  readonly breakerOpen: boolean;
}

/** One life of the node: from joining to being removed or stopped. Its counters begin at 0. */
export interface LifeFacts {
  readonly memory: MemoryFacts;
  readonly leaseMs: number;
  /** It answers reads without a lease, because all are without one (`reads-without-store`). */
  readonly readsWithoutLease: boolean;
  readonly slots: SlotFacts;
  readonly peers: readonly PeerFacts[];
  readonly lane: LaneFacts;
  readonly operations: OperationFacts;
  readonly loads: { readonly total: number; readonly pending: number };
  readonly warmedRows: number;
  readonly handedOver: {
    readonly bytes: number;
    readonly slots: number;
    readonly slowedTicks: number;
  };
}

export interface MemoryFacts {
  /** Keys and values as `maxmemory` counts them. */
  readonly usedBytes: number;
  /** Absences that are remembered included. */
  readonly entries: number;
  /** Those whose last change is not known to be committed, or to be on all owners. */
  readonly dirty: number;
  readonly databases: readonly {
    readonly db: number;
    readonly keys: number;
    readonly expires: number;
  }[];
  readonly hits: number;
  readonly misses: number;
  readonly expired: number;
  readonly evicted: number;
}

/** Slots by what this node is to them. */
export interface SlotFacts {
  readonly primary: number;
  readonly replica: number;
  readonly learner: number;
  /** Primary, and not active yet: somebody may still hold the slot under an older view. */
  readonly waiting: number;
  /** Primary, and everything the database has is in memory. */
  readonly complete: number;
}

export interface PeerFacts {
  readonly name: string;
  readonly up: boolean;
  /** Bytes that wait to be written to its link. */
  readonly bufferedBytes: number;
  /** Effects, and parts of hand-overs, that it has not confirmed. */
  readonly unconfirmed: number;
}

export interface LaneFacts {
  readonly up: boolean;
  /** Operations that wait for a batch, and those in batches that are under way. */
  readonly queued: number;
  readonly underWay: number;
  readonly batches: number;
  readonly rows: number;
  /** Milliseconds since 1970. */
  readonly lastCommitAtMs: number;
}

/** Writes of this node as primary. */
export interface OperationFacts {
  readonly begun: number;
  readonly pending: number;
  /** Pending ones that other owners have still to confirm. */
  readonly confirming: number;
}
