import { describe, expect, test } from 'vitest';
import { keysOf } from '../../../chaos/checkers/linearizability/keyspace-model.ts';
import { History, type Outcome } from '../../../chaos/history.ts';
import { recorded, type Send } from '../../../chaos/recording.ts';
import { SeededRandom } from '../../../chaos/sim/random.ts';
import { WORKLOADS } from '../../../chaos/workloads/index.ts';
import { SharedKeys } from '../../../chaos/workloads/shared-keys.ts';
import { transfers } from '../../../chaos/workloads/transfers.ts';
import { slotOf } from '../../../src/cluster/slot.ts';

/** Everything is answered with OK and remembered. */
function remembering(commands: (readonly string[])[], outcome: Outcome = 'ok'): Send {
  return (command) => {
    commands.push(command);
    return Promise.resolve({ outcome, reply: 'OK', node: 'node-1' });
  };
}

describe.each(WORKLOADS.map((workload) => ({ name: workload.name, workload })))(
  'the workload $name',
  ({ name, workload }) => {
    async function commandsOf(run: string): Promise<(readonly string[])[]> {
      const commands: (readonly string[])[] = [];
      const begun = workload.begin(run);
      const steps = ['c0', 'c1'].map((client, i) =>
        begun({ client, random: new SeededRandom(i), send: remembering(commands) }),
      );
      for (let i = 0; i < 300; i++) for (const step of steps) await step();
      return commands;
    }

    test('uses keys of its own in each run, on many slots', async () => {
      const [first, second] = [await commandsOf('one'), await commandsOf('two')];
      const keys = new Set(first.flatMap(keysOf));
      for (const key of keys) expect(key.startsWith(`chaos:one:${name}:`)).toBe(true);
      for (const command of second)
        for (const key of keysOf(command)) expect(keys).not.toContain(key);
      expect(new Set([...keys].map(slotOf)).size).toBeGreaterThanOrEqual(5);
    });

    test('writes no value twice, but for counters and balances', async () => {
      const values = (await commandsOf('one'))
        .filter(([command]) => ['SET', 'SETNX', 'GETSET', 'APPEND'].includes(command!))
        .map(([, , value]) => value);
      expect(new Set(values).size).toBe(values.length);
    });
  },
);

describe('shared keys', () => {
  test('are hot at the front', () => {
    const keys = new SharedKeys('run', 10);
    const random = new SeededRandom(1);
    const picked = Array.from({ length: 1000 }, () => keys.pick(random));
    const counts = Array.from({ length: 10 }, (_, i) => picked.filter((one) => one === i).length);
    expect(counts[0]).toBeGreaterThan(5 * counts[9]!);
    expect(Math.min(...counts)).toBeGreaterThan(0);
  });

  test('are given up after many operations, or a few unknown outcomes, with all their parts', () => {
    const keys = new SharedKeys('run', 4);
    const [first, part] = [keys.name(0), keys.name(0, 'a')];
    for (let i = 0; i < 7; i++) keys.used(0, 'unknown');
    expect(keys.name(0)).toBe(first);
    keys.used(0, 'unknown');
    expect(keys.name(0)).not.toBe(first);
    expect(keys.name(0, 'a')).not.toBe(part);
    const second = keys.name(0);
    for (let i = 0; i < 400; i++) keys.used(0, 'ok');
    expect(keys.name(0)).not.toBe(second);
  });

  test('have a hash tag now and then, so that parts share a slot', () => {
    const keys = new SharedKeys('run', 4);
    expect(slotOf(keys.name(3, 'a'))).toBe(slotOf(keys.name(3, 'b')));
    expect(slotOf(keys.name(0, 'a'))).not.toBe(slotOf(keys.name(0, 'b')));
  });
});

test('a transfer with unknown outcome is the last one of its accounts', async () => {
  const commands: (readonly string[])[] = [];
  const random = new SeededRandom(1);
  const send = remembering(commands, 'unknown');
  const step = transfers.begin('run')({ client: 'c0', random, send });
  for (let i = 0; i < 50; i++) await step();
  const openings = commands.filter(([name]) => name === 'MSETNX').map(([, key]) => key);
  expect(openings.length).toBeGreaterThan(5);
  expect(new Set(openings).size).toBe(openings.length);
  expect(commands.filter(([name]) => name === 'MSET')).toEqual([]);
});

describe('recording', () => {
  test('keeps an operation from when it was sent until its client knew', async () => {
    const history = new History({ title: 'a run', settings: {} });
    let now = 1;
    const send: Send = () => {
      now = 5;
      return Promise.resolve({ outcome: 'ok', reply: 'a', node: 'node-1' });
    };
    const options = { history, workload: 'w', client: 'c', nowMs: () => now };
    await recorded(send, options)(['GET', 'k']);
    const [operation] = history.operations;
    expect(operation).toMatchObject({ startedAtMs: 1, endedAtMs: 5, outcome: 'ok', reply: 'a' });
  });

  test('has what is still under way at the end as unknown, and no second time', async () => {
    const history = new History({ title: 'a run', settings: {} });
    let answer: ((value: Awaited<ReturnType<Send>>) => void) | undefined;
    const send: Send = () => new Promise((resolve) => (answer = resolve));
    const options = { history, workload: 'w', client: 'c', nowMs: () => 1 };
    const done = recorded(send, options)(['SET', 'k', 'a']);
    history.giveUp(9);
    answer!({ outcome: 'ok', reply: 'OK', node: 'node-1' });
    await done;
    expect(history.operations.map(({ outcome, endedAtMs }) => [outcome, endedAtMs])).toEqual([
      ['unknown', 9],
    ]);
  });
});
