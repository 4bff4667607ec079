/** Text forms of sizes and durations, as options and policies spell them. */

/** Redis's memory units: `k` is 1000 and `kb` is 1024. */
const BYTE_UNITS: Record<string, number> = {
  '': 1,
  b: 1,
  k: 1000,
  kb: 1024,
  m: 1000 ** 2,
  mb: 1024 ** 2,
  g: 1000 ** 3,
  gb: 1024 ** 3,
};

const DURATION_UNITS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * What `forever` is where a moment must be computed from it: a hundred years in milliseconds. A
 * finite number, because it ends up in a timestamp of the database.
 */
export const FOREVER_MS = 36_525 * 86_400_000;

/** Bytes from `1024`, `64kb`, `100MB`, or null when the text is no size. Sizes beyond 2^53 are null. */
export function parseBytes(text: string): number | null {
  const match = /^([0-9]+)([a-z]*)$/i.exec(text);
  if (match === null) return null;
  const unit = BYTE_UNITS[(match[2] ?? '').toLowerCase()];
  if (unit === undefined) return null;
  const bytes = Number(match[1]) * unit;
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** Milliseconds from `500ms`, `1.5s`, `30m`, `1h`, `7d`; null when the text is no duration. A unit is required. */
export function parseDurationMs(text: string): number | null {
  const match = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)$/i.exec(text.trim());
  if (match === null) return null;
  const unit = DURATION_UNITS[(match[2] ?? '').toLowerCase()] ?? 1;
  const ms = Math.round(Number(match[1]) * unit);
  return Number.isSafeInteger(ms) ? ms : null;
}

/** `64mb` for 67108864: the largest unit that divides the size; plain bytes where none does. */
export function showBytes(bytes: number): string {
  for (const unit of ['gb', 'mb', 'kb']) {
    const size = BYTE_UNITS[unit] ?? 1;
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return String(bytes);
}
