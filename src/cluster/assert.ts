import assertStrict, { AssertionError } from 'node:assert/strict';

/** Stops what must never happen. Kept on in production: a wrong answer costs more than a restart. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) assertStrict.fail(message);
}

/** The error says that something is wrong with the program itself: nobody may answer it and go on. */
export function isBrokenInvariant(error: unknown): boolean {
  return error instanceof AssertionError;
}
