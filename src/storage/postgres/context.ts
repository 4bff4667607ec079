/** What all parts of the store share: options, and how their sessions are opened. */
import type { Clock, Random, Timers } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import { Session, type SessionSettings } from './session.ts';

export interface PostgresStoreOptions {
  /** `postgres://user:password@host:port/database`; TLS by `?sslmode=`. */
  readonly url: string;
  /** This node's id, for `application_name` only. */
  readonly node: string;
  readonly timers: Timers;
  readonly random: Random;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Connections for loading single keys. One more is used for scans, counts and sweeps. */
  readonly loadConnections: number;
  /** Loads that wait for a connection, at most; more are refused as 'unavailable'. */
  readonly loadQueueMax: number;
  /** The server ends a statement after this time. Scans and counts get ten times as much. */
  readonly statementTimeoutMs: number;
  /** Who waits longer than this for a row terminates the backend that holds it. */
  readonly batchWaitMs: number;
  /** Batches under way on the lane, at most. */
  readonly lanePipeline: number;
  readonly connectTimeoutMs: number;
}

export interface StoreContext {
  readonly options: PostgresStoreOptions;
  /** Set by `prepare`; every later session must find it again. */
  clusterId: string | null;
  /** Set by `identify`; the same. */
  history: string | null;
}

/** How much longer than the server's own limit an answer is waited for. */
const ANSWER_MARGIN_MS = 1_000;

/**
 * Plans are made once, perhaps when a table is empty and a sequential scan looks cheap, and are kept:
 * sessions on the hot path are told to go by index always.
 */
export const BY_INDEX: Readonly<Record<string, string>> = {
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  plan_cache_mode: 'force_generic_plan',
};

/**
 * The same for statements that are planned each time, for the numbers in them: walks along an index, in its order. By
 * estimates that are wrong the planner would also collect and sort all that is left for every page, or start further
 * processes for it.
 */
export const BY_INDEX_IN_ORDER: Readonly<Record<string, string>> = {
  ...BY_INDEX,
  enable_bitmapscan: 'off',
  max_parallel_workers_per_gather: '0',
};

/** Opens a session in the given role. `overrides` are for roles that wait longer or pipeline. */
export function openSession(
  context: StoreContext,
  role: string,
  overrides: Partial<SessionSettings> = {},
): Promise<Session> {
  const { url, node, timers, logger, connectTimeoutMs, statementTimeoutMs } = context.options;
  const limitMs = overrides.statementTimeoutMs ?? statementTimeoutMs;
  return Session.open({
    url,
    // The server cuts names off at 63 bytes; the role must survive.
    applicationName: `ringfence:${node.slice(0, 40)}:${role}`,
    connectTimeoutMs,
    statementTimeoutMs: limitMs,
    answerTimeoutMs: limitMs + ANSWER_MARGIN_MS,
    pipeline: false,
    set: {},
    clusterId: context.clusterId,
    history: context.history,
    timers,
    logger,
    ...overrides,
  });
}
