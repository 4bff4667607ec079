/**
 * Writes batches as fast as PostgreSQL takes them, in a process of its own. The rows are those of our own
 * table and the upsert is ours without its checks. Arguments: the database's URL. Each message asks for a
 * round, each answer is what the round measured; the latency is a batch's.
 */
import pg from 'pg';
import { KEY_SPACE, keyName, VALUE } from '../load.ts';
import { CREATE_ENTRY } from '../postgres.ts';
import { quantile } from '../statistics.ts';
import type { BatchAnswer, BatchRequest } from './postgres-batch-peer.ts';

const SLOTS = 16_384;
const LANES_MAX = 8;

const ON_CONFLICT = `ON CONFLICT (slot, db, key) DO UPDATE SET type = excluded.type,
  value = excluded.value, version = excluded.version, updated_at = excluded.updated_at`;
const UNNEST = `INSERT INTO entry AS e (slot, db, key, type, value, version, created_at, updated_at)
  SELECT r.slot, 0, r.key, 1, r.value, 1, now(), now()
  FROM unnest($1::int2[], $2::text[], $3::bytea[]) AS r(slot, key, value) ${ON_CONFLICT}`;
const STAGING = `CREATE TEMP TABLE IF NOT EXISTS staging (slot smallint, key text, value bytea)
  ON COMMIT DELETE ROWS`;
const FROM_STAGING = `INSERT INTO entry AS e (slot, db, key, type, value, version, created_at, updated_at)
  SELECT slot, 0, key, 1, value, 1, now(), now() FROM staging ${ON_CONFLICT}`;

const [url] = process.argv.slice(2);
const bytes = Buffer.from(VALUE, 'latin1');
const hex = `\\\\x${bytes.toString('hex')}`;

/**
 * As many different keys, for an upsert may touch a row once. Each lane has its own, as the nodes of a
 * cluster have: batches never wait for each other's rows.
 */
function pickNumbers(rows: number, lane: number, lanes: number): number[] {
  const numbers = new Set<number>();
  const space = Math.floor(KEY_SPACE / lanes);
  while (numbers.size < rows) numbers.add(Math.floor(Math.random() * space) * lanes + lane);
  return [...numbers];
}

async function unnestBatch(client: pg.Client, numbers: number[], prefix: string): Promise<void> {
  const slots = numbers.map((number) => number % SLOTS);
  const keys = numbers.map((number) => keyName(prefix, number));
  const values = numbers.map(() => bytes);
  await client.query({ name: 'upsert', text: UNNEST, values: [slots, keys, values] });
}

async function copyBatch(client: pg.Client, numbers: number[], prefix: string): Promise<void> {
  const lines = numbers.map((number) => `${number % SLOTS}\t${keyName(prefix, number)}\t${hex}\n`);
  await client.query('BEGIN');
  await copyIn(client, 'COPY staging (slot, key, value) FROM STDIN', lines.join(''));
  await client.query({ name: 'from-staging', text: FROM_STAGING });
  await client.query('COMMIT');
}

/** The part of pg's connection that a COPY needs; its types leave it out. */
interface CopyConnection {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** pg hands the protocol's answers to whatever was submitted. */
function copyIn(client: pg.Client, text: string, data: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const copy = {
      submit: (connection: CopyConnection) => connection.query(text),
      handleCopyInResponse: (connection: CopyConnection) => {
        connection.sendCopyFromChunk(Buffer.from(data, 'latin1'));
        connection.endCopyFrom();
      },
      handleError: reject,
      handleReadyForQuery: () => resolve(),
      handleCommandComplete: () => undefined,
    };
    client.query(copy as unknown as pg.Submittable);
  });
}

async function runRound(request: BatchRequest, clients: pg.Client[]): Promise<BatchAnswer> {
  const { operations, rows, lanes, prefix, way } = request;
  const write = way === 'unnest' ? unnestBatch : copyBatch;
  const latenciesMs: number[] = [];
  let left = operations;
  const run = async (client: pg.Client, lane: number): Promise<void> => {
    while (left > 0) {
      left -= rows;
      const sentAtMs = performance.now();
      await write(client, pickNumbers(rows, lane, lanes), prefix);
      latenciesMs.push(performance.now() - sentAtMs);
    }
  };
  const startedAtMs = performance.now();
  await Promise.all(clients.slice(0, lanes).map(run));
  const seconds = (performance.now() - startedAtMs) / 1000;
  latenciesMs.sort((a, b) => a - b);
  const written = latenciesMs.length * rows;
  return {
    operations: written,
    opsPerSecond: written / seconds,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
  };
}

async function answer(request: BatchRequest, clients: pg.Client[]): Promise<void> {
  process.send?.(await runRound(request, clients));
}

async function connectAll(): Promise<pg.Client[]> {
  const clients = Array.from({ length: LANES_MAX }, () => new pg.Client({ connectionString: url }));
  for (const client of clients) {
    await client.connect();
    await client.query(CREATE_ENTRY);
    await client.query(STAGING);
  }
  return clients;
}

process.on('disconnect', () => process.exit(0));
const clients = await connectAll();
process.on('message', (request) => void answer(request as BatchRequest, clients));
process.send?.('ready');
