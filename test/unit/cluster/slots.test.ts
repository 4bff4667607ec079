import { describe, expect, test } from 'vitest';
import { SLOT_COUNT } from '../../../src/cluster/slot.ts';
import { SlotTable } from '../../../src/cluster/slots.ts';
import type { View } from '../../../src/storage/postgres/store.ts';
import { member, settledView } from './members.ts';

const [a, b, c] = [member('a'), member('b'), member('c')];

function slotsWhere(test: (slot: number) => boolean): number[] {
  return Array.from({ length: SLOT_COUNT }, (_, slot) => slot).filter(test);
}

describe('the slots', () => {
  test('are counted by what the node is to them', () => {
    const table = new SlotTable(a);
    expect(table.counts()).toEqual({ primary: 0, replica: 0, learner: 0, waiting: 0, complete: 0 });
    table.adopt(settledView(1, [a, b, c], 2));
    const mine = slotsWhere((slot) => table.isPrimary(slot));
    const replicas = slotsWhere((slot) => table.isOwner(slot) && !table.isPrimary(slot));
    const counts = { primary: mine.length, replica: replicas.length, learner: 0 };
    expect(table.counts()).toEqual({ ...counts, waiting: mine.length, complete: 0 });
    table.confirm(b);
    table.confirm(c);
    for (const slot of [mine[0]!, mine[1]!, replicas[0]!]) table.setComplete(slot, true);
    expect(table.counts()).toEqual({ ...counts, waiting: 0, complete: 2 });
    expect(counts.primary + counts.replica).toBeLessThan(SLOT_COUNT);
  });
});

describe('a slot', () => {
  test('is active at once when nobody else is there', () => {
    const table = new SlotTable(a);
    table.adopt(settledView(1, [a]));
    expect(table.allActive).toBe(true);
    expect(table.isActivePrimary(0)).toBe(true);
  });

  test('waits for everybody in the first view that a life sees', () => {
    const table = new SlotTable(a);
    table.adopt(settledView(7, [a, b, c]));
    expect(table.waitingFor()).toEqual(new Set(['b/b-1', 'c/c-1']));
    table.confirm(b);
    expect(table.allActive).toBe(false);
    table.confirm(c);
    expect(table.allActive).toBe(true);
  });

  test('stays active when its owners stay', () => {
    const table = new SlotTable(a);
    table.adopt(settledView(1, [a, b]));
    table.confirm(b);
    table.adopt(settledView(2, [a, b]));
    expect(table.allActive).toBe(true);
  });

  test('waits for the owner of two views ago that has confirmed neither (two-views-back)', () => {
    const table = new SlotTable(a);
    table.adopt(settledView(1, [b], 1));
    table.confirm(b);
    table.adopt(settledView(2, [b, c], 1));
    const fromB = slotsWhere((slot) => table.primaryOf(slot)?.node === 'c');
    table.adopt(settledView(3, [a, b, c], 1));
    table.confirm(c);
    // They were b's in view 1, c's in view 2, and are this node's in view 3.
    const mine = fromB.filter((slot) => table.isPrimary(slot));
    expect(mine.length).toBeGreaterThan(0);
    expect(mine.filter((slot) => table.isActivePrimary(slot))).toEqual([]);
    expect(table.waitingFor()).toEqual(new Set(['b/b-1']));
    table.confirm(b);
    expect(table.allActive).toBe(true);
  });

  test('does not wait for who was removed', () => {
    const table = new SlotTable(a);
    table.adopt(settledView(1, [a, b, c]));
    table.confirm(c);
    table.adopt(settledView(2, [a, c]));
    expect(table.waitingFor()).toEqual(new Set(['c/c-1']));
    table.confirm(c);
    expect(table.allActive).toBe(true);
  });

  test('waits for nobody after a lease and margin', () => {
    const table = new SlotTable(a);
    table.adopt(settledView(1, [a, b, c]));
    table.expireHolders();
    expect(table.allActive).toBe(true);
  });

  test('that is lost is named, and not complete when it comes back (jumped-view)', () => {
    const table = new SlotTable(a);
    table.adopt(settledView(5, [a, b], 1));
    table.confirm(b);
    const owned = slotsWhere((slot) => table.isOwner(slot));
    for (const slot of owned) table.setComplete(slot, true);
    const without: View = { ...settledView(6, [a, b], 1), removed: [a], coming: [b] };
    expect(table.adopt(without).lost).toEqual(owned);
    table.adopt(settledView(7, [a, b], 1));
    expect(owned.filter((slot) => table.isComplete(slot))).toEqual([]);
  });

  test('counts every loss of completeness', () => {
    const table = new SlotTable(a);
    table.setComplete(3, true);
    table.setComplete(3, false);
    expect(table.isComplete(3)).toBe(false);
    expect(table.losses[3]).toBe(1);
  });
});
