/** The read-through source behind PostgreSQL, as the cluster sees it: one answer a key. */

export type LegacyAnswer =
  /** `value` is a binary string; `ttlMs` 0 for none. */
  | { readonly kind: 'found'; readonly value: string; readonly ttlMs: number }
  /** The source says there is no such key; remember it for `ttlMs` (0: do not). */
  | { readonly kind: 'absent'; readonly ttlMs: number }
  /** It did not answer, or with garbage; `reason` is for the client. */
  | { readonly kind: 'failed'; readonly reason: string };

export interface LegacySource {
  /** True when the key's prefix has a source. Cheap: called on every miss. */
  covers(key: string): boolean;
  /** Never rejects; bounded in time. Concurrent calls for one key are one request. */
  fetch(key: string): Promise<LegacyAnswer>;
  /** Counters per source, for INFO and metrics. */
  stats(): LegacyStats[];
  close(): Promise<void>;
}

export interface LegacyStats {
  readonly prefix: string;
  readonly requests: number;
  readonly found: number;
  readonly absent: number;
  readonly failed: number;
  readonly breakerOpen: boolean;
}
