/** node-redis, unmodified, in both protocol versions and as a cluster client. */
import { createClient, createCluster } from 'redis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RespAddress } from '../support/resp-client.ts';
import { names, nodeFor, startClientTarget, type ClientTarget } from './targets.ts';

let target: ClientTarget;
const open: { destroy(): void }[] = [];

beforeAll(async () => {
  target = await startClientTarget();
});
afterAll(() => target.stop());
beforeEach(() => target.flush());
afterEach(() => {
  for (const client of open.splice(0)) client.destroy();
});

const url = ({ host, port }: RespAddress): string => `redis://${host}:${port}`;

describe.each([2, 3] as const)('node-redis with RESP%i', (RESP) => {
  async function connect(index: number) {
    const client = createClient({ url: url(nodeFor(target, index)), RESP });
    open.push(client);
    // Without a listener an error of the connection would end the test process.
    client.on('error', (error: Error) => expect(error.message).toBe('none expected'));
    await client.connect();
    return client;
  }

  it('reads on one node what it wrote on another', async () => {
    const writer = await connect(0);
    expect(await writer.set('k', 'v', { expiration: { type: 'EX', value: 100 } })).toBe('OK');
    expect(await writer.set('k', 'w', { condition: 'NX' })).toBeNull();
    const reader = await connect(1);
    expect(await reader.get('k')).toBe('v');
    expect(await reader.get('missing')).toBeNull();
    expect(await reader.ttl('k')).toBeGreaterThan(90);
  });

  it('gets the replies of many commands at once in order', async () => {
    const client = await connect(1);
    const keys = names('key:', 1000);
    await Promise.all(keys.map((key) => client.set(key, key)));
    expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys);
    expect(await client.mGet(keys)).toEqual(keys);
    expect(await client.dbSize()).toBe(1000);
  });

  it('sees the error texts it knows', async () => {
    const client = await connect(0);
    await client.set('k', 'text');
    await expect(client.incr('k')).rejects.toThrow('ERR value is not an integer or out of range');
    await expect(client.sendCommand(['NOSUCH', 'a'])).rejects.toThrow(
      "ERR unknown command 'NOSUCH'",
    );
    expect(await client.get('k')).toBe('text');
  });

  it('iterates over all keys', async () => {
    const client = await connect(2);
    const keys = names('scan:', 200);
    await client.mSet(Object.fromEntries(keys.map((key) => [key, '1'])));
    const seen = new Set<string>();
    for await (const page of client.scanIterator({ MATCH: 'scan:*', COUNT: 20 })) {
      for (const key of page) seen.add(key);
    }
    expect([...seen].sort()).toEqual([...keys].sort());
  });

  it('reads maps, lists and texts about the server', async () => {
    const client = await connect(0);
    expect(await client.configGet('timeout')).toEqual({ timeout: '0' });
    expect(await client.info('server')).toContain('redis_version:');
    expect((await client.clientInfo()).resp).toBe(RESP);
    expect(await client.lcsIdx('missing', 'missing2')).toMatchObject({ matches: [], len: 0 });
  });
});

describe('node-redis as a cluster client', () => {
  it('reads and writes keys of all slots', async () => {
    const cluster = createCluster({
      rootNodes: target.clusterNodes.map((node) => ({ url: url(node) })),
    });
    open.push(cluster);
    await cluster.connect();
    expect(cluster.masters.length).toBe(target.clusterNodes.length);
    const keys = names('cluster:', 500);
    await Promise.all(keys.map((key) => cluster.set(key, key)));
    expect(await Promise.all(keys.map((key) => cluster.get(key)))).toEqual(keys);
    expect(await cluster.mGet(['{t}a', '{t}b'])).toEqual([null, null]);
  });
});
