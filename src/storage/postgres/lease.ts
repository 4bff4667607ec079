/** Renewals, on a connection of their own. See `LeaseSession` in store.ts for the contract. */
import { openSession, type StoreContext } from './context.ts';
import { textLiteral, type Session } from './session.ts';
import {
  StoreError,
  type LeaseInfo,
  type LeaseSession,
  type NodeRef,
  type Renewal,
} from './store.ts';

export async function openLease(context: StoreContext, self: NodeRef): Promise<LeaseSession> {
  return new Lease(await openSession(context, 'lease'), self);
}

class Lease implements LeaseSession {
  readonly #session: Session;
  readonly #self: readonly string[];

  constructor(session: Session, self: NodeRef) {
    this.#session = session;
    this.#self = [self.node, self.incarnation];
  }

  get serverStart(): string {
    return this.#session.serverStart;
  }

  async renew(complaints: readonly NodeRef[]): Promise<Renewal> {
    const { rows, warning } = await this.#session.run({
      name: 'renew',
      text: 'SELECT counter, epoch, view_id, leases, now_ms FROM ringfence.renew($1, $2, $3)',
      values: [...this.#self, textLiteral(complaints.map(lifeOf))],
    });
    // A renewal holds only if it is as durable as data.
    if (warning !== null) throw new StoreError('unknown', `the renewal is not certain: ${warning}`);
    const [counter, epoch, viewId, leases, nowMs] = rows[0] ?? [];
    return {
      counter: Number(counter),
      epoch: Number(epoch),
      viewId: viewId ?? '',
      leases: (JSON.parse(leases ?? '[]') as LeaseRow[]).map(toLeaseInfo),
      nowMs: Number(nowMs),
    };
  }

  async giveUp(): Promise<void> {
    await this.#session.run({ text: 'SELECT ringfence.give_up($1, $2)', values: this.#self });
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}

type LeaseRow = Omit<LeaseInfo, 'complaints'> & { readonly complaints: readonly string[] };

/** As the column `complaints` names one life of a node. An incarnation has no slash in it. */
function lifeOf(ref: NodeRef): string {
  return `${ref.node}/${ref.incarnation}`;
}

function toLeaseInfo(row: LeaseRow): LeaseInfo {
  return { ...row, complaints: row.complaints.map(toRef) };
}

function toRef(life: string): NodeRef {
  const at = life.lastIndexOf('/');
  return { node: life.slice(0, at), incarnation: life.slice(at + 1) };
}
