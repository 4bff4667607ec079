import { expect, test } from 'vitest';
import type { CommittedView } from '../../../../chaos/sim/database/database.ts';
import { lossesOf } from '../../../../chaos/sim/losses.ts';
import { type Change, nextView } from '../../../../src/cluster/view.ts';
import type { Member, View } from '../../../../src/storage/postgres/store.ts';

const NOTHING: Change = { remove: [], add: null, settle: false };
const KEYS = Array.from({ length: 200 }, (_, i) => `none:${i}`);

function member(node: string, life = 'first'): Member {
  const ports = { port: 1, linkPort: 2, httpPort: 3 };
  return { node, incarnation: `${node} ${life}`, host: node, zone: node, tokens: 8, ...ports };
}

/** The views that these changes make, one after the other, a second apart; the founder is `a`. */
function viewsOf(...changes: Partial<Change>[]): CommittedView[] {
  const views: CommittedView[] = [];
  let last: View | null = null;
  for (const change of [{ add: member('a') }, ...changes]) {
    const fresh = { id: String(views.length), replicas: 2 };
    last = nextView(last, { ...NOTHING, ...change }, fresh);
    const removed = change.remove ?? [];
    views.push({ view: last!, atMs: 1000 * (views.length + 1), removed });
  }
  return views;
}

const JOIN_B = [{ add: member('b') }, { settle: true }];

test('nothing is lost while one life stays that had everything', () => {
  const moved = viewsOf(...JOIN_B, { remove: [member('a')] });
  expect(lossesOf(moved, KEYS)).toEqual([]);
  const left = viewsOf(...JOIN_B, { wish: { kind: 'leave', node: 'a' } });
  expect(lossesOf(left, KEYS)).toEqual([]);
});

test('all may be lost when the only owner is removed before the next one was filled', () => {
  const [loss, ...more] = lossesOf(viewsOf({ add: member('b') }, { remove: [member('a')] }), KEYS);
  expect(more).toEqual([]);
  expect(loss!.startedAtMs).toBe(3000);
  expect([...loss!.values.keys()].sort()).toEqual([...KEYS].sort());
});

test('all may be lost when the only owner is removed while it leaves', () => {
  const leave = { wish: { kind: 'leave', node: 'a' } } as const;
  const views = viewsOf({ add: member('b') }, { settle: true }, leave, { remove: [member('a')] });
  // With two copies b has all of it already; with one it was being filled.
  expect(lossesOf(views, KEYS)).toEqual([]);
  const one = { wish: { kind: 'replicas', replicas: 1 } } as const;
  const single = viewsOf(one, { add: member('b') }, { settle: true }, leave, {
    remove: [member('a')],
  });
  const [loss, ...more] = lossesOf(single, KEYS);
  expect(more).toEqual([]);
  expect(loss!.startedAtMs).toBe(6000);
});

test('a view that comes before the learners are filled fills nobody', () => {
  const joins = viewsOf({ add: member('b') }, { add: member('c') }, { remove: [member('a')] });
  expect(lossesOf(joins, KEYS).map(({ startedAtMs }) => startedAtMs)).toEqual([4000]);
  const raised = viewsOf(
    ...JOIN_B,
    { wish: { kind: 'replicas', replicas: 1 } },
    { wish: { kind: 'replicas', replicas: 2 } },
    { add: member('c') },
    { remove: [member('a')] },
  );
  expect(lossesOf(raised, KEYS).map(({ startedAtMs }) => startedAtMs)).toEqual([7000]);
});

test('of several nodes only the slots whose owners were all removed may be lost', () => {
  const views = viewsOf(
    ...JOIN_B,
    { add: member('c') },
    { settle: true },
    { add: member('d') },
    { settle: true },
    { remove: [member('a'), member('b')] },
  );
  const lost = lossesOf(views, KEYS).flatMap(({ values }) => [...values.keys()]);
  expect(lost.length).toBeGreaterThan(0);
  expect(lost.length).toBeLessThan(KEYS.length / 2);
});

test('the next life of a node has nothing of the one before', () => {
  const again = viewsOf({ remove: [member('a')], add: member('a', 'second') });
  expect(lossesOf(again, KEYS)).toHaveLength(1);
});
