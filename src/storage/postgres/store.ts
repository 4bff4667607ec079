/**
 * The database as the cluster sees it. The real one is in this folder, on `pg`; the simulator has a
 * model of it with the same interface. Sessions are visible on purpose: *which* connection does what,
 * and what may still be running on one that was lost, is what the correctness argument is about.
 *
 * Every method that fails rejects with a StoreError, whose `kind` says what is known of the outcome.
 */

/** Append only: stored in `ringfence.entry.type`. */
export const RowType = { Tombstone: 0, String: 1 } as const;
export type RowType = (typeof RowType)[keyof typeof RowType];

/** One change of one key, as a batch carries it. A batch has at most one per key. */
export interface RowChange {
  /** 'put' writes value and expiry; 'delete' removes the row (or leaves a tombstone until `expiresAtMs`); 'expire' changes only the expiry. */
  readonly kind: 'put' | 'delete' | 'expire';
  readonly slot: number;
  readonly db: number;
  /** Binary string: one character, one byte. */
  readonly key: string;
  /** Binary string for 'put', else null. */
  readonly value: string | null;
  /** Milliseconds since 1970; 0: never (put, expire), no tombstone (delete). */
  readonly expiresAtMs: number;
  readonly epoch: number;
  readonly seq: number;
}

/** FLUSHALL / FLUSHDB of some slots: rows up to this version do not exist any more. */
export interface FloorChange {
  readonly slots: readonly number[];
  /** Null: all databases. */
  readonly db: number | null;
  readonly epoch: number;
  readonly seq: number;
}

export interface Batch {
  /** Numbers of a lane are 1, 2, 3, ... over the life of an incarnation. */
  readonly number: number;
  readonly epoch: number;
  readonly rows: readonly RowChange[];
  readonly floors: readonly FloorChange[];
}

export interface Row {
  readonly slot: number;
  readonly db: number;
  readonly key: string;
  readonly type: RowType;
  /** Null for a tombstone. */
  readonly value: string | null;
  readonly expiresAtMs: number;
  readonly epoch: number;
  readonly seq: number;
}

export interface RowKey {
  readonly slot: number;
  readonly db: number;
  readonly key: string;
}

/** One life of a node's process. */
export interface NodeRef {
  readonly node: string;
  readonly incarnation: string;
}

/** A node as the view lists it. */
export interface Member extends NodeRef {
  readonly host: string;
  readonly port: number;
  readonly linkPort: number;
  readonly httpPort: number;
  readonly zone: string;
  readonly tokens: number;
}

/** The agreed list of members. See docs/ARCHITECTURE.md, "Views". */
export interface View {
  readonly epoch: number;
  /**
   * The epoch of the view that this one follows; 0: it is the first. They differ by more than one when
   * the database has lost views: nothing of what follows may be taken for something that was lost.
   */
  readonly previous: number;
  /** Random; tells this view from another one of the same epoch in a database that lost history. */
  readonly id: string;
  /** N of the settled list: how many nodes hold each slot. */
  readonly replicas: number;
  /** Owners come from this list (the first N on the ring), less `removed`. */
  readonly settled: readonly Member[];
  /** Those of `settled` that are gone. */
  readonly removed: readonly NodeRef[];
  /** The list that becomes settled when its learners are filled; equal to the living settled ones when nothing is coming. */
  readonly coming: readonly Member[];
  /** N of the coming list; becomes `replicas` together with it. */
  readonly comingReplicas: number;
  /**
   * Nodes that were told to leave. They own what the settled list gives them until it is handed over;
   * then nothing, and only forward commands until they stop. In no case do they learn.
   */
  readonly leaving: readonly Member[];
  /**
   * Id of the node that is primary of every slot that it owns; null: the ring says which of a slot's owners is. One
   * primary writes larger batches than several (docs/adr/0017).
   */
  readonly lead: string | null;
  /** Ring points by node id, where a command has set them: they outlive the node's restarts. */
  readonly weights: Readonly<Record<string, number>>;
}

export interface LeaseInfo extends NodeRef {
  /** Counts renewals. Standing still is the only sign of death that counts. */
  readonly counter: number;
  /** The node said goodbye: it will not serve or write again. */
  readonly givenUp: boolean;
  /** Lives of nodes with which it says that it has no working link. */
  readonly complaints: readonly NodeRef[];
  /** A complaint was settled against it: it cannot renew any more. */
  readonly expelled: boolean;
}

export interface Renewal {
  readonly counter: number;
  /** Newest epoch at the time of the renewal; 0: no view yet. */
  readonly epoch: number;
  /** Id of that view; empty when there is none. */
  readonly viewId: string;
  readonly leases: readonly LeaseInfo[];
  /** The database's wall clock, milliseconds since 1970. */
  readonly nowMs: number;
}

/** A proposal for the view after `view.previous`. */
export interface ViewProposal {
  readonly view: View;
  /**
   * Members that this view removes, with the counters at which they were seen standing still (`null`:
   * given up). Every lane that the view does not list loses its epoch, whether named here or not; only
   * those named here lose their lease.
   */
  readonly removals: readonly { readonly ref: NodeRef; readonly counter: number | null }[];
}

/** The end of a complaint. */
export interface Settlement {
  readonly by: NodeRef;
  readonly about: NodeRef;
  /** One of the two. */
  readonly loser: NodeRef;
  /** For people, and for the loser itself. */
  readonly reason: string;
}

export type StoreErrorKind =
  /** Not sent, or rolled back for a passing reason (timeout, deadlock) that is not in the data: not done. */
  | 'unavailable'
  /** Start-up only: no waiting makes this database fit (too old, another encoding, no rights, ...). */
  | 'unusable'
  /**
   * The server is another one, or has another history, than `identify` has seen: not done. What memory has
   * from the table may not be in the table any more.
   */
  | 'replaced'
  /** This incarnation, generation or epoch may not write any more: not done. */
  | 'fenced'
  /** The batch before this one did not commit: not done. */
  | 'gap'
  /**
   * The database refused it (too large, disk full, read-only, ...): rolled back, not done. Also for a
   * change that contradicts the table: an 'expire' of a row that is not there, an older version over a
   * newer one. Memory is wrong then, and the keys in question must be dropped and read again.
   */
  | 'rejected'
  /**
   * The connection was lost, the commit was answered with a warning, or the batch's number was committed
   * before: may or may not be done. A new lane session knows.
   */
  | 'unknown'
  /** Another proposal won, or a node to be removed has renewed: not done. */
  | 'conflict';

export class StoreError extends Error {
  readonly kind: StoreErrorKind;
  constructor(kind: StoreErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreError';
    this.kind = kind;
  }
}

/**
 * The one connection that writes a node's data. Opening it raises the lane's generation, which waits
 * for (or ends) whatever an older connection of this lane may still be doing, and then reads the last
 * committed number: from then on the outcome of every earlier batch is known.
 */
export interface LaneSession {
  /** Number of the last committed batch of this incarnation; 0: none. */
  readonly lastNumber: number;
  /**
   * Commits one batch. Several may be under way; they commit in order, and each that follows a failed
   * one is refused as 'gap'; the number of a failed one is then used again. More than the bound of the
   * pipeline is refused as 'unavailable'. Resolves only when the commit is certain. After any rejection
   * of kind 'unknown' the session is closed.
   */
  commit(batch: Batch): Promise<void>;
  /** Resolves when the connection is over, for whatever reason. */
  readonly closed: Promise<void>;
  close(): Promise<void>;
}

/** The connection for leases and nothing else, so that no batch can block a renewal. */
export interface LeaseSession {
  /** When the server was started, in its own words: another moment is another run of it. */
  readonly serverStart: string;
  /** `complaints`: the lives of nodes that this one has no working link with, for the others to see. */
  renew(complaints: readonly NodeRef[]): Promise<Renewal>;
  /** Marks the lease as given up; after this the node must not serve or write. */
  giveUp(): Promise<void>;
  close(): Promise<void>;
}

/** View changes, and waiting that may be long. */
export interface ControlSession {
  /** As in `LeaseSession`. */
  readonly serverStart: string;
  /** The views after `epoch`, oldest first (all that are kept, at most 1000). */
  viewsAfter(epoch: number): Promise<View[]>;
  /** The newest views, newest first, with the moments at which the database made them. */
  history(limit: number): Promise<{ view: View; createdAtMs: number }[]>;
  /** One transaction, see docs/ARCHITECTURE.md "Views". Rejects with 'conflict' when it lost. */
  propose(proposal: ViewProposal): Promise<void>;
  /**
   * Settles the complaint of one node about another, in one transaction that locks both lease rows: the
   * loser cannot renew from then on. False, and nothing is changed, when one of the two was expelled or
   * has given up, or the complaint does not stand any more.
   */
  settleComplaint(settlement: Settlement): Promise<boolean>;
  close(): Promise<void>;
}

/** Reads of data; a small pool of connections. */
export interface LoadPool {
  /** The rows that exist and are above the floors (tombstones and expired ones included). */
  load(keys: readonly RowKey[]): Promise<Row[]>;
  /**
   * Rows of slots `from`..`to`, in order of (slot, db, key), after `after`; at most `limit` rows and
   * about `bytesMax` bytes of values, but always at least one.
   */
  scan(range: {
    from: number;
    to: number;
    after: RowKey | null;
    limit: number;
    bytesMax: number;
  }): Promise<Row[]>;
  /** Live keys (not expired at `nowMs`, no tombstones) of a database in the given slots. */
  count(slots: readonly number[], db: number, nowMs: number): Promise<number>;
  /** Live keys only, of one slot and database, in key order after `after`. */
  keys(at: {
    slot: number;
    db: number;
    after: string | null;
    limit: number;
    nowMs: number;
  }): Promise<{ key: string; type: RowType }[]>;
  /** Rows whose time is over at `nowMs`, for the primary of these slots to remove; at most `limit`. */
  expired(slots: { from: number; to: number }[], nowMs: number, limit: number): Promise<RowKey[]>;
  close(): Promise<void>;
}

export interface Store {
  /** To be called first. Checks the server (version, encoding, settings), creates or migrates the schema; safe when several nodes do it at once. */
  prepare(): Promise<{ clusterId: string; serverVersion: string }>;
  /**
   * Takes the server's identity (system identifier and timeline) as the one that all later sessions must
   * find again; others are refused as 'replaced'. To be called before a life of the node begins, when
   * it remembers nothing. Also refuses another cluster's database, as 'unavailable'.
   */
  identify(): Promise<void>;
  /**
   * Registers this incarnation: its lease row, and its lane row without an epoch. May be repeated when
   * its outcome is unknown; 'fenced' for an incarnation that was removed.
   */
  register(member: Member): Promise<void>;
  openLane(self: NodeRef): Promise<LaneSession>;
  openLease(self: NodeRef): Promise<LeaseSession>;
  openControl(): Promise<ControlSession>;
  loads(): LoadPool;
  /**
   * Deletes rows below the floors, at most `limit`, and returns how many; also what is left of
   * incarnations that ended more than a day ago. Called now and then by one node.
   */
  sweep(limit: number): Promise<number>;
  close(): Promise<void>;
}
