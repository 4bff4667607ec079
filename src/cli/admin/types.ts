/**
 * What CLUSTER STATUS and CLUSTER VIEWS answer in JSON. Written down again here and not taken from the
 * server's code, because the node that answers may be of another version: fields are only ever added.
 */

/** A hand-over from this node to one that learns some of its slots. */
export interface HandOver {
  readonly to: string;
  readonly slots: number;
  /** Those that the learner has confirmed. */
  readonly filled: number;
  readonly bytes: number;
  readonly bytesPerSecond: number;
  /** Why it goes slowly; null: it does not. */
  readonly slowedBy: string | null;
}

/** CLUSTER STATUS: the cluster as one node sees it. */
export interface ClusterStatus {
  /** This node. */
  readonly node: string;
  readonly epoch: number;
  /** How many nodes hold each key, and how many are to when all is handed over. */
  readonly replicas: number;
  readonly wantedReplicas: number;
  /** The node that is primary of all that it owns; null: the ring decides for each slot. */
  readonly lead: string | null;
  /** Members, weights or replicas change: something is being handed over. */
  readonly moving: boolean;
  readonly nodes: readonly NodeStatus[];
  /** Slots that this node learns in the present view, and those it does not have yet. */
  readonly learning: { readonly slots: number; readonly left: number };
  readonly handOvers: readonly HandOver[];
  /** What is wrong on this node, in words. */
  readonly problems: readonly string[];
}

export interface NodeStatus {
  readonly name: string;
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly zone: string;
  /** Points on the ring: as they are to be when all is handed over. */
  readonly weight: number;
  readonly state: 'member' | 'joining' | 'leaving' | 'removed';
  readonly connected: boolean;
  /** Slots it is primary of, and slots it owns, at present. */
  readonly primarySlots: number;
  readonly ownedSlots: number;
}

/** One element of CLUSTER VIEWS. */
export interface ViewSummary {
  readonly epoch: number;
  readonly id: string;
  /** When the database made it; ISO 8601. */
  readonly at: string;
  readonly replicas: number;
  readonly wantedReplicas: number;
  /** Names of nodes. */
  readonly settled: readonly string[];
  readonly removed: readonly string[];
  readonly coming: readonly string[];
  readonly leaving: readonly string[];
}
