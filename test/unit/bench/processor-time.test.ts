import { describe, expect, test } from 'vitest';
import { parseMachineStat, parseStat, readGroups } from '../../../bench/load/processor-time.ts';

describe('processor time', () => {
  test('a program name with spaces and brackets does not shift the fields', () => {
    const line =
      '4242 (postgres: admin) (x) S 4200 4242 4242 0 -1 4194560 10 20 0 0 150 50 7 3 20 0 1 0 999';
    expect(parseStat(line)).toEqual({ parent: 4200, ownTicks: 200, endedChildrenTicks: 10 });
  });

  test.runIf(process.platform === 'linux')('a process that is gone is named', () => {
    // No process has this id: the kernel's greatest is 2^22.
    const group = { name: 'node-1', pid: 2 ** 22 + 1, withChildren: false };
    expect(() => readGroups([group])).toThrow(/node-1 .* is gone/);
  });

  test('the machine is busy with everything but idling and waiting for a disk', () => {
    const text = 'cpu  100 10 50 100000 999 3 7 20 0 0\ncpu0 50 5 25 50000 500 1 3 10 0 0\n';
    expect(parseMachineStat(text)).toBe(190);
  });
});
