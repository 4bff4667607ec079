/** Three keys on up to three owners that are only written together, by all clients, and read together. */
import { type Draw, mixedCommands } from './mixed-commands.ts';
import { EVERY_WORKLOAD } from './workload.ts';

const PARTS = ['a', 'b', 'c'];

export const writtenTogether = mixedCommands({
  name: 'written-together',
  checkers: [...EVERY_WORKLOAD, 'all-or-nothing'],
  keys: 8,
  choices: [
    { weight: 45, command: (draw) => ['MSET', ...withOneValue(draw)] },
    { weight: 5, command: (draw) => ['MSETNX', ...withOneValue(draw)] },
    { weight: 5, command: ({ part }) => ['DEL', ...PARTS.map(part)] },
    { weight: 45, command: ({ part }) => ['MGET', ...PARTS.map(part)] },
  ],
});

function withOneValue({ part, value }: Draw): string[] {
  const one = value();
  return PARTS.flatMap((name) => [part(name), one]);
}
