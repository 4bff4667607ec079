/** Rules between memory and the table, switched off one by one. */
import type { Rule } from './rule.ts';

const OPERATIONS = 'src/cluster/operations.ts';
const ENGINE = 'src/cluster/engine.ts';
const FLUSHES = 'src/cluster/flushes.ts';
const LANE = 'src/cluster/lane.ts';
const ROUTER = 'src/cluster/router.ts';
const LOCAL_READS = 'src/cluster/local-reads.ts';

export const COMMIT_RULES: readonly Rule[] = [
  {
    row: 'db-ahead-of-replica',
    rule: 'an operation enters the lane only when all owners have confirmed it',
    focus: {
      faults: ['delays', 'one-link'],
      workloads: ['registers', 'counters'],
      nodes: 3,
      options: { replicas: 3 },
      pace: {
        clients: 4,
        connections: 2,
        pauseMsMax: 15,
        databaseMs: 0.5,
        jitterMs: 15,
        faults: 6,
      },
    },
    edits: [
      {
        file: OPERATIONS,
        from: `    this.#replicate(op, notices);
    if (op.remaining === 0) this.#enter(op);`,
        to: `    this.#replicate(op, notices);
    this.#enter(op);`,
      },
    ],
  },
  {
    row: 'zombie-commit',
    rule: 'after a lost connection, what the database says of the last batch decides',
    focus: { faults: ['lost-lane'] },
    edits: [
      {
        file: LANE,
        from: 'entry.batch.number <= session.lastNumber;',
        to: 'entry.batch.number > 0;',
      },
    ],
  },
  {
    row: 'delete-then-older-set',
    rule: 'what comes back from the database goes to it again in its order',
    focus: {
      faults: ['lost-lane'],
      workloads: ['counters'],
      nodes: 1,
      options: { lanePipeline: 4, batchRowsMax: 8 },
      pace: { clients: 4, connections: 2, depth: 6, pauseMsMax: 5, databaseMs: 60, faults: 8 },
    },
    edits: [
      {
        file: LANE,
        from: 'for (const { batch, ops } of sent) {',
        to: 'for (const { batch, ops } of [...sent].reverse()) {',
      },
    ],
  },
  {
    row: 'derived-from-nothing',
    rule: 'what was built on a refused write fails with it',
    focus: { faults: ['refused-rows'], workloads: ['moves', 'appends', 'counters'] },
    edits: [
      {
        file: OPERATIONS,
        from: 'if (!touched.some((id) => bad.has(id))) continue;',
        to: 'if (touched.length >= 0) continue;',
      },
    ],
  },
  {
    row: 'effect-free-reply',
    rule: 'a reply waits for all that it read',
    focus: {
      faults: ['refused-rows', 'kill-at-commit'],
      workloads: ['compare-and-set', 'registers'],
    },
    edits: [
      {
        file: ENGINE,
        from: 'if (unsettled === null) return task.onReply(reply, versions);',
        to: 'if (unsettled === null || unsettled.length > 0) return task.onReply(reply, versions);',
      },
    ],
  },
  {
    row: 'endless-dirty-read',
    rule: 'a read waits for what it read, not for a key that nobody writes',
    focus: {
      faults: [],
      workloads: ['hot-key'],
      pace: { clients: 4, connections: 2, depth: 3, pauseMsMax: 1, workMs: 6500, databaseMs: 4 },
    },
    edits: [
      {
        file: ENGINE,
        from: `          if (--left > 0) return;
          answered = true;
          return task.onReply(reply, versions);`,
        to: `          if (--left > 0) return;
          answered = true;
          return this.submit(task);`,
      },
    ],
  },
  {
    row: 'dropped-then-complete',
    rule: 'what is dropped ends the completeness of its slot',
    focus: { faults: ['refused-rows'], options: { warmUp: true } },
    edits: [
      {
        file: OPERATIONS,
        from: `    keyspace.remove(slot, db, key);
    slots.setComplete(slot, false);
    slots.changes[slot]!++;`,
        to: `    keyspace.remove(slot, db, key);
    slots.changes[slot]!++;`,
      },
    ],
  },
  {
    row: 'watermark-lost',
    rule: 'the watermark is repeated when a link comes back',
    focus: {
      faults: ['break-at-commit'],
      workloads: ['unique-values'],
      pace: { clients: 2, connections: 1, depth: 1, pauseMsMax: 2000, workMs: 6000, faults: 6 },
    },
    edits: [
      {
        file: 'src/cluster/out-stream.ts',
        from: '    this.#sendWatermark();\n    this.confirm(lastSeq);\n',
        to: '    this.confirm(lastSeq);\n',
      },
    ],
  },
  {
    row: 'database-down-writes',
    rule: 'while the database is known to be down, writes are refused before they run',
    focus: {
      faults: ['database-crash'],
      workloads: ['registers', 'counters'],
      options: { maxmemory: 0 },
      pace: { clients: 4, connections: 2, depth: 6, pauseMsMax: 1500 },
    },
    edits: [
      {
        file: ENGINE,
        from: '      if (effect.persistent && this.lane.down) return STORE_DOWN;\n',
        to: '',
      },
    ],
  },
  {
    row: 'dead-replica-one-slot',
    rule: 'what is not confirmed holds up its slot, and no other',
    focus: {
      faults: ['cut-from-nodes', 'pause-long'],
      workloads: ['registers', 'counters'],
      nodes: 6,
      options: { replicas: 2 },
      pace: { clients: 4, depth: 1, pauseMsMax: 30, faults: 1 },
    },
    edits: [
      {
        file: OPERATIONS,
        from: 'const before = this.#slotOps[slot]!;',
        to: 'const before = this.#slotOps[0]!;',
      },
      {
        file: OPERATIONS,
        from: 'if (before !== null && !before.entered && (several || before.chained)) {',
        to: 'if (before !== null && !before.entered) {',
      },
      { file: OPERATIONS, from: 'this.#slotOps[slot] = op;', to: 'this.#slotOps[0] = op;' },
    ],
  },
  {
    row: 'pipelined-read-own-write',
    rule: 'a read follows the open commands of its client on the slot',
    focus: { faults: [], workloads: ['pipelines'] },
    edits: [
      {
        file: ROUTER,
        from: 'if (!prepared.writes && this.#nothingBefore(order, prepared.slot)) {',
        to: 'if (!prepared.writes) {',
      },
    ],
  },
  {
    row: 'retry-out-of-order',
    rule: 'nothing follows a command that an older view left undecided',
    focus: {
      faults: ['refused-late'],
      workloads: ['pipelines'],
      nodes: 2,
      options: { replicas: 2, batchRowsMax: 512 },
      pace: {
        clients: 4,
        connections: 2,
        depth: 3,
        pauseMsMax: 30,
        gapMsMax: 60,
        jitterMs: 15,
        databaseMs: 30,
        faults: 12,
        workMs: 7000,
      },
    },
    edits: [
      {
        file: ROUTER,
        from: '    if (this.open[0]!.epoch !== this.#router.epoch) return false;\n',
        to: '',
      },
    ],
  },
  {
    row: 'old-frames',
    rule: 'a new session of a peer ends the older one',
    focus: {
      faults: ['late-frames'],
      workloads: ['moves', 'written-together'],
      pace: { clients: 4, pauseMsMax: 15, faults: 6 },
    },
    edits: [
      {
        file: 'src/cluster/peers.ts',
        from: "    older?.stream.close('replaced by a newer session');\n",
        to: '',
      },
    ],
  },
  {
    row: 'fetch-meets-delete',
    rule: 'a load that something overtook is thrown away',
    focus: {
      faults: ['late-answers', 'delays'],
      workloads: ['compare-and-set', 'registers'],
      sessions: ['loads'],
      options: { warmUp: false },
    },
    edits: [
      {
        file: 'src/cluster/loader.ts',
        from: '  #isStale(load: Load): boolean {\n',
        to: '  #isStale(load: Load): boolean {\n    if (load.slot >= 0) return false;\n',
      },
    ],
  },
  {
    row: 'fetch-meets-delete',
    variant: 'scan',
    rule: 'what changed while its slot was scanned is not taken from the scan',
    focus: {
      faults: ['late-scans'],
      workloads: ['cold-keys'],
      nodes: 2,
      options: { warmUp: true, tokens: 3 },
      pace: { clients: 4, connections: 2, depth: 2, pauseMsMax: 30, faults: 8, workMs: 7000 },
    },
    edits: [
      {
        file: 'src/cluster/warm-up.ts',
        from: 'overtaken.size > 0 && overtaken.has(keyId(row.db, row.key));',
        to: 'overtaken.size > 0 && overtaken.has(keyId(-1, row.key));',
      },
    ],
  },
  {
    row: 'fetch-meets-delete',
    variant: 'flush',
    rule: 'what is read from the table while a flush is under way is no news',
    focus: {
      faults: ['scanned-flush'],
      workloads: ['cold-keys'],
      nodes: 2,
      options: { warmUp: true, tokens: 3 },
      pace: { clients: 4, connections: 2, depth: 1, pauseMsMax: 30, faults: 6, workMs: 7000 },
    },
    edits: [
      {
        file: 'src/cluster/warm-up.ts',
        from: '      !this.#env.engine.flushes.underWay &&\n',
        to: '',
      },
      {
        file: FLUSHES,
        from: "      for (const slot of mine) slots.changes[slot]!++;\n      if (kind !== 'done')",
        to: "      if (kind !== 'done')",
      },
    ],
  },
  {
    row: 'delete-then-hydrate',
    rule: 'a delete leaves a tombstone where there is a legacy source',
    focus: { faults: ['legacy-slow'], workloads: ['legacy-keys'] },
    edits: [
      {
        file: 'src/storage/memory/working-set.ts',
        from: 'const remembered = policy.tombstoneMs > 0 && !change.expired;',
        to: 'const remembered = false;',
      },
    ],
  },
  {
    row: 'ttl-clocks',
    rule: 'close to its expiry, only the primary answers for a key',
    focus: {
      faults: ['database-crash'],
      workloads: ['expiring-reads'],
      nodes: 2,
      options: { replicas: 2 },
      pace: {
        clients: 4,
        connections: 2,
        depth: 1,
        pauseMsMax: 3,
        faults: 6,
        workMs: 6000,
        jitterMs: 0.5,
        databaseMs: 0.5,
      },
    },
    edits: [
      {
        file: LOCAL_READS,
        from: 'const soonMs = time.nowMs() + clockBoundMs;',
        to: 'const soonMs = time.nowMs() + Math.min(clockBoundMs, 0);',
      },
      {
        file: LOCAL_READS,
        from: 'batch.allowedAtMs + clockBoundMs',
        to: 'batch.allowedAtMs + Math.min(clockBoundMs, 0)',
      },
    ],
  },
  {
    row: 'reaper-meets-persist',
    rule: 'the reaper leaves rows whose slot was written since it looked',
    focus: {
      faults: ['late-reaper'],
      workloads: ['cold-keys'],
      nodes: 2,
      options: { maxmemory: 4_000 },
      pace: { workMs: 9_000, clients: 4, connections: 2, depth: 1, pauseMsMax: 30, faults: 14 },
    },
    edits: [
      {
        file: 'src/cluster/upkeep.ts',
        from: '        if (slots.writes[slot] !== writes[slot] || slots.changes[slot] !== changes[slot]) continue;\n',
        to: '',
      },
    ],
  },
  {
    row: 'partial-hash',
    rule: 'an effect on a key that is not held in full leaves it absent',
    focus: {
      faults: [],
      workloads: ['expiring', 'unique-values'],
      options: { maxmemory: 10_000 },
      pace: { clients: 4, pauseMsMax: 30 },
    },
    edits: [
      {
        file: 'src/cluster/replica.ts',
        from: 'const mark = keyspace.changeExpiry(effect, seq);',
        to: `const mark =
          keyspace.changeExpiry(effect, seq) ?? keyspace.change({ ...effect, value: '' }, seq);`,
      },
    ],
  },
  {
    row: 'huge-delete',
    rule: 'a flush is a floor a slot, not a row a key',
    focus: { faults: ['flush'], workloads: ['unique-values'] },
    edits: [
      {
        file: FLUSHES,
        from: '    const version = operations.nextVersion();\n',
        to: `    const version = operations.nextVersion();
    const doomed: Effect[] = [];
    for (const slot of mine)
      for (const at of this.#env.keyspace.databases(slot))
        for (const { key } of this.#env.keyspace.entries(slot, at))
          doomed.push({
            kind: 'delete', slot, db: at, key, value: null, expiresAtMs: 0,
            persistent: true, epoch: 0, seq: 0,
          });
`,
      },
      {
        file: FLUSHES,
        from: '      effects: [],\n      floors: mine.length > 0 ? [{ slots: mine, db, ...version }] : [],',
        to: '      effects: doomed,\n      floors: [],',
      },
    ],
  },
];
