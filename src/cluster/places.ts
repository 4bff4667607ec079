/** Where the keys of a command are. */
import { MANY_SLOTS, type Prepared } from './execute.ts';
import { slotOf } from './slot.ts';

/** A key with everything needed to find it. */
export interface KeyPlace {
  readonly slot: number;
  readonly db: number;
  readonly key: string;
}

/** Every key of a command with its database and slot. */
export function placesOf(p: Prepared): KeyPlace[] {
  if (p.refs !== undefined) return p.refs.map(({ db, key }) => ({ slot: slotOf(key), db, key }));
  const { db, slot } = p;
  if (slot !== MANY_SLOTS) return p.keys.map((key) => ({ slot, db, key }));
  return p.keys.map((key) => ({ slot: slotOf(key), db, key }));
}
