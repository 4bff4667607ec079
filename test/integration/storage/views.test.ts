import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LeaseInfo, Store } from '../../../src/storage/postgres/store.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { formView, memberOf, outcomeOf, refOf, storeOn, viewOf, withControl } from './harness.ts';

let server: TestPostgres;
let url: string;
let store: Store;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());
beforeEach(async () => {
  url = await server.freshDatabase();
  store = storeOn(url);
  await store.prepare();
});
afterEach(() => store.close());

it('a view comes back as it was proposed', async () => {
  const [a, b] = [memberOf('a'), memberOf('b')];
  await formView(store, [a]);
  await store.register(b);
  const view = viewOf(2, [a], { coming: [a, b], replicas: 2 });
  await withControl(store, async (control) => {
    await control.propose({ view, removals: [] });
    expect(await control.viewsAfter(1)).toEqual([view]);
    expect((await control.viewsAfter(0)).map(({ epoch }) => epoch)).toEqual([1, 2]);
  });
});

it('the history has the newest views first, with the moments at which they were made', async () => {
  const [a, b] = [memberOf('a'), memberOf('b')];
  const startedAtMs = Date.now();
  await formView(store, [a]);
  await store.register(b);
  // Who leaves takes part in the view, so it has to be registered and gets the epoch.
  const view = viewOf(2, [a, b], { coming: [a], leaving: [b], weights: { a: 7 } });
  await withControl(store, async (control) => {
    await control.propose({ view, removals: [] });
    const history = await control.history(10);
    expect(history.map((one) => one.view.epoch)).toEqual([2, 1]);
    expect(history[0]!.view).toEqual(view);
    for (const { createdAtMs } of history)
      expect(Math.abs(createdAtMs - startedAtMs)).toBeLessThan(60_000);
    expect(await control.history(1)).toHaveLength(1);
    const alone = viewOf(3, [a], { leaving: [b] });
    await control.propose({ view: alone, removals: [] });
    const lanes = await server.sql(url, 'SELECT node, epoch FROM ringfence.lane ORDER BY node');
    expect(lanes).toEqual([
      { node: 'a', epoch: '3' },
      { node: 'b', epoch: '3' },
    ]);
  });
});

it('of several proposals for one epoch exactly one wins', async () => {
  const members = ['a', 'b', 'c', 'd'].map((node) => memberOf(node));
  await Promise.all(members.map((member) => store.register(member)));
  for (let epoch = 1; epoch <= 10; epoch++) {
    const views = members.map(() => viewOf(epoch, members));
    const outcomes = await Promise.all(
      views.map((view) =>
        withControl(store, (control) => outcomeOf(control.propose({ view, removals: [] }))),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === 'resolved')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'conflict')).toHaveLength(3);
    const [stored] = await withControl(store, (control) => control.viewsAfter(epoch - 1));
    expect(stored?.id).toBe(views[outcomes.indexOf('resolved')]?.id);
  }
});

it('a proposal that is not for the next epoch is refused', async () => {
  const a = memberOf('a');
  await formView(store, [a]);
  await withControl(store, async (control) => {
    for (const epoch of [1, 3]) {
      expect(await outcomeOf(control.propose({ view: viewOf(epoch, [a]), removals: [] }))).toBe(
        'conflict',
      );
    }
  });
});

it('a view cannot list a node that never registered, or that was removed', async () => {
  const [a, b] = [memberOf('a'), memberOf('b')];
  await formView(store, [a, b]);
  await withControl(store, async (control) => {
    const stranger = viewOf(2, [a, memberOf('z')]);
    expect(await outcomeOf(control.propose({ view: stranger, removals: [] }))).toBe('conflict');
    const without = viewOf(2, [a, b], { removed: [refOf(b)], coming: [a] });
    await control.propose({ view: without, removals: [{ ref: refOf(b), counter: 0 }] });
    expect(await outcomeOf(control.propose({ view: viewOf(3, [a, b]), removals: [] }))).toBe(
      'conflict',
    );
  });
});

it('a node is removed when its counter stood still or it gave up, and only then', async () => {
  const [a, b] = [memberOf('a'), memberOf('b')];
  await formView(store, [a, b]);
  const lease = await store.openLease(refOf(b));
  const { counter, epoch, leases, nowMs } = await lease.renew([]);
  expect({ counter, epoch }).toEqual({ counter: 1, epoch: 1 });
  expect(leases).toEqual([
    { ...refOf(a), counter: 0, givenUp: false, complaints: [], expelled: false },
    { ...refOf(b), counter: 1, givenUp: false, complaints: [], expelled: false },
  ]);
  expect(Number.isInteger(nowMs)).toBe(true);
  const view = viewOf(2, [a, b], { removed: [refOf(b)], coming: [a] });
  const remove = (seen: number | null): Promise<string> =>
    withControl(store, (control) =>
      outcomeOf(control.propose({ view, removals: [{ ref: refOf(b), counter: seen }] })),
    );
  expect(await remove(0)).toBe('conflict');
  expect(await remove(null)).toBe('conflict');
  await lease.giveUp();
  expect(await outcomeOf(lease.renew([]))).toBe('fenced');
  expect(await remove(null)).toBe('resolved');
  const left = await server.sql(url, 'SELECT node FROM ringfence.lease');
  expect(left).toEqual([{ node: 'a' }]);
  await lease.close();
});

it('only the newest 1000 views are kept', async () => {
  const a = memberOf('a');
  await formView(store, [a]);
  await server.sql(
    url,
    `INSERT INTO ringfence.view (epoch, previous, id, content)
     SELECT e, e - 1, 'x', '{}' FROM generate_series(2, 1200) AS e`,
  );
  await withControl(store, (control) => control.propose({ view: viewOf(1201, [a]), removals: [] }));
  expect(await server.sql(url, 'SELECT min(epoch), max(epoch) FROM ringfence.view')).toEqual([
    { min: '202', max: '1201' },
  ]);
});

describe('a complaint', () => {
  const [a, b, c] = [memberOf('a'), memberOf('b'), memberOf('c/with-a-slash')];
  const renew = async (
    self: typeof a,
    complaints: (typeof a)[],
  ): Promise<{ outcome: string; leases: readonly LeaseInfo[] }> => {
    const lease = await store.openLease(refOf(self));
    try {
      return { outcome: 'resolved', leases: (await lease.renew(complaints.map(refOf))).leases };
    } catch (error) {
      return { outcome: (error as Error).message, leases: [] };
    } finally {
      await lease.close();
    }
  };
  const settle = (by: typeof a, about: typeof a, loser: typeof a): Promise<boolean> =>
    withControl(store, (control) =>
      control.settleComplaint({
        by: refOf(by),
        about: refOf(about),
        loser: refOf(loser),
        reason: `${loser.node} goes`,
      }),
    );
  beforeEach(() => formView(store, [a, b, c]));

  it('is seen by everybody who renews', async () => {
    await renew(a, [b, c]);
    const { leases } = await renew(b, []);
    expect(leases.find(({ node }) => node === 'a')?.complaints).toEqual([refOf(b), refOf(c)]);
  });

  it('that is settled ends the right of one of the pair to renew, and says why', async () => {
    await renew(a, [c]);
    expect(await settle(a, c, c)).toBe(true);
    expect((await renew(c, [])).outcome).toMatch(/^c\/with-a-slash goes/);
    const { outcome, leases } = await renew(a, []);
    expect(outcome).toBe('resolved');
    expect(leases.map(({ expelled }) => expelled)).toEqual([false, false, true]);
  });

  it('that was taken back, or whose pair has lost a node, is not settled', async () => {
    expect(await settle(a, b, b)).toBe(false);
    await renew(a, [b]);
    await renew(a, []);
    expect(await settle(a, b, b)).toBe(false);
    await renew(a, [b]);
    await renew(b, [a]);
    expect(await settle(a, b, b)).toBe(true);
    // The other one's view of it, a moment later: nothing is left to settle.
    expect(await settle(b, a, a)).toBe(false);
    expect((await renew(a, [])).outcome).toBe('resolved');
  });

  it('of many at once ends no node that has nobody left to complain of it', async () => {
    const ring = [a, b, c];
    for (const member of ring) {
      await renew(
        member,
        ring.filter((other) => other !== member),
      );
    }
    // Everybody says that the other one goes: two settlements of three pairs can be made, never three.
    const pairs = ring.flatMap((by) => ring.filter((o) => o !== by).map((about) => [by, about]));
    const settled = await Promise.all(pairs.map(([by, about]) => settle(by!, about!, about!)));
    expect(settled.filter((done) => done)).toHaveLength(2);
    const outcomes = await Promise.all(ring.map((member) => renew(member, [])));
    expect(outcomes.filter(({ outcome }) => outcome === 'resolved')).toHaveLength(1);
  });
});
