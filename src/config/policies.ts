/**
 * Policies by key prefix: what is persistent, default time to live, and where a missing value comes
 * from. The longest prefix that a key begins with decides; a key without one gets the default policy.
 */

/** How values of a prefix are fetched from the legacy source. */
export interface LegacyPolicy {
  /** With `{key}` or `{suffix}`, where the key (or what follows the prefix) goes. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON pointer (RFC 6901) to the value in the answer; empty for the whole of it. */
  readonly value: string;
  /** Time to live of a fetched value, 0 for none. */
  readonly ttlMs: number;
  /** How long "there is no such key" is remembered, 0 for not at all. */
  readonly negativeTtlMs: number;
  /** Bound of one try. */
  readonly timeoutMs: number;
  /** Tries after the first one. */
  readonly retries: number;
  /** Calls at once; null: as the option `legacy-concurrency` says. */
  readonly concurrency: number | null;
  /** Longest answer that is read. */
  readonly bodyBytesMax: number;
  readonly breaker: BreakerPolicy;
}

export interface BreakerPolicy {
  /** Failures in a row that open the breaker. */
  readonly failures: number;
  /** Time until a single call tries again. */
  readonly resetMs: number;
}

/** What a prefix gets. Fits `KeyPolicy` of the keyspace. */
export interface Policy {
  /** Binary string, like keys. */
  readonly prefix: string;
  readonly persist: 'through' | 'none';
  readonly persistent: boolean;
  readonly defaultTtlMs: number;
  readonly tombstoneMs: number;
  readonly legacy: LegacyPolicy | null;
}

export const DEFAULT_POLICY: Policy = Object.freeze({
  prefix: '',
  persist: 'through',
  persistent: true,
  defaultTtlMs: 0,
  tombstoneMs: 0,
  legacy: null,
});

export interface Policies {
  readonly all: readonly Policy[];
  /** The policy of a key (binary string). Called for each write; allocates nothing. */
  readonly policyFor: (key: string) => Policy;
}

/** A policy with what rules most keys out before `startsWith` is called. */
interface Candidate {
  readonly policy: Policy;
  readonly prefix: string;
  /** Position and code of the prefix's last character. */
  readonly lastAt: number;
  readonly lastCode: number;
}

/**
 * Prefixes are sorted into 256 buckets by their first byte, longest first, so that a key is compared
 * with the few prefixes that begin like it. (A trie would look up one map per byte of the key.)
 */
export function createPolicies(all: readonly Policy[]): Policies {
  const fallback = all.find((policy) => policy.prefix === '') ?? DEFAULT_POLICY;
  const prefixed = all.filter((policy) => policy.prefix !== '');
  if (prefixed.length === 0) return Object.freeze({ all, policyFor: () => fallback });

  const buckets = createBuckets(prefixed);
  const policyFor = (key: string): Policy => {
    if (key.length === 0) return fallback;
    const bucket = buckets[key.charCodeAt(0)];
    if (bucket === undefined) return fallback;
    for (let at = 0; at < bucket.length; at += 1) {
      const { lastAt, lastCode, prefix, policy } = bucket[at]!;
      if (key.charCodeAt(lastAt) === lastCode && key.startsWith(prefix)) return policy;
    }
    return fallback;
  };
  return Object.freeze({ all, policyFor });
}

function createBuckets(policies: readonly Policy[]): Candidate[][] {
  const buckets: Candidate[][] = Array.from({ length: 256 }, () => []);
  for (const policy of policies) {
    const { prefix } = policy;
    const lastAt = prefix.length - 1;
    const candidate = { policy, prefix, lastAt, lastCode: prefix.charCodeAt(lastAt) };
    buckets[prefix.charCodeAt(0)]?.push(candidate);
  }
  for (const bucket of buckets) bucket.sort((a, b) => b.lastAt - a.lastAt);
  return buckets;
}
