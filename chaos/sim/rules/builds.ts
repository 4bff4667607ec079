/** Builds without one of the three pillars: every run of the tests catches them. */
import type { Rule } from './rule.ts';

export const BROKEN_BUILDS: readonly Rule[] = [
  {
    variant: 'fence-off',
    rule: 'the database refuses a batch of an older generation or epoch: of a node that was removed, or of a connection that was given up',
    edits: [
      {
        file: 'chaos/sim/database/statements.ts',
        from: 'if (lane?.generation !== generation || lane.epoch !== batch.epoch)',
        to: 'if (lane === undefined)',
      },
    ],
    focus: {
      faults: ['lost-lane', 'late-batches', 'set-weight', 'pause-long'],
      pace: { faults: 6 },
    },
  },
  {
    variant: 'lease-ignored',
    rule: 'a node whose lease is over answers nothing from its memory',
    edits: [
      {
        file: 'src/cluster/lease.ts',
        from: 'if (now >= this.#untilMs) return false;',
        to: 'if (this.#untilMs > 0) return true;',
      },
    ],
    focus: { faults: ['pause-long', 'suspend', 'cut-from-database', 'partition'] },
  },
  {
    variant: 'ack-before-commit',
    rule: 'a write is acknowledged when the database has it, not when it has run on its primary',
    edits: [
      {
        file: 'src/cluster/engine.ts',
        from: `    this.operations.launch(op, slots, [], true);
    // Not before its effects are in memory: the client's next command may run right now.`,
        to: `    this.operations.launch(op, slots, [], true);
    task.onReply(reply, '');`,
      },
    ],
    focus: { faults: ['kill', 'lost-lane', 'restart-at-once', 'database-crash'] },
  },
];
