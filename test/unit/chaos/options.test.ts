/** Flags of `npm run chaos`: what cannot be done is refused before anything starts. */
import { expect, test } from 'vitest';
import { helpText, readOptions, UsageError } from '../../../chaos/options.ts';
import { FAULTS } from '../../../chaos/faults/index.ts';

test('without flags: local processes, and each fault that they can do once', () => {
  const { target, faults, leftOut, mixed, ms } = readOptions([])!;
  expect(target.name).toBe('local processes');
  expect(faults.map(({ name }) => name)).toContain('kill-node');
  expect(faults.map(({ name }) => name)).not.toContain('cut-link');
  expect(leftOut.join()).toContain('cut-link cannot be done on local processes');
  expect({ mixed, ms }).toEqual({ mixed: false, ms: undefined });
});

test('faults are taken in the order given; the seed and the time are as given', () => {
  const words = ['--faults', 'pause-long,kill-node', '--mixed', '--seed', '7', '--minutes', '0.5'];
  const { faults, seed, ms } = readOptions(words)!;
  expect(faults.map(({ name }) => name)).toEqual(['pause-long', 'kill-node']);
  expect({ seed, ms }).toEqual({ seed: 7, ms: 30_000 });
});

test.each([
  [
    'a fault that this target cannot do',
    ['--faults', 'kill-node,cut-link'],
    /cut-link cannot.*--netns/,
  ],
  ['a fault that is none', ['--faults', 'kill'], /there is no fault 'kill'/],
  ['a workload that is none', ['--workloads', 'x'], /there is no workload 'x'/],
  ['a flag that is none', ['--fault', 'kill-node'], /--fault/],
  ['two targets', ['--docker', '--netns'], /not both/],
  ['minutes that are no number', ['--minutes', 'five'], /--minutes must be a number/],
  ['too few nodes', ['--nodes', '2'], /--nodes must be a number from 3/],
  ['half a failover', ['--failover', '1.5'], /--failover must be a whole number/],
])('%s is wrong usage', (_label, words, text) => {
  expect(() => readOptions(words)).toThrow(UsageError);
  expect(() => readOptions(words)).toThrow(text);
});

test('help names every fault', () => {
  expect(readOptions(['--help'])).toBeUndefined();
  for (const { name } of FAULTS) expect(helpText()).toContain(name);
});
