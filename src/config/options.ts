/**
 * The one table of options. Flags, environment, the file, CONFIG GET/SET, the JSON schema and
 * docs/configuration.md all come from it. A row's key is the camelCase form of its name, and the name
 * under which `Config` (startup only) or `LiveConfig` (changeable) has the value.
 */
import {
  boolean,
  bytes,
  integer,
  milliseconds,
  oneOf,
  outputLimits,
  text,
  type OptionType,
} from './types.ts';

export const PROFILES = ['local', 'lan', 'wan'] as const;
export type Profile = (typeof PROFILES)[number];

/** Sections of the reference page, in order. */
export const GROUPS = [
  'Node and network',
  'Cluster',
  'Database',
  'Memory',
  'Clients and limits',
  'Legacy bridge',
  'Logging',
] as const;

export interface OptionRow<T> {
  /** Redis's spelling where Redis has the option. */
  readonly name: string;
  readonly group: (typeof GROUPS)[number];
  readonly type: OptionType<T>;
  readonly default: NoInfer<T>;
  /** Default of other profiles than `lan`, where it differs. */
  readonly byProfile?: Readonly<Partial<Record<Profile, T>>>;
  /** What the reference page says where the default follows from other options (see `derived.ts`). */
  readonly defaultText?: string;
  readonly help: string;
  /** Never shown in messages; CONFIG GET shows it, as Redis does. */
  readonly secret?: boolean;
}

export type StartupOption<T> = OptionRow<T> & { readonly mutable: false };
export type LiveOption<T> = OptionRow<T> & { readonly mutable: true };

/** Read once, at start. */
const startup = <T>(row: OptionRow<T>): StartupOption<T> => ({ ...row, mutable: false });
/** CONFIG SET may change it. */
const live = <T>(row: OptionRow<T>): LiveOption<T> => ({ ...row, mutable: true });

const KB = 1024;
const MB = 1024 * KB;
const GB = 1024 * MB;
const INT_MAX = 2_147_483_647;
const BYTES_MAX = Number.MAX_SAFE_INTEGER;
/** V8's longest string is a little less than 512 MB, and values are strings. */
const VALUE_BYTES_CEILING = 512 * MB - KB;

const PORT = integer({ min: 0, max: 65_535 });
const HOST = text({
  pattern: /^[A-Za-z0-9._:%-]*$/,
  accepts: 'a host name or an address',
});

export const OPTIONS = {
  // -- Node and network ------------------------------------------------------------------------
  nodeId: startup({
    name: 'node-id',
    group: 'Node and network',
    type: text({
      pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
      accepts:
        '1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or digit',
    }),
    default: 'node-1',
    help: 'Name of this node, unique in the cluster and the same after a restart. Its places on the ring follow from it.',
  }),
  bind: startup({
    name: 'bind',
    group: 'Node and network',
    type: HOST,
    default: '127.0.0.1',
    help: 'Address on which clients are accepted; 0.0.0.0 for all.',
  }),
  port: startup({
    name: 'port',
    group: 'Node and network',
    type: PORT,
    default: 7001,
    help: 'Port of the Redis protocol; 0 picks a free one.',
  }),
  linkBind: startup({
    name: 'link-bind',
    group: 'Node and network',
    type: HOST,
    default: '',
    defaultText: 'as bind',
    help: 'Address on which other nodes are accepted. Keep it inside the cluster: links are not authenticated.',
  }),
  linkPort: startup({
    name: 'link-port',
    group: 'Node and network',
    type: PORT,
    default: 0,
    defaultText: 'port + 10000',
    help: 'Port for links between nodes; 0 picks a free one.',
  }),
  announceHost: startup({
    name: 'announce-host',
    group: 'Node and network',
    type: HOST,
    default: '',
    defaultText: 'bind, unless that is a wildcard',
    help: 'Host name or address under which other nodes and cluster-aware clients reach this node.',
  }),
  httpBind: startup({
    name: 'http-bind',
    group: 'Node and network',
    type: HOST,
    default: '',
    defaultText: 'as bind',
    help: 'Address of the HTTP endpoints (health, metrics).',
  }),
  httpPort: startup({
    name: 'http-port',
    group: 'Node and network',
    type: PORT,
    default: 8081,
    help: 'Port of the HTTP endpoints; 0 picks a free one.',
  }),
  tcpBacklog: startup({
    name: 'tcp-backlog',
    group: 'Node and network',
    type: integer({ min: 1, max: 65_535 }),
    default: 511,
    help: 'Connections that may wait to be accepted.',
  }),
  tcpKeepalive: live({
    name: 'tcp-keepalive',
    group: 'Node and network',
    type: integer({ min: 0, max: INT_MAX }, 'seconds'),
    default: 300,
    help: 'Idle time after which TCP keepalive probes a client; 0: never.',
  }),

  // -- Cluster ---------------------------------------------------------------------------------
  profile: startup({
    name: 'profile',
    group: 'Cluster',
    type: oneOf(PROFILES),
    default: 'lan',
    help: 'Defaults of the timers: local (all on one machine), lan (one site), wan (sites apart).',
  }),
  zone: startup({
    name: 'zone',
    group: 'Cluster',
    type: text({ pattern: /^[\x21-\x7e]{0,63}$/, accepts: 'up to 63 visible ASCII characters' }),
    default: '',
    defaultText: 'announce-host',
    help: 'What fails together (host, rack). Owners of a key are put into different zones as far as there are enough.',
  }),
  tokens: startup({
    name: 'tokens',
    group: 'Cluster',
    type: integer({ min: 1, max: 4096 }),
    default: 128,
    help: 'Points of this node on the ring: its weight against the other nodes, unless ringfence cluster weight has set one.',
  }),
  replicas: startup({
    name: 'replicas',
    group: 'Cluster',
    type: integer({ min: 1, max: 16 }),
    default: 3,
    help: 'Nodes that hold each key in memory, the primary included, of a cluster that is founded. Later: ringfence cluster replicas.',
  }),
  primaries: startup({
    name: 'primaries',
    group: 'Cluster',
    type: oneOf(['spread', 'one']),
    default: 'spread',
    byProfile: { local: 'one' as const },
    help: 'Who orders the writes of a cluster that is founded: the ring spreads that over all nodes, or one node, the lead, does for every key that it holds, which costs least where nodes share processors. Later: ringfence cluster lead.',
  }),
  leaseMs: startup({
    name: 'lease-ms',
    group: 'Cluster',
    type: milliseconds({ min: 300, max: 600_000 }),
    default: 1500,
    byProfile: { wan: 6000 },
    help: 'Time a node may serve on after its last renewal in the database. A lost node is replaced within two leases.',
  }),
  leaseMarginMs: startup({
    name: 'lease-margin-ms',
    group: 'Cluster',
    type: milliseconds({ min: 1, max: 60_000 }),
    default: 150,
    byProfile: { wan: 500 },
    help: 'Taken off every own lease and added to every foreign one, for clocks that run at different speeds.',
  }),
  clockBoundMs: startup({
    name: 'clock-bound-ms',
    group: 'Cluster',
    type: milliseconds({ min: 0, max: 60_000 }),
    default: 50,
    byProfile: { local: 10, wan: 250 },
    help: "Greatest difference between two nodes' idea of the time; reads this close to a key's expiry go to its primary.",
  }),
  requestTimeoutMs: startup({
    name: 'request-timeout-ms',
    group: 'Cluster',
    type: milliseconds({ min: 100, max: 600_000 }),
    default: 5000,
    byProfile: { wan: 20_000 },
    help: 'Time within which every command is answered, retries on other nodes included.',
  }),
  readsWithoutStore: startup({
    name: 'reads-without-store',
    group: 'Cluster',
    type: oneOf(['serve', 'refuse']),
    default: 'serve',
    help: 'Reads while the database is away: serve them where a majority of the nodes agrees that it is, or refuse them.',
  }),
  warmUp: startup({
    name: 'warm-up',
    group: 'Cluster',
    type: boolean(),
    default: true,
    help: 'Load the owned slots from the database in the background after a start.',
  }),
  linkBufferMax: startup({
    name: 'link-buffer-max',
    group: 'Cluster',
    type: bytes({ min: MB, max: 16 * GB }),
    default: 256 * MB,
    help: 'Bytes that may wait to be sent to one other node; over it, requests for that node are refused with BUSY.',
  }),

  // -- Database --------------------------------------------------------------------------------
  store: startup({
    name: 'store',
    group: 'Database',
    type: {
      ...text({
        pattern: /^(|postgres(ql)?:\/\/\S+)$/,
        accepts: 'a URL such as postgres://user:password@host:5432/database',
      }),
      // Clients may ask for it with CONFIG GET; the password is not theirs to know.
      show: (url) => url.replace(/(:\/\/[^:@/]*):[^@/]*@/, '$1:***@'),
    },
    default: '',
    defaultText: 'none: a node needs it',
    secret: true,
    help: 'The PostgreSQL database that keeps the data.',
  }),
  storeConnections: startup({
    name: 'store-connections',
    group: 'Database',
    type: integer({ min: 1, max: 256 }),
    default: 4,
    help: 'Connections for reads of missing keys. Three more are used (for writes, for the lease, for views), and a fourth while a renewal of the lease is late.',
  }),
  storeTimeoutMs: startup({
    name: 'store-timeout-ms',
    group: 'Database',
    type: milliseconds({ min: 50, max: 600_000 }),
    default: 1000,
    byProfile: { wan: 4000 },
    help: 'Longest time that one batch or query may take in the database.',
  }),
  lanePipeline: startup({
    name: 'lane-pipeline',
    group: 'Database',
    type: integer({ min: 1, max: 16 }),
    default: 2,
    help: 'Batches of writes under way at once on the one connection that writes.',
  }),
  batchRowsMax: startup({
    name: 'batch-rows-max',
    group: 'Database',
    type: integer({ min: 1, max: 10_000 }),
    default: 512,
    help: 'Rows in one batch of writes.',
  }),
  batchBytesMax: startup({
    name: 'batch-bytes-max',
    group: 'Database',
    type: bytes({ min: 64 * KB, max: 256 * MB }),
    default: 4 * MB,
    help: 'Bytes in one batch of writes; a single larger value makes a batch by itself.',
  }),
  laneWaitMs: startup({
    name: 'lane-wait-ms',
    group: 'Database',
    type: milliseconds({ min: 50, max: 60_000 }),
    default: 500,
    byProfile: { wan: 2000 },
    help: 'How long a lane or a view waits for a row that another session has locked before it ends that session: a stopped or half-cut node may hold its lock for ever.',
  }),

  // -- Memory ----------------------------------------------------------------------------------
  maxmemory: live({
    name: 'maxmemory',
    group: 'Memory',
    type: bytes({ min: 0, max: BYTES_MAX }),
    default: 0,
    help: 'Memory for keys and values; 0: no bound. Over it, keys are evicted as maxmemory-policy says.',
  }),
  maxmemoryPolicy: live({
    name: 'maxmemory-policy',
    group: 'Memory',
    type: oneOf([
      'volatile-lru',
      'volatile-lfu',
      'volatile-random',
      'volatile-ttl',
      'allkeys-lru',
      'allkeys-lfu',
      'allkeys-random',
      'noeviction',
    ]),
    default: 'allkeys-lru',
    help: 'Which keys leave memory when it is full. Persistent keys stay in the database and are read again when asked for.',
  }),
  maxmemorySamples: live({
    name: 'maxmemory-samples',
    group: 'Memory',
    type: integer({ min: 1, max: INT_MAX }),
    default: 5,
    help: 'Keys looked at to find one to evict: more is more exact and slower.',
  }),
  lfuLogFactor: live({
    name: 'lfu-log-factor',
    group: 'Memory',
    type: integer({ min: 0, max: INT_MAX }),
    default: 10,
    help: 'How slowly the counter of uses saturates (LFU policies).',
  }),
  lfuDecayTime: live({
    name: 'lfu-decay-time',
    group: 'Memory',
    type: integer({ min: 0, max: INT_MAX }, 'minutes'),
    default: 1,
    help: 'Minutes after which the counter of uses goes down by one (LFU policies); 0: never.',
  }),
  valueBytesMax: live({
    name: 'value-bytes-max',
    group: 'Memory',
    type: bytes({ min: KB, max: VALUE_BYTES_CEILING }),
    default: 64 * MB,
    help: 'Largest value that is kept; a longer one is refused.',
  }),
  databases: startup({
    name: 'databases',
    group: 'Memory',
    type: integer({ min: 16, max: 16 }),
    default: 16,
    help: 'Numbered databases for SELECT. Always 16.',
  }),
  keysLimit: live({
    name: 'keys-limit',
    group: 'Memory',
    type: integer({ min: 1, max: INT_MAX }),
    default: 1_000_000,
    help: 'Most keys that KEYS answers with; over it the command fails and SCAN must be used.',
  }),

  // -- Clients and limits ----------------------------------------------------------------------
  requirepass: live({
    name: 'requirepass',
    group: 'Clients and limits',
    type: text(),
    default: '',
    secret: true,
    help: 'Password of the default user; empty: none is asked for.',
  }),
  maxclients: live({
    name: 'maxclients',
    group: 'Clients and limits',
    type: integer({ min: 1, max: 1_000_000 }),
    default: 10_000,
    help: 'Client connections at once; one more is refused with an error.',
  }),
  timeout: live({
    name: 'timeout',
    group: 'Clients and limits',
    type: integer({ min: 0, max: INT_MAX }, 'seconds'),
    default: 0,
    help: 'Idle time after which a client is disconnected; 0: never.',
  }),
  protoMaxBulkLen: live({
    name: 'proto-max-bulk-len',
    group: 'Clients and limits',
    type: bytes({ min: MB, max: 512 * MB }),
    default: 512 * MB,
    help: 'Longest single argument of a command.',
  }),
  clientQueryBufferLimit: live({
    name: 'client-query-buffer-limit',
    group: 'Clients and limits',
    type: bytes({ min: MB, max: BYTES_MAX }),
    default: GB,
    help: 'Unfinished input of one client; over it the client is disconnected.',
  }),
  clientOutputBufferLimit: live({
    name: 'client-output-buffer-limit',
    group: 'Clients and limits',
    type: outputLimits(),
    default: Object.freeze({
      normal: Object.freeze({ hardBytes: 256 * MB, softBytes: 64 * MB, softSeconds: 60 }),
      replica: Object.freeze({ hardBytes: 256 * MB, softBytes: 64 * MB, softSeconds: 60 }),
      pubsub: Object.freeze({ hardBytes: 32 * MB, softBytes: 8 * MB, softSeconds: 60 }),
    }),
    help: 'Replies that a client has not read yet: over the hard bound, or over the soft bound for that many seconds, it is disconnected.',
  }),
  pendingRequestsMax: live({
    name: 'pending-requests-max',
    group: 'Clients and limits',
    type: integer({ min: 1, max: 10_000_000 }),
    default: 200_000,
    help: 'Commands under way on this node; over it, commands are refused with BUSY.',
  }),
  clientPendingMax: live({
    name: 'client-pending-max',
    group: 'Clients and limits',
    type: integer({ min: 1, max: 1_000_000 }),
    default: 10_000,
    help: 'Commands under way of one client; over it, its input is not read until some are answered.',
  }),
  loadPendingMax: live({
    name: 'load-pending-max',
    group: 'Clients and limits',
    type: integer({ min: 1, max: 10_000_000 }),
    default: 20_000,
    help: 'Keys that wait to be read from the database; over it, commands on missing keys are refused with BUSY.',
  }),

  // -- Legacy bridge ---------------------------------------------------------------------------
  legacyConcurrency: startup({
    name: 'legacy-concurrency',
    group: 'Legacy bridge',
    type: integer({ min: 1, max: 1024 }),
    default: 32,
    help: 'Calls to one legacy source at once, from this node. A policy may say its own number.',
  }),
  legacyPendingMax: startup({
    name: 'legacy-pending-max',
    group: 'Legacy bridge',
    type: integer({ min: 0, max: 1_000_000 }),
    default: 2000,
    help: 'Calls that may wait for a free place per legacy source; over it, they fail at once.',
  }),

  // -- Logging ---------------------------------------------------------------------------------
  loglevel: live({
    name: 'loglevel',
    group: 'Logging',
    type: oneOf(['debug', 'verbose', 'notice', 'warning']),
    default: 'notice',
    help: 'How much is logged: debug (every request), verbose, notice (changes of state), warning (trouble only).',
  }),
  logfile: startup({
    name: 'logfile',
    group: 'Logging',
    type: text(),
    default: '',
    help: 'File that the log is appended to; empty: standard output.',
  }),
} as const;

export type OptionKey = keyof typeof OPTIONS;

type ValueOf<R> = R extends OptionRow<infer T> ? T : never;
type KeysWhere<M extends boolean> = {
  [K in OptionKey]: (typeof OPTIONS)[K]['mutable'] extends M ? K : never;
}[OptionKey];

/** Options that are read once. */
export type StartupKey = KeysWhere<false>;
/** Options that CONFIG SET may change. */
export type LiveKey = KeysWhere<true>;

export type Settings = { readonly [K in OptionKey]: ValueOf<(typeof OPTIONS)[K]> };
export type StartupSettings = Pick<Settings, StartupKey>;
export type LiveSettings = Pick<Settings, LiveKey>;

/** Every row with its key, in table order. The value type is lost here: use it with the row's own type. */
export const OPTION_ROWS: readonly (readonly [
  OptionKey,
  OptionRow<unknown> & { mutable: boolean },
])[] = Object.entries(OPTIONS) as never;

/**
 * Names that tools ask for with CONFIG GET and that cannot differ here. The values are true: no
 * snapshot or append-only file is written (PostgreSQL keeps the data), there is no Redis replication,
 * and so on. CONFIG SET accepts the value they have.
 */
export const FIXED_REDIS_NAMES: readonly (readonly [name: string, value: string])[] = [
  ['save', ''],
  ['appendonly', 'no'],
  ['cluster-enabled', 'no'],
  ['replicaof', ''],
  ['slaveof', ''],
  ['masterauth', ''],
  ['notify-keyspace-events', ''],
  ['slowlog-log-slower-than', '-1'],
  ['slowlog-max-len', '0'],
  ['latency-monitor-threshold', '0'],
  ['maxmemory-clients', '0'],
  ['activedefrag', 'no'],
  ['io-threads', '1'],
  ['protected-mode', 'no'],
  ['tls-port', '0'],
  ['unixsocket', ''],
  ['aclfile', ''],
  ['daemonize', 'no'],
];

/** Names compare without case, dashes and underscores: `--max-memory`, `maxMemory` and `maxmemory` are one. */
export function normalName(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '');
}

const BY_NORMAL_NAME = new Map(
  OPTION_ROWS.map((entry) => [normalName(entry[1].name), entry] as const),
);

/** The row for a flag, file or environment spelling (without `--` or `RINGFENCE_`), or undefined. */
export function findOption(
  name: string,
): readonly [OptionKey, OptionRow<unknown> & { mutable: boolean }] | undefined {
  return BY_NORMAL_NAME.get(normalName(name));
}
