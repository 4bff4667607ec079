/** Rules of views and leases, switched off one by one. */
import type { Edit, Rule } from './rule.ts';

const MEMBERSHIP = 'src/cluster/membership.ts';
const SLOTS = 'src/cluster/slots.ts';
const LEASE = 'src/cluster/lease.ts';
const OUTAGE = 'src/cluster/outage.ts';
const LANE = 'src/cluster/lane.ts';
const STATEMENTS = 'chaos/sim/database/statements.ts';
const TABLES = 'chaos/sim/database/tables.ts';

/** What was observed counts on when the database server was started again. */
const ACROSS_RUNS: readonly Edit[] = [
  {
    file: MEMBERSHIP,
    from: '    if (serverStart !== this.#observedIn) this.#observed.clear();\n',
    to: '',
  },
  { file: MEMBERSHIP, from: 'control.serverStart !== this.#observedIn', to: 'false' },
];

export const VIEW_RULES: readonly Rule[] = [
  {
    row: 'two-views-back',
    rule: 'a slot waits for the holders of all older views',
    focus: {
      faults: ['deaf', 'guest', 'set-weight'],
      nodes: 4,
      options: { replicas: 1 },
      pace: { faults: 10, workMs: 5000 },
    },
    edits: [{ file: SLOTS, from: 'holders = new Set(older);', to: 'holders = new Set<string>();' }],
  },
  {
    row: 'batch-before-activation',
    rule: 'a slot waits whenever its owners changed, also when its primary stays',
    focus: {
      faults: ['deaf', 'set-replicas'],
      workloads: ['registers'],
      nodes: 3,
      options: { replicas: 3 },
      pace: { faults: 12, workMs: 6000, clients: 8, connections: 2, depth: 1, pauseMsMax: 60 },
    },
    edits: [
      {
        file: SLOTS,
        from: '      if (!like.isSame) {',
        to: `      const [was, is] = [before.owners[0], after.owners[0]];
      const stays = was !== undefined && is !== undefined && sameRef(was, is);
      if (!sameOwners(before, after) && !stays) {`,
      },
    ],
  },
  {
    row: 'jumped-view',
    rule: 'a node walks through every view in between',
    focus: {
      faults: ['deaf', 'guest'],
      nodes: 3,
      options: { replicas: 1 },
      pace: { faults: 8, workMs: 7000, clients: 4 },
    },
    edits: [
      {
        file: MEMBERSHIP,
        from: '    if (this.#view === null) views = views.slice(-1);\n',
        to: '    views = views.slice(-1);\n',
      },
      {
        file: MEMBERSHIP,
        from: 'if (this.#view === null || view.previous === this.#epoch) this.#adopt(view);',
        to: 'if (view.epoch > this.#epoch) this.#adopt(view);',
      },
    ],
  },
  {
    row: 'renewal-prolongs-old-view',
    rule: 'a renewal that names a newer view prolongs nothing until that is adopted',
    focus: {
      faults: ['deaf', 'set-weight'],
      nodes: 3,
      options: { replicas: 1 },
      pace: { faults: 10, workMs: 6000 },
    },
    edits: [
      {
        file: MEMBERSHIP,
        from: '    if (renewal.epoch > this.#epoch) await this.catchUp();',
        to: '    lease.grant(stamp);\n    if (renewal.epoch > this.#epoch) await this.catchUp();',
      },
    ],
  },
  {
    row: 'join-fences-everyone',
    rule: 'a batch of an older view is not done, and no fault of its commands',
    focus: { faults: ['join', 'set-weight', 'set-replicas'], pace: { databaseMs: 15 } },
    edits: [
      {
        file: LANE,
        from: "      this.#onAnswer(sent, 'refused', reason);",
        to: "      this.#onAnswer(sent, 'rejected', reason);",
      },
    ],
  },
  {
    row: 'zones-and-removal',
    rule: 'owners come from the settled list, less the removed',
    focus: {
      faults: ['kill'],
      workloads: ['memory-only'],
      nodes: 3,
      options: { replicas: 2, zones: { 'node-1': 'one', 'node-2': 'one', 'node-3': 'two' } },
    },
    edits: [
      {
        file: 'src/cluster/view.ts',
        from: 'const settled = computeOwners(view.settled, view.replicas);',
        to: 'const settled = computeOwners(living(view), view.replicas);',
      },
    ],
  },
  {
    row: 'unsettled-copies',
    rule: 'after a change of view the primary sends its state of what is unsettled anywhere',
    focus: {
      faults: ['kill', 'delays', 'kill-at-commit'],
      workloads: ['memory-only'],
      options: { replicas: 3 },
      pace: { jitterMs: 15 },
    },
    edits: [
      {
        file: 'src/cluster/cluster-node.ts',
        from: '    if (mine.length > 0) this.engine.operations.settle(mine);\n',
        to: '',
      },
      {
        file: 'src/cluster/operations.ts',
        from: '    if (own.length > 0) this.settle(own);\n',
        to: '',
      },
    ],
  },
  {
    row: 'renewal-in-flight',
    rule: 'a lease holds from the moment its renewal was sent',
    focus: { faults: ['late-answers', 'cut-from-nodes'], sessions: ['lease'], pace: { faults: 6 } },
    edits: [
      {
        file: LEASE,
        from: 'this.#untilMs = stamp.sentMs + this.#leaseMs - this.#marginMs;',
        to: 'this.#untilMs = this.#clock.monotonicMs() + this.#leaseMs - this.#marginMs;',
      },
    ],
  },
  {
    row: 'renewal-in-flight',
    variant: 'removal',
    rule: 'a removal looks at the counter again (modelled database)',
    focus: {
      faults: ['pause-long', 'late-answers'],
      sessions: ['lease'],
      pace: { faults: 6, jitterMs: 15, databaseMs: 15 },
    },
    edits: [
      {
        file: STATEMENTS,
        from: '!lease.givenUp && lease.counter !== counter',
        to: '!lease.givenUp && lease.counter < 0',
      },
    ],
  },
  {
    row: 'database-clock-steps',
    rule: 'only the own monotonic clock says how long a counter stands still',
    focus: {
      faults: ['database-clock-steps', 'half-cut'],
      sessions: ['lease'],
      pace: { faults: 10 },
    },
    edits: [
      {
        file: MEMBERSHIP,
        from: '{ counter: info.counter, sinceMs: nowMs }',
        to: '{ counter: info.counter, sinceMs: renewal.nowMs }',
      },
      {
        file: MEMBERSHIP,
        from: `    const now = platform.clock.monotonicMs();
    return participants`,
        to: `    const now = this.#last?.nowMs ?? platform.clock.monotonicMs();
    return participants`,
      },
    ],
  },
  {
    row: 'renewals-lost',
    rule: 'how long a counter stands still is seen in one run of the server',
    focus: { faults: ['database-crash', 'delays'], pace: { faults: 6, workMs: 7000 } },
    edits: ACROSS_RUNS,
  },
  {
    row: 'database-restart-longer-than-lease',
    rule: 'after a gap in the own renewals everybody gets a whole lease, and so after a restart of the server',
    focus: { faults: ['database-crash', 'delays'], pace: { faults: 8 } },
    edits: [
      { file: MEMBERSHIP, from: '    if (gap) this.#observed.clear();\n', to: '' },
      ...ACROSS_RUNS,
    ],
  },
  {
    row: 'minority-with-database',
    rule: 'with "refuse", no lease means no answer',
    focus: {
      faults: ['majority'],
      workloads: ['registers'],
      nodes: 5,
      options: { replicas: 3, storeTimeoutMs: 300, answerMarginMs: 200 },
      pace: { faults: 2, workMs: 7000, clients: 8, connections: 2, depth: 1 },
    },
    edits: [{ file: OUTAGE, from: "this.#env.mode === 'refuse' || ", to: '' }],
  },
  {
    row: 'minority-with-database',
    variant: 'majority',
    rule: 'without the database, only a majority without leases goes on reading',
    focus: {
      faults: ['minority'],
      workloads: ['registers'],
      nodes: 5,
      options: {
        replicas: 3,
        readsWithoutStore: 'serve',
        storeTimeoutMs: 300,
        answerMarginMs: 200,
      },
      pace: { faults: 2, workMs: 7000, clients: 8, connections: 2, depth: 1 },
    },
    edits: [
      {
        file: OUTAGE,
        from: 'return leaseless * 2 > this.#env.members();',
        to: 'return leaseless > 0;',
      },
    ],
  },
  {
    row: 'suspend',
    rule: 'a lease ends when the machine slept',
    focus: { faults: ['suspend'] },
    edits: [
      {
        file: LEASE,
        from: 'if (this.#clock.uptimeMs() - now - this.#sleepOffsetMs < SUSPICION_MS) {',
        to: 'if (now >= 0) {',
      },
    ],
  },
  {
    row: 'restart-same-id',
    rule: 'lanes and leases belong to a life, not to a name (modelled database)',
    focus: { faults: ['replace-while-paused'] },
    edits: [
      {
        file: TABLES,
        from: 'const keyOf = (ref: NodeRef): string => `${ref.node}/${ref.incarnation}`;',
        to: 'const keyOf = (ref: NodeRef): string => ref.node;',
      },
    ],
  },
  {
    row: 'half-cut-live-node',
    variant: 'reopen',
    rule: 'a lane that was lost is opened anew',
    focus: { faults: ['lost-lane'] },
    edits: [
      {
        file: LANE,
        from: '    void session?.close();\n    void this.#open();',
        to: '    void session?.close();',
      },
    ],
  },
  {
    row: 'other-database',
    rule: 'the first view after a failover of the database is above every epoch seen',
    focus: { faults: ['database-loses-commits', 'set-weight'], pace: { faults: 10, workMs: 7000 } },
    edits: [{ file: MEMBERSHIP, from: 'above: this.#env.highestEpoch,', to: 'above: 0,' }],
  },
];
