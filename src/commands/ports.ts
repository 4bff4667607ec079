/**
 * What commands about the connection, the server and the cluster need from above: interfaces declared
 * here, implemented by `server/` and `cluster/`, plugged together in `node.ts`.
 */
import type { Protocol } from '../resp/reply.ts';

/** One client connection, as its commands may see and change it. */
export interface SessionPort {
  readonly id: number;
  readonly address: string;
  readonly localAddress: string;
  /** Monotonic milliseconds. */
  readonly createdAtMs: number;
  lastActiveAtMs: number;
  db: number;
  protocol: Protocol;
  name: string;
  libName: string;
  libVersion: string;
  /** The user that authenticated; `default` where no password is set. */
  user: string;
  authenticated: boolean;
  noEvict: boolean;
  noTouch: boolean;
  /** CLIENT REPLY: on, off, or skip the reply of the next command. */
  replyMode: 'on' | 'off' | 'skip-next' | 'skip-this';
  /** Lower-case name of the last command, with `|sub` where there is one. */
  lastCommand: string;
  /** Bytes of unfinished input, and of output not yet given to the system. */
  readonly queryBufferBytes: number;
  readonly outputBufferBytes: number;
  readonly argvBytes: number;
  /** Bytes read and written so far. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Closes after the replies under way have been sent. */
  closeAfterReplies(): void;
  /** Closes at once. */
  kill(): void;
  /** RESET: back to the state of a new connection. */
  reset(): void;
}

export interface ServerPort {
  /** Cluster time, milliseconds since 1970 (TTLs, TIME). */
  nowMs(): number;
  /** Monotonic milliseconds, for ages and idle times. */
  monotonicMs(): number;
  readonly startedAtMs: number;
  sessions(): Iterable<SessionPort>;
  session(id: number): SessionPort | undefined;
  /** True when name and password are right. `hasPassword` false: the default user needs none. */
  readonly hasPassword: boolean;
  checkPassword(user: string, password: string): boolean;
  readonly config: ConfigPort;
  readonly cluster: ClusterPort;
  readonly stats: StatsPort;
}

/** CONFIG, on the option table. Values are text as CONFIG GET shows them. */
export interface ConfigPort {
  /** Names and values of all options whose name matches the glob pattern. */
  get(pattern: string): [name: string, value: string][];
  /** Sets all or none; throws a ReplyError with Redis's text naming the first bad one. */
  set(pairs: readonly [name: string, value: string][]): void;
  /** Writes the changed options to the configuration file; throws a ReplyError when there is none. */
  rewrite(): Promise<void>;
}

/** Numbers for INFO. All counters are since start or CONFIG RESETSTAT. */
export interface StatsPort {
  /** Sections in order, each with its lines in order. Field names are Redis's where Redis has them. */
  info(): InfoSection[];
  resetStat(): void;
}

export interface InfoSection {
  /** Lower case: server, clients, memory, ... */
  readonly name: string;
  /** Part of plain INFO, or only of `everything` and when named. */
  readonly byDefault: boolean;
  lines(): [field: string, value: string | number][];
}

export interface NodeInfo {
  /** 40 hexadecimal digits, as CLUSTER NODES shows it; stable over restarts. */
  readonly clusterId: string;
  /** The name in our configuration. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly linkPort: number;
  readonly self: boolean;
  /** A link to it works (true for this node itself). */
  readonly connected: boolean;
  readonly state: 'member' | 'joining' | 'leaving' | 'removed';
}

/** Slots `from`..`to` (inclusive) and their owners, primary first. */
export interface SlotRange {
  readonly from: number;
  readonly to: number;
  readonly owners: readonly NodeInfo[];
}

/** What an operator may ask of the cluster. Each names an end, so asking twice is harmless. */
export type MembershipWish =
  | { readonly kind: 'leave'; readonly node: string }
  | { readonly kind: 'replicas'; readonly replicas: number }
  | { readonly kind: 'lead'; readonly node: string | null }
  | { readonly kind: 'weight'; readonly node: string; readonly tokens: number };

/** A hand-over from this node to one that learns some of its slots. */
export interface HandOver {
  readonly to: string;
  readonly slots: number;
  /** Those that the learner has confirmed. */
  readonly filled: number;
  readonly bytes: number;
  readonly bytesPerSecond: number;
  /** Those of the bytes sent that the learner has not confirmed. */
  readonly unconfirmedBytes: number;
  /** Why it goes slowly; null: it does not. */
  readonly slowedBy: string | null;
}

/** The cluster as one node sees it; also what CLUSTER STATUS prints. Fields are only ever added. */
export interface ClusterStatus {
  /** This node. */
  readonly node: string;
  /** The present life of its process; null: it has none, as it starts or the others have just removed it. */
  readonly incarnation: string | null;
  readonly epoch: number;
  /**
   * Its right to answer: now, since when without a gap, and until when if it is not renewed. Moments of the
   * node's own monotonic clock, milliseconds. Null: it has none.
   */
  readonly lease: {
    readonly nowMs: number;
    readonly sinceMs: number;
    readonly untilMs: number;
  } | null;
  /** Runs of slots for which it answers as primary now. */
  readonly serving: readonly (readonly [first: number, last: number])[];
  /** How many nodes hold each key, and how many are to when all is handed over. */
  readonly replicas: number;
  readonly wantedReplicas: number;
  /** The node that is primary of all that it owns; null: the ring decides for each slot. */
  readonly lead: string | null;
  /** Members, weights or replicas change: something is being handed over. */
  readonly moving: boolean;
  readonly nodes: readonly NodeStatus[];
  /** Slots that this node learns in the present view, and those it does not have yet. */
  readonly learning: { readonly slots: number; readonly left: number };
  readonly handOvers: readonly HandOver[];
  /** What is wrong on this node, in words. */
  readonly problems: readonly string[];
}

export interface NodeStatus {
  readonly name: string;
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly zone: string;
  /** Points on the ring: as they are to be when all is handed over. */
  readonly weight: number;
  readonly state: NodeInfo['state'];
  readonly connected: boolean;
  /** Slots it is primary of, and slots it owns, at present. */
  readonly primarySlots: number;
  readonly ownedSlots: number;
}

/** One view of the history. */
export interface ViewSummary {
  readonly epoch: number;
  readonly id: string;
  /** When the database made it; ISO 8601. */
  readonly at: string;
  readonly replicas: number;
  readonly wantedReplicas: number;
  /** Names of nodes. */
  readonly settled: readonly string[];
  readonly removed: readonly string[];
  readonly coming: readonly string[];
  readonly leaving: readonly string[];
}

export interface ClusterPort {
  readonly epoch: number;
  /** Every slot is active: some node answers for it. */
  readonly healthy: boolean;
  nodes(): readonly NodeInfo[];
  /** Ranges in slot order, neighbours with the same owners merged. */
  slotRanges(): readonly SlotRange[];
  keySlot(key: string): number;
  /** Keys of a slot, database 0, wherever they are; `limit` bounds the answer. */
  keysInSlot(slot: number, limit: number): Promise<string[]>;
  countKeysInSlot(slot: number): Promise<number>;
  dbsize(db: number): Promise<number>;
  /** One step of SCAN over the whole cluster. `0` starts, and `0` in the answer ends. */
  scan(step: ScanStep): Promise<{ cursor: string; keys: string[] }>;
  /** All keys of a database; bounded by `keys-limit`, above which it throws a ReplyError. */
  keys(db: number, pattern: string): Promise<string[]>;
  randomKey(db: number): Promise<string | null>;
  /** Deletes all keys of one database, or of all (`null`), primary by primary. */
  flush(db: number | null): Promise<void>;
  /** Number of replicas that are known to have all writes of this node's clients so far. */
  waitForReplicas(): number;
  status(): ClusterStatus;
  /** The latest views, newest first. */
  views(limit: number): Promise<readonly ViewSummary[]>;
  /** Resolves when a view has it; the hand-over goes on. Throws a ReplyError that says what became of it. */
  grant(wish: MembershipWish): Promise<void>;
}

export interface ScanStep {
  readonly db: number;
  readonly cursor: string;
  readonly count: number;
  /** Glob pattern, or null for all. */
  readonly match: string | null;
  /** Redis type name in lower case, or null for all. */
  readonly type: string | null;
}
