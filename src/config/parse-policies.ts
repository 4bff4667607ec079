/** Reads and checks the `policies` of the configuration file. */
import type { BreakerPolicy, LegacyPolicy, Policy } from './policies.ts';
import { FOREVER_MS, parseBytes, parseDurationMs, showBytes } from './units.ts';

/** Something wrong at `path` (`policies[1].ttl`), with what was found and what is accepted. */
export interface PolicyProblem {
  readonly path: string;
  readonly message: string;
}

const POLICIES_MAX = 1000;
const MB = 1024 * 1024;
const DAY_MS = 86_400_000;

const DEFAULTS = {
  negativeTtlMs: 30_000,
  timeoutMs: 2000,
  retries: 1,
  bodyBytesMax: 8 * MB,
  breaker: Object.freeze({ failures: 5, resetMs: 5000 }) satisfies BreakerPolicy,
} as const;

/** Collects problems while fields are read, so that all of them are reported at once. */
class Reader {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly problems: PolicyProblem[];

  constructor(fields: Readonly<Record<string, unknown>>, path: string, problems: PolicyProblem[]) {
    this.#fields = fields;
    this.#path = path;
    this.problems = problems;
  }

  problem(name: string, message: string): void {
    this.problems.push({ path: `${this.#path}.${name}`, message });
  }

  /** Names that are not in `known` are reported: a misspelled one would silently do nothing. */
  only(known: readonly string[]): void {
    for (const name of Object.keys(this.#fields)) {
      if (!known.includes(name)) this.problem(name, `is unknown; known are ${known.join(', ')}`);
    }
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined;
  }

  raw(name: string): unknown {
    return this.#fields[name];
  }

  text(name: string, otherwise: string): string {
    const value = this.#fields[name];
    if (value === undefined) return otherwise;
    if (typeof value === 'string') return value;
    this.problem(name, `is ${show(value)}, must be a string`);
    return otherwise;
  }

  integer(name: string, otherwise: number, { min, max }: { min: number; max: number }): number {
    const value = this.#fields[name];
    if (value === undefined) return otherwise;
    if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) {
      return value as number;
    }
    this.problem(name, `is ${show(value)}, must be a whole number from ${min} to ${max}`);
    return otherwise;
  }

  bytes(name: string, otherwise: number, { min, max }: { min: number; max: number }): number {
    const value = this.#fields[name];
    if (value === undefined) return otherwise;
    const size =
      typeof value === 'number' || typeof value === 'string' ? parseBytes(String(value)) : null;
    if (size !== null && size >= min && size <= max) return size;
    const range = `${showBytes(min)} to ${showBytes(max)}`;
    this.problem(name, `is ${show(value)}, must be a size from ${range}, such as 64kb or 8mb`);
    return otherwise;
  }

  /** Milliseconds. `forever` is what that word means here; null: it is not accepted. */
  duration(
    name: string,
    otherwise: number,
    { min, max, forever }: { min: number; max: number; forever: number | null },
  ): number {
    const value = this.#fields[name];
    if (value === undefined) return otherwise;
    if (value === 'forever' && forever !== null) return forever;
    const ms = typeof value === 'string' ? parseDurationMs(value) : null;
    if (ms !== null && ms >= min && ms <= max) return ms;
    const word = forever === null ? '' : ', or "forever"';
    this.problem(
      name,
      `is ${show(value)}, must be a duration of ${min}ms to ${max}ms with its unit, such as "500ms", "30s", "30m" or "1h"${word}`,
    );
    return otherwise;
  }
}

const LONG = { min: 0, max: FOREVER_MS } as const;

/** The policies of the file, and what is wrong with them. Policies with problems are left out. */
export function parsePolicies(given: unknown): {
  policies: readonly Policy[];
  problems: PolicyProblem[];
} {
  const problems: PolicyProblem[] = [];
  if (given === undefined) return { policies: [], problems };
  if (!Array.isArray(given) || given.length > POLICIES_MAX) {
    problems.push({ path: 'policies', message: `must be a list of at most ${POLICIES_MAX}` });
    return { policies: [], problems };
  }
  const policies: Policy[] = [];
  const seen = new Map<string, string>();
  for (const [index, item] of (given as unknown[]).entries()) {
    const path = `policies[${index}]`;
    const policy = parsePolicy(item, path, problems);
    if (policy === null) continue;
    const earlier = seen.get(policy.prefix);
    if (earlier !== undefined) {
      problems.push({ path: `${path}.prefix`, message: `is the same as that of ${earlier}` });
    }
    seen.set(policy.prefix, path);
    policies.push(policy);
  }
  return { policies: Object.freeze(policies), problems };
}

function parsePolicy(item: unknown, path: string, problems: PolicyProblem[]): Policy | null {
  if (!isRecord(item)) {
    problems.push({ path, message: `is ${show(item)}, must be an object` });
    return null;
  }
  const before = problems.length;
  const read = new Reader(item, path, problems);
  read.only(['prefix', 'persist', 'ttl', 'tombstone', 'legacy']);
  if (!read.has('prefix')) read.problem('prefix', 'is missing; "" stands for all keys');
  const prefix = binary(read.text('prefix', ''));
  const persist = parsePersist(read);
  const defaultTtlMs = read.duration('ttl', 0, { ...LONG, forever: 0 });
  const legacy = read.has('legacy')
    ? parseLegacy(read.raw('legacy'), `${path}.legacy`, defaultTtlMs, problems)
    : null;
  const tombstoneMs = parseTombstone(read, legacy);
  if (problems.length > before) return null;
  return Object.freeze({
    prefix,
    persist,
    persistent: persist === 'through',
    defaultTtlMs,
    tombstoneMs,
    legacy,
  });
}

function parsePersist(read: Reader): 'through' | 'none' {
  const persist = read.text('persist', 'through');
  if (persist === 'through' || persist === 'none') return persist;
  if (persist === 'behind') {
    read.problem('persist', 'is "behind", which is not available yet; use "through" or "none"');
  } else {
    read.problem('persist', `is ${show(persist)}, must be "through" or "none"`);
  }
  return 'through';
}

/** Without a legacy source nothing can bring a deleted value back, and a tombstone would only cost a row. */
function parseTombstone(read: Reader, legacy: LegacyPolicy | null): number {
  if (legacy === null && read.has('tombstone') && !read.has('legacy')) {
    read.problem('tombstone', 'has no use without legacy');
  }
  return read.duration('tombstone', legacy?.negativeTtlMs ?? 0, { ...LONG, forever: FOREVER_MS });
}

function parseLegacy(
  item: unknown,
  path: string,
  defaultTtlMs: number,
  problems: PolicyProblem[],
): LegacyPolicy | null {
  if (!isRecord(item)) {
    problems.push({ path, message: `is ${show(item)}, must be an object with a url` });
    return null;
  }
  const read = new Reader(item, path, problems);
  read.only([
    'url',
    'headers',
    'value',
    'ttl',
    'negativeTtl',
    'timeout',
    'retries',
    'concurrency',
    'bodyMax',
    'breaker',
  ]);
  return Object.freeze({
    url: parseUrl(read),
    headers: parseHeaders(read),
    value: parseValuePointer(read),
    ttlMs: read.duration('ttl', defaultTtlMs, { ...LONG, forever: 0 }),
    negativeTtlMs: read.duration('negativeTtl', DEFAULTS.negativeTtlMs, {
      ...LONG,
      forever: FOREVER_MS,
    }),
    timeoutMs: read.duration('timeout', DEFAULTS.timeoutMs, { min: 1, max: 60_000, forever: null }),
    retries: read.integer('retries', DEFAULTS.retries, { min: 0, max: 5 }),
    concurrency: read.has('concurrency')
      ? read.integer('concurrency', 1, { min: 1, max: 1024 })
      : null,
    bodyBytesMax: read.bytes('bodyMax', DEFAULTS.bodyBytesMax, { min: 1, max: 64 * MB }),
    breaker: parseBreaker(read, path),
  });
}

function parseUrl(read: Reader): string {
  const url = read.text('url', '');
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
    read.problem(
      'url',
      `is ${show(url)}, must be an http or https URL such as http://host/data/{key}`,
    );
  } else if (parsed.username !== '' || parsed.password !== '') {
    read.problem('url', 'has a name or password in it; give an authorization header instead');
  } else if (!/\{(key|suffix)\}/.test(url.slice(parsed.origin.length))) {
    read.problem('url', `is ${show(url)}, must have {key} or {suffix} in its path or query`);
  }
  return url;
}

function parseHeaders(read: Reader): Readonly<Record<string, string>> {
  const given = read.raw('headers') ?? {};
  if (!isRecord(given)) {
    read.problem('headers', `is ${show(given)}, must be an object of strings`);
    return Object.freeze({});
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) {
      read.problem('headers', `has ${show(name)}, which is no header name`);
    } else if (typeof value !== 'string' || /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      // The value may be a secret, so it is not repeated.
      read.problem(`headers.${name}`, 'must be a string that can stand in a header');
    } else {
      headers[name.toLowerCase()] = value;
    }
  }
  return Object.freeze(headers);
}

function parseValuePointer(read: Reader): string {
  const pointer = read.text('value', '');
  if (pointer !== '' && !/^(\/([^~]|~[01])*)$/.test(pointer)) {
    read.problem('value', `is ${show(pointer)}, must be a JSON pointer such as /value, or empty`);
  }
  return pointer;
}

function parseBreaker(read: Reader, path: string): BreakerPolicy {
  const given = read.raw('breaker');
  if (given === undefined) return DEFAULTS.breaker;
  if (!isRecord(given)) {
    read.problem('breaker', `is ${show(given)}, must be an object with failures and reset`);
    return DEFAULTS.breaker;
  }
  const inner = new Reader(given, `${path}.breaker`, read.problems);
  inner.only(['failures', 'reset']);
  return Object.freeze({
    failures: inner.integer('failures', DEFAULTS.breaker.failures, { min: 1, max: 10_000 }),
    resetMs: inner.duration('reset', DEFAULTS.breaker.resetMs, {
      min: 10,
      max: DAY_MS,
      forever: null,
    }),
  });
}

/** Keys are bytes; the file is text, and its UTF-8 form is what clients send. */
function binary(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
