import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  hasLearners,
  hasRef,
  living,
  nextView,
  participants,
  place,
} from '../../../src/cluster/view.ts';
import type { Member, View } from '../../../src/storage/postgres/store.ts';
import { member, settledView } from './members.ts';

const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((node) => member(node)) as [
  Member,
  Member,
  Member,
  Member,
];
const fresh = (replicas = 3): { id: string; replicas: number } => ({ id: 'new', replicas });

describe('the next view', () => {
  test('makes the first node the only member', () => {
    const view = nextView(null, { remove: [], add: a, settle: false }, fresh());
    expect(view).toMatchObject({ epoch: 1, settled: [a], coming: [a], removed: [] });
  });

  test('is none when nothing changes', () => {
    expect(
      nextView(settledView(1, [a]), { remove: [], add: null, settle: false }, fresh()),
    ).toBeNull();
    expect(
      nextView(settledView(1, [a]), { remove: [], add: a, settle: false }, fresh()),
    ).toBeNull();
    expect(nextView(null, { remove: [], add: null, settle: false }, fresh())).toBeNull();
  });

  test('makes who joins a learner', () => {
    const view = nextView(settledView(1, [a]), { remove: [], add: b, settle: false }, fresh())!;
    expect(view).toMatchObject({ settled: [a], coming: [a, b] });
    for (const group of new Set(place(view))) expect(group).toEqual({ owners: [a], learners: [b] });
  });

  test('that settles the filled does not settle who joins with it', () => {
    const moving = nextView(settledView(1, [a]), { remove: [], add: b, settle: false }, fresh())!;
    const view = nextView(moving, { remove: [], add: c, settle: true }, fresh())!;
    expect(view.settled).toEqual([a, b]);
    expect(view.coming).toEqual([a, b, c]);
    for (const group of new Set(place(view))) expect(group.learners).toEqual([c]);
  });

  test('without a dead node leaves its slots to those who have them (zones-and-removal)', () => {
    const zoned = [
      member('a', { zone: 'z1' }),
      member('b', { zone: 'z1' }),
      member('c', { zone: 'z2' }),
    ];
    const before = settledView(1, zoned, 2);
    const held = place(before);
    const view = nextView(before, { remove: [zoned[0]!], add: null, settle: false }, fresh(2))!;
    const wrong = place(view).filter(
      (group, slot) => !group.owners.every((owner) => hasRef(held[slot]!.owners, owner)),
    );
    expect(wrong).toEqual([]);
  });

  test('is none when nobody would be left', () => {
    expect(
      nextView(settledView(1, [a]), { remove: [a], add: null, settle: false }, fresh()),
    ).toBeNull();
  });

  test('lets a newcomer take everything over when all others are dead', () => {
    const view = nextView(
      settledView(1, [a, b]),
      { remove: [a, b], add: c, settle: false },
      fresh(),
    )!;
    expect(view).toMatchObject({ settled: [c], coming: [c], removed: [] });
  });

  test('never makes an empty newcomer owner of a slot of which an owner lives', () => {
    const all = ['a', 'b', 'c', 'd', 'e'];
    const change = fc.record({
      remove: fc.subarray(all, { maxLength: 2 }),
      add: fc.option(fc.constantFrom(...all)),
      filled: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 8 }),
        fc.integer({ min: 1, max: 3 }),
        (changes, replicas) => {
          let view: View | null = nextView(
            null,
            { remove: [], add: a, settle: false },
            fresh(replicas),
          );
          let life = 1;
          for (const { remove, add, filled } of changes) {
            const present: View = view!;
            const members = participants(present);
            const dead = members.filter(({ node }) => remove.includes(node));
            const joins = add !== null && !members.some(({ node }) => node === add);
            const newcomer = joins ? member(add, { incarnation: `${add}-${++life}` }) : null;
            const before = place(present);
            const next = nextView(
              present,
              { remove: dead, add: newcomer, settle: filled },
              fresh(replicas),
            );
            if (next === null) continue;
            expect(next.epoch).toBe(present.epoch + 1);
            const wrong = place(next).filter((group, slot) => {
              const { owners, learners } = before[slot]!;
              // Learners have the slot only when they were filled.
              const filledOnes = filled ? [...owners, ...learners] : owners;
              const holders = filledOnes.filter((one) => !hasRef(dead, one));
              const isHolder = (owner: Member): boolean => hasRef(holders, owner);
              return (
                group.owners.length === 0 || (holders.length > 0 && !group.owners.every(isHolder))
              );
            });
            expect(wrong).toEqual([]);
            view = next;
          }
        },
      ),
      { numRuns: 12, seed: 5 },
    );
  });
});

describe('a view', () => {
  test('counts those to come among its participants, and the removed not', () => {
    const view: View = { ...settledView(2, [a, b]), removed: [a], coming: [b, d] };
    expect(living(view)).toEqual([b]);
    expect(participants(view)).toEqual([b, d]);
    expect(hasLearners(place(view))).toBe(true);
    expect(hasLearners(place(settledView(1, [a, b, c])))).toBe(false);
  });
});
