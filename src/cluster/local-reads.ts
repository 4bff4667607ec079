/**
 * Reads that this node answers from its own memory, which it may as an owner of the keys while it has a lease, when
 * they are clean and far from their expiry: then they are what the database has (docs/ARCHITECTURE.md, "Life of a read").
 *
 * There are two ways. `run` is for every command that only reads. `copy` is for GET and MGET as they mostly come: keys are
 * looked up where they lie in the input, and values are copied from the arena to the output, without a string in between.
 */
import { ARGUMENTS_MAX, type Frames } from '../resp/frames.ts';
import { ARRAY, BULK, FRAMING_BYTES_MAX, type ReplyBuffer } from '../resp/reply-buffer.ts';
import { KeyBatch } from '../storage/memory/key-batch.ts';
import type { Keyspace } from '../storage/memory/keyspace.ts';
import type { Engine } from './engine.ts';
import { MANY_SLOTS, type Prepared } from './execute.ts';
import type { Lease } from './lease.ts';
import { keyId } from './op.ts';
import { slotOf, slotOfBytes } from './slot.ts';
import type { SlotTable } from './slots.ts';
import type { ClusterTime } from './time.ts';

export interface LocalReadsEnv {
  readonly keyspace: Keyspace;
  readonly slots: SlotTable;
  readonly lease: Lease;
  readonly time: ClusterTime;
  readonly engine: Engine;
  /** How far clocks of two nodes may differ: keys this close to their expiry are the primary's business. */
  readonly clockBoundMs: number;
  readsWithoutLease(): boolean;
}

/** Commands of one client whose replies are the values of their keys: all arguments after the name. */
export interface DirectReadBatch {
  readonly frames: Frames;
  /** Gets the replies. */
  readonly out: ReplyBuffer;
  /** For each command. 1: an array with the values of all keys; 0: the value of the only one. */
  readonly arrays: Uint8Array;
  readonly db: number;
  /** Reading counts as a use of the keys. */
  readonly touches: boolean;
  /**
   * Cluster time at which this node was last seen to have the right to read; 0 when anything but direct reads may have
   * run since then, or bytes of the commands may have come since then.
   */
  allowedAtMs: number;
}

export class LocalReads {
  readonly #env: LocalReadsEnv;
  /** The keys of a batch of direct reads. */
  readonly #keys = new KeyBatch(ARGUMENTS_MAX);

  constructor(env: LocalReadsEnv) {
    this.#env = env;
  }

  /** The reply, when every key is here, clean, and far from its expiry; else undefined. */
  run(p: Prepared): string | undefined {
    const { keyspace, time, clockBoundMs, engine, slots } = this.#env;
    if (!this.#allowed) return undefined;
    const keys = p.keys;
    const soonMs = time.nowMs() + clockBoundMs;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      const slot = p.slot === MANY_SLOTS ? slotOf(key) : p.slot;
      if (!slots.isOwner(slot)) return undefined;
      // Held for a transaction: elsewhere the key is marked dirty, here its gate is what counts.
      if (!engine.gates.empty && engine.gates.blocks(keyId(p.db, key))) return undefined;
      const entry = keyspace.find(slot, p.db, key);
      if (entry === undefined || entry.value === null || entry.dirty !== 0) return undefined;
      if (entry.expiresAtMs !== 0 && entry.expiresAtMs <= soonMs) return undefined;
    }
    if (p.refs !== undefined) return undefined;
    const set = engine.workingSet(p.slot);
    const { reply } = p.run(set);
    return set.changed ? undefined : reply;
  }

  /**
   * Copies replies to `batch.out`, under the same conditions as `run`. Returns how many of the commands were answered:
   * those before the first one that one of the conditions does not hold for, or that is not that simple: a long value, no
   * room, keys held by some transaction. Nothing was done about the others.
   *
   * The lease and the time are looked at once for all direct reads that follow each other in one turn, with nothing else
   * in between. Nothing changes a value meanwhile, and all of their commands had come by then; so each reads what was
   * true at that moment, which is between its arrival and its reply.
   */
  copy(batch: DirectReadBatch): number {
    const { time, engine, keyspace, clockBoundMs } = this.#env;
    if (!engine.gates.empty) return 0;
    if (batch.allowedAtMs === 0) {
      if (!this.#allowed) return 0;
      batch.allowedAtMs = time.nowMs();
    }
    const commands = this.#collect(batch.frames);
    keyspace.findPlain(this.#keys, batch.db, batch.allowedAtMs + clockBoundMs);
    for (let i = 0; i < commands; i++) if (!this.#copyReply(batch, i)) return i;
    return commands;
  }

  get #allowed(): boolean {
    return this.#env.lease.valid || this.#env.readsWithoutLease();
  }

  /** Takes the keys of the commands before the first one with a key that is not this node's; returns their number. */
  #collect({ bytes, count, firsts, starts, ends }: Frames): number {
    const { slots } = this.#env;
    const keys = this.#keys;
    keys.bytes = bytes;
    keys.count = 0;
    let key = 0;
    for (let command = 0; command < count; command++) {
      const last = firsts[command + 1]!;
      for (let i = firsts[command]! + 1; i < last; i++) {
        const start = starts[i]!;
        const end = ends[i]!;
        const slot = slotOfBytes(bytes, start, end);
        if (!slots.isOwner(slot)) return command;
        keys.starts[key] = start;
        keys.ends[key] = end;
        keys.slots[key] = slot;
        key++;
      }
      keys.count = key;
    }
    return count;
  }

  /** False, with nothing copied, when not all keys of the command were found, or there is no room. */
  #copyReply(
    { frames, arrays, out, allowedAtMs, touches }: DirectReadBatch,
    command: number,
  ): boolean {
    const { keyspace } = this.#env;
    const { found } = this.#keys;
    // Each command before this one has one argument that is no key.
    const first = frames.firsts[command]! - command;
    const end = frames.firsts[command + 1]! - command - 1;
    let bytes = FRAMING_BYTES_MAX * (end - first + 1);
    for (let i = first; i < end; i++) {
      const at = found[i]!;
      if (at === 0) return false;
      bytes += keyspace.plainBytes(at);
    }
    if (bytes > out.room) return false;
    if (arrays[command] === 1) out.header(ARRAY, end - first);
    for (let i = first; i < end; i++) {
      const at = found[i]!;
      out.header(BULK, keyspace.plainBytes(at));
      keyspace.copyPlain(at, out, allowedAtMs, touches);
      out.lineEnd();
    }
    return true;
  }
}
