import { describe, expect, it } from 'vitest';
import type { Timers } from '../../../../src/platform/clock.ts';
import { createGate } from '../../../../src/storage/legacy/gate.ts';

/** Timers that fire when the test says so. */
function manualTimers(): {
  timers: Timers;
  fire: () => void;
  armed: () => number;
} {
  const armed = new Set<() => void>();
  const after = (_: number, callback: () => void): { cancel(): void } => {
    armed.add(callback);
    return { cancel: () => void armed.delete(callback) };
  };
  const timers: Timers = {
    after,
    every: after,
    turnEnd: (callback) => void after(0, callback),
    turnFlush: (callback) => void after(0, callback),
  };
  return {
    timers,
    fire: () => {
      for (const callback of [...armed]) callback();
    },
    armed: () => armed.size,
  };
}

describe('the gate', () => {
  it('lets so many in, so many wait, and refuses the rest', async () => {
    const { timers } = manualTimers();
    const gate = createGate({ placesMax: 1, waitingMax: 1 }, timers);
    expect(await gate.enter(10)).toBe('entered');
    const waiting = gate.enter(10);
    expect(await gate.enter(10)).toBe('full');
    gate.leave();
    expect(await waiting).toBe('entered');
  });

  it('passes places on in the order of arrival and disarms their timers', async () => {
    const { timers, armed } = manualTimers();
    const gate = createGate({ placesMax: 1, waitingMax: 9 }, timers);
    await gate.enter(10);
    const order: number[] = [];
    const waiting = [1, 2, 3].map((n) => gate.enter(10).then(() => order.push(n)));
    expect(armed()).toBe(3);
    for (const one of waiting) {
      gate.leave();
      await one;
    }
    expect(order).toEqual([1, 2, 3]);
    expect(armed()).toBe(0);
  });

  it('sends away who has waited too long, and does not give them a place later', async () => {
    const { timers, fire } = manualTimers();
    const gate = createGate({ placesMax: 1, waitingMax: 9 }, timers);
    await gate.enter(10);
    const waiting = gate.enter(10);
    fire();
    expect(await waiting).toBe('timed-out');
    gate.leave();
    expect(await gate.enter(10)).toBe('entered');
  });
});
