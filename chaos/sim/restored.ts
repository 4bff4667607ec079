/** What keys are after a failover of the database that lost the newest commits. */
import type { KeyEvent } from '../history.ts';
import { type Content, Tables } from './database/tables.ts';

/** How much faster or slower than the right time a node's clock may run. */
const RATE_ERROR = 1.02;

export interface LostCommits {
  readonly content: Content;
  /** When the old server ended. */
  readonly atMs: number;
}

/**
 * What was committed last and is not in `content` is gone, for everybody at one moment: until their leases end
 * nodes may answer from memory as it was, while nobody else acts. `inLegacy`: what a key without a row is.
 */
export function restoredBy(
  { content, atMs }: LostCommits,
  {
    keys,
    leaseMs,
    inLegacy,
  }: { keys: readonly string[]; leaseMs: number; inLegacy: (key: string) => string | null },
): KeyEvent {
  const tables = new Tables();
  tables.restore(content);
  const values = new Map<string, string | null>();
  const expiresAtMs = new Map<string, number>();
  for (const key of keys) {
    const row = tables.rowOf(key);
    // A tombstone is a row too: what was deleted stays away.
    values.set(key, row?.value ?? (tables.isDeleted(key) ? null : inLegacy(key)));
    if (row !== undefined && row.expiresAtMs > 0) expiresAtMs.set(key, row.expiresAtMs);
  }
  const endedAtMs = atMs + leaseMs * RATE_ERROR;
  return { why: 'commits lost', values, expiresAtMs, startedAtMs: atMs, endedAtMs };
}
