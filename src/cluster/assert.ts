import assertStrict from 'node:assert/strict';

/** Stops what must never happen. Kept on in production: a wrong answer costs more than a restart. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) assertStrict.fail(message);
}
