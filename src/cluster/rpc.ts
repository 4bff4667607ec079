/**
 * Questions between nodes that are rare or small: holds, gathering, hand-over news. The body is JSON
 * (of binary strings, so it stays one byte a character on the wire); commands and effects, which are
 * many, have frames of their own.
 */
import type { Clock, TimerHandle, Timers } from '../platform/clock.ts';
import type { NodeRef } from '../storage/postgres/store.ts';
import { type ErrorCode, ReplyError } from '../errors.ts';
import { isBrokenInvariant } from './assert.ts';
import type { FrameStream } from './link.ts';
import type { Peer } from './peers.ts';
import { refKey } from './view.ts';
import { CONTENT_BYTES_MAX, type FrameReader, FrameType } from './wire.ts';

/** Append only: these numbers are on the wire. */
export const Method = {
  Hold: 1,
  Apply: 2,
  Release: 3,
  CountKeys: 4,
  ScanSlots: 5,
  RandomKey: 6,
  Flush: 7,
  Inherit: 8,
} as const;
export type Method = (typeof Method)[keyof typeof Method];

/** The question was not answered: the link broke, the time is up, or the peer did not want to. */
export class CallFailed extends Error {
  /** False: the peer certainly did not act on it. */
  readonly mayHaveRun: boolean;
  constructor(message: string, mayHaveRun: boolean) {
    super(message);
    this.name = 'CallFailed';
    this.mayHaveRun = mayHaveRun;
  }
}

export type CallHandler = (from: NodeRef, body: unknown) => unknown;

interface Waiting {
  readonly peer: Peer;
  readonly deadlineMs: number;
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

interface Answer {
  readonly ok?: unknown;
  /** The peer did not act on it, and asks for another try in another view. */
  readonly retry?: boolean;
  /** With `retry`: it may have acted on it all the same. */
  readonly ran?: boolean;
  readonly code?: ErrorCode;
  readonly message?: string;
}

const SWEEP_MS = 50;
const WAITING_MAX = 20_000;

export class Rpc {
  readonly #clock: Clock;
  readonly #handlers = new Map<number, CallHandler>();
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  readonly #sweeper: TimerHandle;

  constructor(clock: Clock, timers: Timers) {
    this.#clock = clock;
    this.#sweeper = timers.every(SWEEP_MS, () => this.#sweep());
  }

  handle(method: Method, handler: CallHandler): void {
    this.#handlers.set(method, handler);
  }

  /** Rejects with a ReplyError that the peer sent or that says why it was not asked, or a CallFailed. */
  call(
    peer: Peer | undefined,
    method: Method,
    body: unknown,
    deadlineMs: number,
  ): Promise<unknown> {
    const stream = peer?.stream;
    if (peer === undefined || stream === null || stream === undefined) {
      return Promise.reject(new CallFailed('the link to the peer is down', false));
    }
    if (this.#waiting.size >= WAITING_MAX) {
      return Promise.reject(
        new ReplyError('BUSY', 'too many questions to other nodes are open; nothing was changed'),
      );
    }
    const text = encode(body);
    if (text === null) {
      return Promise.reject(
        new ReplyError('ERR', 'too much for one question to another node; nothing was changed'),
      );
    }
    const id = ++this.#lastId;
    const writer = stream.begin(FrameType.Call);
    writer.u53(id);
    writer.u8(method);
    writer.str(text);
    stream.end();
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { peer, deadlineMs, resolve, reject });
    });
  }

  onCall(from: NodeRef, frame: FrameReader, answers: () => FrameStream): void {
    const id = frame.u53();
    const method = frame.u8();
    const body = frame.json();
    const handler = this.#handlers.get(method);
    if (handler === undefined) {
      return answer(answers(), id, { code: 'ERR', message: `unknown question ${method}` });
    }
    try {
      const result = handler(from, body);
      if (result instanceof Promise) {
        result.then(
          (ok: unknown) => answer(answers(), id, { ok }),
          (error: unknown) => answer(answers(), id, asError(error)),
        );
      } else {
        answer(answers(), id, { ok: result });
      }
    } catch (error) {
      answer(answers(), id, asError(error));
    }
  }

  onReply(frame: FrameReader): void {
    const id = frame.u53();
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    const { ok, retry, ran, code, message } = frame.json() as Answer;
    if (retry === true) waiting.reject(new CallFailed(message ?? '', ran === true));
    else if (code === undefined) waiting.resolve(ok);
    else waiting.reject(new ReplyError(code, message ?? ''));
  }

  onDown(peer: Peer): void {
    this.#fail((waiting) => waiting.peer === peer, 'the link to the peer broke');
  }

  stop(): void {
    this.#sweeper.cancel();
    this.#fail(() => true, 'this node is leaving the cluster');
  }

  #sweep(): void {
    if (this.#waiting.size === 0) return;
    const now = this.#clock.monotonicMs();
    this.#fail((waiting) => waiting.deadlineMs <= now, 'the peer did not answer in time');
  }

  #fail(which: (waiting: Waiting) => boolean, reason: string): void {
    for (const [id, waiting] of this.#waiting) {
      if (!which(waiting)) continue;
      this.#waiting.delete(id);
      waiting.reject(new CallFailed(`${reason} (${refKey(waiting.peer.member)})`, true));
    }
  }
}

function answer(stream: FrameStream, id: number, body: Answer): void {
  if (stream.closed) return;
  const text = encode(body) ?? JSON.stringify(TOO_LONG);
  const writer = stream.begin(FrameType.CallReply);
  writer.u53(id);
  writer.str(text);
  stream.end();
}

const TOO_LONG: Answer = {
  code: 'ERR',
  message: 'the answer is too much for one frame between two nodes',
};

/** JSON for a frame; null when it is too long for one, or for a string at all. */
function encode(body: unknown): string | null {
  try {
    const text = JSON.stringify(body);
    return text.length > CONTENT_BYTES_MAX ? null : text;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** Rethrows what no answer can make good. */
function asError(error: unknown): Answer {
  if (isBrokenInvariant(error)) throw error;
  if (error instanceof CallFailed) {
    return { retry: true, ran: error.mayHaveRun, message: error.message };
  }
  if (error instanceof ReplyError) return { code: error.code, message: error.message };
  return { code: 'ERR', message: error instanceof Error ? error.message : String(error) };
}
