/** Plain stand-ins for what server commands see: a session, a server, a cluster. */
import { checkArguments } from '../../../src/commands/check.ts';
import type { ServerContext } from '../../../src/commands/command.ts';
import type {
  ClusterPort,
  ClusterStatus,
  ConfigPort,
  InfoSection,
  NodeInfo,
  ServerPort,
  SessionPort,
  SlotRange,
} from '../../../src/commands/ports.ts';
import { commandOf } from '../../../src/commands/table.ts';
import { ReplyError } from '../../../src/errors.ts';
import { encodeError, encodeReply } from '../../../src/resp/reply.ts';

/** A session whose closing can be asked about. */
export type FakeSession = SessionPort & { closed: 'no' | 'after replies' | 'at once' };

export function fakeSession(overrides: Partial<SessionPort> = {}): FakeSession {
  const session: FakeSession = {
    id: 1,
    address: '10.0.0.1:5001',
    localAddress: '10.0.0.9:7001',
    createdAtMs: 1000,
    lastActiveAtMs: 4000,
    db: 0,
    protocol: 2,
    name: '',
    libName: '',
    libVersion: '',
    user: 'default',
    authenticated: true,
    noEvict: false,
    noTouch: false,
    replyMode: 'on',
    lastCommand: 'client|list',
    queryBufferBytes: 0,
    outputBufferBytes: 0,
    argvBytes: 10,
    bytesIn: 0,
    bytesOut: 0,
    closed: 'no',
    closeAfterReplies: () => {
      session.closed = 'after replies';
    },
    kill: () => {
      session.closed = 'at once';
    },
    reset: () => {
      session.db = 0;
      session.protocol = 2;
      session.name = '';
    },
    ...overrides,
  };
  return session;
}

export function fakeNode(number: number, overrides: Partial<NodeInfo> = {}): NodeInfo {
  return {
    clusterId: `${number}`.repeat(40),
    name: `node-${number}`,
    host: '127.0.0.1',
    port: 7000 + number,
    linkPort: 17000 + number,
    self: number === 1,
    connected: true,
    state: 'member',
    ...overrides,
  };
}

const [ONE, TWO, THREE] = [fakeNode(1), fakeNode(2), fakeNode(3)];

/** Three nodes; node 1 is primary of two neighbouring ranges with different replicas. */
export const RANGES: readonly SlotRange[] = [
  { from: 0, to: 99, owners: [ONE, TWO] },
  { from: 100, to: 199, owners: [ONE, THREE] },
  { from: 200, to: 200, owners: [TWO, THREE] },
  { from: 201, to: 16383, owners: [THREE, ONE] },
];

/** Nothing moves. */
export const STATUS: ClusterStatus = {
  node: 'node-1',
  incarnation: 'first',
  epoch: 7,
  lease: { nowMs: 2000, sinceMs: 1000, untilMs: 3000 },
  serving: [[0, 16_383]],
  replicas: 2,
  wantedReplicas: 2,
  lead: null,
  moving: false,
  nodes: [],
  learning: { slots: 0, left: 0 },
  handOvers: [],
  problems: [],
};

export function fakeCluster(overrides: Partial<ClusterPort> = {}): ClusterPort {
  return {
    epoch: 7,
    healthy: true,
    nodes: () => [ONE, TWO, THREE],
    slotRanges: () => RANGES,
    keySlot: (key) => key.length,
    keysInSlot: (slot, limit) => Promise.resolve([`key of ${slot}`, 'b', 'c'].slice(0, limit)),
    countKeysInSlot: (slot) => Promise.resolve(slot),
    dbsize: (db) => Promise.resolve(100 + db),
    scan: () => Promise.resolve({ cursor: '0', keys: [] }),
    keys: () => Promise.resolve([]),
    randomKey: () => Promise.resolve(null),
    flush: () => Promise.resolve(),
    waitForReplicas: () => 2,
    status: () => STATUS,
    views: () => Promise.resolve([]),
    grant: () => Promise.resolve(),
    ...overrides,
  };
}

export const SECTIONS: readonly InfoSection[] = [
  { name: 'server', byDefault: true, lines: () => [['redis_version', '7.0.15']] },
  { name: 'cpu', byDefault: true, lines: () => [['used_cpu_user', 1]] },
  { name: 'commandstats', byDefault: false, lines: () => [['cmdstat_get', 'calls=1']] },
];

export function fakeConfig(overrides: Partial<ConfigPort> = {}): ConfigPort {
  return { get: () => [], set: () => undefined, rewrite: () => Promise.resolve(), ...overrides };
}

export interface FakeServer {
  readonly context: ServerContext;
  readonly session: FakeSession;
  /** Sends a command line (words separated by blanks, `""` for an empty one); returns the encoded reply. */
  send(line: string): Promise<string>;
}

/** A server with one client; `others` are further connections. */
export function fakeServer(
  overrides: Partial<ServerPort> = {},
  options: { session?: FakeSession; others?: readonly SessionPort[] } = {},
): FakeServer {
  const session = options.session ?? fakeSession();
  const sessions = [session, ...(options.others ?? [])];
  const server: ServerPort = {
    nowMs: () => 1_700_000_000_123,
    monotonicMs: () => 5000,
    startedAtMs: 0,
    sessions: () => sessions,
    session: (id) => sessions.find((candidate) => candidate.id === id),
    hasPassword: false,
    checkPassword: () => false,
    config: fakeConfig(),
    cluster: fakeCluster(),
    stats: { info: () => [...SECTIONS], resetStat: () => undefined },
    ...overrides,
  };
  const context = { session, server };
  const send = (line: string): Promise<string> => {
    const words = line.split(' ').map((word) => (word === '""' ? '' : word));
    return sendWords(context, words);
  };
  return { context, session, send };
}

async function sendWords(context: ServerContext, words: readonly string[]): Promise<string> {
  try {
    const command = commandOf(words);
    if (command.kind !== 'server') throw new Error(`${command.name} is not a server command`);
    checkArguments(command, words);
    const options: unknown = command.parse(words, { protoMaxBulkLen: 1024 });
    const reply = await command.run(context, options);
    return encodeReply(reply, context.session.protocol);
  } catch (error) {
    if (error instanceof ReplyError) return encodeError(error);
    throw error;
  }
}

/** The text of an encoded bulk or verbatim string. */
export function textOf(encoded: string): string {
  return encoded.slice(encoded.indexOf('\r\n') + 2, -2);
}
