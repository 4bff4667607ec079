/** Keys that no database has (policy `none`), written whole and piece by piece, by all clients. */
import { mixedCommands } from './mixed-commands.ts';

export const memoryOnly = mixedCommands({
  name: 'memory-only',
  // What was acknowledged may be lost with all its owners; `linearizable` knows when that was.
  checkers: ['linearizable', 'known-refusals'],
  root: 'none',
  keys: 10,
  choices: [
    { weight: 40, command: ({ key }) => ['GET', key] },
    { weight: 25, command: ({ key, value }) => ['SET', key, value()] },
    { weight: 10, command: ({ key, value }) => ['GETSET', key, value()] },
    { weight: 10, command: ({ key, value }) => ['APPEND', key, `${value()};`] },
    { weight: 5, command: ({ key, value }) => ['SETNX', key, value()] },
    { weight: 5, command: ({ key }) => ['GETDEL', key] },
    { weight: 5, command: ({ key }) => ['DEL', key] },
  ],
});
