/** Reads and writes of whole values, by all clients on the same few keys. */
import { mixedCommands } from './mixed-commands.ts';
import { EVERY_WORKLOAD } from './workload.ts';

export const registers = mixedCommands({
  name: 'registers',
  checkers: EVERY_WORKLOAD,
  keys: 12,
  readersEvery: 4,
  choices: [
    { weight: 45, reads: true, command: ({ key }) => ['GET', key] },
    { weight: 35, command: ({ key, value }) => ['SET', key, value()] },
    { weight: 8, command: ({ key, value }) => ['GETSET', key, value()] },
    { weight: 4, command: ({ key, value }) => ['SET', key, value(), 'NX'] },
    { weight: 4, command: ({ key }) => ['DEL', key] },
    { weight: 4, command: ({ key }) => ['STRLEN', key] },
  ],
});
