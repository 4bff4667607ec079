/** Where a key lives: its slot and its numbered database, also packed into one small integer. */
import type { Entry } from './entry.ts';

export const SLOT_COUNT = 16384;
export const DB_COUNT = 16;

const SLOT_BITS = 14;

/** Slot and database in 18 bits. */
export function placeOf(slot: number, db: number): number {
  return (db << SLOT_BITS) | slot;
}

export function slotOfPlace(place: number): number {
  return place & (SLOT_COUNT - 1);
}

export function dbOfPlace(place: number): number {
  return place >>> SLOT_BITS;
}

/** An entry and where it was found. */
export interface Located {
  readonly slot: number;
  readonly db: number;
  readonly key: string;
  readonly entry: Entry;
}

export function located(place: number, entry: Entry): Located {
  return { slot: slotOfPlace(place), db: dbOfPlace(place), key: entry.key, entry };
}
