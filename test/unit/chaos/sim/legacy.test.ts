import { expect, test } from 'vitest';
import { type LegacyCall, needlessCalls, SimLegacy } from '../../../../chaos/sim/legacy.ts';
import { Host } from '../../../../chaos/sim/machine.ts';
import { VirtualTime } from '../../../../chaos/sim/time.ts';
import type { Operation } from '../../../../chaos/history.ts';
import { op, refused } from '../histories.ts';

const call = (
  startedAtMs: number,
  endedAtMs: number,
  more: Partial<LegacyCall> = {},
): LegacyCall => ({
  key: 'k',
  node: 'node-1',
  epoch: 1,
  startedAtMs,
  endedAtMs,
  ...more,
});

const judged = (calls: LegacyCall[], ...operations: Operation[]): string[] =>
  needlessCalls({ calls, operations, has: (key) => key !== 'nowhere', forgotten: [] });

test('a call is needless while another one for the key is under way in that epoch', () => {
  expect(judged([call(1, 5), call(4, 9)])).toHaveLength(1);
  expect(judged([call(1, 5), call(5, 9)])).toEqual([]);
  expect(judged([call(1, 5), call(4, 9, { epoch: 2 })])).toEqual([]);
  expect(judged([call(1, 5), call(4, 9, { key: 'other' })])).toEqual([]);
});

test('a call is needless once a command on a key that the API has was answered', () => {
  const read = op(1, 3, 'GET k', 'v');
  expect(judged([call(4, 5)], read)).toHaveLength(1);
  expect(judged([call(2, 5)], read)).toEqual([]);
  expect(judged([call(4, 5, { key: 'nowhere' })], op(1, 3, 'GET nowhere', null))).toEqual([]);
  expect(judged([call(4, 5)], refused(1, 3, 'GET k'))).toEqual([]);
  expect(judged([call(4, 5)], op(1, 3, 'MGET a k', [null, 'v']))).toHaveLength(1);
});

test('a call is not needless when the table has forgotten the key since', () => {
  const values = new Map([['k', null]]);
  const event = { why: 'commits lost', values, startedAtMs: 3.5, endedAtMs: 6 };
  const found = (startedAtMs: number, answeredAtMs: number, forgotten = [event], tookMs = 0.5) => {
    const operations = [op(answeredAtMs - tookMs, answeredAtMs, 'GET k', 'v')];
    return needlessCalls({ calls: [call(startedAtMs, 9)], operations, has: () => true, forgotten });
  };
  expect(found(4, 3)).toEqual([]);
  expect(found(8, 5)).toEqual([]);
  expect(found(8, 7)).toHaveLength(1);
  // It may have been carried out before the table forgot.
  expect(found(8, 7, [event], 2)).toEqual([]);
  expect(found(3.2, 3)).toHaveLength(1);
  expect(found(8, 3, [{ ...event, values: new Map([['other', null]]) }])).toHaveLength(1);
});

test('a process asks once for a key at a time, and one that is dead hears nothing', async () => {
  const time = new VirtualTime();
  const legacy = new SimLegacy(time);
  legacy.values.set('legacy:k', 'v');
  const host = new Host('node-1', time);
  const source = legacy.source(host, () => 7);
  const [first, second] = [source.fetch('legacy:k'), source.fetch('legacy:k')];
  await time.run(10);
  expect(await first).toEqual({ kind: 'found', value: 'v', ttlMs: 0 });
  expect(await second).toEqual(await first);
  expect(legacy.calls).toMatchObject([{ key: 'legacy:k', epoch: 7 }]);
  let heard = false;
  void source.fetch('legacy:k').then(() => (heard = true));
  host.dead = true;
  await time.run(10_000);
  expect(heard).toBe(false);
});

test('trouble is a failure, or an answer that comes too late to count', async () => {
  const time = new VirtualTime();
  const legacy = new SimLegacy(time);
  const source = legacy.source(new Host('node-1', time), () => 1);
  const answerOf = async (): Promise<unknown> => {
    const answer = source.fetch('legacy:k');
    await time.run(3_000);
    return answer;
  };
  expect(await answerOf()).toMatchObject({ kind: 'absent' });
  legacy.trouble = () => ({ failure: 'no JSON' });
  expect(await answerOf()).toEqual({ kind: 'failed', reason: 'no JSON' });
  legacy.trouble = () => ({ delayMs: 2_500 });
  expect(await answerOf()).toMatchObject({ kind: 'failed' });
  legacy.trouble = () => ({ delayMs: 1_500 });
  expect(await answerOf()).toMatchObject({ kind: 'absent' });
});
