/** What an error of the server says about the outcome. Only the SQLSTATE decides: texts are translated. */
import pg from 'pg';
import { StoreError, type StoreErrorKind } from './store.ts';

const OWN_KINDS: Readonly<Record<string, StoreErrorKind>> = {
  RF001: 'fenced',
  RF002: 'gap',
  // The number was committed before, by this session's own past: a caller that no longer knows must look.
  RF003: 'unknown',
  RF004: 'rejected',
  RF005: 'rejected',
  RF006: 'conflict',
};

/** Rolled back for a reason that has nothing to do with the data: worth trying again as it is. */
const PASSING = new Set([
  '40001', // serialization failure
  '40P01', // deadlock
  '55P03', // lock timeout
  '57014', // statement timeout, or cancelled by hand
]);

/** The SQLSTATE, or null for errors that are not the server's. */
export function sqlState(error: unknown): string | null {
  return error instanceof pg.DatabaseError ? (error.code ?? null) : null;
}

/**
 * For an error after which the server reported itself ready again: the transaction was rolled back.
 * (An error that ends the connection instead says nothing about the outcome and must not come here.)
 */
export function rolledBack(error: pg.DatabaseError): StoreError {
  const code = error.code ?? '';
  const kind = OWN_KINDS[code] ?? (PASSING.has(code) ? 'unavailable' : 'rejected');
  return new StoreError(kind, `${error.message} (SQLSTATE ${code})`, { cause: error });
}

export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') {
    return error.errors.map(messageOf).join('; ');
  }
  return error instanceof Error ? error.message : String(error);
}
