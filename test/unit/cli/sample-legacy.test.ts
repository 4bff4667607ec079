import { afterEach, beforeEach, expect, it } from 'vitest';
import { startSampleLegacy, type SampleLegacy } from '../../../src/cli/sample-legacy.ts';

let api: SampleLegacy;
beforeEach(async () => {
  api = await startSampleLegacy({ host: '127.0.0.1', port: 0 });
});
afterEach(() => api.close());

const at = (path: string, method = 'GET'): Promise<Response> =>
  fetch(`http://127.0.0.1:${api.port}/legacy/${path}`, { method });
const json = async (path: string): Promise<unknown> => (await at(path)).json();

it('has user:1 to user:10000 and nothing else', async () => {
  const keys = ['user:1', 'user%3A10000', 'user:0', 'user:10001', 'user:01', 'other'];
  const statuses = await Promise.all(keys.map(async (key) => (await at(`data/${key}`)).status));
  expect(statuses).toEqual([200, 200, 404, 404, 404, 404]);
  expect(await json('data/user:7')).toMatchObject({
    key: 'user:7',
    value: '{"id":7,"name":"User 7","email":"user7@example.com"}',
  });
});

it('counts calls in total and by key', async () => {
  for (const key of ['user:1', 'user:1', 'user:2']) await at(`data/${key}`);
  expect(await json('stats')).toEqual({ calls: 3, keys: 2 });
  expect(await json('stats?key=user:1')).toEqual({ key: 'user:1', calls: 2 });
  expect(await json('stats?key=user:3')).toEqual({ key: 'user:3', calls: 0 });
});

it('makes the faults that it is asked for, until it is asked for none', async () => {
  await at('faults?status=503', 'POST');
  expect((await at('data/user:1')).status).toBe(503);
  await at('faults?garbage=yes&delayMs=1', 'POST');
  expect(await (await at('data/user:1')).text()).toContain('<html>');
  await at('faults?bodyBytes=100000', 'POST');
  expect(await json('data/user:1')).toMatchObject({ value: 'x'.repeat(100_000) });
  await at('faults', 'POST');
  expect((await at('data/user:1')).status).toBe(200);
});

it('answers 400 to a key that is not percent-encoded UTF-8, and 404 to other paths', async () => {
  expect((await at('data/%ff')).status).toBe(400);
  expect((await at('nothing')).status).toBe(404);
});

it('says when its port is taken', async () => {
  await expect(startSampleLegacy({ host: '127.0.0.1', port: api.port })).rejects.toThrow(
    'EADDRINUSE',
  );
});
