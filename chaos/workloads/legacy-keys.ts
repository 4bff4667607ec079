/**
 * Keys that the legacy API may have, each for a short time only: it is what happens around the first fetch
 * that could go wrong.
 */
import { mixedCommands } from './mixed-commands.ts';
import { MOVES } from './moves.ts';
import { EVERY_WORKLOAD } from './workload.ts';

export const legacyKeys = mixedCommands({
  name: 'legacy-keys',
  checkers: EVERY_WORKLOAD,
  root: 'legacy',
  keys: 12,
  operationsPerKey: 20,
  choices: [
    { weight: 50, command: ({ key }) => ['GET', key] },
    { weight: 12, command: ({ key, value }) => ['SET', key, value()] },
    { weight: 10, command: ({ key }) => ['DEL', key] },
    { weight: 6, command: ({ key, value }) => ['SETNX', key, value()] },
    { weight: 6, command: ({ key, value }) => ['GETSET', key, value()] },
    { weight: 6, command: ({ key, value }) => ['APPEND', key, `${value()};`] },
    { weight: 5, command: ({ key }) => ['GETDEL', key] },
    { weight: 5, command: ({ key }) => ['STRLEN', key] },
  ],
});

/** The same on several owners. */
export const legacyMoves = mixedCommands({
  name: 'legacy-moves',
  checkers: EVERY_WORKLOAD,
  root: 'legacy',
  keys: 6,
  operationsPerKey: 30,
  choices: MOVES,
});
