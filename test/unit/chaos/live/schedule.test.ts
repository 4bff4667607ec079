/** Which faults a run takes, on a target that only takes notes. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Fault } from '../../../../chaos/faults/fault.ts';
import { faultsByName } from '../../../../chaos/faults/index.ts';
import { runSchedule, type ScheduleOptions } from '../../../../chaos/live/schedule.ts';
import { SeededRandom } from '../../../../chaos/sim/random.ts';
import { fakeTarget, SIMPLE_FAULTS } from '../fake-target.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

interface Ran {
  readonly asked: readonly string[];
  readonly spans: readonly { name: string; startedAtMs: number; endedAtMs: number }[];
  readonly settled: number;
}

async function run(options: Partial<ScheduleOptions>, seed = 1): Promise<Ran> {
  const target = fakeTarget();
  const spans: Ran['spans'][number][] = [];
  let settled = 0;
  const over = runSchedule({
    target,
    faults: SIMPLE_FAULTS,
    mixed: false,
    ms: undefined,
    random: new SeededRandom(seed),
    say: () => undefined,
    onSpan: (span) => spans.push(span),
    settle: () => {
      settled++;
      return Promise.resolve();
    },
    ...options,
  });
  await vi.runAllTimersAsync();
  await over;
  return { asked: target.asked, spans, settled };
}

test('without a time, every fault comes once, in order, and the cluster settles after each', async () => {
  const { spans, settled } = await run({});
  expect(spans.map(({ name }) => name)).toEqual(SIMPLE_FAULTS.map(({ name }) => name));
  expect(settled).toBe(SIMPLE_FAULTS.length + 1);
});

test('mixed faults go on until the time is over, and the same seed draws the same ones', async () => {
  const options = { mixed: true, ms: 10 * 60_000 };
  const [first, again, other] = [
    await run(options, 7),
    await run(options, 7),
    await run(options, 8),
  ];
  expect(first.asked).toEqual(again.asked);
  expect(first.asked).not.toEqual(other.asked);
  const [begin, end] = [first.spans[0]!.startedAtMs, first.spans.at(-1)!.endedAtMs];
  expect(end - begin).toBeGreaterThan(9 * 60_000);
});

test('mixed faults sometimes come two at a time', async () => {
  const { spans } = await run({ mixed: true, ms: 10 * 60_000 });
  const overlaps = spans.filter((span, i) => i > 0 && span.startedAtMs < spans[i - 1]!.endedAtMs);
  expect(overlaps.length).toBeGreaterThan(5);
});

test('two faults at a time never share a node, and nothing comes beside the end of everything', async () => {
  const busy = new Set<string>();
  const clashes: string[] = [];
  let alone = 0;
  const watched = SIMPLE_FAULTS.map(
    (fault): Fault => ({
      ...fault,
      async inject(context) {
        const mine: string[] = [];
        if (alone > 0 || (fault.part === 'everything' && busy.size > 0)) clashes.push(fault.name);
        if (fault.part === 'everything') alone++;
        await fault.inject({
          ...context,
          pickNode: () => {
            const node = context.pickNode();
            if (busy.has(node)) clashes.push(`${fault.name} took ${node}`);
            busy.add(node);
            mine.push(node);
            return node;
          },
        });
        for (const node of mine) busy.delete(node);
        if (fault.part === 'everything') alone--;
      },
    }),
  );
  await run({ faults: watched, mixed: true, ms: 30 * 60_000 });
  expect(clashes).toEqual([]);
});

test('a fault that fails ends the run with its error', async () => {
  const [killNode] = faultsByName(['kill-node']);
  const failing: Fault = { ...killNode!, inject: () => Promise.reject(new Error('out of luck')) };
  const over = runSchedule({
    target: fakeTarget(),
    faults: [failing],
    mixed: true,
    ms: 1000,
    random: new SeededRandom(1),
    say: () => undefined,
    onSpan: () => undefined,
    settle: () => Promise.resolve(),
  });
  const heard = expect(over).rejects.toThrow('out of luck');
  await vi.runAllTimersAsync();
  await heard;
});
