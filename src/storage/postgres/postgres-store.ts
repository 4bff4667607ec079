/** The `Store` on PostgreSQL: puts the parts of this folder together. */
import { ConnectionPool } from './connection-pool.ts';
import { BY_INDEX, openSession, type PostgresStoreOptions, type StoreContext } from './context.ts';
import { openControl } from './control.ts';
import { openLane } from './lane.ts';
import { openLease } from './lease.ts';
import { PostgresLoadPool } from './load-pool.ts';
import { prepare } from './prepare.ts';
import { historyOf } from './session.ts';
import type { LoadPool, Member, Store } from './store.ts';
import { sweep } from './sweep.ts';

export type { PostgresStoreOptions } from './context.ts';

/** Connects to nothing yet: `prepare` comes first, the rest opens what it needs. */
export function createPostgresStore(options: PostgresStoreOptions): Store {
  const context: StoreContext = { options, clusterId: null, history: null };
  const loads = new PostgresLoadPool(context);
  const sweeps = new ConnectionPool(context, 'sweep', 1, {
    set: BY_INDEX,
    statementTimeoutMs: options.statementTimeoutMs * 10,
  });
  return {
    async prepare() {
      const prepared = await prepare(context);
      context.clusterId = prepared.clusterId;
      return prepared;
    },
    identify: () => identify(context),
    register: (member) => register(context, member),
    openLane: (self) => openLane(context, self),
    openLease: (self) => openLease(context, self),
    openControl: () => openControl(context),
    loads: (): LoadPool => loads,
    sweep: (limit) => sweep(sweeps, limit),
    async close() {
      await Promise.all([loads.close(), sweeps.close()]);
    },
  };
}

async function identify(context: StoreContext): Promise<void> {
  const session = await openSession(context, 'identify', { history: null });
  try {
    const history = await historyOf(session);
    if (history === null && context.history === null) {
      context.options.logger.warn({}, 'this database does not say which history it has');
    }
    context.history = history;
  } finally {
    await session.close();
  }
}

async function register(context: StoreContext, member: Member): Promise<void> {
  const session = await openSession(context, 'register');
  try {
    await session.run({
      text: 'SELECT ringfence.register($1, $2, $3)',
      values: [member.node, member.incarnation, JSON.stringify(member)],
    });
  } finally {
    await session.close();
  }
}
