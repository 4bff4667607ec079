import type { Mutation } from './mutation.ts';

export const ackBeforeCommit: Mutation = {
  name: 'ack-before-commit',
  why: 'A write is acknowledged when it has run on its primary, before the database has it: it is lost with the view.',
  file: 'src/cluster/engine.ts',
  text: `    this.operations.launch(op, slots, [], true);
    // Not before its effects are in memory: the client's next command may run right now.`,
  replacement: `    this.operations.launch(op, slots, [], true);
    task.onReply(reply, '');`,
  faults: ['kill', 'lost-lane', 'restart-at-once', 'database-crash'],
  seedsMax: 6,
};
