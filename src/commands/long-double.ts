/**
 * INCRBYFLOAT's arithmetic: the 80-bit `long double` of x86-64, in which Redis adds and prints.
 *
 * A JavaScript number has 53 bits where that has 64, so its sums would differ from Redis's in the
 * last digits (0.1 + 0.2 is 0.3 there). Here a number is `mantissa × 2^exponent` with at most 64 bits
 * of mantissa; every operation is exact on BigInts and then rounded once, half to even, as the
 * hardware does. Sizes stay bounded: no number has more than some 33,000 bits.
 */
export interface LongDouble {
  /** Signed; its magnitude is at most 2^64. */
  readonly mantissa: bigint;
  readonly exponent: number;
}

/** `inf` is a valid number in the text, but never a result. */
export type ParsedLongDouble = LongDouble | 'infinite';

/** Redis reads numbers into a buffer of so many bytes, and refuses longer ones. */
const TEXT_LENGTH_MAX = 5 * 1024 - 1;
const MANTISSA_BITS = 64;
/** Values of 2^16384 and above overflow; the smallest subnormal is 2^-16445. */
const TOP_EXPONENT = 16_384;
const LOWEST_EXPONENT = -16_445;
/** Decimal magnitudes surely outside of the range: they are refused before a huge power is computed. */
const DECIMAL_EXPONENT_MAX = 5_000;
/** Digits after the point in Redis's output. */
const FRACTION_DIGITS = 17;
const SCALE = 10n ** BigInt(FRACTION_DIGITS);

const ZERO: LongDouble = { mantissa: 0n, exponent: 0 };
const DECIMAL = /^([+-]?)(?:(\d+)(?:\.(\d*))?|\.(\d+))(?:e([+-]?\d+))?$/i;
const HEXADECIMAL = /^([+-]?)0x(?:([\da-f]+)(?:\.([\da-f]*))?|\.([\da-f]+))(?:p([+-]?\d+))?$/i;
const INFINITE = /^[+-]?inf(?:inity)?$/i;

/**
 * Reads what C's `strtold` reads, all of it and without blanks around: decimal or hexadecimal.
 * Returns undefined for anything else, for NaN, and for what overflows or underflows to zero.
 */
export function parseLongDouble(text: string): ParsedLongDouble | undefined {
  if (text.length > TEXT_LENGTH_MAX) return undefined;
  const decimal = DECIMAL.exec(text);
  if (decimal !== null) return fromDigits(decimal, 10);
  const hexadecimal = HEXADECIMAL.exec(text);
  if (hexadecimal !== null) return fromDigits(hexadecimal, 16);
  return INFINITE.test(text) ? 'infinite' : undefined;
}

/** The sum, or undefined when it overflows. */
export function addLongDoubles(a: LongDouble, b: LongDouble): LongDouble | undefined {
  const exponent = Math.min(a.exponent, b.exponent);
  const sum =
    (a.mantissa << BigInt(a.exponent - exponent)) + (b.mantissa << BigInt(b.exponent - exponent));
  return exponent < 0 ? round(sum, 1n << BigInt(-exponent)) : round(sum << BigInt(exponent), 1n);
}

/** As Redis prints it for people: 17 digits after the point at most, without trailing zeros. */
export function formatLongDouble(value: LongDouble): string {
  const { mantissa, exponent } = value;
  const negative = mantissa < 0n;
  const scaled = (negative ? -mantissa : mantissa) * SCALE;
  const digits =
    exponent >= 0 ? scaled << BigInt(exponent) : divideHalfToEven(scaled, 1n << BigInt(-exponent));
  const text = digits.toString().padStart(FRACTION_DIGITS + 1, '0');
  const whole = text.slice(0, -FRACTION_DIGITS);
  const fraction = text.slice(-FRACTION_DIGITS).replace(/0+$/, '');
  const unsigned = fraction === '' ? whole : `${whole}.${fraction}`;
  return negative && unsigned !== '0' ? `-${unsigned}` : unsigned;
}

function fromDigits(match: RegExpExecArray, base: 10 | 16): LongDouble | undefined {
  const [, sign, whole = '', wholeFraction = '', onlyFraction = '', exponentText = '0'] = match;
  const fraction = wholeFraction + onlyFraction;
  const digits = (whole + fraction).replace(/^0+/, '');
  if (digits === '') return ZERO;
  const magnitude = BigInt(base === 16 ? `0x${digits}` : digits);
  const numerator = sign === '-' ? -magnitude : magnitude;
  // Of a hexadecimal number the exponent is binary, and a digit has four bits.
  const exponent = Number(exponentText) - fraction.length * (base === 16 ? 4 : 1);
  const power = base === 16 ? 2n : 10n;
  const exponentMax = base === 16 ? DECIMAL_EXPONENT_MAX * 4 : DECIMAL_EXPONENT_MAX;
  const digitsWeight = digits.length * (base === 16 ? 4 : 1);
  if (exponent + digitsWeight > exponentMax || exponent + digitsWeight < -exponentMax) {
    return undefined;
  }
  const rounded =
    exponent < 0
      ? round(numerator, power ** BigInt(-exponent))
      : round(numerator * power ** BigInt(exponent), 1n);
  return rounded === undefined || rounded.mantissa === 0n ? undefined : rounded;
}

/** `numerator / denominator` as a long double: undefined on overflow, zero when it is too small. */
function round(numerator: bigint, denominator: bigint): LongDouble | undefined {
  if (numerator === 0n) return ZERO;
  const negative = numerator < 0n;
  const magnitude = negative ? -numerator : numerator;
  // First guess of the exponent of the last mantissa bit: right, or one too low.
  let exponent = bitLength(magnitude) - bitLength(denominator) - MANTISSA_BITS;
  if (bitLength(scaledQuotient(magnitude, denominator, exponent)) > MANTISSA_BITS) exponent++;
  exponent = Math.max(exponent, LOWEST_EXPONENT);
  const mantissa =
    exponent < 0
      ? divideHalfToEven(magnitude << BigInt(-exponent), denominator)
      : divideHalfToEven(magnitude, denominator << BigInt(exponent));
  if (bitLength(mantissa) + exponent > TOP_EXPONENT) return undefined;
  return { mantissa: negative ? -mantissa : mantissa, exponent };
}

function scaledQuotient(numerator: bigint, denominator: bigint, exponent: number): bigint {
  return exponent < 0
    ? (numerator << BigInt(-exponent)) / denominator
    : numerator / (denominator << BigInt(exponent));
}

function divideHalfToEven(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  const twiceRest = 2n * (numerator % denominator);
  if (twiceRest > denominator || (twiceRest === denominator && (quotient & 1n) === 1n)) {
    return quotient + 1n;
  }
  return quotient;
}

function bitLength(value: bigint): number {
  if (value === 0n) return 0;
  const hexadecimal = value.toString(16);
  return (
    (hexadecimal.length - 1) * 4 + (32 - Math.clz32(Number.parseInt(hexadecimal[0] ?? '0', 16)))
  );
}
