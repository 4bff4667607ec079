/**
 * The schedules that break naive versions of the design, each with what must hold. One table for the
 * tests that force their order, the rules that are switched off to see those tests fail, and the page
 * that people read (docs/schedules.md).
 */
export interface ScheduleRow {
  readonly name: string;
  readonly schedule: string;
  readonly must: string;
  /** What of it cannot be tested before something else is there. */
  readonly waitsFor?: string;
}

export const ROWS = [
  {
    name: 'db-ahead-of-replica',
    schedule: "P's batch commits while its effect to R is on the way; P dies; R becomes primary",
    must: 'R never answers the old value, and builds on the new one',
  },
  {
    name: 'minority-with-database',
    schedule: 'some nodes are cut from the others, which have the database, remove them and write',
    must: 'no answer with `refuse`; else only while the outage rule holds, and marked as degraded',
  },
  {
    name: 'zombie-commit',
    schedule: 'the connection dies after a batch was sent; the old backend commits later',
    must: 'the outcome is known before anything is read again or answered',
  },
  {
    name: 'delete-then-older-set',
    schedule: 'SET k in one batch, DEL k in the next, and the second one could commit first',
    must: 'k stays deleted',
  },
  {
    name: 'derived-from-nothing',
    schedule: 'a command reads an uncommitted key and writes another; the first batch fails',
    must: 'the second write fails too',
    waitsFor: 'scripts (COPY stands for them)',
  },
  {
    name: 'effect-free-reply',
    schedule: 'SETNX, DEL or GET against an uncommitted key; its batch fails',
    must: 'their replies wait as well',
  },
  {
    name: 'half-a-transaction',
    schedule: 'a transaction over several primaries commits; a participant dies before its part',
    must: 'nobody reads one half',
  },
  {
    name: 'hold-outlives-view',
    schedule: "a new view gives a held key to another primary; the leader's batch follows",
    must: "the leader's transaction is not done",
  },
  {
    name: 'hot-key-hold',
    schedule: 'RENAME of a key that is written without pause',
    must: 'it gets its turn',
  },
  {
    name: 'hold-on-uncommitted',
    schedule: "a participant's own batch with the key is in flight when the leader removes the key",
    must: 'no resurrection',
  },
  {
    name: 'renewal-in-flight',
    schedule: "X's renewal has run, another transaction removes X, then the renewal says: fine",
    must: 'X does not serve under the old view',
  },
  {
    name: 'database-clock-steps',
    schedule: "the database's clock jumps by three seconds either way",
    must: 'nobody with a running lease is removed',
  },
  {
    name: 'renewals-lost',
    schedule: 'PostgreSQL crashes and the last renewals are gone',
    must: 'nobody with a running lease is removed',
  },
  {
    name: 'two-views-back',
    schedule:
      'owners change twice in 100 ms; the owner of two views ago is cut off, its lease runs',
    must: 'no acknowledgement before that lease has ended',
  },
  {
    name: 'jumped-view',
    schedule: 'a node goes from view 5 to 7; it owned the slot in both, not in 6',
    must: 'it does not believe its memory',
  },
  {
    name: 'behind-at-failover',
    schedule: 'the primary dies before it has written an acknowledged `behind` write',
    must: 'it is written by the next primary, once',
    waitsFor: 'the policy `behind`; nothing of it is there',
  },
  {
    name: 'unsettled-copies',
    schedule: 'a `none` write reached one of two replicas when the primary died',
    must: 'both give the same answer for ever',
  },
  {
    name: 'join-fences-everyone',
    schedule: 'a node joins while every node has batches in flight',
    must: 'no client sees an error',
  },
  {
    name: 'stopped-inside-batch',
    schedule: 'SIGSTOP of a node between the first and the last message of its batch',
    must: "others' writes and the view change go on within a lease",
  },
  {
    name: 'huge-delete',
    schedule:
      'FLUSHALL of many keys, DEL of a hash with a million fields, a failover in the middle',
    must: 'other writes keep their latency, failover takes as long as ever',
    waitsFor: 'hashes, for DEL and overwrite of one',
  },
  {
    name: 'pipelined-read-own-write',
    schedule: '`SET k; GET k` in one packet to a replica',
    must: 'the new value',
  },
  {
    name: 'retry-out-of-order',
    schedule: '`SET k 1; SET k 2` pipelined, the first is refused and sent again',
    must: 'k is 2',
  },
  {
    name: 'half-an-mset',
    schedule: 'MSET a b on two primaries, MGET a b meanwhile',
    must: 'both or neither',
  },
  {
    name: 'endless-dirty-read',
    schedule: 'GET of a key that is written without pause',
    must: 'an answer after one commit',
  },
  {
    name: 'dropped-then-complete',
    schedule: 'a failed batch drops k in a slot that is known to be complete',
    must: 'GET asks the database',
  },
  {
    name: 'fetch-meets-delete',
    schedule: 'a scan of the slot, or a legacy call, began before a DEL and returns after it',
    must: 'k stays deleted',
  },
  {
    name: 'delete-then-hydrate',
    schedule: 'DEL of a key that the legacy source still has, then GET',
    must: 'absent for the time that the policy says',
  },
  {
    name: 'ttl-clocks',
    schedule: "a replica's clock is behind; the primary says expired",
    must: 'no owner answers the value afterwards',
  },
  {
    name: 'reaper-meets-persist',
    schedule: 'the reaper picks a row that its primary has just made persistent',
    must: 'the row stays',
  },
  {
    name: 'one-cut-link',
    schedule: 'three nodes, the link A-B is cut, C sees both',
    must: 'one of A and B leaves; writes go on; no flapping',
  },
  {
    name: 'restart-same-id',
    schedule: 'a stopped process is replaced by one with the same id, then wakes',
    must: 'it neither renews, nor writes, nor sends frames',
  },
  {
    name: 'old-frames',
    schedule: 'a link breaks and is made anew; what the old one carried arrives later',
    must: 'it is not applied',
  },
  {
    name: 'watermark-lost',
    schedule: 'the link breaks between commit and watermark, then traffic stops',
    must: 'the key becomes clean',
  },
  {
    name: 'database-down-writes',
    schedule: 'thousands of writes while the database is down',
    must: 'the cache keeps its entries',
  },
  {
    name: 'database-restart-longer-than-lease',
    schedule: 'PostgreSQL is away for three leases, then returns',
    must: 'nobody is removed for that alone',
  },
  {
    name: 'other-database',
    schedule: "after PostgreSQL's own failover the newest view and batches are missing",
    must: 'nodes notice, drop, and start above the highest epoch',
  },
  {
    name: 'suspend',
    schedule: 'a virtual machine sleeps for ten seconds and wakes',
    must: 'it answers nothing from before without a new lease',
  },
  {
    name: 'batch-before-activation',
    schedule: "P stays primary, a new replica has confirmed, an old one has not; P's batch commits",
    must: 'never the new value, then the old one',
  },
  {
    name: 'renewal-prolongs-old-view',
    schedule: 'a renewal names view 6 to a node that still reads under 5',
    must: 'its lease under 5 does not grow',
  },
  {
    name: 'lane-born-in-a-view-change',
    schedule: 'a node creates its lane while the transaction of a view is running',
    must: 'its batches do not pass under the older epoch',
  },
  {
    name: 'half-cut-live-node',
    schedule: 'the connection of a lane dies half-way, its backend keeps the lock, the node renews',
    must: 'the node and every view change go on within the bound of a batch',
  },
  {
    name: 'dead-replica-one-slot',
    schedule: 'one replica stops confirming',
    must: 'writes of slots that it does not own keep their latency',
  },
  {
    name: 'stuck-but-renewing',
    schedule: "a node's links stand still while it renews; then only a learner's do",
    must: 'the right one is removed, once',
  },
  {
    name: 'zones-and-removal',
    schedule: 'A and B in zone 1, C in zone 2, two owners: A dies',
    must: 'the primary is one that held the slot, no empty newcomer',
  },
  {
    name: 'pop-from-two',
    schedule: 'BLPOP on two keys of two primaries, both pushed at once',
    must: 'one element popped, the other still there',
    waitsFor: 'lists and blocking commands; nothing of it is there',
  },
  {
    name: 'watch-elsewhere',
    schedule: 'WATCH a on one primary, EXEC writes b on another; a changes at the last moment',
    must: 'EXEC fails',
    waitsFor: 'WATCH and EXEC; nothing of it is there',
  },
  {
    name: 'partial-hash',
    schedule: 'a replica evicted a hash; HSET of one field arrives as an effect',
    must: 'the replica does not answer with one field',
    waitsFor: 'hashes (EXPIRE stands for HSET)',
  },
  {
    name: 'crossed-flush',
    schedule: 'FLUSHALL while writes go on, seen by SQL with a long-running reader',
    must: 'bounded, and no writer waits for the reader',
  },
  {
    name: 'long-snapshot',
    schedule: 'a backup holds a snapshot for long under full write load',
    must: 'a batch costs what it did',
  },
] as const satisfies readonly ScheduleRow[];

export type RowName = (typeof ROWS)[number]['name'];
