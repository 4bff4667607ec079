import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { computeOwners } from '../../../src/cluster/ring.ts';
import { SLOT_COUNT } from '../../../src/cluster/slot.ts';
import { member } from './members.ts';

const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,6}$/), { minLength: 1, maxLength: 7 });
const RUNS = { numRuns: 25, seed: 3 };

describe('the ring', () => {
  test('gives every slot as many distinct owners as there can be', () => {
    fc.assert(
      fc.property(names, fc.integer({ min: 1, max: 4 }), (nodes, replicas) => {
        const table = computeOwners(
          nodes.map((node) => member(node)),
          replicas,
        );
        expect(table).toHaveLength(SLOT_COUNT);
        for (const owners of new Set(table)) {
          expect(owners).toHaveLength(Math.min(replicas, nodes.length));
          expect(new Set(owners).size).toBe(owners.length);
        }
      }),
      RUNS,
    );
  });

  test('does not depend on the order of the member list', () => {
    fc.assert(
      fc.property(names, (nodes) => {
        const members = nodes.map((node) => member(node));
        const one = computeOwners(members, 3).map((owners) =>
          owners.map(({ node }) => node).join(),
        );
        const other = computeOwners([...members].reverse(), 3).map((owners) =>
          owners.map(({ node }) => node).join(),
        );
        expect(other).toEqual(one);
      }),
      { numRuns: 10, seed: 3 },
    );
  });

  test('puts owners into distinct zones as far as there are enough', () => {
    fc.assert(
      fc.property(
        names,
        fc.array(fc.constantFrom('z1', 'z2', 'z3'), { minLength: 7, maxLength: 7 }),
        (nodes, zones) => {
          const members = nodes.map((node, i) => member(node, { zone: zones[i]! }));
          const zoneCount = new Set(members.map(({ zone }) => zone)).size;
          for (const owners of new Set(computeOwners(members, 3))) {
            expect(new Set(owners.map(({ zone }) => zone)).size).toBe(
              Math.min(3, zoneCount, members.length),
            );
          }
        },
      ),
      RUNS,
    );
  });

  test.each([3, 5, 9])(
    'moves about 1/n of the primaries when a node joins %i others, and all of them to it',
    (n) => {
      const members = Array.from({ length: n }, (_, i) => member(`node-${i}`, { tokens: 128 }));
      const before = computeOwners(members, 1);
      const after = computeOwners([...members, member('new', { tokens: 128 })], 1);
      let moved = 0;
      for (let slot = 0; slot < SLOT_COUNT; slot++) {
        if (before[slot]![0]!.node === after[slot]![0]!.node) continue;
        expect(after[slot]![0]!.node).toBe('new');
        moved++;
      }
      const share = moved / SLOT_COUNT;
      expect(share).toBeGreaterThan(0.6 / (n + 1));
      expect(share).toBeLessThan(1.5 / (n + 1));
    },
  );

  test('gives no slot an owner when nobody is there', () => {
    expect(new Set(computeOwners([], 3).map((owners) => owners.length))).toEqual(new Set([0]));
  });
});
