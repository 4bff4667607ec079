import type { Mutation } from './mutation.ts';

export const fenceOff: Mutation = {
  name: 'fence-off',
  why: 'The database lets every batch through, whatever its generation and epoch: the batch of a node that was removed, or of a connection that was given up, is committed after others have gone on.',
  file: 'chaos/sim/database/statements.ts',
  text: 'if (lane?.generation !== generation || lane.epoch !== batch.epoch)',
  replacement: 'if (lane === undefined)',
  faults: ['lost-lane', 'pause-long', 'cut-from-database', 'slow-disk'],
  seedsMax: 24,
};
