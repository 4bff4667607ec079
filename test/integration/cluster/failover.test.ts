/**
 * Nodes die, stop and come back while clients of all nodes write, read and count. No acknowledged
 * write may be missing anywhere, no read may go back in time, no count may be wrong.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCluster, type TestCluster } from '../../support/cluster.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { RespClient } from '../../support/resp-client.ts';
import { errorCounts, expectNothingLost, failures, Load, writePauseMs } from './load.ts';
import { eventually, say } from './wait.ts';

let server: TestPostgres;
let cluster: TestCluster;
let store: string;

beforeAll(async () => {
  server = await startPostgres();
  store = await server.freshDatabase();
  cluster = await startCluster({ store });
});

afterAll(async () => {
  await cluster?.stop();
  await server?.stop();
});

const ALL = [0, 1, 2];
/** An error that a node sent; anything else is a lost connection. */
const ANSWERED = /^[A-Z]+ /;
const others = (...down: number[]): number[] => ALL.filter((i) => !down.includes(i));
const ids = (nodes: readonly number[]): string[] => nodes.map((i) => cluster.nodes[i]!.id);

describe('kill -9 of a node under load', () => {
  test.each(ALL)(
    'node %i: the others go on, nothing is lost, it comes back with the data',
    async (victim) => {
      const load = new Load(cluster, `kill${victim}`);
      await load.progress();
      const killedAt = performance.now();
      await cluster.kill(victim);
      await load.progress(20, others(victim));
      const pause = writePauseMs(load.history, killedAt, ids(others(victim)));
      const startedAt = performance.now();
      await cluster.start(victim);
      const back = Math.round(performance.now() - startedAt);
      await load.progress();
      const history = await load.stop();
      say(
        `kill node ${victim}: pause ${pause} ms, back in ${back} ms, pause while it joined`,
        `${writePauseMs(history, startedAt, ids(others(victim)))} ms, errors`,
        errorCounts(history),
      );
      await expectNothingLost(history, cluster, store);
      // Clients of the nodes that lived kept their connections.
      const failed = failures(history, ids(others(victim)));
      expect(failed.filter(({ reply }) => !ANSWERED.test(String(reply)))).toEqual([]);
    },
  );

  test('two of three at once: the last one serves alone, then all three again', async () => {
    const load = new Load(cluster, 'two');
    await load.progress();
    const killedAt = performance.now();
    await Promise.all([cluster.kill(0), cluster.kill(2)]);
    await load.progress(20, [1]);
    say('kill two of three: pause', writePauseMs(load.history, killedAt, ids([1])), 'ms');
    await Promise.all([cluster.start(0), cluster.start(2)]);
    await load.progress();
    const history = await load.stop();
    say('errors', errorCounts(history));
    await expectNothingLost(history, cluster, store);
  });
});

test('SIGSTOP and SIGCONT of a node: it is replaced, answers nothing old when it wakes, and rejoins by itself', async () => {
  const load = new Load(cluster, 'stop');
  await load.progress();
  const { pid } = cluster.nodes[1]!;
  const epochBefore = await epochOf(0);
  // A key of each of many slots, so that some have the paused node as primary and some as replica.
  const keys = Array.from({ length: 60 }, (_, i) => `paused:${i}`);
  const writer = await connect(0);
  await writer.pipeline(keys.map((key) => ['SET', key, 'old']));
  const sleeper = await connect(1);
  await sleeper.pipeline(keys.map((key) => ['GET', key]));
  const stoppedAt = performance.now();
  cluster.signal(1, 'SIGSTOP');
  await load.progress(20, others(1));
  say('SIGSTOP: pause', writePauseMs(load.history, stoppedAt, ids(others(1))), 'ms');
  expect(await epochOf(0)).toBeGreaterThan(epochBefore);
  for (const { raw } of await writer.pipeline(keys.map((key) => ['SET', key, 'new'])))
    expect(raw).toBe('+OK\r\n');
  // These wait in the sleeper's socket and are the first it sees.
  const answers = sleeper.pipeline(keys.map((key) => ['GET', key]));
  cluster.signal(1, 'SIGCONT');
  for (const { raw } of await answers)
    expect(raw).toMatch(/^(\$3\r\nnew|-(NOTDONE|LOADING|UNKNOWN|STOREDOWN) )/);
  await cluster.ready(1);
  await load.progress();
  await expectNothingLost(await load.stop(), cluster, store);
  expect(cluster.nodes[1]!.pid).toBe(pid);
  await Promise.all([writer.close(), sleeper.close()]);
});

test('SIGTERM of a node: it hands over, and no client of another node sees an error', async () => {
  const load = new Load(cluster, 'term');
  await load.progress();
  const stoppedAt = performance.now();
  cluster.signal(2, 'SIGTERM');
  await eventually(() => expect(cluster.nodes[2]!.pid).toBeUndefined());
  await load.progress(20, others(2));
  const pause = writePauseMs(load.history, stoppedAt, ids(others(2)));
  await cluster.start(2);
  await load.progress();
  const history = await load.stop();
  say(`SIGTERM: pause ${pause} ms, errors`, errorCounts(history));
  expect(failures(history, ids(others(2)))).toEqual([]);
  // Its own clients are told, or cut off; never left with an answer that says nothing.
  await expectNothingLost(history, cluster, store);
});

test('rolling restart: one node after the other, and no client of a running node sees an error', async () => {
  const load = new Load(cluster, 'roll');
  await load.progress();
  const errors: unknown[] = [];
  for (const victim of ALL) {
    const first = load.history.operations.length;
    cluster.signal(victim, 'SIGTERM');
    await eventually(() => expect(cluster.nodes[victim]!.pid).toBeUndefined());
    await cluster.start(victim);
    await load.progress();
    errors.push(...failures(load.history, ids(others(victim)), first));
  }
  expect(errors).toEqual([]);
  await expectNothingLost(await load.stop(), cluster, store);
});

function connect(node: number): Promise<RespClient> {
  const { host, port } = cluster.nodes[node]!;
  return RespClient.connect({ host, port, timeoutMs: 30_000 });
}

async function epochOf(node: number): Promise<number> {
  const client = await connect(node);
  const info = String(await client.plain('INFO', 'ringfence'));
  await client.close();
  return Number(/^epoch:(\d+)/m.exec(info)![1]);
}
