/**
 * The primary's side of replication to one other node: a numbered stream of operations.
 *
 * Numbers start at 1 in every view and have no gaps. The replica confirms cumulatively. The watermark
 * says up to which number everything is settled (committed, or dropped again); it is cumulative too,
 * so it can be repeated after a reconnect. It is in no hurry (a dirty key is read at the primary), and
 * a write to a socket costs more than all else here: it rides with the next frame to that peer, and
 * goes alone only after a few milliseconds, so an idle stream ends with all keys clean (schedule
 * watermark-lost).
 *
 * What is not confirmed is kept encoded and is sent again when the link comes back; the replica says
 * in its answer to Hello which number it has. The number of operations under way is bounded by the
 * engine, and with it this queue.
 */
import type { Timers } from '../platform/clock.ts';
import type { Op } from './op.ts';
import type { Peer } from './peers.ts';
import { FrameType } from './wire.ts';

interface Item {
  readonly op: Op | null;
  readonly payload: Buffer;
}

/** In place of an item that is settled, so that its payload is not kept. */
const SETTLED: Item = { op: null, payload: Buffer.alloc(0) };

/** How long a watermark waits for a frame to ride with, milliseconds. */
const WATERMARK_DELAY_MS = 3;

export class OutStream {
  readonly #timers: Timers;
  /** The link; replaced when the peer's Peer object is. Null while there is none. */
  peer: Peer | null = null;
  readonly #onConfirmed: (op: Op) => void;
  #items: Item[] = [];
  #head = 0;
  /** Number of the item at #head. */
  #headSeq = 1;
  #nextSeq = 1;
  #confirmedSeq = 0;
  #watermarkScheduled = false;
  /** The watermark has moved and was not sent. */
  #watermarkDue = false;
  #ended = false;

  constructor(timers: Timers, onConfirmed: (op: Op) => void) {
    this.#timers = timers;
    this.#onConfirmed = onConfirmed;
  }

  get congested(): boolean {
    return this.peer?.stream?.congested === true;
  }

  /** Number of the last confirmed operation. */
  get confirmed(): number {
    return this.#confirmedSeq;
  }

  get unconfirmed(): number {
    return this.#nextSeq - 1 - this.#confirmedSeq;
  }

  /** The peer has everything up to this number. */
  get confirmedSeq(): number {
    return this.#confirmedSeq;
  }

  /** Sends an operation's effects; `op` null: nobody waits for it. Returns its number. */
  send(op: Op | null, payload: Buffer): number {
    const seq = this.#nextSeq++;
    this.#items.push({ op, payload });
    this.#write(seq, payload);
    return seq;
  }

  /** The peer has everything up to `seq`. */
  confirm(seq: number): void {
    if (this.#ended) return;
    while (this.#confirmedSeq < seq && this.#confirmedSeq < this.#nextSeq - 1) {
      this.#confirmedSeq++;
      const { op } = this.#items[this.#head + this.#confirmedSeq - this.#headSeq]!;
      if (op !== null) this.#onConfirmed(op);
    }
    this.settled();
  }

  /**
   * The view is over, and with it these numbers: nothing more is sent. A watermark that was still to go
   * out would bear the next view's epoch, and be taken there for one of its own stream.
   */
  end(): void {
    this.#ended = true;
    this.peer = null;
  }

  /** Some operation was finished: the watermark may move, at the end of this turn. */
  settled(): void {
    if (this.#watermarkScheduled || this.#ended) return;
    this.#watermarkScheduled = true;
    this.#timers.turnEnd(() => {
      this.#watermarkScheduled = false;
      if (!this.#ended) this.advance();
    });
  }

  /**
   * The link works again, and the peer has everything up to `lastSeq`. What it lacks goes first, and only
   * then is the rest confirmed: a confirmation may finish an operation, and whoever waits for that begins
   * the next one at once, whose effects are written to this very link. They must stand behind everything
   * with a lower number, or the peer sees a gap in the stream, which ends its process. Confirming moves
   * neither the watermark nor the items (`advance` does, at the end of a turn), so what is sent is the same.
   */
  resume(lastSeq: number): void {
    if (this.#ended) return;
    this.#watermarkDue = false;
    for (let seq = Math.max(lastSeq + 1, this.#headSeq); seq < this.#nextSeq; seq++) {
      this.#write(seq, this.#items[this.#head + seq - this.#headSeq]!.payload);
    }
    this.#sendWatermark();
    this.confirm(lastSeq);
  }

  /** Moves the watermark over what is settled, and sends it if that costs nothing, else soon. */
  advance(): void {
    if (this.#ended) return;
    const before = this.#headSeq;
    while (this.#headSeq <= this.#confirmedSeq) {
      const { op } = this.#items[this.#head]!;
      if (op !== null && !op.finished) break;
      this.#items[this.#head++] = SETTLED;
      this.#headSeq++;
    }
    if (this.#headSeq === before) return;
    if (this.#head > 512 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    const stream = this.peer?.stream;
    if (stream?.flushing === true) this.#sendWatermark();
    else this.#delayWatermark();
  }

  #delayWatermark(): void {
    if (this.#watermarkDue) return;
    this.#watermarkDue = true;
    this.#timers.after(WATERMARK_DELAY_MS, () => {
      if (this.#watermarkDue) this.#sendWatermark();
    });
  }

  #sendWatermark(): void {
    this.#watermarkDue = false;
    const stream = this.peer?.stream;
    if (stream === null || stream === undefined || this.#ended) return;
    stream.begin(FrameType.Watermark).u53(this.#headSeq - 1);
    stream.end();
  }

  #write(seq: number, payload: Buffer): void {
    const stream = this.peer?.stream;
    if (stream === null || stream === undefined) return;
    if (this.#watermarkDue) this.#sendWatermark();
    const writer = stream.begin(FrameType.Effects);
    writer.u53(seq);
    writer.raw(payload);
    stream.end();
  }
}
