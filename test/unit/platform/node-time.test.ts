import { describe, expect, it } from 'vitest';
import { createNodeTimers, nodeClock } from '../../../src/platform/node-clock.ts';
import { createNodeRandom } from '../../../src/platform/node-random.ts';

describe('nodeClock', () => {
  it('has monotonic time that never goes back', () => {
    let last = nodeClock.monotonicMs();
    for (let n = 0; n < 10_000; n++) {
      const now = nodeClock.monotonicMs();
      expect(now).toBeGreaterThanOrEqual(last);
      last = now;
    }
  });

  it('has an uptime at least as long as the process has run', () => {
    expect(nodeClock.uptimeMs()).toBeGreaterThan(process.uptime() * 1000 - 20);
  });
});

describe('node timers', () => {
  it('turnEnd callbacks run in order, later than now, before those they ask for', async () => {
    const timers = createNodeTimers();
    const ran: string[] = [];
    await new Promise<void>((resolve) => {
      timers.turnEnd(() => {
        ran.push('a');
        timers.turnEnd(() => {
          ran.push('c');
          resolve();
        });
      });
      timers.turnEnd(() => ran.push('b'));
      expect(ran).toEqual([]);
    });
    expect(ran).toEqual(['a', 'b', 'c']);
  });

  it('a turnEnd callback that throws does not take the others with it', async () => {
    const timers = createNodeTimers();
    const thrown = new Promise<unknown>((resolve) => {
      const others = process.listeners('uncaughtException');
      process.removeAllListeners('uncaughtException');
      process.once('uncaughtException', (error) => {
        for (const other of others) process.on('uncaughtException', other);
        resolve(error);
      });
    });
    const ran = new Promise<string>((resolve) => {
      timers.turnEnd(() => {
        throw new Error('first');
      });
      timers.turnEnd(() => resolve('second'));
    });
    expect(await thrown).toEqual(new Error('first'));
    expect(await ran).toBe('second');
  });

  it('turnFlush callbacks wait while the next turns bring work, but not for ever', async () => {
    let nowMs = 0;
    const timers = createNodeTimers(() => nowMs);
    const turnsUntilFlush = async (busyTurns: number, msEach: number): Promise<number> => {
      let flushed = false;
      let turns = 0;
      timers.turnFlush(() => (flushed = true));
      for (; !flushed; turns++) {
        await new Promise<void>((resolve) => {
          if (turns < busyTurns) timers.turnEnd(resolve);
          else setImmediate(resolve);
        });
        nowMs += msEach;
      }
      return turns;
    };
    const idle = await turnsUntilFlush(0, 0);
    const busy = await turnsUntilFlush(5, 0.01);
    const busyForEver = await turnsUntilFlush(Infinity, 0.1);
    expect(busy).toBeGreaterThanOrEqual(5);
    expect(busy).toBeLessThan(5 + idle + 2);
    expect(busyForEver).toBeGreaterThanOrEqual(10);
    expect(busyForEver).toBeLessThan(14);
  });

  it('a cancelled timer does not fire, one that repeats does so until cancelled', async () => {
    const timers = createNodeTimers();
    let cancelled = 0;
    timers.after(0, () => cancelled++).cancel();
    let repeats = 0;
    await new Promise<void>((resolve) => {
      const repeating = timers.every(1, () => {
        if (++repeats < 3) return;
        repeating.cancel();
        timers.after(5, resolve);
      });
    });
    expect(repeats).toBe(3);
    expect(cancelled).toBe(0);
  });

  it('a delay beyond what Node can count does not fire at once', async () => {
    const timers = createNodeTimers();
    let fired = false;
    const long = timers.after(2 ** 40, () => (fired = true));
    await new Promise<void>((resolve) => timers.after(5, resolve));
    long.cancel();
    expect(fired).toBe(false);
  });
});

describe('node random', () => {
  it('floats are in [0, 1), and on both halves', () => {
    const random = createNodeRandom();
    const floats = Array.from({ length: 5000 }, () => random.float());
    expect(Math.min(...floats)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...floats)).toBeLessThan(1);
    const upper = floats.filter((value) => value >= 0.5).length;
    expect(upper).toBeGreaterThan(2000);
    expect(upper).toBeLessThan(3000);
  });

  it('integers are below their bound, which must be in range', () => {
    const random = createNodeRandom();
    const seen = new Set(Array.from({ length: 1000 }, () => random.below(3)));
    expect([...seen].toSorted()).toEqual([0, 1, 2]);
    expect(random.below(1)).toBe(0);
    expect(random.below(2 ** 32)).toBeLessThan(2 ** 32);
    for (const bad of [0, -1, 1.5, 2 ** 32 + 1])
      expect(() => random.below(bad)).toThrow(RangeError);
  });

  it('ids are 32 hexadecimal digits and differ', () => {
    const random = createNodeRandom();
    const ids = Array.from({ length: 2000 }, () => random.id());
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
  });
});
