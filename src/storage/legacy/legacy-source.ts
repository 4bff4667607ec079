/**
 * The read-through source behind PostgreSQL: HTTP APIs by key prefix. Its trouble must never become
 * ours: calls are bounded in number, time and size, a breaker stops calling what does not answer, and
 * every outcome is one of found, absent, or failed with a reason. Each call is a GET without side
 * effects, so it may be repeated.
 */
import type { LegacyPolicy, Policies, Policy } from '../../config/policies.ts';
import { sleep, type Clock, type Timers } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import { createBreaker, type Breaker } from './breaker.ts';
import { createUndiciFetcher, type Fetcher, type FetchResult } from './fetcher.ts';
import { createGate, type Gate } from './gate.ts';
import { parsePointer } from './json-pointer.ts';
import { extractValue } from './parse-answer.ts';
import type { LegacyAnswer, LegacySource, LegacyStats } from './source.ts';
import { compileTemplate, type RequestTarget, type UrlTemplate } from './url-template.ts';

export interface LegacyEnv {
  readonly timers: Timers;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Calls at once to a source whose policy does not say (`legacy-concurrency`). */
  readonly concurrency: number;
  /** Calls that may wait for a place, per source (`legacy-pending-max`). */
  readonly pendingMax: number;
  /** Instead of `undici`. */
  readonly fetcher?: Fetcher;
}

/** Before the first retry; doubles with each. */
const RETRY_DELAY_MS = 50;

interface Counters {
  requests: number;
  found: number;
  absent: number;
  failed: number;
}

/** One policy with a legacy section, ready to use. */
interface Source {
  readonly policy: Policy;
  readonly legacy: LegacyPolicy;
  readonly template: UrlTemplate;
  readonly tokens: readonly string[];
  readonly gate: Gate;
  readonly breaker: Breaker;
  readonly counters: Counters;
}

const failed = (reason: string): LegacyAnswer => ({ kind: 'failed', reason });

export function createLegacySource(policies: Policies, env: LegacyEnv): LegacySource {
  const sources = new Map<Policy, Source>();
  for (const policy of policies.all) {
    if (policy.legacy !== null) sources.set(policy, createSource(policy, policy.legacy, env));
  }
  const connections = Math.max(env.concurrency, ...[...sources.values()].map(placesOf(env)));
  const fetcher = env.fetcher ?? createUndiciFetcher(env.timers, connections);
  const underWay = new Map<string, Promise<LegacyAnswer>>();
  let closed = false;

  return {
    covers: (key) => policies.policyFor(key).legacy !== null,

    fetch(key) {
      const source = sources.get(policies.policyFor(key));
      if (source === undefined) return Promise.resolve(failed('the key has no legacy source'));
      if (closed) return Promise.resolve(failed('this node is shutting down'));
      const existing = underWay.get(key);
      if (existing !== undefined) return existing;
      const answer = ask(source, key, fetcher, env).finally(() => underWay.delete(key));
      underWay.set(key, answer);
      return answer;
    },

    stats: () => [...sources.values()].map(statsOf),

    async close() {
      closed = true;
      await fetcher.close();
      await Promise.all(underWay.values());
    },
  };
}

const placesOf =
  (env: LegacyEnv) =>
  (source: Source): number =>
    source.legacy.concurrency ?? env.concurrency;

function createSource(policy: Policy, legacy: LegacyPolicy, env: LegacyEnv): Source {
  const logger = env.logger.child({ legacyPrefix: policy.prefix });
  return {
    policy,
    legacy,
    template: compileTemplate(legacy.url),
    tokens: parsePointer(legacy.value),
    gate: createGate(
      { placesMax: legacy.concurrency ?? env.concurrency, waitingMax: env.pendingMax },
      env.timers,
    ),
    breaker: createBreaker(legacy.breaker, env.clock, (open) => {
      if (open) logger.warn({ resetMs: legacy.breaker.resetMs }, 'legacy source is failing');
      else logger.info({}, 'legacy source answers again');
    }),
    counters: { requests: 0, found: 0, absent: 0, failed: 0 },
  };
}

function statsOf({ policy, counters, breaker }: Source): LegacyStats {
  return { prefix: policy.prefix, ...counters, breakerOpen: breaker.open };
}

/** One answer for one key, counted. */
async function ask(
  source: Source,
  key: string,
  fetcher: Fetcher,
  env: LegacyEnv,
): Promise<LegacyAnswer> {
  const answer = await askWithinBounds(source, key, fetcher, env);
  source.counters[answer.kind] += 1;
  if (answer.kind === 'failed') {
    env.logger.debug({ key, reason: answer.reason }, 'legacy fetch failed');
  }
  return answer;
}

async function askWithinBounds(
  source: Source,
  key: string,
  fetcher: Fetcher,
  env: LegacyEnv,
): Promise<LegacyAnswer> {
  const { policy, legacy, gate, breaker } = source;
  const target = source.template(key, policy.prefix);
  if (target === null) return failed('the key cannot be part of a URL');
  if (breaker.refusing) return failed(BREAKER_OPEN);
  const entry = await gate.enter(legacy.timeoutMs);
  if (entry === 'full') return failed('too many calls waiting');
  if (entry === 'timed-out') return failed('no call became free in time');
  try {
    return await tryAndRetry(source, target, fetcher, env);
  } finally {
    gate.leave();
  }
}

const BREAKER_OPEN = 'it failed repeatedly and is given a pause (circuit breaker open)';

async function tryAndRetry(
  source: Source,
  target: RequestTarget,
  fetcher: Fetcher,
  env: LegacyEnv,
): Promise<LegacyAnswer> {
  const { legacy, breaker, counters } = source;
  let answer = failed(BREAKER_OPEN);
  // The breaker is asked before every try: others may have opened it while this one waited.
  for (let tried = 0; breaker.tryPass(); tried += 1) {
    counters.requests += 1;
    const result = await fetcher.get({ ...target, ...legacy });
    const verdict = judge(result, source);
    if (verdict.healthy) breaker.succeeded();
    else breaker.failed();
    answer = verdict.answer;
    if (!verdict.retry || tried >= legacy.retries) break;
    await sleep(env.timers, RETRY_DELAY_MS * 2 ** tried);
  }
  return answer;
}

interface Verdict {
  readonly answer: LegacyAnswer;
  /** Whether the source is alive; a wrong answer for one key says nothing about the others. */
  readonly healthy: boolean;
  readonly retry: boolean;
}

function judge(result: FetchResult, source: Source): Verdict {
  switch (result.kind) {
    case 'response':
      return judgeResponse(result, source);
    case 'too-large': {
      const reason = `the answer is longer than ${source.legacy.bodyBytesMax} bytes`;
      return { answer: failed(reason), healthy: true, retry: false };
    }
    case 'timeout': {
      // Not repeated: the caller has waited long enough, and the source has enough to do.
      const reason = `no answer within ${source.legacy.timeoutMs} ms`;
      return { answer: failed(reason), healthy: false, retry: false };
    }
    case 'unreachable': {
      const reason = `it cannot be reached: ${result.message}`;
      return { answer: failed(reason), healthy: false, retry: true };
    }
  }
}

function judgeResponse(
  { status, body }: { readonly status: number; readonly body: Buffer },
  { legacy, tokens }: Source,
): Verdict {
  if (status === 200)
    return { answer: answerFrom(body, legacy, tokens), healthy: true, retry: false };
  if (status === 404 || status === 410) {
    const answer: LegacyAnswer = { kind: 'absent', ttlMs: legacy.negativeTtlMs };
    return { answer, healthy: true, retry: false };
  }
  const broken = status >= 500;
  return {
    answer: failed(`it answered with status ${status}`),
    healthy: !broken && status !== 429,
    retry: broken,
  };
}

function answerFrom(body: Buffer, legacy: LegacyPolicy, tokens: readonly string[]): LegacyAnswer {
  const extracted = extractValue(body, tokens);
  switch (extracted.kind) {
    case 'value':
      return { kind: 'found', value: extracted.value, ttlMs: legacy.ttlMs };
    case 'null':
      return { kind: 'absent', ttlMs: legacy.negativeTtlMs };
    case 'garbage':
      return failed(extracted.reason);
  }
}
