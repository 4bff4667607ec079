/** Disturbances in force at once, and which ways they make silent. */
import { expect, test } from 'vitest';
import { type Disturbance, Disturbances, silentPairs } from '../../../../chaos/live/network.ts';

test('a split is silent both ways between the sides, and not within one', () => {
  const split: Disturbance = { kind: 'split', hosts: ['a'], others: ['b', 'c'] };
  const pairs = silentPairs([split]).map((pair) => pair.join('>'));
  expect(pairs.sort()).toEqual(['a>b', 'a>c', 'b>a', 'c>a']);
});

test('one way is silent in that direction only', () => {
  expect(silentPairs([{ kind: 'one-way', from: 'a', to: 'b' }])).toEqual([['a', 'b']]);
});

test('each mend takes back its own disturbance, once', async () => {
  const applied: string[][] = [];
  const network = new Disturbances(
    () => undefined,
    (active) => {
      applied.push(active.map(({ kind }) => kind));
      return Promise.resolve();
    },
  );
  const mendDelay = await network.disturb({ kind: 'delay', host: 'a', ms: 1 });
  const mendCut = await network.disturb({ kind: 'one-way', from: 'a', to: 'b' });
  await mendDelay();
  await mendDelay();
  await mendCut();
  expect(applied).toEqual([['delay'], ['delay', 'one-way'], ['one-way'], []]);
});

test('a change that fails is told to whoever asked, and the next one is made', async () => {
  let failing = true;
  const network = new Disturbances(
    () => undefined,
    () => (failing ? Promise.reject(new Error('no tool')) : Promise.resolve()),
  );
  await expect(network.disturb({ kind: 'delay', host: 'a', ms: 1 })).rejects.toThrow('no tool');
  failing = false;
  await network.disturb({ kind: 'delay', host: 'b', ms: 1 });
});
