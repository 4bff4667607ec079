/** Unique elements, appended by all clients to the same few strings. */
import { mixedCommands } from './mixed-commands.ts';
import { EVERY_WORKLOAD } from './workload.ts';

export const appends = mixedCommands({
  name: 'appends',
  checkers: [...EVERY_WORKLOAD, 'elements'],
  keys: 8,
  choices: [
    { weight: 60, command: ({ key, value }) => ['APPEND', key, `${value()};`] },
    { weight: 40, command: ({ key }) => ['GET', key] },
  ],
});
