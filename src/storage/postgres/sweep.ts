/** What nobody needs any more, removed in bounded steps that no writer waits for. */
import type { ConnectionPool } from './connection-pool.ts';

/** Slots whose floors are looked at in one call. */
const FLOORS_AT_ONCE = 64;

/**
 * Rows below the floors of some slots. Locked rows are left for the next time: a sweep that never
 * waits cannot be part of a deadlock with a batch. The lock re-reads the row, so one that was just
 * written again is not taken.
 */
const DELETE_ROWS = `
  WITH unswept AS (
    SELECT f.slot, f.db, f.version FROM ringfence.floor f WHERE NOT f.swept
    ORDER BY f.slot, f.db LIMIT ${FLOORS_AT_ONCE}),
  gone AS (
    SELECT e.slot, e.db, e.key
    FROM unswept u JOIN ringfence.entry e
      ON e.slot = u.slot AND (u.db = -1 OR e.db = u.db) AND e.version <= u.version
    LIMIT $1::int FOR UPDATE OF e SKIP LOCKED)
  DELETE FROM ringfence.entry e USING gone g
    WHERE e.slot = g.slot AND e.db = g.db AND e.key = g.key`;

/** A slot counts as swept when a later statement finds nothing below its floor. */
const MARK_SWEPT = `
  UPDATE ringfence.floor f SET swept = true
  FROM (
    SELECT u.slot, u.db, u.version FROM ringfence.floor u WHERE NOT u.swept
    ORDER BY u.slot, u.db LIMIT ${FLOORS_AT_ONCE} FOR UPDATE SKIP LOCKED) u
  WHERE f.slot = u.slot AND f.db = u.db AND f.version = u.version AND NOT EXISTS (
    SELECT 1 FROM ringfence.entry e
    WHERE e.slot = u.slot AND (u.db = -1 OR e.db = u.db) AND e.version <= u.version)`;

/**
 * Lives that ended more than a day ago. Until then their batch numbers stay: a node that was removed
 * may still have to find out what became of its last batches. A lane with an epoch is in the view.
 */
const DELETE_LIVES = `
  WITH dead AS (
    SELECT n.node, n.incarnation FROM ringfence.lane n
      LEFT JOIN ringfence.lease l ON l.node = n.node AND l.incarnation = n.incarnation
    WHERE n.epoch IS NULL
      AND coalesce(l.renewed_at, n.created_at) < now() - interval '1 day'
      AND NOT EXISTS (
        SELECT 1 FROM ringfence.batch b
        WHERE b.node = n.node AND b.incarnation = n.incarnation
          AND b.committed_at > now() - interval '1 day')
    LIMIT 100 FOR UPDATE OF n SKIP LOCKED),
  leases AS (
    DELETE FROM ringfence.lease l USING dead d
    WHERE l.node = d.node AND l.incarnation = d.incarnation),
  batches AS (
    DELETE FROM ringfence.batch b USING dead d
    WHERE b.node = d.node AND b.incarnation = d.incarnation)
  DELETE FROM ringfence.lane n USING dead d
    WHERE n.node = d.node AND n.incarnation = d.incarnation`;

const COUNT_DELETED = (statement: string): string =>
  `WITH swept AS (${statement} RETURNING 1) SELECT count(*) FROM swept`;

/** Deletes at most `limit` rows below the floors, and returns how many; also the remains of old lives. */
export async function sweep(pool: ConnectionPool, limit: number): Promise<number> {
  const { rows } = await pool.run({ text: COUNT_DELETED(DELETE_ROWS), values: [limit] });
  const deleted = Number(rows[0]?.[0]);
  if (deleted < limit) await pool.run({ text: MARK_SWEPT });
  await pool.run({ text: DELETE_LIVES });
  return deleted;
}
