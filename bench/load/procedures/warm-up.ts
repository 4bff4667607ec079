/** How fast a node reads its table after a start, while clients ask it for keys. */
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { slotOf } from '../../../src/cluster/slot.ts';
import type { Field } from '../field.ts';
import { keyName, type Load, VALUE } from '../load.ts';
import type { ClusterSpec } from '../peers/ringfence-cluster.ts';
import { withDatabase } from '../postgres.ts';
import type { Figures } from '../report.ts';
import { type Round, sideResult } from '../rounds.ts';
import type { Scenario } from '../scenario.ts';

const ROWS = 1_000_000;
const PREFIX = 'warm:';
const INSERT_ROWS = 10_000;
const SAMPLE_EVERY_MS = 50;
const WARM_WITHIN_MS = 300_000;
/** Clients meanwhile: enough to see that it serves. */
const GETS_PER_SECOND = 1000;
const GET_SECONDS = 2;

export function warmUpRate(spec: Pick<Scenario, 'id' | 'title' | 'group' | 'demands'>): Scenario {
  return {
    ...spec,
    metric: { name: 'keys read', unit: '/s', better: 'more', digits: 0 },
    targets: [],
    measure: measureWarmUp,
  };
}

/** One node: it is the primary of everything, and so what it reads is what the table has. */
async function measureWarmUp(field: Field): Promise<Figures> {
  const rows = Math.round(ROWS * field.options.keysShare);
  const started = await field.cluster({
    id: 'warm-up',
    label: 'ringfence, one node',
    nodes: 1,
    replicas: 1,
  });
  field.say(`    writing ${rows} rows ...`);
  await insertRows(started.cluster.storeUrl, rows);
  await field.end(started.cluster);
  const rounds: Round[] = [];
  for (let i = 0; i < field.options.durations.rounds; i++) {
    rounds.push(await warmOnce(field, started.spec, rows));
  }
  return {
    ours: sideResult('ringfence', started.cluster.label, rounds),
    peers: [],
    notes: [`${rows} rows; the latency is that of ${GETS_PER_SECOND} GETs a second meanwhile`],
  };
}

/** One round: start, clients, and samples of how many keys the node has. */
async function warmOnce(field: Field, spec: ClusterSpec, rows: number): Promise<Round> {
  const { cluster } = await field.cluster(spec);
  const load: Load = {
    command: 'get',
    prefix: PREFIX,
    keySpace: rows,
    connections: 10,
    pipeline: 1,
    client: 'own',
    ratePerSecond: GETS_PER_SECOND,
  };
  const gets = cluster.run(load, GETS_PER_SECOND * GET_SECONDS);
  const samples = await sampleUntil(cluster.ports[0] ?? 0, rows);
  const { p50Ms, p99Ms } = await gets;
  await field.end(cluster);
  const value = rateOf(samples);
  field.say(`    ${Math.round(value)} keys a second`);
  return { value, latency: { p50Ms, p99Ms } };
}

export interface Sample {
  readonly atMs: number;
  readonly keys: number;
}

async function sampleUntil(port: number, rows: number): Promise<Sample[]> {
  const redis = new Redis({ host: '127.0.0.1', port, maxRetriesPerRequest: 0 });
  const samples: Sample[] = [];
  const deadlineMs = performance.now() + WARM_WITHIN_MS;
  try {
    for (;;) {
      const keys = parseKeys(await redis.info('keyspace'));
      const atMs = performance.now();
      samples.push({ atMs, keys });
      if (keys >= rows) return samples;
      if (atMs > deadlineMs)
        throw new Error(`after ${WARM_WITHIN_MS} ms only ${keys} keys are there`);
      await delay(SAMPLE_EVERY_MS);
    }
  } finally {
    redis.disconnect();
  }
}

/** Keys of database 0 in the answer to INFO keyspace. */
export function parseKeys(info: string): number {
  return Number(/^db0:keys=(\d+)/m.exec(info)?.[1] ?? 0);
}

/** Keys a second between the first and the last sample. Throws when all were there at once. */
export function rateOf(samples: readonly Sample[]): number {
  const first = samples[0];
  const last = samples.at(-1);
  if (first === undefined || last === undefined || last.keys === first.keys) {
    throw new RangeError('the table was in memory before it could be looked at');
  }
  return ((last.keys - first.keys) * 1000) / (last.atMs - first.atMs);
}

/** Rows as our own writes would have left them, put straight into the table. */
async function insertRows(storeUrl: string, rows: number): Promise<void> {
  const insert = `INSERT INTO ringfence.entry
      (slot, db, key, type, value, version, created_at, updated_at)
    SELECT r.slot, 0, r.key, 1, $3::bytea, 1, now(), now()
    FROM unnest($1::int2[], $2::text[]) AS r(slot, key)`;
  const value = Buffer.from(VALUE, 'latin1');
  await withDatabase(storeUrl, async (client) => {
    for (let from = 0; from < rows; from += INSERT_ROWS) {
      const count = Math.min(INSERT_ROWS, rows - from);
      const keys = Array.from({ length: count }, (_, i) => keyName(PREFIX, from + i));
      await client.query(insert, [keys.map(slotOf), keys, value]);
    }
    await client.query('VACUUM ANALYZE ringfence.entry');
  });
}
