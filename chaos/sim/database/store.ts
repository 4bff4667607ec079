/** The `Store` of a simulated node: what `storage/postgres` does, on sessions of the modelled server. */
import { sleep } from '../../../src/platform/clock.ts';
import {
  type Batch,
  type ControlSession,
  type LaneSession,
  type LeaseSession,
  type LoadPool,
  type NodeRef,
  type Row,
  RowType,
  type Store,
  StoreError,
} from '../../../src/storage/postgres/store.ts';
import type { Host } from '../machine.ts';
import { asRead, type DatabaseSession } from './session.ts';
import {
  commitBatch,
  giveUp,
  lastNumber,
  proposeView,
  raiseGeneration,
  reading,
  register,
  renew,
  type Server,
  settleComplaint,
  sweepRows,
} from './statements.ts';
import { inOrder, rowId } from './tables.ts';
import type { Statement } from './transactions.ts';

/** What a session is for: some trouble befalls one of a node's sessions only. */
export type SessionRole = 'lane' | 'lease' | 'control' | 'loads';

export interface StoreOptions {
  readonly statementTimeoutMs: number;
  /** How much longer than the server's own limit an answer is waited for. */
  readonly answerMarginMs: number;
  /** Who waits longer than this for a row terminates the backend that holds it. */
  readonly batchWaitMs: number;
  readonly lanePipeline: number;
}

/** What the store needs of the modelled database. */
export interface StoreEnv {
  readonly host: Host;
  readonly options: StoreOptions;
  readonly server: Server;
  /** Reads of rows by key take this much longer, milliseconds. */
  loadDelayMs(): number;
  onLoaded(keys: number): void;
  isFree(lock: string): boolean;
  open(role: SessionRole): Promise<DatabaseSession>;
  /** Process of the backend that this one waits for in the end, and its transaction. */
  rootOf(pid: number): { pid: number; transaction: number } | null;
  terminate(pid: number): void;
}

/** As in `storage/postgres`: waits of several looks of the guard. */
const RAISE_WAITS = 6;
const PROPOSE_WAITS = 10;
const LOAD_SESSIONS_MAX = 4;

export function createStore(anyServer: StoreEnv): Store {
  const { server } = anyServer;
  /** The history that every session must find, as in `storage/postgres/session.ts`. */
  let history: number | null = null;
  const env: StoreEnv = {
    ...anyServer,
    async open(role) {
      const session = await anyServer.open(role);
      if (history === null || session.history === history) return session;
      session.destroy();
      throw new StoreError('replaced', `the database has another history, ${session.history}`);
    },
  };
  const loads = new SessionPool(env);
  return {
    identify: () =>
      once(anyServer, (session) => {
        ({ history } = session);
        return Promise.resolve();
      }),
    prepare: () =>
      once(env, (session) =>
        session.read(reading(() => ({ clusterId: 'sim', serverVersion: '15.0' }))),
      ),
    register: (member) => once(env, (session) => session.run(register(server, member))),
    openLane: (self) => openLane(env, self),
    openLease: (self) => openLease(env, self),
    openControl: () => openControl(env),
    loads: () => loadPool(env, loads),
    sweep: (limit) => loads.run(sweepRows(server, limit, (lock) => env.isFree(lock))),
    close: () => loads.close(),
  };
}

/** A session for one statement. */
async function once<T>(env: StoreEnv, use: (session: DatabaseSession) => Promise<T>): Promise<T> {
  const session = await env.open('control');
  try {
    return await use(session);
  } finally {
    await session.close();
  }
}

async function openLane(env: StoreEnv, self: NodeRef): Promise<LaneSession> {
  const { server, options } = env;
  const session = await env.open('lane');
  try {
    const raise = session.run(raiseGeneration(server, self), 0, RAISE_WAITS * options.batchWaitMs);
    const generation = await endingBlockers(env, session, raise);
    const last = await session.read(lastNumber(server, self));
    return {
      lastNumber: last,
      closed: session.closed,
      commit: (batch) => commit(env, session, { self, generation, batch }),
      close: () => session.close(),
    };
  } catch (error) {
    session.destroy();
    throw asRead(error);
  }
}

async function commit(
  { server, options }: StoreEnv,
  session: DatabaseSession,
  { self, generation, batch }: { self: NodeRef; generation: number; batch: Batch },
): Promise<void> {
  if (session.inFlight >= options.lanePipeline)
    throw new StoreError('unavailable', 'too many batches are under way already');
  try {
    await session.run(commitBatch(server, self, generation, batch));
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'unknown') session.destroy();
    throw error;
  }
}

async function openLease(env: StoreEnv, self: NodeRef): Promise<LeaseSession> {
  const session = await env.open('lease');
  return {
    serverStart: session.serverStart,
    renew: (complaints) => session.run(renew(env.server, self, complaints)),
    giveUp: () => session.run(giveUp(env.server, self)),
    close: () => session.close(),
  };
}

async function openControl(env: StoreEnv): Promise<ControlSession> {
  const { server, options } = env;
  const session = await env.open('control');
  return {
    serverStart: session.serverStart,
    viewsAfter: (epoch) =>
      session.read(
        reading(() => structuredClone(server.tables.views.filter((view) => view.epoch > epoch))),
      ),
    // The model does not keep the moments of views.
    history: (limit) =>
      session.read(
        reading(() => {
          const newest = server.tables.views.toReversed().slice(0, limit);
          return structuredClone(newest).map((view) => ({ view, createdAtMs: 0 }));
        }),
      ),
    propose: (proposal) => {
      const answerMs = PROPOSE_WAITS * options.batchWaitMs;
      return endingBlockers(env, session, session.run(proposeView(server, proposal), 0, answerMs));
    },
    settleComplaint: (settlement) =>
      session.run(settleComplaint(server, settlement), 0, options.statementTimeoutMs),
    close: () => session.close(),
  };
}

/**
 * Looks twice in `batchWaitMs` at who is at the root of the wait, and terminates a backend that is seen
 * twice in the same transaction.
 */
async function endingBlockers<T>(
  env: StoreEnv,
  session: DatabaseSession,
  wait: Promise<T>,
): Promise<T> {
  let over = false;
  const guard = async (): Promise<void> => {
    let seen: number | null = null;
    for (;;) {
      await sleep(env.host.timers, env.options.batchWaitMs / 2);
      if (over) return;
      try {
        const root = await once(env, (own) =>
          own.read(reading(() => env.rootOf(session.backendPid))),
        );
        if (over) return;
        if (root !== null && root.transaction === seen)
          await once(env, (own) => own.read(reading(() => env.terminate(root.pid))));
        seen = root?.transaction ?? null;
      } catch (error) {
        // The next look may get through.
        if (!(error instanceof StoreError)) throw error;
      }
    }
  };
  void guard();
  try {
    return await wait;
  } finally {
    over = true;
  }
}

/** A few sessions for reads, one statement a session at a time. */
class SessionPool {
  readonly #env: StoreEnv;
  readonly #idle: DatabaseSession[] = [];
  readonly #waiting: (() => void)[] = [];
  #busy = 0;

  constructor(env: StoreEnv) {
    this.#env = env;
  }

  async run<T>(statement: Statement<T>): Promise<T> {
    if (this.#busy >= LOAD_SESSIONS_MAX)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#busy++;
    let session: DatabaseSession | undefined;
    try {
      session = await this.#take();
      return await session.read(statement);
    } finally {
      this.#busy--;
      if (session !== undefined && !session.lost) this.#idle.push(session);
      this.#waiting.shift()?.();
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map((session) => session.close()));
  }

  async #take(): Promise<DatabaseSession> {
    for (let session = this.#idle.pop(); session !== undefined; session = this.#idle.pop()) {
      if (!session.lost) return session;
    }
    return this.#env.open('loads');
  }
}

function loadPool(env: StoreEnv, pool: SessionPool): LoadPool {
  const { tables } = env.server;
  const isLive = (row: Row, nowMs: number): boolean =>
    row.type !== RowType.Tombstone && (row.expiresAtMs === 0 || row.expiresAtMs > nowMs);
  return {
    load: async (keys) => {
      if (env.loadDelayMs() > 0) await sleep(env.host.timers, env.loadDelayMs());
      return pool.run(
        reading(() => {
          env.onLoaded(keys.length);
          const found = keys.map((key) => tables.rows.get(rowId(key)));
          return found.filter((row): row is Row => row !== undefined && tables.isAboveFloor(row));
        }),
      );
    },
    scan: ({ from, to, after, limit }) =>
      pool.run(
        reading(
          () =>
            tables
              .visibleRows(
                (row) =>
                  row.slot >= from && row.slot <= to && (after === null || inOrder(row, after) > 0),
              )
              .slice(0, limit),
          `scan ${env.host.name}`,
        ),
      ),
    count: (slots, db, nowMs) =>
      pool.run(
        reading(() => {
          const wanted = new Set(slots);
          return tables.visibleRows(
            (row) => row.db === db && wanted.has(row.slot) && isLive(row, nowMs),
          ).length;
        }),
      ),
    keys: ({ slot, db, after, limit, nowMs }) =>
      pool.run(
        reading(() =>
          tables
            .visibleRows((row) => row.slot === slot && row.db === db && isLive(row, nowMs))
            .filter(({ key }) => after === null || key > after)
            .slice(0, limit)
            .map(({ key, type }) => ({ key, type })),
        ),
      ),
    expired: (slots, nowMs, limit) =>
      pool.run(
        reading(
          () =>
            [...tables.rows.values()]
              .filter(({ slot }) => slots.some(({ from, to }) => slot >= from && slot <= to))
              .filter(({ expiresAtMs }) => expiresAtMs !== 0 && expiresAtMs <= nowMs)
              .slice(0, limit),
          `expired ${env.host.name}`,
        ),
      ),
    close: () => pool.close(),
  };
}
