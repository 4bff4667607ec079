import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  hasLearners,
  hasOrphans,
  hasRef,
  isGranted,
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
const byName = (one: Member, other: Member): number => (one.node < other.node ? -1 : 1);
const fresh = (replicas = 3): { id: string; replicas: number } => ({ id: 'new', replicas });
const nobody = { remove: [], add: null, settle: false } as const;

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
    for (const group of new Set(place(view)))
      expect(group).toEqual({ owners: [a], onRing: [a], learners: [b] });
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
      wish: fc.option(
        fc.oneof(
          fc.record({ kind: fc.constant('leave' as const), node: fc.constantFrom(...all) }),
          fc.record({
            kind: fc.constant('replicas' as const),
            replicas: fc.integer({ min: 1, max: 4 }),
          }),
          fc.record({
            kind: fc.constant('weight' as const),
            node: fc.constantFrom(...all),
            tokens: fc.integer({ min: 1, max: 16 }),
          }),
        ),
      ),
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
          for (const { remove, add, filled, wish } of changes) {
            const present: View = view!;
            const members = participants(present);
            const dead = members.filter(({ node }) => remove.includes(node));
            const joins = add !== null && !members.some(({ node }) => node === add);
            const newcomer = joins ? member(add, { incarnation: `${add}-${++life}` }) : null;
            const before = place(present);
            const next = nextView(
              present,
              { remove: dead, add: newcomer, settle: filled, wish },
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
      { numRuns: 25, seed: 5 },
    );
  });
});

describe('an operator who asks', () => {
  const three = settledView(1, [a, b, c], 2);

  test('for a leave gets the node out of the coming list, and keeps it as a participant', () => {
    const wish = { kind: 'leave', node: 'b' } as const;
    expect(isGranted(three, wish)).toBe(false);
    const moving = nextView(three, { ...nobody, wish }, fresh())!;
    expect(moving).toMatchObject({ settled: [a, b, c], coming: [a, c], leaving: [b] });
    const settled = nextView(moving, { ...nobody, settle: true }, fresh())!;
    expect(settled).toMatchObject({ settled: [a, c], coming: [a, c], leaving: [b] });
    expect(participants(settled)).toEqual([a, c, b]);
    expect(isGranted(settled, wish)).toBe(true);
    const over = nextView(settled, { ...nobody, remove: [b] }, fresh())!;
    expect(over).toMatchObject({ settled: [a, c], removed: [], coming: [a, c], leaving: [] });
  });

  test('for the leave of the only node gets nothing', () => {
    const wish = { kind: 'leave', node: 'a' } as const;
    expect(nextView(settledView(1, [a]), { ...nobody, wish }, fresh())).toBeNull();
  });

  test('for more replicas has them learned first, for fewer at once', () => {
    const more = nextView(three, { ...nobody, wish: { kind: 'replicas', replicas: 3 } }, fresh())!;
    expect(more).toMatchObject({ replicas: 2, comingReplicas: 3 });
    for (const { owners, learners } of new Set(place(more)))
      expect([owners.length, learners.length]).toEqual([2, 1]);
    expect(nextView(more, { ...nobody, settle: true }, fresh())).toMatchObject({ replicas: 3 });
    const fewer = nextView(three, { ...nobody, wish: { kind: 'replicas', replicas: 1 } }, fresh())!;
    expect(fewer).toMatchObject({ replicas: 1, comingReplicas: 1 });
  });

  test('for another weight gets it for later lives of the node too', () => {
    const wish = { kind: 'weight', node: 'b', tokens: 3 } as const;
    const view = nextView(three, { ...nobody, wish }, fresh())!;
    expect(view.coming.map(({ tokens }) => tokens)).toEqual([8, 3, 8]);
    const gone = nextView(view, { ...nobody, remove: [b] }, fresh())!;
    const again = nextView(gone, { ...nobody, add: member('b', { incarnation: 'b-2' }) }, fresh())!;
    expect(again.coming.map(({ tokens }) => tokens)).toEqual([8, 3, 8]);
  });

  test('for a lead gets it at once, as nobody has to learn anything', () => {
    const view = nextView(three, { ...nobody, wish: { kind: 'lead', node: 'b' } }, fresh())!;
    expect(view).toMatchObject({ lead: 'b', settled: [a, b, c], coming: [a, b, c] });
    const back = nextView(view, { ...nobody, wish: { kind: 'lead', node: null } }, fresh())!;
    expect(place(back)).toEqual(place(three));
  });

  test('for a lead that has nothing yet, or leaves, or is not there gets nothing', () => {
    const lead = (view: View, node: string): View | null =>
      nextView(view, { ...nobody, wish: { kind: 'lead', node } }, fresh());
    const joining = nextView(three, { ...nobody, add: d }, fresh())!;
    const leaving = nextView(three, { ...nobody, wish: { kind: 'leave', node: 'b' } }, fresh())!;
    expect([lead(joining, 'd'), lead(leaving, 'b'), lead(three, 'x')]).toEqual([null, null, null]);
    expect(lead(joining, 'a')).toMatchObject({ lead: 'a' });
  });

  test('who was to leave holds the data when all others are gone', () => {
    const leaving = nextView(three, { ...nobody, wish: { kind: 'leave', node: 'b' } }, fresh())!;
    const alone = nextView(leaving, { ...nobody, remove: [a, c] }, fresh())!;
    expect(alone).toMatchObject({ settled: [b], coming: [b], leaving: [] });
  });

  test('a newcomer that was told to leave in an earlier life is no owner', () => {
    const view = nextView(three, { ...nobody, add: d, asGuest: true }, fresh())!;
    expect(view).toMatchObject({ settled: [a, b, c], coming: [a, b, c], leaving: [d] });
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

describe('a lead', () => {
  const led = { ...settledView(5, [a, b, c], 2), lead: 'b' };
  const primaries = (view: View): Set<string> =>
    new Set(place(view).map(({ owners }) => owners[0]!.node));

  test("is primary of all that it owns, and changes nobody's ownership", () => {
    const spread = place({ ...led, lead: null });
    for (const [slot, { owners }] of place(led).entries()) {
      expect(owners.toSorted(byName)).toEqual(spread[slot]!.owners.toSorted(byName));
      if (owners.includes(b)) expect(owners[0]).toBe(b);
      else expect(owners).toEqual(spread[slot]!.owners);
    }
    expect(primaries({ ...led, replicas: 3, comingReplicas: 3 })).toEqual(new Set(['b']));
  });

  test('that is gone is followed by another member with the whole data', () => {
    const all = { ...led, replicas: 3, comingReplicas: 3 };
    const view = nextView(all, { ...nobody, remove: [b] }, fresh())!;
    expect([view.lead, primaries(view)]).toEqual(['a', new Set(['a'])]);
  });

  test('that comes back finds another one leading', () => {
    const gone = nextView(led, { ...nobody, remove: [b] }, fresh())!;
    const again = member('b', { incarnation: 'b-2' });
    const back = nextView(gone, { ...nobody, add: again }, fresh())!;
    expect(nextView(back, { ...nobody, settle: true }, fresh())!.lead).toBe('a');
  });

  test('that is to leave hands over first', () => {
    const view = nextView(led, { ...nobody, wish: { kind: 'leave', node: 'b' } }, fresh())!;
    expect(view).toMatchObject({ lead: 'a', leaving: [b] });
  });

  test('is followed by the node with the largest weight', () => {
    const heavy = member('c', { tokens: 9 });
    const view = { ...settledView(5, [a, b, heavy], 3), lead: 'b' };
    expect(nextView(view, { ...nobody, remove: [b] }, fresh())!.lead).toBe('c');
  });

  test('is the founder where that was asked for', () => {
    expect(nextView(null, { ...nobody, add: a }, { ...fresh(), led: true })!.lead).toBe('a');
    expect(nextView(null, { ...nobody, add: a }, fresh())!.lead).toBeNull();
  });
});

describe('slots that lost all their settled owners', () => {
  const before = { ...settledView(5, [a, b, c]), replicas: 1, comingReplicas: 3 };

  test('are orphans until the coming list is settled', () => {
    expect(hasOrphans(before, [])).toBe(false);
    const after = { ...before, removed: [a], coming: [b, c] };
    expect(hasOrphans(after, [])).toBe(true);
    expect(hasOrphans({ ...after, replicas: 3, settled: [b, c], removed: [] }, [])).toBe(false);
  });

  test('are none while one of their settled owners lives', () => {
    expect(hasOrphans({ ...before, replicas: 2, removed: [a], coming: [b, c] }, [])).toBe(false);
  });

  test('need nobody to wait when all who have them now are gone too', () => {
    const after = { ...before, removed: [a], coming: [b, c] };
    expect(hasOrphans(after, [b])).toBe(true);
    expect(hasOrphans(after, [b, c])).toBe(false);
  });
});
