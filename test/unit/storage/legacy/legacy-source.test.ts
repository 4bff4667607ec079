/** The legacy source against a real HTTP server, with every kind of trouble. */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parsePolicies } from '../../../../src/config/parse-policies.ts';
import { createPolicies } from '../../../../src/config/policies.ts';
import type { Clock } from '../../../../src/platform/clock.ts';
import type { Logger } from '../../../../src/platform/logger.ts';
import { createNodeTimers } from '../../../../src/platform/node-clock.ts';
import {
  createLegacySource,
  type LegacyEnv,
} from '../../../../src/storage/legacy/legacy-source.ts';
import type { LegacySource } from '../../../../src/storage/legacy/source.ts';

const silent: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silent,
};

let server: Server;
let source: LegacySource | undefined;
let listener: RequestListener;
let urls: string[];
let nowMs: number;

const clock: Clock = { monotonicMs: () => nowMs, wallMs: () => nowMs, uptimeMs: () => nowMs };

beforeEach(async () => {
  urls = [];
  nowMs = 0;
  server = createServer((request, response) => {
    urls.push(request.url!);
    listener(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  await source?.close();
  source = undefined;
  await closeServer();
});

function closeServer(): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

/** vitest's asymmetric matcher has the type any. */
const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern);

const port = (): number => (server.address() as AddressInfo).port;

/** Answers every request alike. */
const answering =
  (status: number, body: string): RequestListener =>
  (_, response) => {
    response.writeHead(status).end(body);
  };

function open(legacy: object = {}, env: Partial<LegacyEnv> = {}): LegacySource {
  const { policies, problems } = parsePolicies([
    {
      prefix: 'user:',
      legacy: {
        url: `http://127.0.0.1:${port()}/data/{key}`,
        value: '/value',
        retries: 0,
        ...legacy,
      },
    },
    { prefix: 'user:own:' },
  ]);
  expect(problems).toEqual([]);
  source = createLegacySource(createPolicies(policies), {
    timers: createNodeTimers(),
    clock,
    logger: silent,
    concurrency: 4,
    pendingMax: 2000,
    ...env,
  });
  return source;
}

describe('answers', () => {
  it('covers the keys whose longest prefix has a source', () => {
    const legacy = open();
    const covered = ['user:1', 'user:own:1', 'other'].map((key) => legacy.covers(key));
    expect(covered).toEqual([true, false, false]);
  });

  it('finds the value at the pointer, with the time to live of the policy', async () => {
    listener = answering(200, '{"value":"Ada"}');
    expect(await open({ ttl: '1h' }).fetch('user:1')).toEqual({
      kind: 'found',
      value: 'Ada',
      ttlMs: 3_600_000,
    });
    expect(urls).toEqual(['/data/user:1']);
  });

  it('sends the headers of the policy', async () => {
    listener = (request, response) =>
      void response.end(JSON.stringify({ value: request.headers['authorization'] }));
    const answer = await open({ headers: { Authorization: 'Bearer x' } }).fetch('user:1');
    expect(answer).toMatchObject({ kind: 'found', value: 'Bearer x' });
  });

  it.each([404, 410])('takes status %i as absent, to be remembered', async (status) => {
    listener = answering(status, 'x'.repeat(100_000));
    const answer = await open({ negativeTtl: '7s' }).fetch('user:1');
    expect(answer).toEqual({ kind: 'absent', ttlMs: 7000 });
  });

  it('takes null as absent', async () => {
    listener = answering(200, '{"value":null}');
    expect(await open().fetch('user:1')).toEqual({ kind: 'absent', ttlMs: 30_000 });
  });

  it.each([
    [200, '<html>', 'the answer is not JSON'],
    [200, '{}', 'the answer has nothing at /value'],
    [200, '', 'the answer is not JSON'],
    [204, '', 'it answered with status 204'],
    [302, '', 'it answered with status 302'],
    [401, '', 'it answered with status 401'],
    [500, '', 'it answered with status 500'],
  ])('status %i with %j fails and says why', async (status, body, reason) => {
    listener = answering(status, body);
    expect(await open().fetch('user:1')).toEqual({ kind: 'failed', reason });
  });

  it('fails for a key that cannot stand in a URL, without a call', async () => {
    const answer = await open().fetch(`user:${'x'.repeat(10_000)}`);
    expect(answer).toEqual({ kind: 'failed', reason: 'the key cannot be part of a URL' });
    expect(urls).toEqual([]);
  });

  it('fails for a key without a source', async () => {
    expect(await open().fetch('other')).toMatchObject({ kind: 'failed' });
  });
});

describe('trouble', () => {
  it('gives up a call that hangs', async () => {
    listener = () => {};
    const answer = await open({ timeout: '50ms' }).fetch('user:1');
    expect(answer).toEqual({ kind: 'failed', reason: 'no answer within 50 ms' });
  });

  it('gives up a body that never ends', async () => {
    listener = (_, response) => void response.writeHead(200).write('{"value":');
    const answer = await open({ timeout: '50ms' }).fetch('user:1');
    expect(answer).toEqual({ kind: 'failed', reason: 'no answer within 50 ms' });
  });

  it('stops reading an answer that is too long', async () => {
    let closed: Promise<void> | undefined;
    listener = (_, response) => {
      closed = new Promise((resolve) => response.once('close', resolve));
      // Endless: more is written whenever there is room.
      const more = (): void => {
        while (response.write('x'.repeat(65_536)));
      };
      response.on('drain', more).on('error', () => {});
      more();
    };
    const answer = await open({ bodyMax: '1mb' }).fetch('user:1');
    expect(answer).toEqual({ kind: 'failed', reason: 'the answer is longer than 1048576 bytes' });
    await closed;
  });

  it('a refused connection fails with the reason of the system', async () => {
    const legacy = open();
    await closeServer();
    const answer = await legacy.fetch('user:1');
    expect(answer).toMatchObject({ kind: 'failed', reason: matching(/ECONNREFUSED/) });
  });

  it('a connection that is cut while answering fails', async () => {
    listener = (_, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('{"value":', () => response.destroy());
    };
    expect(await open().fetch('user:1')).toMatchObject({
      kind: 'failed',
      reason: matching(/^it cannot be reached: ./),
    });
  });

  it('tries again after a status from 500, as often as allowed', async () => {
    const statuses = [500, 503, 200];
    listener = (_, response) => {
      response.writeHead(statuses.shift()!).end('{"value":1}');
    };
    expect(await open({ retries: 2 }).fetch('user:1')).toMatchObject({ kind: 'found', value: '1' });
    statuses.push(500, 500);
    expect(await open({ retries: 1 }).fetch('user:1')).toMatchObject({ kind: 'failed' });
    expect(urls).toHaveLength(5);
  });

  it('does not try again after a timeout or a refusal', async () => {
    listener = () => {};
    await open({ retries: 3, timeout: '30ms' }).fetch('user:1');
    listener = answering(400, '');
    await open({ retries: 3 }).fetch('user:1');
    expect(urls).toHaveLength(2);
  });
});

describe('bounds', () => {
  it('1000 callers of one key are one call', async () => {
    listener = answering(200, '{"value":"Ada"}');
    const legacy = open();
    const answers = await Promise.all(Array.from({ length: 1000 }, () => legacy.fetch('user:1')));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(urls).toHaveLength(1);
    await legacy.fetch('user:1');
    expect(urls).toHaveLength(2);
  });

  it('never has more calls under way than allowed', async () => {
    let underWay = 0;
    let most = 0;
    listener = (_, response) => {
      underWay += 1;
      most = Math.max(most, underWay);
      setImmediate(() => {
        underWay -= 1;
        response.end('{"value":1}');
      });
    };
    const legacy = open({ concurrency: 3 });
    await Promise.all(Array.from({ length: 100 }, (_, i) => legacy.fetch(`user:${i}`)));
    expect(urls).toHaveLength(100);
    expect(most).toBeLessThanOrEqual(3);
  });

  it('fails at once when too many calls wait, and waiting ones in bounded time', async () => {
    listener = () => {};
    const legacy = open({ concurrency: 1, timeout: '100ms' }, { pendingMax: 1 });
    const first = legacy.fetch('user:1');
    const second = legacy.fetch('user:2');
    expect(await legacy.fetch('user:3')).toEqual({
      kind: 'failed',
      reason: 'too many calls waiting',
    });
    expect(await first).toMatchObject({ kind: 'failed' });
    expect(await second).toMatchObject({ kind: 'failed' });
  });
});

describe('circuit breaker', () => {
  const breaker = { failures: 2, reset: '1s' };
  const open503 = { kind: 'failed', reason: 'it answered with status 503' };
  const paused = { kind: 'failed', reason: matching(/circuit breaker open/) };

  it('opens, spares the source, tries once, closes', async () => {
    listener = answering(503, '');
    const legacy = open({ breaker });
    expect(await legacy.fetch('user:1')).toEqual(open503);
    expect(await legacy.fetch('user:2')).toEqual(open503);
    expect(await legacy.fetch('user:3')).toEqual(paused);
    expect(legacy.stats()[0]).toMatchObject({ breakerOpen: true, requests: 2, failed: 3 });

    nowMs = 1000;
    expect(await legacy.fetch('user:4')).toEqual(open503);
    expect(await legacy.fetch('user:5')).toEqual(paused);

    nowMs = 2000;
    let release = (): void => {};
    const arrived = new Promise<void>((resolve) => {
      listener = (_, response) => {
        release = () => void response.end('{"value":1}');
        resolve();
      };
    });
    const trial = legacy.fetch('user:6');
    await arrived;
    expect(await legacy.fetch('user:7')).toEqual(paused);
    release();
    expect(await trial).toMatchObject({ kind: 'found' });

    listener = answering(200, '{"value":1}');
    expect(await legacy.fetch('user:7')).toMatchObject({ kind: 'found' });
    expect(legacy.stats()[0]).toMatchObject({ breakerOpen: false });
  });

  it('does not open for wrong answers about single keys', async () => {
    listener = answering(200, 'garbage');
    const legacy = open({ breaker });
    for (let i = 0; i < 5; i += 1) await legacy.fetch(`user:${i}`);
    expect(legacy.stats()[0]).toMatchObject({ breakerOpen: false, requests: 5 });
  });

  it('opens for calls that hang', async () => {
    listener = () => {};
    const legacy = open({ breaker, timeout: '20ms' });
    await legacy.fetch('user:1');
    await legacy.fetch('user:2');
    expect(await legacy.fetch('user:3')).toEqual(paused);
    expect(urls).toHaveLength(2);
  });
});

describe('stats and closing', () => {
  it('counts what became of each key, per source', async () => {
    listener = (request, response) => {
      const found = request.url === '/data/user:1';
      response.writeHead(found ? 200 : 404).end('{"value":1}');
    };
    const legacy = open();
    await legacy.fetch('user:1');
    await legacy.fetch('user:2');
    expect(legacy.stats()).toEqual([
      { prefix: 'user:', requests: 2, found: 1, absent: 1, failed: 0, breakerOpen: false },
    ]);
  });

  it('ends calls under way when closed, and makes no more', async () => {
    const arrived = new Promise<void>((resolve) => {
      listener = () => resolve();
    });
    const legacy = open();
    const hanging = legacy.fetch('user:1');
    await arrived;
    await legacy.close();
    expect(await hanging).toMatchObject({ kind: 'failed' });
    expect(await legacy.fetch('user:2')).toEqual({
      kind: 'failed',
      reason: 'this node is shutting down',
    });
    expect(urls).toHaveLength(1);
  });
});
