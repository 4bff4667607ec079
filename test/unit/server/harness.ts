/** A server with the real commands and a router whose answers the test controls. */
import type { Prepared } from '../../../src/cluster/execute.ts';
import type { DirectReadBatch } from '../../../src/cluster/local-reads.ts';
import type { ClusterPort, ConfigPort } from '../../../src/commands/ports.ts';
import { createPrepare } from '../../../src/commands/prepare.ts';
import { commandTable } from '../../../src/commands/table.ts';
import type { Logger } from '../../../src/platform/logger.ts';
import { createNodePlatform } from '../../../src/platform/node-platform.ts';
import type { Platform } from '../../../src/platform/platform.ts';
import type { Connection, ConnectionHandlers } from '../../../src/platform/transport.ts';
import { ARRAY, BULK } from '../../../src/resp/reply-buffer.ts';
import type { InfoSources } from '../../../src/server/info.ts';
import type { Call, ClientOrder, Router } from '../../../src/server/router.ts';
import { createServer, type Server } from '../../../src/server/server.ts';
import type { ServerSettings } from '../../../src/server/settings.ts';

const MB = 1024 * 1024;

export type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export const settingsWith = (changes: Partial<ServerSettings> = {}): Mutable<ServerSettings> => ({
  requirepass: '',
  maxclients: 100,
  timeout: 0,
  tcpKeepalive: 300,
  protoMaxBulkLen: 512 * MB,
  clientQueryBufferLimit: 64 * MB,
  clientOutputBufferLimit: { normal: { hardBytes: 64 * MB, softBytes: 0, softSeconds: 0 } },
  clientPendingMax: 10_000,
  pendingRequestsMax: 200_000,
  ...changes,
});

/** Answers GET and SET from a map, at once or when the test says so. */
export class FakeRouter implements Router {
  /** True: commands wait in `held` until `release`. */
  holding = false;
  readonly held: Call[] = [];
  readonly values = new Map<string, string>();
  /** True: keys that are in `values` are read directly. */
  direct = false;
  /** What was asked for directly. */
  readonly batches: {
    readonly count: number;
    readonly db: number;
    readonly touches: boolean;
    readonly allowedAtMs: number;
  }[] = [];
  readonly submitted: string[] = [];
  openClients = 0;
  mostHeld = 0;

  openClient(): ClientOrder {
    this.openClients++;
    return {};
  }
  closeClient(): void {
    this.openClients--;
  }
  submit(call: Call): string | undefined {
    this.submitted.push(`${call.prepared.db}:${call.prepared.args.slice(0, 2).join(' ')}`);
    if (!this.holding) return this.#answer(call.prepared);
    this.held.push(call);
    this.mostHeld = Math.max(this.mostHeld, this.held.length);
    return undefined;
  }
  /** Answers the held command at `index`. */
  release(index = 0): void {
    const [call] = this.held.splice(index, 1);
    if (call === undefined) throw new Error('nothing is held there');
    call.done(this.#answer(call.prepared));
  }
  releaseAll(): void {
    while (this.held.length > 0) this.release();
  }
  readDirectly(_order: ClientOrder, batch: DirectReadBatch): number {
    const { frames, db, touches, allowedAtMs } = batch;
    if (!this.direct) return 0;
    this.batches.push({ count: frames.count, db, touches, allowedAtMs });
    batch.allowedAtMs = 5;
    for (let i = 0; i < frames.count; i++) if (!this.#copyReply(batch, i)) return i;
    return frames.count;
  }
  #copyReply({ frames, out, arrays, db }: DirectReadBatch, command: number): boolean {
    const { bytes, firsts, starts, ends } = frames;
    const values: (string | undefined)[] = [];
    for (let i = firsts[command]! + 1; i < firsts[command + 1]!; i++)
      values.push(this.values.get(`${db}:${bytes.toString('latin1', starts[i], ends[i])}`));
    const found = values.filter((value) => value !== undefined);
    if (found.length < values.length) return false;
    if (arrays[command] === 1) out.header(ARRAY, found.length);
    for (const value of found) {
      out.header(BULK, value.length);
      out.used += out.bytes.write(value, out.used, 'latin1');
      out.lineEnd();
    }
    return true;
  }
  #answer({ name, args, db }: Prepared): string {
    const key = `${db}:${args[1]}`;
    if (name === 'SET') {
      this.values.set(key, args[2] ?? '');
      return '+OK\r\n';
    }
    const value = this.values.get(key);
    return value === undefined ? '$-1\r\n' : `$${value.length}\r\n${value}\r\n`;
  }
}

export const quietLog: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => quietLog,
};

const infoSources = (platform: Platform): InfoSources => ({
  host: () => ({
    os: 'test',
    processId: 1,
    executable: 'node',
    residentBytes: 2048,
    heapBytes: 1024,
    externalBytes: 512,
    machineBytes: 4096,
    cpuUserSeconds: 1,
    cpuSystemSeconds: 0.5,
    eventLoopActiveSeconds: 2,
    eventLoopIdleSeconds: 3,
  }),
  identity: () => ({
    version: '0.0.0',
    runId: 'a'.repeat(40),
    port: 7001,
    configFile: '',
    startedAtMs: platform.clock.monotonicMs(),
    nowMs: () => platform.clock.wallMs(),
  }),
  memory: () => ({ usedBytes: 1536, peakBytes: 3072, maxBytes: 0, policy: 'noeviction' }),
  persistence: () => ({ loading: false, lastWriteOk: true, uncommitted: 3, lastCommitAtMs: 5000 }),
  keyspace: () => [{ db: 0, keys: 7, expires: 2, avgTtlMs: 10.4 }],
  keyspaceCounters: () => ({ hits: 1, misses: 2, expired: 3, evicted: 4 }),
  ringfence: () => [['view_epoch', 9]],
});

/** Only what the tested commands ask for. */
const clusterWith = (router: FakeRouter, dbsize: () => Promise<number>): ClusterPort =>
  ({
    epoch: 9,
    healthy: true,
    dbsize,
    waitForReplicas: () => router.held.length,
  }) as unknown as ClusterPort;

const noConfig: ConfigPort = {
  get: () => [],
  set: () => undefined,
  rewrite: () => Promise.resolve(),
};

export interface Harness {
  readonly server: Server;
  readonly router: FakeRouter;
  readonly settings: Mutable<ServerSettings>;
}

export function createHarness(
  options: {
    settings?: Partial<ServerSettings>;
    platform?: Platform;
    dbsize?: () => Promise<number>;
  } = {},
): Harness {
  const platform = options.platform ?? createNodePlatform();
  const router = new FakeRouter();
  const settings = settingsWith(options.settings);
  const prepare = createPrepare({ slotOf: () => 1, limits: settings, random: () => 0 });
  const server = createServer({
    platform,
    log: quietLog,
    settings,
    commands: commandTable.values(),
    prepare,
    router,
    config: noConfig,
    cluster: clusterWith(router, options.dbsize ?? (() => Promise.resolve(router.values.size))),
    info: infoSources(platform),
    resetCounters: () => undefined,
  });
  return { server, router, settings };
}

/** A connection without a network: the test is the peer. */
export class FakeConnection implements Connection {
  readonly remoteAddress = '10.0.0.1:5000';
  readonly localAddress = '10.0.0.2:6379';
  sent = '';
  /** Every call of `write`. */
  writes = 0;
  /** False: what is written stays buffered, as with a peer that does not read. */
  peerReads = true;
  bufferedBytes = 0;
  paused = false;
  ended = false;
  destroyed = false;
  keepAliveMs = -1;
  #handlers: ConnectionHandlers | undefined;
  readonly #endTurn: () => void;

  constructor(endTurn: () => void) {
    this.#endTurn = endTurn;
  }

  handle(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
  }
  write(data: string | Buffer): void {
    this.writes++;
    this.sent += typeof data === 'string' ? data : data.toString('latin1');
    if (!this.peerReads) this.bufferedBytes += data.length;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  end(): void {
    this.ended = true;
  }
  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.#handlers?.onClose();
  }
  setKeepAlive(idleMs: number): void {
    this.keepAliveMs = idleMs;
  }

  /** The peer sends these bytes in one chunk, whose memory is reused afterwards, and the turn ends. */
  receive(text: string): void {
    this.receiveInTurn(text);
    this.#endTurn();
  }
  /** The same in a turn that goes on. */
  receiveInTurn(text: string): void {
    const chunk = Buffer.from(text, 'latin1');
    this.#handlers?.onData(chunk);
    chunk.fill(0);
  }
  /** The peer sends no more, and the turn ends. */
  receiveEnd(): void {
    this.#handlers?.onEnd?.();
    this.#endTurn();
  }
  /** What was sent since the last call. */
  takeSent(): string {
    const { sent } = this;
    this.sent = '';
    return sent;
  }
}
