import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Store } from '../../../src/storage/postgres/store.ts';
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
  const { counter, epoch, leases, nowMs } = await lease.renew();
  expect({ counter, epoch }).toEqual({ counter: 1, epoch: 1 });
  expect(leases).toEqual([
    { ...refOf(a), counter: 0, givenUp: false },
    { ...refOf(b), counter: 1, givenUp: false },
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
  expect(await outcomeOf(lease.renew())).toBe('fenced');
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
    `INSERT INTO ringfence.view (epoch, id, content)
     SELECT e, 'x', '{}' FROM generate_series(2, 1200) AS e`,
  );
  await withControl(store, (control) => control.propose({ view: viewOf(1201, [a]), removals: [] }));
  expect(await server.sql(url, 'SELECT min(epoch), max(epoch) FROM ringfence.view')).toEqual([
    { min: '202', max: '1201' },
  ]);
});
