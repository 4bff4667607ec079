/** Faults break what they say and mend all of it, on a target that only takes notes. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { FaultContext } from '../../../chaos/faults/fault.ts';
import { FAULTS, faultsByName, refusals } from '../../../chaos/faults/index.ts';
import { SeededRandom } from '../../../chaos/sim/random.ts';
import type { Target } from '../../../chaos/target.ts';
import { fakeTarget, SIMPLE_FAULTS } from './fake-target.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function contextOf(target: Target): FaultContext {
  const free = target.nodes.map(({ name }) => name);
  return {
    target,
    random: new SeededRandom(1),
    say: () => undefined,
    pickNode: () => free.shift()!,
  };
}

describe.each(SIMPLE_FAULTS.map((fault) => [fault.name, fault] as const))('%s', (_name, fault) => {
  test('breaks something, and leaves nothing broken', async () => {
    const target = fakeTarget();
    const injected = fault.inject(contextOf(target));
    await vi.advanceTimersByTimeAsync(1);
    const worst = target.asked.length;
    await vi.runAllTimersAsync();
    await injected;
    expect(worst).toBeGreaterThan(0);
    expect([...target.broken]).toEqual([]);
  });

  test('takes no more nodes than it says', async () => {
    const target = fakeTarget();
    const context = contextOf(target);
    let picked = 0;
    const injected = fault.inject({
      ...context,
      pickNode: () => {
        picked++;
        return context.pickNode();
      },
    });
    await vi.runAllTimersAsync();
    await injected;
    expect(picked).toBe(fault.nodes);
  });
});

test('a fault that cannot break mends all the same, and its error is heard', async () => {
  const target: Target = {
    ...fakeTarget(),
    kill: () => Promise.reject(new Error('no such process')),
  };
  const started: string[] = [];
  const [killNode] = faultsByName(['kill-node']);
  const start = (...hosts: string[]): Promise<void> => {
    started.push(...hosts);
    return Promise.resolve();
  };
  await expect(killNode!.inject(contextOf({ ...target, start }))).rejects.toThrow(
    'no such process',
  );
  expect(started).toEqual(['node-1']);
});

test('names are unique', () => {
  expect(new Set(FAULTS.map(({ name }) => name)).size).toBe(FAULTS.length);
});

test('an unknown name is an error that repeats it', () => {
  expect(() => faultsByName(['kill-node', 'kill-nodes'])).toThrow("there is no fault 'kill-nodes'");
});

test('what a target cannot do is refused with its reason', () => {
  const target = fakeTarget(3, { network: 'it has no network', disk: 'it has no disk' });
  const asked = faultsByName(['kill-node', 'cut-link', 'disk-full']);
  expect(refusals(asked, target)).toEqual([
    'cut-link cannot be done on fakes: it has no network',
    'disk-full cannot be done on fakes: it has no disk',
  ]);
});
