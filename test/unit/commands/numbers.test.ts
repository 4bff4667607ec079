import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addInt64,
  clampToSafe,
  INT64_MAX,
  INT64_MIN,
  multiplyInt64,
  negateInt64,
  parseInt64,
} from '../../../src/commands/numbers.ts';

describe('parseInt64', () => {
  test.each([
    ['0', 0],
    ['-1', -1],
    ['999999999999999', 999_999_999_999_999],
    ['9007199254740991', 9_007_199_254_740_991],
    ['9007199254740993', 9_007_199_254_740_993n],
    ['-9007199254740993', -9_007_199_254_740_993n],
    ['9223372036854775807', INT64_MAX],
    ['-9223372036854775808', INT64_MIN],
  ])('reads %j', (text, value) => {
    expect(parseInt64(text)).toBe(value);
  });

  test.each([
    '',
    '-',
    '-0',
    '01',
    '-01',
    '+1',
    ' 1',
    '1 ',
    '1.0',
    '1e3',
    '0x1',
    'abc',
    '12345678901234567x',
    '9223372036854775808',
    '-9223372036854775809',
    '123456789012345678901',
  ])('refuses %j', (text) => {
    expect(parseInt64(text)).toBeUndefined();
  });
});

const int64 = fc.bigInt({ min: INT64_MIN, max: INT64_MAX });
const inRange = (value: bigint): bigint | undefined =>
  value >= INT64_MIN && value <= INT64_MAX ? value : undefined;
const exact = (value: number | bigint | undefined): bigint | undefined =>
  value === undefined ? undefined : BigInt(value);
const read = (value: bigint): number | bigint => parseInt64(value.toString())!;

describe('arithmetic', () => {
  test('agrees with BigInt, and has no result where 64 bits do not suffice', () => {
    fc.assert(
      fc.property(int64, int64, fc.integer({ min: 1, max: 1000 }), (a, b, factor) => {
        expect(exact(addInt64(read(a), read(b)))).toBe(inRange(a + b));
        expect(exact(negateInt64(read(a)))).toBe(inRange(-a));
        expect(exact(multiplyInt64(read(a), factor))).toBe(inRange(a * BigInt(factor)));
      }),
    );
  });

  test('a result is a bigint only beyond the safe integers', () => {
    expect(addInt64(9_007_199_254_740_991, 1)).toBe(9_007_199_254_740_992n);
    expect(addInt64(9_007_199_254_740_992n, -1)).toBe(9_007_199_254_740_991);
    expect(Object.is(negateInt64(0), 0)).toBe(true);
  });

  test('clamping keeps what is safe and the sign of the rest', () => {
    expect(clampToSafe(-5)).toBe(-5);
    expect(clampToSafe(INT64_MAX)).toBe(Number.MAX_SAFE_INTEGER);
    expect(clampToSafe(INT64_MIN)).toBe(Number.MIN_SAFE_INTEGER);
  });
});
