/**
 * Runs: commands of one client on one slot, forwarded together in one frame and executed in order.
 *
 *     Run       u53 run | u16 count | count times: u32 time left (ms) | u8 db | u8 flags | u32 n | n strings
 *     RunReply  u53 run | u16 index | u8 status | reply | versions
 *
 * The primary executes a command of a run only when the one before it has executed. When one is
 * refused as not done before it ran, so are all after it: a later command never overtakes an earlier
 * one that has to be sent again (schedule retry-out-of-order).
 */
import type { Clock } from '../platform/clock.ts';
import { ReplyError } from '../errors.ts';
import { encodeError } from '../resp/reply.ts';
import type { Prepare, Prepared } from './execute.ts';
import type { FrameStream } from './link.ts';
import { Task } from './task.ts';
import { CONTENT_BYTES_MAX, type FrameReader, FrameType } from './wire.ts';

/** Append only: bits and numbers on the wire. An older release passes over bits that it does not know. */
const CommandFlag = { Resp3: 1, WantVersions: 2, NoTouch: 4 } as const;
export const RunStatus = { Reply: 0, NotDone: 1 } as const;

/** Time the answer needs on its way back, taken off what the primary is given, milliseconds. */
const RETURN_MS = 200;

export interface RunCommand {
  readonly prepared: Prepared;
  readonly wantVersions: boolean;
  /** Monotonic milliseconds of the sender after which nobody waits for the answer. */
  readonly deadlineMs: number;
}

/** Bytes of commands in one run. A command longer than this cannot be forwarded at all. */
export const RUN_BYTES_MAX = CONTENT_BYTES_MAX;

/** The reply to a command that is longer than `RUN_BYTES_MAX`. */
export const TOO_LONG_TO_FORWARD = encodeError(
  new ReplyError(
    'ERR',
    `a command for another node may have at most ${RUN_BYTES_MAX} bytes; nothing was changed`,
  ),
);

/** What a command adds to a run's frame, bytes. */
export function commandBytes({ args }: Prepared): number {
  let bytes = 10;
  for (let i = 0; i < args.length; i++) bytes += 4 + args[i]!.length;
  return bytes;
}

/**
 * Writes the commands of a run in one frame; at most 65535, and `RUN_BYTES_MAX` bytes of them.
 * `leftMs`: time left for the first of them; the others have as much more or less as their deadlines say.
 */
export function writeRun(
  stream: FrameStream,
  run: number,
  commands: readonly RunCommand[],
  leftMs: number,
): void {
  const writer = stream.begin(FrameType.Run);
  writer.u53(run);
  writer.u16(commands.length);
  const nowMs = commands[0]!.deadlineMs - leftMs;
  for (const { prepared, wantVersions, deadlineMs } of commands) {
    writer.u32(Math.max(0, Math.floor(deadlineMs - nowMs - RETURN_MS)));
    writer.u8(prepared.db);
    writer.u8(
      (prepared.protocol === 3 ? CommandFlag.Resp3 : 0) |
        (wantVersions ? CommandFlag.WantVersions : 0) |
        (prepared.noTouch ? CommandFlag.NoTouch : 0),
    );
    const { args } = prepared;
    writer.u32(args.length);
    for (const arg of args) writer.str(arg);
  }
  stream.end();
}

export interface RunReply {
  readonly run: number;
  readonly index: number;
  readonly done: boolean;
  readonly reply: string;
  readonly versions: string;
}

export function readRunReply(frame: FrameReader): RunReply {
  const run = frame.u53();
  const index = frame.u16();
  const done = frame.u8() === RunStatus.Reply;
  return { run, index, done, reply: frame.str(), versions: frame.str() };
}

export interface RunHostEnv {
  readonly clock: Clock;
  readonly prepare: Prepare;
  /** Epoch of the present view: the whole run is executed in it, or comes back. */
  readonly epoch: number;
  submit(task: Task): void;
}

/** Executes one run at the primary. */
class HostedRun {
  readonly #env: RunHostEnv;
  readonly #answers: () => FrameStream;
  readonly #run: number;
  readonly #tasks: (HostedTask | string)[] = [];
  #next = 0;
  #pumping = false;

  constructor(env: RunHostEnv, frame: FrameReader, answers: () => FrameStream) {
    this.#env = env;
    this.#answers = answers;
    this.#run = frame.u53();
    const count = frame.u16();
    const nowMs = env.clock.monotonicMs();
    for (let i = 0; i < count; i++) this.#tasks.push(this.#read(frame, i, nowMs));
  }

  /** A task, or the error reply of a command that this node does not understand. */
  #read(frame: FrameReader, index: number, nowMs: number): HostedTask | string {
    const deadlineMs = nowMs + frame.u32();
    const db = frame.u8();
    const flags = frame.u8();
    const args: string[] = new Array<string>(frame.u32());
    for (let i = 0; i < args.length; i++) args[i] = frame.str();
    try {
      const protocol = (flags & CommandFlag.Resp3) !== 0 ? 3 : 2;
      const noTouch = (flags & CommandFlag.NoTouch) !== 0;
      const prepared = this.#env.prepare(args, db, protocol, noTouch);
      const wantVersions = (flags & CommandFlag.WantVersions) !== 0;
      const task = new HostedTask(this, index, prepared, deadlineMs, wantVersions);
      task.epoch = this.#env.epoch;
      return task;
    } catch (error) {
      if (error instanceof ReplyError) return encodeError(error);
      throw error;
    }
  }

  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#next < this.#tasks.length) {
      const task = this.#tasks[this.#next]!;
      if (typeof task === 'string') {
        this.answer(this.#next++, RunStatus.Reply, task, '');
        continue;
      }
      if (!task.submitted) {
        task.submitted = true;
        this.#env.submit(task);
      }
      // One that was answered without running (an error) does not hold up the next.
      if (!task.executed && !task.answered) break;
      this.#next++;
    }
    this.#pumping = false;
  }

  /** Refused before it ran: so is everything behind it. */
  refuseFrom(index: number): void {
    this.#next = this.#tasks.length;
    for (let i = index; i < this.#tasks.length; i++) this.answer(i, RunStatus.NotDone, '', '');
  }

  answer(index: number, status: number, reply: string, versions: string): void {
    const stream = this.#answers();
    if (stream.closed) return;
    const writer = stream.begin(FrameType.RunReply);
    writer.u53(this.#run);
    writer.u16(index);
    writer.u8(status);
    writer.str(reply);
    writer.str(versions);
    stream.end();
  }
}

class HostedTask extends Task {
  readonly #run: HostedRun;
  readonly #index: number;
  submitted = false;
  answered = false;

  constructor(
    run: HostedRun,
    index: number,
    prepared: Prepared,
    deadlineMs: number,
    wantVersions: boolean,
  ) {
    super(prepared, deadlineMs, wantVersions);
    this.#run = run;
    this.#index = index;
  }

  override onExecuted(): void {
    this.#run.pump();
  }

  override onReply(reply: string, versions: string): void {
    this.answered = true;
    this.#run.answer(this.#index, RunStatus.Reply, reply, versions);
    if (!this.executed) this.#run.pump();
  }

  override onNotDone(): void {
    this.answered = true;
    if (this.executed) this.#run.answer(this.#index, RunStatus.NotDone, '', '');
    else this.#run.refuseFrom(this.#index);
  }
}

export function hostRun(env: RunHostEnv, frame: FrameReader, answers: () => FrameStream): void {
  new HostedRun(env, frame, answers).pump();
}
