/** Real processes and a real PostgreSQL: the cluster is changed under load, and no client notices. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClusterStatus } from '../../../src/commands/ports.ts';
import { startCluster, type TestCluster } from '../../support/cluster.ts';
import { type Family, parseExposition, valueOf } from '../../support/exposition.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import type { History } from '../../../chaos/history.ts';
import { RespClient } from '../../support/resp-client.ts';
import { expectNothingLost, failures, Load, writePauseMs } from './load.ts';
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
  cluster = await startCluster({ store, nodes: 4, started: 3, flags: { primaries: 'spread' } });
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

type Scrape = ReadonlyMap<string, Family>;

/** What these nodes answer to /metrics. */
function scrape(indexes: readonly number[]): Promise<Scrape[]> {
  return Promise.all(
    indexes.map(async (index) => {
      const { host, httpPort } = cluster.nodes[index]!;
      const response = await fetch(`http://${host}:${httpPort}/metrics`);
      expect(response.status).toBe(200);
      return parseExposition(await response.text());
    }),
  );
}

function sumOf(scrapes: readonly Scrape[], name: string, labels = ''): number {
  return scrapes.reduce((sum, families) => sum + valueOf(families, name, labels), 0);
}

/** Four nodes hold data, nothing moves any more, and the metrics of all nodes say so. */
async function expectJoined(before: readonly Scrape[]): Promise<void> {
  await eventually(async () => {
    const all = await scrape([...OTHERS, FOURTH]);
    expect(sumOf(all, 'ringfence_moving')).toBe(0);
    expect(sumOf(all, 'ringfence_ready')).toBe(4);
    expect(sumOf(all, 'ringfence_members', '{state="member"}')).toBe(16);
    expect(sumOf(all, 'ringfence_slots', '{role="primary"}')).toBe(16_384);
    for (const families of all) {
      expect([...families.get('ringfence_link_up')!.samples.values()]).toEqual([1, 1, 1]);
      expect([...families.get('ringfence_handover_slots')!.samples]).toEqual([]);
      expect(valueOf(families, 'ringfence_lease_remaining_seconds')).toBeGreaterThan(0);
    }
  });
  const others = await scrape(OTHERS);
  const [fourth] = await scrape([FOURTH]);
  const grown = (name: string): number => sumOf(others, name) - sumOf(before, name);
  const slots = ['primary', 'replica'].map((role) =>
    valueOf(fourth!, 'ringfence_slots', `{role="${role}"}`),
  );
  expect(Math.min(...slots)).toBeGreaterThan(0);
  // What it has was handed over by the others, values of 500 bytes among it.
  expect(grown('ringfence_handover_slots_total')).toBeGreaterThanOrEqual(slots[0]! + slots[1]!);
  const keys = valueOf(fourth!, 'ringfence_keys', '{db="0"}');
  expect(keys).toBeGreaterThan(1000);
  expect(grown('ringfence_handover_bytes_total')).toBeGreaterThan(1000 * 500);
}

/** Clients of the nodes that stay had no error at all. */
function expectNoFailure(history: History): void {
  expect(failures(history, namesOf(OTHERS))).toEqual([]);
  expect(history.operations.length).toBeGreaterThan(500);
}

/** Prints the longest time without an acknowledged write between two moments. */
function sayGap(what: string, history: History, [from, to]: readonly [number, number]): void {
  say(`${what}: longest gap of writes ${writePauseMs(history, from, namesOf(OTHERS), to)} ms`);
}

function namesOf(nodes: readonly number[]): string[] {
  return nodes.map((index) => cluster.nodes[index]!.id);
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
    const scraped = await scrape(OTHERS);
    const join = await timed(async () => {
      await cluster.start(FOURTH);
      await settled(4);
    });
    await expectJoined(scraped);
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
    const history = await load.stop();
    sayGap('before', history, before);
    sayGap('join', history, join);
    sayGap('leave', history, leave);
    expectNoFailure(history);
    await expectNothingLost(history, { ...cluster, nodes: cluster.nodes.slice(0, 3) }, store);
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
    const history = await load.stop();
    expectNoFailure(history);
    await expectNothingLost(history, { ...cluster, nodes: cluster.nodes.slice(0, 3) }, store);
  });
});
