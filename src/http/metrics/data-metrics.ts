/** Metrics of the tiers that values come from: memory, PostgreSQL, legacy sources. */
import type { LegacyFacts, LifeFacts, MetricFacts } from './facts.ts';
import { labelled, type Metric, type MetricGroup, single } from './metric.ts';

type M = Metric<MetricFacts>;

/** A number that there is only while the node has a life. */
export const ofLife = (
  kind: M['kind'],
  name: string,
  help: string,
  read: (life: LifeFacts) => number,
): M => single(kind, name, help, ({ life }) => (life === null ? null : read(life)));

const MEMORY: readonly M[] = [
  ofLife(
    'gauge',
    'ringfence_memory_used_bytes',
    'Keys and values in memory, as `maxmemory` counts them.',
    ({ memory }) => memory.usedBytes,
  ),
  single(
    'gauge',
    'ringfence_memory_max_bytes',
    'The limit `maxmemory`; 0 is none.',
    ({ memoryMaxBytes }) => memoryMaxBytes,
  ),
  labelled(
    'gauge',
    'ringfence_keys',
    "Live keys in this node's memory, as primary, replica or learner.",
    ['db'],
    ({ life }) => life?.memory.databases.map(({ db, keys }) => [String(db), keys]) ?? [],
  ),
  labelled(
    'gauge',
    'ringfence_expiring_keys',
    'Those of the live keys that have an expiry.',
    ['db'],
    ({ life }) => life?.memory.databases.map(({ db, expires }) => [String(db), expires]) ?? [],
  ),
  ofLife(
    'gauge',
    'ringfence_entries',
    'Keys in memory, absences that are remembered included.',
    ({ memory }) => memory.entries,
  ),
  ofLife(
    'gauge',
    'ringfence_dirty_entries',
    'Those whose last change is not known to be committed, or to be on all owners.',
    ({ memory }) => memory.dirty,
  ),
  labelled(
    'counter',
    'ringfence_lookups_total',
    'Look-ups of keys by commands that ran here.',
    ['result'],
    ({ life }) =>
      life === null
        ? []
        : [
            ['hit', life.memory.hits],
            ['miss', life.memory.misses],
          ],
  ),
  ofLife(
    'counter',
    'ringfence_evicted_keys_total',
    'Keys that had to leave memory for `maxmemory`.',
    ({ memory }) => memory.evicted,
  ),
  ofLife(
    'counter',
    'ringfence_expired_keys_total',
    'Keys that this node, as their primary, removed at the end of their time.',
    ({ memory }) => memory.expired,
  ),
];

const DATABASE: readonly M[] = [
  ofLife('gauge', 'ringfence_lane_up', '1 while this node can commit writes.', ({ lane }) =>
    Number(lane.up),
  ),
  ofLife(
    'gauge',
    'ringfence_writes_pending',
    'Writes, as primary, that have begun and are not settled.',
    ({ operations }) => operations.pending,
  ),
  ofLife(
    'gauge',
    'ringfence_writes_confirming',
    'Those of the pending writes that other owners have still to confirm.',
    ({ operations }) => operations.confirming,
  ),
  ofLife(
    'gauge',
    'ringfence_lane_queued_writes',
    'Confirmed writes that wait for a batch.',
    ({ lane }) => lane.queued,
  ),
  ofLife(
    'gauge',
    'ringfence_lane_underway_writes',
    'Writes in batches that the database works on.',
    ({ lane }) => lane.underWay,
  ),
  ofLife(
    'counter',
    'ringfence_writes_total',
    'Writes that this node has begun as primary, its own ones included (expiry, loads).',
    ({ operations }) => operations.begun,
  ),
  ofLife('counter', 'ringfence_batches_total', 'Batches committed.', ({ lane }) => lane.batches),
  ofLife('counter', 'ringfence_batch_rows_total', 'Rows in them.', ({ lane }) => lane.rows),
  ofLife(
    'gauge',
    'ringfence_last_commit_timestamp_seconds',
    'The last commit of a batch, since 1970; the start, before the first.',
    ({ lane }) => lane.lastCommitAtMs / 1000,
  ),
  ofLife(
    'counter',
    'ringfence_loads_total',
    'Keys that were looked for in the database because memory did not know them.',
    ({ loads }) => loads.total,
  ),
  ofLife(
    'gauge',
    'ringfence_loads_pending',
    'Keys that are being looked for.',
    ({ loads }) => loads.pending,
  ),
  ofLife(
    'counter',
    'ringfence_warm_up_rows_total',
    'Rows that warm-up has brought into memory.',
    ({ warmedRows }) => warmedRows,
  ),
];

const LEGACY: readonly M[] = [
  labelled(
    'counter',
    'ringfence_legacy_requests_total',
    'HTTP requests to a legacy source, by prefix of the keys.',
    ['prefix'],
    ({ legacy }) => legacy.map((source) => [prefixText(source), source.requests]),
  ),
  labelled(
    'counter',
    'ringfence_legacy_answers_total',
    'What became of keys that were looked for there.',
    ['prefix', 'result'],
    ({ legacy }) =>
      legacy.flatMap((source) =>
        (['found', 'absent', 'failed'] as const).map(
          (result) => [prefixText(source), result, source[result]] as const,
        ),
      ),
  ),
  labelled(
    'gauge',
    'ringfence_legacy_breaker_open',
    '1 while the source is given a pause because it failed repeatedly.',
    ['prefix'],
    ({ legacy }) => legacy.map((source) => [prefixText(source), Number(source.breakerOpen)]),
  ),
];

/** As it is in the configuration file. */
function prefixText({ prefix }: LegacyFacts): string {
  return Buffer.from(prefix, 'latin1').toString('utf8');
}

export const DATA_METRICS: readonly MetricGroup<MetricFacts>[] = [
  { title: 'Memory', metrics: MEMORY },
  { title: 'Writes and the database', metrics: DATABASE },
  { title: 'Legacy sources', metrics: LEGACY },
];
