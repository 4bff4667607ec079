/** Stores on a real database, and the few things that every test of them needs. */
import { randomBytes } from 'node:crypto';
import type { Clock, Random, Timers } from '../../../src/platform/clock.ts';
import type { Logger } from '../../../src/platform/logger.ts';
import {
  createPostgresStore,
  type PostgresStoreOptions,
} from '../../../src/storage/postgres/postgres-store.ts';
import type {
  Batch,
  ControlSession,
  Member,
  NodeRef,
  RowChange,
  Store,
  StoreErrorKind,
  View,
  ViewProposal,
} from '../../../src/storage/postgres/store.ts';
import { StoreError } from '../../../src/storage/postgres/store.ts';

const timers: Timers = {
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  every(periodMs, callback) {
    const timer = setInterval(callback, periodMs);
    return { cancel: () => clearInterval(timer) };
  },
  turnEnd: (callback) => void setImmediate(callback),
  turnFlush: (callback) => void setImmediate(callback),
};
const clock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  uptimeMs: () => performance.now(),
};
const random: Random = {
  float: Math.random,
  below: (bound) => Math.floor(Math.random() * bound),
  id: () => randomBytes(16).toString('hex'),
};
export const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};

export function storeOn(url: string, overrides: Partial<PostgresStoreOptions> = {}): Store {
  return createPostgresStore({
    url,
    node: 'test',
    timers,
    clock,
    random,
    logger: silent,
    loadConnections: 2,
    loadQueueMax: 100,
    statementTimeoutMs: 5_000,
    batchWaitMs: 300,
    lanePipeline: 8,
    connectTimeoutMs: 5_000,
    ...overrides,
  });
}

export function memberOf(node: string, incarnation = random.id()): Member {
  return {
    node,
    incarnation,
    host: '127.0.0.1',
    port: 7001,
    linkPort: 17001,
    httpPort: 8081,
    zone: node,
    tokens: 128,
  };
}

export const refOf = ({ node, incarnation }: NodeRef): NodeRef => ({ node, incarnation });

export function viewOf(epoch: number, members: readonly Member[], rest: Partial<View> = {}): View {
  return {
    epoch,
    id: random.id(),
    replicas: 3,
    settled: members,
    previous: epoch - 1,
    removed: [],
    coming: members,
    comingReplicas: rest.replicas ?? 3,
    lead: null,
    leaving: [],
    weights: {},
    ...rest,
  };
}

/** Registers the members and gives them the next view. */
export async function formView(
  store: Store,
  members: readonly Member[],
  removals: ViewProposal['removals'] = [],
): Promise<View> {
  return withControl(store, async (control) => {
    const newest = (await control.viewsAfter(0)).at(-1)?.epoch ?? 0;
    for (const member of members) await store.register(member);
    const view = viewOf(newest + 1, members);
    await control.propose({ view, removals });
    return view;
  });
}

export async function withControl<T>(
  store: Store,
  use: (control: ControlSession) => Promise<T>,
): Promise<T> {
  const control = await store.openControl();
  try {
    return await use(control);
  } finally {
    await control.close();
  }
}

let seq = 0;
export function change(
  key: string,
  value: string | null,
  rest: Partial<RowChange> = {},
): RowChange {
  return {
    kind: value === null ? 'delete' : 'put',
    slot: 1,
    db: 0,
    key,
    value,
    expiresAtMs: 0,
    epoch: 1,
    seq: ++seq,
    ...rest,
  };
}

export function batchOf(
  number: number,
  rows: readonly RowChange[],
  rest: Partial<Batch> = {},
): Batch {
  return { number, epoch: 1, rows, floors: [], ...rest };
}

/** The kind of StoreError that the promise rejects with, or 'resolved'. */
export async function outcomeOf(promise: Promise<unknown>): Promise<StoreErrorKind | 'resolved'> {
  try {
    await promise;
    return 'resolved';
  } catch (error) {
    if (error instanceof StoreError) return error.kind;
    throw error;
  }
}

/** Waits until `check` holds; for what another process has to notice. */
export async function until(check: () => Promise<boolean>): Promise<void> {
  while (!(await check())) await new Promise((resolve) => setTimeout(resolve, 10));
}
