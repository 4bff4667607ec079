import pg from 'pg';
import { expect, it } from 'vitest';
import { messageOf, rolledBack, sqlState } from '../../../../src/storage/postgres/sql-errors.ts';

const errorOf = (code: string): pg.DatabaseError =>
  Object.assign(new pg.DatabaseError('text', 4, 'error'), { code });

it.each([
  ['RF001', 'fenced'],
  ['RF002', 'gap'],
  ['RF003', 'unknown'],
  ['RF004', 'rejected'],
  ['RF005', 'rejected'],
  ['RF006', 'conflict'],
  ['57014', 'unavailable'],
  ['40P01', 'unavailable'],
  ['53100', 'rejected'],
  ['25006', 'rejected'],
  ['54000', 'rejected'],
] as const)('SQLSTATE %s means %s', (code, kind) => {
  const error = rolledBack(errorOf(code));
  expect(error.kind).toBe(kind);
  expect(sqlState(error.cause)).toBe(code);
});

it('only errors of the server have a SQLSTATE', () => {
  expect(sqlState(Object.assign(new Error('x'), { code: 'ECONNREFUSED' }))).toBeNull();
});

it('an error for several addresses tells what went wrong with each', () => {
  const both = new AggregateError([new Error('refused by ::1'), new Error('refused by 127.0.0.1')]);
  expect(messageOf(both)).toBe('refused by ::1; refused by 127.0.0.1');
});
