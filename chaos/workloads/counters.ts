/** All clients count up and down the same few keys: a lost or doubled step shows in some answer. */
import { mixedCommands } from './mixed-commands.ts';
import { EVERY_WORKLOAD } from './workload.ts';

export const counters = mixedCommands({
  name: 'counters',
  checkers: EVERY_WORKLOAD,
  keys: 6,
  // Few amounts: unknown outcomes of one command are alike, which keeps the search small.
  choices: [
    { weight: 60, command: ({ key }) => ['INCR', key] },
    { weight: 10, command: ({ key }) => ['INCRBY', key, '10'] },
    { weight: 10, command: ({ key }) => ['DECR', key] },
    { weight: 20, command: ({ key }) => ['GET', key] },
  ],
});
