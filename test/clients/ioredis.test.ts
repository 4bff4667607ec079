/** ioredis, unmodified, against any node and as a cluster client. */
import { once } from 'node:events';
import { Cluster, Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { names, nodeFor, startClientTarget, type ClientTarget } from './targets.ts';

let target: ClientTarget;
const open: (Redis | Cluster)[] = [];

beforeAll(async () => {
  target = await startClientTarget();
});
afterAll(() => target.stop());
beforeEach(() => target.flush());
afterEach(() => {
  for (const client of open.splice(0)) client.disconnect();
});

function connect(index: number, options: Record<string, unknown> = {}): Redis {
  const client = new Redis({ ...nodeFor(target, index), ...options });
  open.push(client);
  return client;
}

describe('ioredis', () => {
  it('passes its ready check and reads on one node what it wrote on another', async () => {
    const writer = connect(0);
    await once(writer, 'ready');
    expect(await writer.set('k', 'v', 'EX', 100)).toBe('OK');
    for (let node = 0; node < target.nodes.length; node++) {
      expect(await connect(node).get('k')).toBe('v');
    }
  });

  it('gets the replies of a long pipeline in order', async () => {
    const client = connect(1);
    const keys = names('key:', 1000);
    const pipeline = client.pipeline();
    for (const key of keys) pipeline.set(key, `of ${key}`);
    for (const key of keys) pipeline.get(key);
    const replies = await pipeline.exec();
    expect(replies?.slice(1000)).toEqual(keys.map((key) => [null, `of ${key}`]));
  });

  it('sees errors in a pipeline at their place only', async () => {
    const client = connect(0);
    const replies = await client.pipeline().set('k', 'text').incr('k').get('k').exec();
    expect(replies?.[0]).toEqual([null, 'OK']);
    expect(replies?.[1]?.[0]).toMatchObject({
      message: 'ERR value is not an integer or out of range',
    });
    expect(replies?.[2]).toEqual([null, 'text']);
  });

  it('counts exactly with fifty connections to all nodes', async () => {
    const clients = Array.from({ length: 50 }, (_, index) => connect(index));
    await Promise.all(
      clients.map((client) =>
        Promise.all(Array.from({ length: 20 }, () => client.incr('counter'))),
      ),
    );
    expect(await clients[0]!.get('counter')).toBe('1000');
  });

  it('works with automatic pipelining', async () => {
    const client = connect(2, { enableAutoPipelining: true });
    const keys = names('auto:', 500);
    await Promise.all(keys.map((key) => client.set(key, key)));
    expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys);
  });

  it('connects again after its connection was killed', async () => {
    const client = connect(0);
    await client.set('k', 'v');
    const id = await client.client('ID');
    const again = once(client, 'ready');
    expect(await connect(0).client('KILL', 'ID', id)).toBe(1);
    await again;
    expect(await client.get('k')).toBe('v');
    expect(await client.client('ID')).not.toBe(id);
  });

  it('keeps every byte of keys and values', async () => {
    const client = connect(0);
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    await client.set(bytes, bytes);
    expect(await connect(1).getBuffer(bytes)).toEqual(bytes);
  });

  it('selects its database when it connects', async () => {
    await connect(0, { db: 3 }).set('k', 'three');
    expect(await connect(1, { db: 3 }).get('k')).toBe('three');
    expect(await connect(1).get('k')).toBeNull();
  });

  it('streams all keys with SCAN', async () => {
    const client = connect(1);
    const keys = names('scan:', 300);
    await client.mset(Object.fromEntries(keys.map((key) => [key, '1'])));
    const seen = new Set<string>();
    for await (const page of client.scanStream({ match: 'scan:*', count: 50 })) {
      for (const key of page as string[]) seen.add(key);
    }
    expect([...seen].sort()).toEqual([...keys].sort());
  });
});

describe('ioredis as a cluster client', () => {
  function connectCluster(): Cluster {
    const cluster = new Cluster([...target.clusterNodes], { slotsRefreshTimeout: 10_000 });
    open.push(cluster);
    return cluster;
  }

  it('finds all nodes and reads and writes keys of all slots', async () => {
    const cluster = connectCluster();
    await once(cluster, 'ready');
    expect(cluster.nodes('master').length).toBe(target.clusterNodes.length);
    const keys = names('cluster:', 500);
    await Promise.all(keys.map((key) => cluster.set(key, key)));
    expect(await Promise.all(keys.map((key) => cluster.get(key)))).toEqual(keys);
  });

  it('reads several keys of one hash tag, and runs pipelines on it', async () => {
    const cluster = connectCluster();
    await cluster.mset('{tag}a', '1', '{tag}b', '2');
    expect(await cluster.mget('{tag}a', '{tag}b', '{tag}c')).toEqual(['1', '2', null]);
    expect(await cluster.pipeline().incr('{tag}a').get('{tag}b').exec()).toEqual([
      [null, 2],
      [null, '2'],
    ]);
  });
});
