/** Rules of commands over several primaries, switched off one by one. */
import type { Rule } from './rule.ts';

const STATEMENTS = 'chaos/sim/database/statements.ts';
const TABLES = 'chaos/sim/database/tables.ts';

export const TRANSACTION_RULES: readonly Rule[] = [
  {
    row: 'half-a-transaction',
    rule: 'a key that is held is marked on all its owners before anything is committed',
    focus: { faults: ['kill', 'kill-at-commit'], workloads: ['written-together', 'transfers'] },
    edits: [
      {
        file: 'src/cluster/replica.ts',
        from: 'const mark = keyspace.mark(slot, db, key, seq);',
        to: `const mark = keyspace.mark(slot, db, key, seq);
        keyspace.settle(mark, seq);`,
      },
    ],
  },
  {
    row: 'hold-outlives-view',
    rule: 'a batch of an older view, or with an older version of a row, is refused (modelled database)',
    focus: {
      faults: ['late-batches', 'set-weight', 'join'],
      workloads: ['moves', 'written-together'],
      pace: { clients: 4, pauseMsMax: 30, faults: 8 },
    },
    edits: [
      {
        file: STATEMENTS,
        from: 'if (lane?.generation !== generation || lane.epoch !== batch.epoch)',
        to: 'if (lane?.generation !== generation)',
      },
      {
        file: TABLES,
        from: 'if (row !== undefined && isOlder(change, row))',
        to: 'if (row !== undefined && isOlder(change, row) && change.seq < 0)',
      },
    ],
  },
  {
    row: 'hot-key-hold',
    rule: 'commands that come after a hold wait for its end',
    focus: { faults: [], workloads: ['hot-key', 'moves'] },
    edits: [
      {
        file: 'src/cluster/gates.ts',
        from: 'return gate.owner !== null || (gate.queue.length > 0 && !gate.draining);',
        to: 'return gate.queue.length > 0 && !gate.draining;',
      },
    ],
  },
  {
    row: 'hold-on-uncommitted',
    rule: 'a hold is granted when nothing is under way on its keys',
    focus: { faults: ['refused-rows'], workloads: ['moves', 'written-together'] },
    edits: [
      {
        file: 'src/cluster/operations.ts',
        from: '  unsettledAt(places: readonly KeyPlace[]): Op | undefined {\n',
        to: `  unsettledAt(places: readonly KeyPlace[]): Op | undefined {
    if (places.length > 0) return undefined;
`,
      },
    ],
  },
  {
    row: 'half-an-mset',
    rule: 'values of several primaries are read again until two rounds agree',
    focus: { faults: [], workloads: ['written-together'] },
    edits: [
      {
        file: 'src/cluster/router.ts',
        from: 'if (versions !== before) return',
        to: 'if (versions !== before && rounds < 0) return',
      },
    ],
  },
];
