/** Commands that look before they write: who was first, and what was there, must be the same for everybody. */
import { mixedCommands } from './mixed-commands.ts';
import { EVERY_WORKLOAD } from './workload.ts';

export const compareAndSet = mixedCommands({
  name: 'compare-and-set',
  checkers: EVERY_WORKLOAD,
  keys: 8,
  choices: [
    { weight: 25, command: ({ key, value }) => ['SETNX', key, value()] },
    { weight: 10, command: ({ key, value }) => ['SET', key, value(), 'NX', 'GET'] },
    { weight: 25, command: ({ key, value }) => ['SET', key, value(), 'XX', 'GET'] },
    { weight: 20, command: ({ key }) => ['GETDEL', key] },
    { weight: 20, command: ({ key }) => ['GET', key] },
  ],
});
