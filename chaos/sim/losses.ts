/**
 * When a key that lives in memory only may have been lost: a view came in which nobody has the slot who had
 * all of it before. That follows from the views alone, so whatever is lost at another moment is a violation.
 */
import { slotOf } from '../../src/cluster/slot.ts';
import { hasRef, place, refKey } from '../../src/cluster/view.ts';
import type { View } from '../../src/storage/postgres/store.ts';
import type { KeyEvent } from '../history.ts';
import type { CommittedView } from './database/database.ts';

/** `views`: in the order in which they were committed. */
export function lossesOf(views: readonly CommittedView[], keys: readonly string[]): KeyEvent[] {
  if (keys.length === 0) return [];
  const losses: KeyEvent[] = [];
  const bySlot = new Map<number, string[]>();
  for (const key of keys) bySlot.set(slotOf(key), [...(bySlot.get(slotOf(key)) ?? []), key]);
  /** By slot: the lives that have all of it. */
  const holders = new Map<number, Set<string>>();
  let last: { view: View; placement: ReturnType<typeof place> } | null = null;
  for (const { view, atMs, removed } of views) {
    const placement = place(view);
    const filled = last !== null && removed.length === 0 && isSettledBy(last.view, view);
    const lost: string[] = [];
    for (const [slot, slotKeys] of bySlot) {
      const before = holders.get(slot) ?? new Set();
      if (filled) for (const ref of last!.placement[slot]!.learners) before.add(refKey(ref));
      const owners = placement[slot]!.owners.map(refKey);
      const kept = owners.filter((owner) => before.has(owner));
      if (kept.length === 0 && last !== null) lost.push(...slotKeys);
      // Where nobody is left, what the owners have is all there is.
      holders.set(slot, new Set(kept.length > 0 ? kept : owners));
    }
    if (lost.length > 0) losses.push(lossOf(view, atMs, lost));
    last = { view, placement };
  }
  return losses;
}

/**
 * The learners of `before` were filled: their list is the settled one now. (Another view may come first, a join, say;
 * and with the removal of whoever was to leave, the list is the settled one as well, but nobody was filled.)
 */
function isSettledBy({ coming, comingReplicas }: View, next: View): boolean {
  const isSame =
    next.settled.length === coming.length && coming.every((member) => hasRef(next.settled, member));
  return isSame && next.replicas === comingReplicas && next.removed.length === 0;
}

function lossOf({ epoch }: View, atMs: number, keys: readonly string[]): KeyEvent {
  const values = new Map(keys.map((key) => [key, null]));
  return {
    why: `all owners lost in view ${epoch}`,
    values,
    startedAtMs: atMs,
    endedAtMs: Infinity,
  };
}
