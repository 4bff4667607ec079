/**
 * The functions of `storage/postgres/migrations` in the model: the same locks in the same order, the same
 * checks after them, the same errors.
 */
import {
  type Batch,
  type Member,
  type NodeRef,
  type Renewal,
  type Row,
  type Settlement,
  StoreError,
  type View,
  type ViewProposal,
} from '../../../src/storage/postgres/store.ts';
import { keyOf, rowId, type Tables } from './tables.ts';
import type { Statement } from './transactions.ts';

/** What the statements need to know of the server. */
export interface Server {
  readonly tables: Tables;
  /** Time that one statement takes, milliseconds. */
  workMs(): number;
  wallMs(node: string): number;
  /** Why the data of a batch is refused, or null. */
  refuse(batch: Batch, self: NodeRef): string | null;
  onCommitted(self: NodeRef, batch: Batch): void;
  onSettled(settlement: Settlement): void;
  onView(view: View, removed: readonly NodeRef[]): void;
}

/** `commit_batch`. */
export function commitBatch(
  server: Server,
  self: NodeRef,
  generation: number,
  batch: Batch,
): Statement<void> {
  const { tables } = server;
  return function* (transaction) {
    const id = keyOf(self);
    yield { gate: `batch ${self.node}` };
    yield { lock: `lane ${id}` };
    const lane = tables.lanes.get(id);
    if (lane?.generation !== generation || lane.epoch !== batch.epoch)
      throw new StoreError('fenced', 'this lane may not write');
    if (batch.number > lane.last + 1) throw new StoreError('gap', 'the batch before is missing');
    if (batch.number <= lane.last) throw new StoreError('unknown', 'committed before');
    for (const row of batch.rows) yield { lock: `row ${rowId(row)}` };
    yield { workMs: server.workMs() };
    const refusal = server.refuse(batch, self) ?? tables.contradiction(batch);
    if (refusal !== null) throw new StoreError('rejected', refusal);
    transaction.write(() => {
      lane.last = batch.number;
      for (const row of batch.rows) tables.write(row);
      for (const floor of batch.floors) tables.raiseFloors(floor);
      server.onCommitted(self, batch);
    });
    yield { gate: `commit ${self.node}` };
  };
}

/** A new generation of a lane: waits for what an older connection has under way. */
export function raiseGeneration({ tables }: Server, self: NodeRef): Statement<number> {
  return function* (transaction) {
    const id = keyOf(self);
    yield { lock: `lane ${id}` };
    const lane = tables.lanes.get(id);
    if (lane === undefined) throw new StoreError('fenced', 'this incarnation has no lane');
    const generation = lane.generation + 1;
    transaction.write(() => {
      lane.generation = generation;
    });
    return generation;
  };
}

export function lastNumber({ tables }: Server, self: NodeRef): Statement<number> {
  return reading(() => tables.lanes.get(keyOf(self))?.last ?? 0);
}

/** `register`. */
export function register({ tables }: Server, member: Member): Statement<void> {
  return function* (transaction) {
    const id = keyOf(member);
    yield { lock: `lane ${id}` };
    if (tables.lanes.has(id)) {
      if (tables.leases.get(id)?.givenUp === false) return;
      throw new StoreError('fenced', 'this incarnation was removed');
    }
    transaction.write(() => {
      tables.lanes.set(id, { generation: 0, epoch: null, last: 0 });
      const fresh = { counter: 0, givenUp: false, complaints: [], expelled: null };
      tables.leases.set(id, { ref: member, ...fresh });
    });
  };
}

/** `renew`. What it answers is read before it commits. */
export function renew(
  server: Server,
  self: NodeRef,
  complaints: readonly NodeRef[],
): Statement<Renewal> {
  const { tables } = server;
  return function* (transaction) {
    const id = keyOf(self);
    yield { lock: `lease ${id}` };
    const lease = tables.leases.get(id);
    if (lease === undefined || lease.givenUp) throw new StoreError('fenced', 'no lease any more');
    if (lease.expelled !== null) throw new StoreError('fenced', lease.expelled);
    const counter = lease.counter + 1;
    transaction.write(() => {
      lease.counter = counter;
      lease.complaints = complaints;
    });
    yield { workMs: server.workMs() };
    const newest = tables.views.at(-1);
    const leases = tables
      .leaseInfos()
      .map((info) => (keyOf(info) === id ? { ...info, counter, complaints } : info));
    return {
      counter,
      epoch: newest?.epoch ?? 0,
      viewId: newest?.id ?? '',
      leases,
      nowMs: Math.floor(server.wallMs(self.node)),
    };
  };
}

/** `give_up`. */
export function giveUp({ tables }: Server, self: NodeRef): Statement<void> {
  return function* (transaction) {
    yield { lock: `lease ${keyOf(self)}` };
    const lease = tables.leases.get(keyOf(self));
    transaction.write(() => {
      if (lease !== undefined) lease.givenUp = true;
    });
  };
}

/** `settle_complaint`. False: there is nothing to settle any more. */
export function settleComplaint(server: Server, settlement: Settlement): Statement<boolean> {
  const { tables } = server;
  const { by, about, loser, reason } = settlement;
  return function* (transaction) {
    // In one order, so that two settlements about the same pair do not wait for each other.
    for (const key of [keyOf(by), keyOf(about)].sort()) yield { lock: `lease ${key}` };
    yield { workMs: server.workMs() };
    const [complainer, accused] = [tables.leases.get(keyOf(by)), tables.leases.get(keyOf(about))];
    for (const lease of [complainer, accused]) {
      if (lease === undefined || lease.givenUp || lease.expelled !== null) return false;
    }
    if (!complainer!.complaints.some((ref) => keyOf(ref) === keyOf(about))) return false;
    const lost = tables.leases.get(keyOf(loser))!;
    transaction.write(() => {
      lost.expelled = reason;
      server.onSettled(settlement);
    });
    return true;
  };
}

/** `propose_view`. */
export function proposeView(server: Server, { view, removals }: ViewProposal): Statement<void> {
  const { tables } = server;
  return function* (transaction) {
    if (view.previous !== tables.newestEpoch || view.epoch <= view.previous)
      throw new StoreError('conflict', `the newest view is ${tables.newestEpoch}`);
    // The unique index: whoever inserts a view after the same one waits for the other's end.
    yield { lock: `view after ${view.previous}` };
    if (tables.newestEpoch !== view.previous)
      throw new StoreError('conflict', `what follows was decided by another proposal`);
    yield { workMs: server.workMs() };

    const removed = new Set(view.removed.map(keyOf));
    const listed = [...view.settled, ...view.coming, ...view.leaving].map(keyOf);
    const members = new Set(listed.filter((key) => !removed.has(key)));
    for (const key of members) yield { lock: `lane ${key}` };
    for (const key of members) {
      if (!tables.lanes.has(key)) throw new StoreError('conflict', 'a member is not registered');
    }
    for (const [key, lane] of tables.lanes) {
      if (members.has(key) || lane.epoch === null) continue;
      yield { lock: `lane ${key}` };
    }
    const gone = new Set<string>();
    for (const { ref, counter } of removals) {
      const key = keyOf(ref);
      yield { lock: `lease ${key}` };
      const lease = tables.leases.get(key);
      if (lease !== undefined && !lease.givenUp && lease.counter !== counter)
        throw new StoreError('conflict', `${ref.node} has renewed its lease`);
      gone.add(key);
    }
    for (const key of members) {
      if (!tables.leases.has(key) || gone.has(key))
        throw new StoreError('conflict', 'a member has no lease');
    }
    const content = structuredClone(view);
    transaction.write(() => {
      for (const [key, lane] of tables.lanes) {
        if (members.has(key)) lane.epoch = view.epoch;
        else if (lane.epoch !== null) lane.epoch = null;
      }
      for (const key of gone) tables.leases.delete(key);
      tables.views.push(content);
      server.onView(
        content,
        removals.map(({ ref }) => ref),
      );
    });
  };
}

/** Deletes rows below the floors; what is locked is left for the next time. */
export function sweepRows(
  server: Server,
  limit: number,
  isFree: (lock: string) => boolean,
): Statement<number> {
  const { tables } = server;
  return function* (transaction) {
    const found: Row[] = [];
    for (const row of tables.rows.values()) {
      if (found.length >= limit) break;
      if (tables.isAboveFloor(row) || !isFree(`row ${rowId(row)}`)) continue;
      found.push(row);
      yield { lock: `row ${rowId(row)}` };
    }
    yield { workMs: server.workMs() };
    transaction.write(() => {
      for (const row of found) tables.rows.delete(rowId(row));
    });
    return found.length;
  };
}

/** A statement that changes nothing: it reads one snapshot, and answers when its gate is open. */
export function reading<T>(read: () => T, gate?: string): Statement<T> {
  return function* () {
    const found = read();
    if (gate !== undefined) yield { gate };
    return found;
  };
}
