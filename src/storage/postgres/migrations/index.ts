import { INITIAL_SCHEMA } from './0001-initial.ts';

/**
 * All migrations, oldest first; the schema version of a database is the number of those it has had.
 * Append only: one that was released is never changed.
 */
export const MIGRATIONS: readonly string[] = [INITIAL_SCHEMA];
