import { describe, expect, test } from 'vitest';
import {
  addLongDoubles,
  formatLongDouble,
  type LongDouble,
  parseLongDouble,
} from '../../../src/commands/long-double.ts';

function finite(text: string): LongDouble {
  const value = parseLongDouble(text);
  if (value === undefined || value === 'infinite') throw new Error(`${text} is not finite`);
  return value;
}

function sum(a: string, b: string): string | undefined {
  const result = addLongDoubles(finite(a), finite(b));
  return result === undefined ? undefined : formatLongDouble(result);
}

describe('sums, as redis-server 7.0.15 on x86-64 answers INCRBYFLOAT', () => {
  test.each([
    ['0.1', '0.2', '0.3'],
    ['10.5', '0.1', '10.6'],
    ['5.0e3', '2.0e2', '5200'],
    ['1', '-1', '0'],
    ['-0.0', '-0', '0'],
    ['3', '1.100000000000000007', '4.10000000000000001'],
    ['0', '0.000000000000000005', '0'],
    ['0', '0.00000000000000000499', '0'],
    ['1e17', '0.5', '100000000000000000.5'],
    ['18446744073709551615', '1', '18446744073709551616'],
    ['18446744073709551616', '1', '18446744073709551616'],
    ['36893488147419103233', '0', '36893488147419103232'],
    ['0x10', '0x.8p1', '17'],
    ['.5', '5.', '5.5'],
  ])('%s + %s = %s', (a, b, expected) => {
    expect(sum(a, b)).toBe(expected);
  });

  test('a sum beyond the largest long double is none', () => {
    expect(sum('1.1e4932', '1.1e4932')).toBeUndefined();
  });
});

describe('parseLongDouble', () => {
  test.each([
    '',
    ' 1',
    '1 ',
    '1\0',
    '.',
    'e5',
    '1e',
    '0x',
    '0x1p',
    'abc',
    'nan',
    '1_0',
    '1e5000',
    '-1e999999999999999999999',
    '1e-5000',
    '1e-999999999',
    '1.2e4932',
    '1e-4951',
    `1${'0'.repeat(5120)}`,
  ])('refuses %j', (text) => {
    expect(parseLongDouble(text)).toBeUndefined();
  });

  test.each(['inf', '+INF', '-infinity'])('%s is infinite', (text) => {
    expect(parseLongDouble(text)).toBe('infinite');
  });

  test('zero with any exponent is zero', () => {
    expect(formatLongDouble(finite('-0e99999'))).toBe('0');
  });
});
