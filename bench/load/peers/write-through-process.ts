/**
 * The hand-written write-through that many applications have today, in a process of its own: an upsert
 * into PostgreSQL, then a SET in Redis. No server in front of it: the loop that drives it calls it as
 * an application would call a function, which is to its advantage.
 *
 * Started by write-through-peer.ts with the URL of the database and the port of Redis as arguments;
 * each message asks for one round, each answer is what the round measured.
 */
import { Redis } from 'ioredis';
import pg from 'pg';
import { KEY_SPACE, keyName, VALUE } from '../load.ts';
import { CREATE_ENTRY } from '../postgres.ts';
import { quantile } from '../statistics.ts';
import type { RoundAnswer, RoundRequest } from './write-through-peer.ts';

const POOL_SIZE = 20;
const SLOTS = 16_384;

const UPSERT = `INSERT INTO entry AS e (slot, db, key, type, value, version, created_at, updated_at)
  VALUES ($1, 0, $2, 1, $3, 1, now(), now())
  ON CONFLICT (slot, db, key) DO UPDATE
    SET value = excluded.value, version = e.version + 1, updated_at = excluded.updated_at`;

const [storeUrl, redisPort] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: storeUrl, max: POOL_SIZE });
const redis = new Redis({ host: '127.0.0.1', port: Number(redisPort) });
const bytes = Buffer.from(VALUE, 'latin1');

async function writeThrough(number: number, prefix: string): Promise<void> {
  const key = keyName(prefix, number);
  await pool.query({ name: 'upsert', text: UPSERT, values: [number % SLOTS, key, bytes] });
  await redis.set(key, VALUE);
}

/** As many loops as there are connections, each with one write under way. */
async function runRound(request: RoundRequest): Promise<RoundAnswer> {
  const { operations, outstanding, prefix } = request;
  const latenciesMs = new Float64Array(operations);
  let next = 0;
  const loop = async (): Promise<void> => {
    while (next < operations) {
      const index = next++;
      const sentAtMs = performance.now();
      await writeThrough(Math.floor(Math.random() * KEY_SPACE), prefix);
      latenciesMs[index] = performance.now() - sentAtMs;
    }
  };
  const startedAtMs = performance.now();
  await Promise.all(Array.from({ length: outstanding }, loop));
  const seconds = (performance.now() - startedAtMs) / 1000;
  latenciesMs.sort();
  return {
    opsPerSecond: operations / seconds,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
  };
}

/** A failure ends the process with its stack; the parent reports that. */
async function answer(request: RoundRequest): Promise<void> {
  process.send?.(await runRound(request));
}

process.on('disconnect', () => process.exit(0));
await pool.query(CREATE_ENTRY);
process.on('message', (request) => void answer(request as RoundRequest));
process.send?.('ready');
