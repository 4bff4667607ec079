/**
 * What flushes have done to this node's memory, by slot.
 *
 * A flush empties memory first and the table afterwards, so a change of view can meet it half done: rows that are not
 * gone are loaded again, but keys without a row (`none`) are gone, here, or on some owners and not on others. Three
 * things follow from the point (the version) that each slot remembers of its last flush:
 *
 * - **Nobody who has read that a key is gone reads it again.** A primary that begins a view with a flush that may not
 *   be on all owners sends it to them once more (`Flushes.beginView`), and answers nothing before they have confirmed.
 *   They drop what is as old as the point and keep what is younger: it was written under a later view, by a primary
 *   that had not heard of the flush. (Then the flush is of a client who was told "outcome unknown", or of nobody, and
 *   takes effect for these keys when that primary is gone.)
 * - **No key is emptied twice.** A coordinator whose flush a view has ended asks the next primary with the point that
 *   was reached. Where memory has seen that flush, or a later one of the same databases, only what has a row is
 *   flushed again: any later flush lies within the time of this one, which had begun before it. If another primary
 *   has been in between, it may not have seen the flush, and what it wrote then is younger than the point without
 *   having been written after it: what became of the flush is unknown (`Retry`).
 * - **It is known after a hand-over.** The `begin` of a slot carries the point, and what follows is what was left.
 *
 * Not held: a slot remembers one point. An owner that alone has seen a flush forgets it with the next one, also when
 * that is of another database. If it is primary later, and then lost, keys without a row that it had read as gone are
 * there again on the owners that had not seen the first.
 *
 * Held by `flush.scenario.test.ts`.
 */
import { SLOT_COUNT } from './slot.ts';

/** Keys of database `db` (null: of all databases) up to this version are gone. */
export interface FlushPoint {
  readonly epoch: number;
  readonly seq: number;
  readonly db: number | null;
}

/** Slots `slot`..`to`, and how far flushes have come in them. */
export interface FlushRun {
  readonly slot: number;
  readonly to: number;
  readonly point: FlushPoint;
}

export class FlushPoints {
  readonly #points = new Array<FlushPoint | null>(SLOT_COUNT).fill(null);
  /** 1: maybe not on all owners. */
  readonly #unsettled = new Uint8Array(SLOT_COUNT);

  /** The last flush that this node's memory of the slot has seen. */
  of(slot: number): FlushPoint | null {
    return this.#points[slot]!;
  }

  /** Memory was emptied, and the other owners may not have heard of it. */
  reach(slot: number, point: FlushPoint): void {
    this.#points[slot] = point;
    this.#unsettled[slot] = 1;
  }

  /** All owners have got as far. */
  settle(slot: number, point: FlushPoint): void {
    const last = this.#points[slot]!;
    if (last !== null && !isBehind(point, last)) this.#unsettled[slot] = 0;
  }

  /** Memory of the slot is going to be what the primary's is. */
  inherit(slot: number, point: FlushPoint | null): void {
    this.#points[slot] = point;
    this.#unsettled[slot] = 0;
  }

  /** Slots for which `isWanted` whose last flush may not be on all owners, ascending. */
  unsettled(isWanted: (slot: number) => boolean): number[] {
    const found: number[] = [];
    for (let slot = 0; slot < SLOT_COUNT; slot++)
      if (this.#unsettled[slot] === 1 && isWanted(slot)) found.push(slot);
    return found;
  }
}

/** Whether `point` comes before `other` (null: no flush at all, which comes before every one). */
export function isBehind(point: FlushPoint | null, other: FlushPoint): boolean {
  if (point === null) return true;
  return point.epoch < other.epoch || (point.epoch === other.epoch && point.seq < other.seq);
}

/** What a primary makes of a flush that was tried before. */
export type Retry =
  /** Memory has not seen it. */
  | 'anew'
  /** Keys without a row are gone already; what there is of them was written since. */
  | 'rows-only'
  /** It cannot be told what was written since. */
  | 'unclear';

/**
 * How to go on with a flush of database `db` (null: of all) that has come to the point `tried` under an older view.
 * `last`: what the memory of this primary has seen; `primarySince`: the first of the views, without a gap up to this
 * one, under which it is the slot's primary.
 */
export function retryOf(
  tried: FlushPoint | null,
  db: number | null,
  last: FlushPoint | null,
  primarySince: number,
): Retry {
  if (tried === null || last === null || isBehind(last, tried)) return 'anew';
  const isNext = primarySince <= tried.epoch + 1;
  return isNext && (last.db === null || last.db === db) ? 'rows-only' : 'unclear';
}
