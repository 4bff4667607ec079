/** Real processes and a real PostgreSQL: the cluster is changed under load, and no client notices. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClusterStatus } from '../../../src/commands/ports.ts';
import { startCluster, type TestCluster } from '../../support/cluster.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import type { Recorder } from '../../support/recorder.ts';
import { RespClient } from '../../support/resp-client.ts';
import { expectNothingLost, Load } from './load.ts';
import { eventually, say } from './wait.ts';

/** The node that comes and goes. */
const FOURTH = 3;
const OTHERS = [0, 1, 2];

let server: TestPostgres;
let store: string;
let cluster: TestCluster;
let admin: RespClient;

beforeAll(async () => {
  server = await startPostgres();
  store = await server.freshDatabase();
  cluster = await startCluster({ store, nodes: 4, started: 3 });
  admin = await RespClient.connect(cluster.nodes[0]!);
  for (let i = 0; i < 2000; i++) await admin.plain('SET', `old:${i}`, 'x'.repeat(500));
});

afterAll(async () => {
  await admin?.close();
  await cluster?.stop();
  await server?.stop();
});

async function status(): Promise<ClusterStatus> {
  return JSON.parse(String(await admin.plain('CLUSTER', 'STATUS'))) as ClusterStatus;
}

/** Resolves when nothing moves and exactly these nodes hold data. */
function settled(holders: number): Promise<void> {
  return eventually(async () => {
    const { moving, nodes } = await status();
    expect(moving).toBe(false);
    expect(nodes.filter(({ ownedSlots }) => ownedSlots > 0)).toHaveLength(holders);
  });
}

/** Clients of the nodes that stay had no error at all. */
function expectNoFailure(recorder: Recorder): void {
  const names = OTHERS.map((index) => cluster.nodes[index]!.id);
  const failed = recorder.operations.filter(
    ({ node, outcome }) => outcome !== 'ok' && names.includes(node),
  );
  expect(failed).toEqual([]);
  expect(recorder.operations.length).toBeGreaterThan(500);
}

/** Prints the longest time without an acknowledged write between two moments. */
function sayGap(what: string, recorder: Recorder, [from, to]: readonly [number, number]): void {
  const ends = recorder.operations
    .filter(({ kind, outcome }) => kind !== 'get' && outcome === 'ok')
    .map(({ endedAtMs }) => endedAtMs)
    .filter((at) => at >= from && at <= to)
    .sort((a, b) => a - b);
  const gaps = ends.slice(1).map((at, i) => at - ends[i]!);
  say(`${what}: ${ends.length} writes, longest gap ${Math.round(Math.max(...gaps))} ms`);
}

async function timed(work: () => Promise<void>): Promise<[from: number, to: number]> {
  const from = performance.now();
  await work();
  return [from, performance.now()];
}

describe('under load, no request of the clients of other nodes fails, and nothing is lost, when', () => {
  test('a node joins, leaves by a command, and is stopped', async () => {
    const load = new Load(cluster, 'moves');
    const before = await timed(() => load.progress(300, OTHERS));
    const join = await timed(async () => {
      await cluster.start(FOURTH);
      await settled(4);
    });
    await load.progress(50);
    const leave = await timed(async () => {
      expect(await admin.plain('CLUSTER', 'LEAVE', cluster.nodes[FOURTH]!.id)).toBe('OK');
      await settled(3);
    });
    // It holds nothing, and still serves its clients.
    await load.progress(50);
    cluster.signal(FOURTH, 'SIGTERM');
    await eventually(async () => expect((await status()).nodes).toHaveLength(3));
    await load.progress(50, OTHERS);
    const recorder = await load.stop();
    sayGap('before', recorder, before);
    sayGap('join', recorder, join);
    sayGap('leave', recorder, leave);
    expectNoFailure(recorder);
    await expectNothingLost(recorder, { ...cluster, nodes: cluster.nodes.slice(0, 3) }, store);
  });

  test('the number of replicas and a weight change', async () => {
    const load = new Load({ ...cluster, nodes: cluster.nodes.slice(0, 3) }, 'settings');
    for (const replicas of [1, 3, 2]) {
      expect(await admin.plain('CLUSTER', 'SET-REPLICAS', String(replicas))).toBe('OK');
      await settled(3);
      expect(await status()).toMatchObject({ replicas, wantedReplicas: replicas });
      await load.progress(20);
    }
    expect(await admin.plain('CLUSTER', 'SET-WEIGHT', 'node-1', '32')).toBe('OK');
    await settled(3);
    await load.progress(20);
    const [first, second] = (await status()).nodes;
    expect(first!.primarySlots * 2).toBeLessThan(second!.primarySlots);
    const recorder = await load.stop();
    expectNoFailure(recorder);
    await expectNothingLost(recorder, { ...cluster, nodes: cluster.nodes.slice(0, 3) }, store);
  });
});
