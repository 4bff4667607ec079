/**
 * An effect is one row-level change a command makes. Effects are what travels to the other owners and
 * to the database; commands themselves run only at the primary.
 */
import type { Value } from './entry.ts';

/** The spelling is that of the database's row changes, so that an effect can go there as it is. */
export const EffectKind = {
  /** The key has this value and expiry. */
  Put: 'put',
  /** The key is gone. With `expiresAtMs` > 0 the absence is remembered until then (a tombstone). */
  Delete: 'delete',
  /** Only the expiry changed; an owner that lacks the value stays without it. */
  Expire: 'expire',
} as const;
export type EffectKind = (typeof EffectKind)[keyof typeof EffectKind];

export interface Effect {
  readonly kind: EffectKind;
  readonly slot: number;
  readonly db: number;
  readonly key: string;
  /** The new value (Put), else null. */
  readonly value: Value | null;
  /** Put, Expire: moment of expiry, 0 for never. Delete: end of the tombstone, 0 for none. */
  readonly expiresAtMs: number;
  /** Goes to the database (`through`), or stays in memory (`none`). */
  readonly persistent: boolean;
  /** Version given to the change by the primary. */
  epoch: number;
  seq: number;
}
