import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Lane } from '../../../src/cluster/lane.ts';
import { ChangeOp, type Op, type OpOutcome } from '../../../src/cluster/op.ts';
import type { Effect } from '../../../src/storage/memory/effect.ts';
import {
  type Batch,
  type LaneSession,
  StoreError,
  type StoreErrorKind,
} from '../../../src/storage/postgres/store.ts';
import { QuietLog } from '../../../chaos/sim/log.ts';
import { VirtualTime } from '../../../chaos/sim/time.ts';

/** What the modelled database does with the next batch. */
type Fate = 'commit' | 'commit silently' | 'lose' | StoreErrorKind;

/** One lane's row in the database, its sessions, and what was committed. */
class LaneModel {
  readonly committed: Batch[] = [];
  epoch = 1;
  generation = 0;
  last = 0;
  fates: Fate[] = [];
  /** Number of the operation whose batch is refused for its data. */
  poison = new Set<string>();
  openFailures = 0;
  #over: (() => void) | null = null;

  open(): Promise<LaneSession> {
    if (this.openFailures > 0) {
      this.openFailures--;
      return Promise.reject(new StoreError('unavailable', 'no connection'));
    }
    const generation = ++this.generation;
    let over: () => void = () => undefined;
    const closed = new Promise<void>((resolve) => {
      over = resolve;
    });
    this.#over = over;
    return Promise.resolve({
      lastNumber: this.last,
      closed,
      commit: (batch) => this.#commit(generation, batch),
      close: () => {
        over();
        return Promise.resolve();
      },
    });
  }

  loseConnection(): void {
    this.#over?.();
  }

  async #commit(generation: number, batch: Batch): Promise<void> {
    await Promise.resolve();
    if (generation !== this.generation || batch.epoch !== this.epoch) {
      throw new StoreError('fenced', 'not current');
    }
    if (batch.number > this.last + 1) throw new StoreError('gap', 'missing');
    expect(batch.number).toBe(this.last + 1);
    const fate = this.fates.shift() ?? 'commit';
    if (batch.rows.some(({ key }) => this.poison.has(key)))
      throw new StoreError('rejected', 'refused');
    if (fate === 'commit' || fate === 'commit silently') {
      this.last = batch.number;
      this.committed.push(batch);
      if (fate === 'commit') return;
      throw new StoreError('unknown', 'no answer');
    }
    throw new StoreError(fate === 'lose' ? 'unknown' : fate, fate);
  }
}

interface Fixture {
  readonly model: LaneModel;
  readonly lane: Lane;
  readonly time: VirtualTime;
  readonly outcomes: Map<number, string[]>;
  readonly done: number[];
  fenced: number;
  replaced: string[];
  epoch: number;
  /** Operations that are about to enter. */
  confirming: number;
  readonly enqueue: (key: string, value?: string) => Op;
  readonly settle: (ms?: number) => Promise<void>;
}

function setUp(
  bounds = { rowsMax: 4, bytesMax: 1000, pipeline: 2, followRows: 1, gatherRows: 1, gatherMs: 1 },
): Fixture {
  const model = new LaneModel();
  const time = new VirtualTime();
  const outcomes = new Map<number, string[]>();
  const done: number[] = [];
  let lastNo = 0;
  const note = (op: Op, what: string, outcome: OpOutcome): void => {
    outcomes.get(op.no)!.push(what);
    op.finish(outcome);
  };
  const fixture: Fixture = {
    model,
    time,
    outcomes,
    done,
    fenced: 0,
    replaced: [],
    epoch: 1,
    confirming: 0,
    lane: new Lane({
      clock: time,
      timers: time,
      log: new QuietLog(),
      bounds,
      open: () => model.open(),
      epoch: () => fixture.epoch,
      onDone: (op) => {
        done.push(op.no);
        note(op, 'done', { kind: 'done' });
      },
      onVoid: (op) => note(op, 'void', { kind: 'void' }),
      onRejected: (op, reason) => note(op, 'rejected', { kind: 'failed', reason }),
      confirming: () => fixture.confirming,
      onFenced: () => fixture.fenced++,
      onReplaced: (reason) => fixture.replaced.push(reason),
    }),
    enqueue: (key, value = 'v') => {
      const no = ++lastNo;
      const effect: Effect = {
        kind: 'put',
        slot: 0,
        db: 0,
        key,
        value,
        expiresAtMs: 0,
        persistent: true,
        epoch: fixture.epoch,
        seq: no,
      };
      const op = new ChangeOp({
        effects: [effect],
        deadlineMs: Infinity,
        settle: () => undefined,
      });
      Object.assign(op, { no, epoch: fixture.epoch, persistent: true });
      outcomes.set(no, []);
      fixture.lane.enqueue(op);
      return op;
    },
    settle: async (ms = 2000) => {
      for (let i = 0; i < ms; i += 10) {
        time.advance(10);
        for (let round = 0; round < 12; round++) await Promise.resolve();
        time.endTurn();
      }
    },
  };
  return fixture;
}

const FATES: Fate[] = [
  'commit',
  'commit silently',
  'lose',
  'unavailable',
  'unknown',
  'gap',
  'conflict',
];

describe('the lane', () => {
  test('commits what is queued in one turn as one batch', async () => {
    const { lane, model, enqueue, settle } = setUp();
    await lane.start();
    for (const key of ['a', 'b', 'c']) enqueue(key);
    await settle(20);
    expect(model.committed.map(({ rows }) => rows.map(({ key }) => key))).toEqual([
      ['a', 'b', 'c'],
    ]);
  });

  test('sends a small batch at once when nothing else is about to enter, else after a bounded wait', async () => {
    const bounds = { rowsMax: 10, bytesMax: 1000, pipeline: 2, followRows: 4, gatherRows: 3 };
    const fixture = setUp({ ...bounds, gatherMs: 50 });
    const sizes = (): number[] => fixture.model.committed.map(({ rows }) => rows.length);
    await fixture.lane.start();
    fixture.enqueue('alone');
    await fixture.settle(10);
    expect(sizes()).toEqual([1]);
    fixture.confirming = 1;
    fixture.enqueue('waits');
    await fixture.settle(40);
    expect(sizes()).toEqual([1]);
    fixture.enqueue('second');
    fixture.enqueue('third');
    await fixture.settle(10);
    expect(sizes()).toEqual([1, 3]);
    fixture.enqueue('waits again');
    await fixture.settle(60);
    expect(sizes()).toEqual([1, 3, 1]);
  });

  test('cuts batches at their bound of rows', async () => {
    const { lane, model, enqueue, settle } = setUp();
    await lane.start();
    for (let i = 0; i < 10; i++) enqueue(`k${i}`);
    await settle(20);
    expect(model.committed.map(({ rows }) => rows.length)).toEqual([4, 4, 2]);
  });

  test('makes several changes of one row one change, the last', async () => {
    const { lane, model, enqueue, settle } = setUp();
    await lane.start();
    enqueue('k', '1');
    enqueue('k', '2');
    await settle(20);
    expect(model.committed.map(({ rows }) => rows.map(({ value }) => value))).toEqual([['2']]);
  });

  test('gives an operation that alone is refused its failure, and commits the others', async () => {
    const { lane, model, enqueue, settle, outcomes } = setUp();
    await lane.start();
    model.poison.add('bad');
    for (const key of ['a', 'bad', 'b', 'c', 'd', 'e']) enqueue(key);
    await settle();
    expect([...outcomes.values()]).toEqual([
      ['done'],
      ['rejected'],
      ['done'],
      ['done'],
      ['done'],
      ['done'],
    ]);
    expect(model.committed.flatMap(({ rows }) => rows.map(({ key }) => key))).toEqual([
      'a',
      'b',
      'c',
      'd',
      'e',
    ]);
  });

  test('a batch that was committed without an answer is done, and not committed again', async () => {
    const { lane, model, enqueue, settle, outcomes } = setUp();
    await lane.start();
    model.fates = ['commit silently'];
    enqueue('k');
    await settle();
    expect(outcomes.get(1)).toEqual(['done']);
    expect(model.committed).toHaveLength(1);
  });

  test('voids at once what was not sent when a view comes, and the rest when its answer is there', async () => {
    const fixture = setUp({
      rowsMax: 1,
      bytesMax: 1000,
      pipeline: 1,
      followRows: 1,
      gatherRows: 1,
      gatherMs: 1,
    });
    const { lane, model, enqueue, settle, outcomes } = fixture;
    await lane.start();
    enqueue('sent');
    enqueue('waiting');
    fixture.time.endTurn();
    model.epoch = fixture.epoch = 2;
    lane.adopt();
    expect(outcomes.get(1)).toEqual([]);
    expect(outcomes.get(2)).toEqual(['void']);
    enqueue('next');
    await settle();
    expect(outcomes.get(1)).toEqual(['void']);
    expect(outcomes.get(3)).toEqual(['done']);
    expect(fixture.fenced).toBe(0);
  });

  test('sends nothing more under an epoch that the database says is over, until the next view', async () => {
    const fixture = setUp();
    const { lane, model, enqueue, settle, outcomes } = fixture;
    await lane.start();
    model.epoch = 2;
    enqueue('k');
    await settle(100);
    expect(fixture.fenced).toBe(1);
    expect(outcomes.get(1)).toEqual([]);
    fixture.epoch = 2;
    lane.adopt();
    enqueue('k');
    await settle(100);
    expect([outcomes.get(1), outcomes.get(2)]).toEqual([['void'], ['done']]);
  });

  test('says so when the database has lost what it had committed, and sends nothing more', async () => {
    const fixture = setUp();
    const { lane, model, enqueue, settle, outcomes } = fixture;
    await lane.start();
    for (const key of ['a', 'b']) {
      enqueue(key);
      await settle();
    }
    model.last = 1;
    model.loseConnection();
    await settle(100);
    enqueue('c');
    await settle(100);
    expect(fixture.replaced).toEqual(['the database has lost batches that it had committed']);
    expect(outcomes.get(3)).toEqual([]);
  });

  test('is not stopped by an answer of a connection that was given up', async () => {
    const { lane, model, enqueue, settle, outcomes, time } = setUp({
      rowsMax: 1,
      bytesMax: 99,
      pipeline: 2,
      followRows: 1,
      gatherRows: 1,
      gatherMs: 1,
    });
    const sessions: { reject: (error: Error) => void }[][] = [];
    const open = model.open.bind(model);
    model.open = async () => {
      const session = await open();
      if (sessions.length > 0) return session;
      const open1: { reject: (error: Error) => void }[] = [];
      sessions.push(open1);
      return { ...session, commit: () => new Promise<void>((_, reject) => open1.push({ reject })) };
    };
    await lane.start();
    enqueue('a');
    enqueue('b');
    time.endTurn();
    model.loseConnection();
    await settle(100);
    expect([...outcomes.values()]).toEqual([['done'], ['done']]);
    for (const { reject } of sessions[0]!) reject(new StoreError('fenced', 'an older generation'));
    await settle(50);
    enqueue('c');
    await settle(100);
    expect(outcomes.get(3)).toEqual(['done']);
  });

  test('closes a connection that opens after it was stopped', async () => {
    const { lane, model } = setUp();
    let closed = 0;
    let opened: (session: LaneSession) => void = () => undefined;
    model.open = () => new Promise((resolve) => (opened = resolve));
    const start = lane.start();
    await lane.stop();
    const session = {
      lastNumber: 0,
      closed: new Promise<void>(() => undefined),
      commit: () => Promise.resolve(),
    };
    opened({ ...session, close: () => Promise.resolve(void closed++) });
    await start;
    expect(closed).toBe(1);
  });

  test('ends every operation exactly once, in order, whatever the database does', async () => {
    const fate = fc.constantFrom(...FATES);
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          kind: fc.constant('write' as const),
          key: fc.constantFrom('a', 'b', 'c', 'd'),
        }),
      },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('fate' as const), fate }) },
      {
        weight: 2,
        arbitrary: fc.record({
          kind: fc.constant('pause' as const),
          ms: fc.integer({ min: 0, max: 40 }),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('lose' as const),
          failures: fc.integer({ min: 0, max: 2 }),
        }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('view' as const) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const fixture = setUp({
          rowsMax: 3,
          bytesMax: 1000,
          pipeline: 3,
          followRows: 1,
          gatherRows: 1,
          gatherMs: 1,
        });
        const { lane, model, outcomes } = fixture;
        await lane.start();
        for (const one of steps) {
          if (one.kind === 'write') fixture.enqueue(one.key, String(outcomes.size));
          else if (one.kind === 'fate') model.fates.push(one.fate);
          else if (one.kind === 'pause') await fixture.settle(one.ms);
          else if (one.kind === 'lose') {
            model.openFailures = one.failures;
            model.loseConnection();
          } else {
            // The database decides first; the node hears of it later.
            model.epoch = fixture.epoch + 1;
            await fixture.settle(10);
            fixture.epoch = model.epoch;
            lane.adopt();
          }
        }
        await fixture.settle(4000);
        for (const [no, what] of outcomes) expect(what, `operation ${no}`).toHaveLength(1);
        expect([...fixture.done].sort((x, y) => x - y)).toEqual(fixture.done);
        const rows = model.committed.flatMap((batch) => batch.rows);
        // What is in the table is done, and what is done is in the table (or overwritten in its batch).
        for (const { seq } of rows) expect(outcomes.get(seq)).toEqual(['done']);
        for (const key of ['a', 'b', 'c', 'd']) {
          const seqs = rows.filter((row) => row.key === key).map(({ seq }) => seq);
          expect([...seqs].sort((x, y) => x - y)).toEqual(seqs);
        }
        expect(model.committed.map(({ number }) => number)).toEqual(
          model.committed.map((_, i) => i + 1),
        );
        await lane.stop();
      }),
      { numRuns: 300, seed: 7 },
    );
  });
});
