/** The schedules of the design that concern the database alone, with their order forced. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LaneSession, Member, Store } from '../../../src/storage/postgres/store.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import {
  batchOf,
  change,
  formView,
  memberOf,
  outcomeOf,
  refOf,
  storeOn,
  until,
  viewOf,
  withControl,
} from './harness.ts';

let server: TestPostgres;
let url: string;
let store: Store;
let a: Member;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());
beforeEach(async () => {
  url = await server.freshDatabase();
  store = storeOn(url);
  await store.prepare();
  a = memberOf('a');
  await formView(store, [a]);
});
afterEach(() => store.close());

/** A second connection with the lane's right, under the test's control statement by statement. */
async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'by-hand' });
  client.on('error', () => undefined); // some tests have it terminated
  await client.connect();
  return client;
}

const commitByHand = (
  client: pg.Client,
  at: { member: Member; generation: number; epoch: number; number: number },
): Promise<unknown> =>
  client.query(`SELECT ringfence.commit_batch($1, $2, $3, $4, $5, ${'NULL, '.repeat(18)}NULL)`, [
    at.member.node,
    at.member.incarnation,
    at.generation,
    at.epoch,
    at.number,
  ]);

const waiting = async (text: string): Promise<boolean> =>
  (
    await server.sql(
      url,
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
       AND wait_event_type = 'Lock' AND query LIKE '%' || $1 || '%'`,
      [text],
    )
  ).length > 0;

describe('zombie-commit', () => {
  it('a new lane waits for the batch of the old backend, and counts it', async () => {
    const old = await connect();
    await old.query('UPDATE ringfence.lane SET generation = 1');
    await old.query('BEGIN');
    await commitByHand(old, { member: a, generation: 1, epoch: 1, number: 1 });
    const patient = storeOn(url, { batchWaitMs: 60_000 });
    await patient.prepare();
    const opening = patient.openLane(refOf(a));
    await until(() => waiting('UPDATE ringfence.lane'));
    await old.query('COMMIT');
    const lane = await opening;
    expect(lane.lastNumber).toBe(1);
    await lane.close();
    await patient.close();
    await old.end();
  });

  it('a batch of the old backend that comes after the new lane was opened is fenced', async () => {
    const first = await store.openLane(refOf(a));
    await first.commit(batchOf(1, [change('k', 'v')]));
    const second = await store.openLane(refOf(a));
    expect(second.lastNumber).toBe(1);
    expect(await outcomeOf(first.commit(batchOf(2, [change('k', 'zombie')])))).toBe('fenced');
    await second.commit(batchOf(2, [change('k', 'w')]));
    const [row] = await store.loads().load([{ slot: 1, db: 0, key: 'k' }]);
    expect(row?.value).toBe('w');
    await first.close();
    await second.close();
  });

  it('a batch that waited for the lane row while the generation rose is fenced, not let through', async () => {
    const raise = await connect();
    const zombie = await connect();
    await raise.query('BEGIN');
    await raise.query('UPDATE ringfence.lane SET generation = generation + 1');
    const late = commitByHand(zombie, { member: a, generation: 0, epoch: 1, number: 1 });
    const refused = expect(late).rejects.toMatchObject({ code: 'RF001' });
    await until(() => waiting('commit_batch'));
    await raise.query('COMMIT');
    await refused;
    await raise.end();
    await zombie.end();
  });
});

describe('a backend that sleeps', () => {
  it('makes the outcome unknown; its batch, run when it wakes, is fenced', async () => {
    const impatient = storeOn(url, { statementTimeoutMs: 100 });
    await impatient.prepare();
    const lane = await impatient.openLane(refOf(a));
    const backends = (): Promise<{ pid: number }[]> =>
      server.sql(
        url,
        `SELECT pid FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'ringfence:test:lane'`,
      );
    const [backend] = await backends();
    process.kill(backend!.pid, 'SIGSTOP');
    expect(await outcomeOf(lane.commit(batchOf(1, [change('k', 'zombie')])))).toBe('unknown');
    await lane.closed;
    const next = await impatient.openLane(refOf(a));
    expect(next.lastNumber).toBe(0);
    process.kill(backend!.pid, 'SIGCONT');
    await until(async () => !(await backends()).some(({ pid }) => pid === backend!.pid));
    await next.commit(batchOf(1, [change('l', 'v')]));
    expect(await server.sql(url, 'SELECT key FROM kv_store')).toEqual([{ key: 'l' }]);
    await next.close();
    await impatient.close();
  });
});

describe('connections killed under load', () => {
  it('what was acknowledged is there, and the last number tells exactly what is there', async () => {
    let last = 0;
    for (let round = 0; round < 12; round++) {
      const lane = await store.openLane(refOf(a));
      expect(lane.lastNumber).toBeGreaterThanOrEqual(last);
      const numbers = await server.sql<{ number: string }>(
        url,
        `SELECT substr(key, 2) AS number FROM kv_store ORDER BY substr(key, 2)::int`,
      );
      expect(numbers.map(({ number }) => Number(number))).toEqual(
        Array.from({ length: lane.lastNumber }, (_, i) => i + 1),
      );
      last = await commitUntilKilled(lane, 5 + round * 3);
    }
  });

  /** Keeps four batches under way; has the backend killed after `killAfter`. Returns the last acknowledged number. */
  async function commitUntilKilled(lane: LaneSession, killAfter: number): Promise<number> {
    let next = lane.lastNumber;
    let acknowledged = next;
    let killing: Promise<unknown> | undefined;
    const writer = async (): Promise<void> => {
      for (;;) {
        const number = ++next;
        if (number === lane.lastNumber + killAfter) killing = killLane();
        const outcome = await outcomeOf(lane.commit(batchOf(number, [change(`k${number}`, 'v')])));
        if (outcome !== 'resolved') return expect(['unknown', 'unavailable']).toContain(outcome);
        acknowledged = number;
      }
    };
    await Promise.all([writer(), writer(), writer(), writer()]);
    await killing;
    return acknowledged;
  }

  const killLane = (): Promise<unknown> =>
    server.sql(
      url,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'ringfence:test:lane'`,
    );
});

describe('stopped-inside-batch, half-cut-live-node', () => {
  let stopped: ChildProcess;

  /** A process that is stopped while its backend is inside a batch, before its last message. */
  async function stopInsideBatch(): Promise<void> {
    await server.sql(url, 'UPDATE ringfence.lane SET generation = 1');
    stopped = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import pg from 'pg';
         const client = new pg.Client({ connectionString: process.argv[1] });
         client.on('error', () => process.exit(0));
         await client.connect();
         await client.query('BEGIN');
         await client.query(process.argv[2]);
         console.log('inside');`,
        url,
        `SELECT ringfence.commit_batch('a', '${a.incarnation}', 1, 1, 1, ${'NULL, '.repeat(18)}NULL)`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(stopped.stdout!, 'data');
    stopped.kill('SIGSTOP');
  }

  afterEach(async () => {
    const over = once(stopped, 'exit');
    stopped.kill('SIGKILL');
    await over;
  });

  it('the next lane ends the stopped backend, and its batch was not committed', async () => {
    await stopInsideBatch();
    const lane = await store.openLane(refOf(a));
    expect(lane.lastNumber).toBe(0);
    expect(await outcomeOf(lane.commit(batchOf(1, [change('k', 'v')])))).toBe('resolved');
    await lane.close();
  });

  it('a view change ends it, too', async () => {
    await stopInsideBatch();
    const b = memberOf('b');
    await formView(store, [b], [{ ref: refOf(a), counter: 0 }]);
    expect(await outcomeOf(store.openLane(refOf(b)).then((lane) => lane.close()))).toBe('resolved');
    expect(await server.sql(url, 'SELECT number FROM ringfence.batch')).toEqual([]);
  });

  it('of two proposals that wait for it, one wins and the other is told so', async () => {
    await stopInsideBatch();
    const b = memberOf('b');
    await store.register(b);
    const outcomes = await Promise.all(
      [1, 2].map(() =>
        withControl(store, (control) =>
          outcomeOf(control.propose({ view: viewOf(2, [a, b]), removals: [] })),
        ),
      ),
    );
    expect(outcomes.sort()).toEqual(['conflict', 'resolved']);
  });
});

describe('lanes and views', () => {
  it('batches of an older epoch are fenced once a view has passed', async () => {
    const lane = await store.openLane(refOf(a));
    await lane.commit(batchOf(1, [change('k', 'v')]));
    await formView(store, [a, memberOf('b')]);
    expect(await outcomeOf(lane.commit(batchOf(2, [])))).toBe('fenced');
    expect(await outcomeOf(lane.commit(batchOf(2, [], { epoch: 2 })))).toBe('resolved');
    await lane.close();
  });

  it('lane-born-in-a-view-change: a lane made meanwhile has no epoch and may not write', async () => {
    const proposal = await connect();
    const b = memberOf('b');
    await proposal.query('BEGIN');
    await proposal.query(
      `SELECT ringfence.propose_view(2, 1, 'x', '{}', ARRAY['a'], ARRAY[$1], '{}', '{}', '{}')`,
      [a.incarnation],
    );
    await store.register(b);
    const lane = await store.openLane(refOf(b));
    await proposal.query('COMMIT');
    for (const epoch of [1, 2]) {
      expect(await outcomeOf(lane.commit(batchOf(1, [], { epoch })))).toBe('fenced');
    }
    await lane.close();
    await proposal.end();
  });

  it('restart-same-id: the old life can neither renew nor write, nor register again', async () => {
    const lane = await store.openLane(refOf(a));
    const lease = await store.openLease(refOf(a));
    await formView(store, [memberOf('a')], [{ ref: refOf(a), counter: 0 }]);
    expect(await outcomeOf(lease.renew([]))).toBe('fenced');
    expect(await outcomeOf(lane.commit(batchOf(1, [])))).toBe('fenced');
    expect(await outcomeOf(lane.commit(batchOf(1, [], { epoch: 2 })))).toBe('fenced');
    expect(await outcomeOf(store.register(a))).toBe('fenced');
    await lane.close();
    await lease.close();
  });

  it('a removed node can still find out what became of its last batch', async () => {
    const lane = await store.openLane(refOf(a));
    await lane.commit(batchOf(1, [change('k', 'v')]));
    await lane.close();
    await formView(store, [memberOf('b')], [{ ref: refOf(a), counter: 0 }]);
    await store.sweep(10);
    const last = await store.openLane(refOf(a));
    expect(last.lastNumber).toBe(1);
    expect(await outcomeOf(last.commit(batchOf(2, [], { epoch: 2 })))).toBe('fenced');
    await last.close();
  });

  it('what is left of a removed node goes after a day', async () => {
    const lane = await store.openLane(refOf(a));
    await lane.commit(batchOf(1, [change('k', 'v')]));
    await lane.close();
    await formView(store, [memberOf('b')], [{ ref: refOf(a), counter: 0 }]);
    for (const [table, column] of [
      ['lane', 'created_at'],
      ['batch', 'committed_at'],
    ]) {
      await server.sql(url, `UPDATE ringfence.${table} SET ${column} = now() - interval '2 days'`);
    }
    await store.sweep(10);
    expect(await server.sql(url, 'SELECT node FROM ringfence.lane')).toEqual([{ node: 'b' }]);
    expect(await server.sql(url, 'SELECT node FROM ringfence.batch')).toEqual([]);
  });

  it('an incarnation that was never registered has no lane', async () => {
    expect(await outcomeOf(store.openLane(refOf(memberOf('z'))))).toBe('fenced');
  });
});

describe('renewal-in-flight', () => {
  it('a removal waits for a renewal under way, and is refused because of it', async () => {
    const renewal = await connect();
    await renewal.query('BEGIN');
    await renewal.query(`SELECT * FROM ringfence.renew($1, $2, '{}')`, [a.node, a.incarnation]);
    const patient = storeOn(url, { batchWaitMs: 60_000 });
    await patient.prepare();
    const removal = outcomeOf(formView(patient, [memberOf('b')], [{ ref: refOf(a), counter: 0 }]));
    await until(() => waiting('propose_view'));
    await renewal.query('COMMIT');
    expect(await removal).toBe('conflict');
    expect(await server.sql(url, 'SELECT epoch FROM ringfence.view')).toEqual([{ epoch: '1' }]);
    await patient.close();
    await renewal.end();
  });

  it('a renewal that comes while the removal is under way is refused', async () => {
    const removal = await connect();
    const b = memberOf('b');
    await store.register(b);
    await removal.query('BEGIN');
    await removal.query(
      `SELECT ringfence.propose_view(2, 1, 'x', '{}', ARRAY['b'], ARRAY[$1], ARRAY['a'], ARRAY[$2], '{0}')`,
      [b.incarnation, a.incarnation],
    );
    const lease = await store.openLease(refOf(a));
    const renewed = outcomeOf(lease.renew([]));
    await until(() => waiting('ringfence.renew'));
    await removal.query('COMMIT');
    expect(await renewed).toBe('fenced');
    await lease.close();
    await removal.end();
  });
});
