/** Values that are renamed and copied between keys on several owners, while single keys are written too. */
import type { Random } from '../../src/platform/clock.ts';
import { type Choice, type Draw, mixedCommands } from './mixed-commands.ts';
import { EVERY_WORKLOAD } from './workload.ts';

const PARTS = ['a', 'b', 'c'] as const;

export const MOVES: readonly Choice[] = [
  { weight: 20, command: (draw) => ['RENAME', ...two(draw)] },
  { weight: 10, command: (draw) => ['RENAMENX', ...two(draw)] },
  { weight: 10, command: (draw) => ['COPY', ...two(draw)] },
  { weight: 10, command: (draw) => ['COPY', ...two(draw), 'REPLACE'] },
  { weight: 20, command: ({ part, random, value }) => ['SET', part(one(random)), value()] },
  { weight: 5, command: ({ part, random }) => ['DEL', part(one(random))] },
  { weight: 25, command: ({ part }) => ['MGET', ...PARTS.map(part)] },
];

export const moves = mixedCommands({
  name: 'moves',
  checkers: EVERY_WORKLOAD,
  keys: 8,
  choices: MOVES,
});

const one = (random: Random): string => PARTS[random.below(PARTS.length)]!;

/** Two different keys. */
function two({ part, random }: Draw): [string, string] {
  const first = random.below(PARTS.length);
  const second = (first + 1 + random.below(PARTS.length - 1)) % PARTS.length;
  return [part(PARTS[first]!), part(PARTS[second]!)];
}
