/** Rules that PostgreSQL itself keeps, switched off one by one. */
import type { Rule } from './rule.ts';

const SCHEMA = 'src/storage/postgres/migrations/0001-initial.ts';
const BLOCKERS = 'src/storage/postgres/blockers.ts';

const ENDING_BLOCKERS = {
  rule: 'who holds a lane for longer than a batch may last is terminated',
  edits: [
    {
      file: BLOCKERS,
      from: 'if (this.#stopped || !seenBefore.has(`${pid} ${began}`)) continue;',
      to: 'if (this.#stopped || seenBefore.size >= 0) continue;',
    },
  ],
} as const;

export const STORAGE_RULES: readonly Rule[] = [
  {
    row: 'zombie-commit',
    variant: 'postgres',
    rule: 'a new connection raises the generation of its lane',
    edits: [
      {
        file: 'src/storage/postgres/lane.ts',
        from: 'SET generation = generation + 1',
        to: 'SET generation = generation',
      },
    ],
  },
  {
    row: 'delete-then-older-set',
    variant: 'postgres',
    rule: 'batch n needs batch n-1',
    edits: [{ file: SCHEMA, from: 'AND b.number = p_number - 1)', to: 'AND b.number < p_number)' }],
  },
  {
    row: 'renewal-in-flight',
    variant: 'postgres',
    rule: 'a removal looks at the counter again, under a lock',
    edits: [
      {
        file: SCHEMA,
        from: 'seen.counter IS DISTINCT FROM gone.counter',
        to: 'seen.counter IS DISTINCT FROM seen.counter',
      },
    ],
  },
  {
    row: 'renewals-lost',
    variant: 'postgres',
    rule: 'a renewal is as durable as data',
    edits: [
      { file: 'src/storage/postgres/session.ts', from: "ELSE 'on' END", to: "ELSE 'off' END" },
    ],
  },
  {
    row: 'lane-born-in-a-view-change',
    variant: 'postgres',
    rule: 'a lane is born without an epoch',
    edits: [
      {
        file: SCHEMA,
        from: 'INSERT INTO ringfence.lane (node, incarnation) VALUES (p_node, p_incarnation)',
        to: `INSERT INTO ringfence.lane (node, incarnation, epoch)
    VALUES (p_node, p_incarnation, (SELECT max(v.epoch) FROM ringfence.view v))`,
      },
    ],
  },
  {
    row: 'restart-same-id',
    variant: 'postgres',
    rule: 'a lease belongs to a life, not to a name',
    edits: [
      {
        file: SCHEMA,
        from: 'WHERE l.node = p_node AND l.incarnation = p_incarnation AND NOT l.given_up AND l.expelled IS NULL',
        to: 'WHERE l.node = p_node AND NOT l.given_up AND l.expelled IS NULL',
      },
    ],
  },
  { row: 'stopped-inside-batch', variant: 'postgres', ...ENDING_BLOCKERS },
  { row: 'half-cut-live-node', variant: 'postgres', ...ENDING_BLOCKERS },
  {
    row: 'crossed-flush',
    variant: 'postgres',
    rule: 'a flush writes floors, and takes no lock that a reader has',
    edits: [
      {
        file: SCHEMA,
        from: '  IF floor_slots IS NOT NULL THEN\n',
        to: '  IF floor_slots IS NOT NULL THEN\n    TRUNCATE ringfence.entry;\n',
      },
    ],
  },
  {
    row: 'long-snapshot',
    variant: 'postgres',
    rule: 'a batch locks the row of its lane, and does not update it',
    edits: [
      {
        file: SCHEMA,
        from: `    PERFORM ringfence.refuse_batch(p_node, p_incarnation, p_generation, p_epoch, p_number);
  END IF;
`,
        to: `    PERFORM ringfence.refuse_batch(p_node, p_incarnation, p_generation, p_epoch, p_number);
  END IF;
  UPDATE ringfence.lane l SET created_at = now()
    WHERE l.node = p_node AND l.incarnation = p_incarnation;
`,
      },
    ],
  },
];
