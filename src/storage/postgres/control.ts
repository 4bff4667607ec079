/** Views. See `ControlSession` in store.ts for the contract. */
import { endingBlockers } from './blockers.ts';
import { openSession, type StoreContext } from './context.ts';
import { textLiteral, type Session } from './session.ts';
import {
  StoreError,
  type ControlSession,
  type NodeRef,
  type Settlement,
  type View,
  type ViewProposal,
} from './store.ts';

/** A proposal waits for a batch of every lane, and for another proposal that may wait for the same. */
const PROPOSE_WAITS = 10;

/** Views from before there was a lead have none. */
type ViewContent = Omit<View, 'epoch' | 'previous' | 'id' | 'lead'> & Partial<Pick<View, 'lead'>>;

export async function openControl(context: StoreContext): Promise<ControlSession> {
  return new Control(context, await openSession(context, 'control', { statementTimeoutMs: 0 }));
}

class Control implements ControlSession {
  readonly #context: StoreContext;
  readonly #session: Session;

  constructor(context: StoreContext, session: Session) {
    this.#context = context;
    this.#session = session;
  }

  get serverStart(): string {
    return this.#session.serverStart;
  }

  async viewsAfter(epoch: number): Promise<View[]> {
    const rows = await this.#session.read(
      {
        text: 'SELECT epoch, previous, id, content FROM ringfence.view WHERE epoch > $1 ORDER BY epoch',
        values: [epoch],
      },
      this.#context.options.statementTimeoutMs,
    );
    return rows.map(viewOf);
  }

  async history(limit: number): Promise<{ view: View; createdAtMs: number }[]> {
    const rows = await this.#session.read(
      {
        text: `SELECT epoch, previous, id, content, floor(extract(epoch FROM created_at) * 1000)
          FROM ringfence.view ORDER BY epoch DESC LIMIT $1`,
        values: [limit],
      },
      this.#context.options.statementTimeoutMs,
    );
    return rows.map((row) => ({ view: viewOf(row), createdAtMs: Number(row[4]) }));
  }

  async propose({ view, removals }: ViewProposal): Promise<void> {
    const { epoch, previous, id, ...content } = view;
    const members = writersOf(view);
    const call = this.#session.run(
      {
        text: 'SELECT ringfence.propose_view($1, $2, $3, $4, $5, $6, $7, $8, $9)',
        values: [
          epoch,
          previous,
          id,
          JSON.stringify(content),
          textLiteral(members.map((member) => member.node)),
          textLiteral(members.map((member) => member.incarnation)),
          textLiteral(removals.map(({ ref }) => ref.node)),
          textLiteral(removals.map(({ ref }) => ref.incarnation)),
          `{${removals.map(({ counter }) => counter ?? 'NULL').join(',')}}`,
        ],
      },
      PROPOSE_WAITS * this.#context.options.batchWaitMs,
    );
    const { warning } = await endingBlockers(this.#context, this.#session, call);
    if (warning !== null) throw new StoreError('unknown', `the view is not certain: ${warning}`);
  }

  async settleComplaint({ by, about, loser, reason }: Settlement): Promise<boolean> {
    const values = [by, about, loser].flatMap((ref) => [ref.node, ref.incarnation]);
    const { rows, warning } = await this.#session.run(
      {
        text: 'SELECT ringfence.settle_complaint($1, $2, $3, $4, $5, $6, $7)',
        values: [...values, reason],
      },
      this.#context.options.statementTimeoutMs,
    );
    if (warning !== null) throw new StoreError('unknown', `not certain to be settled: ${warning}`);
    return rows[0]?.[0] === 't';
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}

function viewOf([epoch, previous, id, content]: readonly (string | null)[]): View {
  const lists = JSON.parse(content ?? '') as ViewContent;
  return { epoch: Number(epoch), previous: Number(previous), id: id ?? '', lead: null, ...lists };
}

/** Everyone who takes part in this view: the settled ones that are left, those to come, those who leave. */
function writersOf(view: View): NodeRef[] {
  const key = (ref: NodeRef): string => JSON.stringify([ref.node, ref.incarnation]);
  const removed = new Set(view.removed.map(key));
  const writers = new Map<string, NodeRef>();
  for (const member of [...view.settled, ...view.coming, ...view.leaving]) {
    if (!removed.has(key(member))) writers.set(key(member), member);
  }
  return [...writers.values()];
}
