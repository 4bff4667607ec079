/**
 * Replies of one client in the order of its commands, though they become known in any order.
 *
 * While nothing is under way a reply is appended to one string. A command under way is one linked
 * object; replies that are known while it waits are appended to the last such object, to go out right
 * behind it. So a pipeline costs one object for each command that really waits, and no array shifts.
 */
import type { Prepared } from '../cluster/execute.ts';
import type { Call, ClientOrder } from './router.ts';
import type { CommandStat } from './stats.ts';

/** Told when a call is answered, in whatever order. */
export interface AnswerSink {
  onAnswered(call: PendingCall): void;
}

/** A command under way and its place in the queue. */
export class PendingCall implements Call {
  readonly prepared: Prepared;
  readonly order: ClientOrder;
  /** CLIENT REPLY OFF or SKIP: the reply is dropped when it comes. */
  readonly muted: boolean;
  /** Counters of its command. */
  readonly stat: CommandStat;
  readonly #sink: AnswerSink;
  reply: string | undefined;
  /** True once the queue holds it; a reply that comes before that is not reported. */
  queued = false;
  /** Replies of later commands that go out right behind this one. */
  after = '';
  next: PendingCall | null = null;

  constructor(
    sink: AnswerSink,
    prepared: Prepared,
    order: ClientOrder,
    stat: CommandStat,
    muted: boolean,
  ) {
    this.#sink = sink;
    this.stat = stat;
    this.prepared = prepared;
    this.order = order;
    this.muted = muted;
  }

  done(reply: string): void {
    if (this.reply !== undefined) return;
    this.reply = reply;
    if (this.queued) this.#sink.onAnswered(this);
  }
}

export class ReplyQueue {
  #head: PendingCall | null = null;
  #tail: PendingCall | null = null;
  #ready = '';
  #heldBytes = 0;
  #pending = 0;

  /** Commands that are not answered yet. */
  get pending(): number {
    return this.#pending;
  }

  /** Bytes of replies that are known and not taken yet. */
  get bytes(): number {
    return this.#ready.length + this.#heldBytes;
  }

  /** Bytes that `take` would return now. */
  get readyBytes(): number {
    return this.#ready.length;
  }

  /** A reply that is known now. */
  add(reply: string): void {
    if (this.#tail === null) {
      this.#ready += reply;
    } else {
      this.#tail.after += reply;
      this.#heldBytes += reply.length;
    }
  }

  /** Keeps the place of a command that is under way. */
  reserve(call: PendingCall): void {
    call.queued = true;
    this.#pending++;
    if (this.#tail === null) this.#head = call;
    else this.#tail.next = call;
    this.#tail = call;
  }

  /** `call` got its reply: makes ready whatever is answered from the head on. */
  settle(call: PendingCall): void {
    this.#pending--;
    if (call.muted) call.reply = '';
    this.#heldBytes += (call.reply ?? '').length;
    let head = this.#head;
    while (head !== null && head.reply !== undefined) {
      this.#ready += head.reply + head.after;
      this.#heldBytes -= head.reply.length + head.after.length;
      head = head.next;
    }
    this.#head = head;
    if (head === null) this.#tail = null;
  }

  /** The bytes that may go out now, in order. */
  take(): string {
    const ready = this.#ready;
    this.#ready = '';
    return ready;
  }

  /** Drops all replies; calls under way may still be settled, and are then forgotten. */
  clear(): void {
    this.#head = null;
    this.#tail = null;
    this.#ready = '';
    this.#heldBytes = 0;
  }
}
