/**
 * The short way for reads that mostly come: whole GET and MGET commands of keys in this node's memory. They are looked
 * at where they lie in the input, and their replies are written as bytes; no string is made for a name, a key or a
 * value, and nothing is allocated. What is not that simple goes the ordinary way (`dispatch.ts`), to the same result.
 */
import { arityFits } from '../commands/check.ts';
import type { Command, DataCommand } from '../commands/command.ts';
import type { DirectReadBatch } from '../cluster/local-reads.ts';
import type { Clock } from '../platform/clock.ts';
import type { RequestDecoder } from '../resp/decoder.ts';
import { Frames, FRAMES_MAX } from '../resp/frames.ts';
import { ReplyBuffer } from '../resp/reply-buffer.ts';
import type { Router } from './router.ts';
import type { Session, SessionHost } from './session.ts';
import type { ServerSettings } from './settings.ts';
import { type CommandStat, SAMPLE_EVERY, type ServerStats } from './stats.ts';

export interface DirectReadsParts {
  readonly commands: Iterable<Command>;
  readonly router: Pick<Router, 'readDirectly'>;
  readonly settings: ServerSettings;
  readonly stats: ServerStats;
  readonly host: Pick<SessionHost, 'pendingRequests'>;
  readonly clock: Clock;
}

interface DirectCommand {
  readonly lowerName: string;
  /** `packed` of the name. */
  readonly packedName: number;
  readonly arity: number;
  readonly array: boolean;
  readonly stat: CommandStat;
}

/** Names of more than that many characters are not told apart by `packed`. */
const NAME_MAX = 4;
/** Replies of one session before they become a string; twice that much has room, so any value of the arena has. */
const TAKE_BYTES = 64 * 1024;
const OUT_BYTES = 3 * TAKE_BYTES;
/** Makes a letter a small one. No other byte becomes a small letter by that. */
const LOWER = 0x20;

export class DirectReads implements DirectReadBatch {
  readonly frames = new Frames();
  readonly out = new ReplyBuffer(OUT_BYTES);
  readonly arrays = new Uint8Array(FRAMES_MAX);
  db = 0;
  touches = true;
  allowedAtMs = 0;

  readonly #parts: DirectReadsParts;
  readonly #commands: DirectCommand[] = [];
  /** What the commands in `frames` are. */
  readonly #found: DirectCommand[] = [];
  /**
   * How many commands to look at together. One after a command that had to go the ordinary way, then more and more: so
   * of what is looked up, at most half is looked up in vain.
   */
  #batchMax = 1;
  #sampleTurn = 0;

  constructor(parts: DirectReadsParts) {
    this.#parts = parts;
    for (const command of parts.commands) {
      if (command.kind === 'data' && command.direct !== undefined) this.#add(command);
    }
  }

  #add({ name, arity, direct }: DataCommand): void {
    const lowerName = name.toLowerCase();
    const bytes = Buffer.from(lowerName, 'latin1');
    if (bytes.length > NAME_MAX)
      throw new RangeError(`${name}: too long a name to be read directly`);
    this.#commands.push({
      lowerName,
      packedName: packed(bytes, 0, bytes.length),
      arity,
      array: direct === 'array',
      stat: this.#parts.stats.command(lowerName),
    });
  }

  /** To be called before the first command of a turn, and after each one that went the ordinary way. */
  begin(): void {
    this.allowedAtMs = 0;
  }

  /**
   * Answers the next commands of a session, if they are direct reads: their replies are in `out`. Returns false, having
   * done nothing, when the next one has to go the ordinary way.
   */
  answer(session: Session, decoder: RequestDecoder): boolean {
    if (!this.#mayAnswer(session) || !this.#peek(decoder)) return false;
    const { frames } = this;
    this.db = session.db;
    this.touches = !session.noTouch;
    const isSample = (++this.#sampleTurn & (SAMPLE_EVERY - 1)) === 0;
    const beganMs = isSample ? this.#parts.clock.monotonicMs() : 0;
    const answered = this.#parts.router.readDirectly(session.order, this);
    this.#batchMax = answered < frames.count ? 1 : Math.min(this.#batchMax * 2, FRAMES_MAX);
    if (answered === 0) return false;
    decoder.skip(frames, answered);
    this.#count(answered);
    const last = this.#found[answered - 1]!;
    session.lastCommand = last.lowerName;
    if (isSample) {
      const elapsedMs = this.#parts.clock.monotonicMs() - beganMs;
      last.stat.usec += elapsedMs * 1000 * SAMPLE_EVERY;
    }
    return true;
  }

  /** Whether the next command, and maybe more, are whole direct reads. */
  #peek(decoder: RequestDecoder): boolean {
    const { frames } = this;
    frames.clear();
    while (frames.count < this.#batchMax && decoder.peek(frames)) {
      const index = frames.count - 1;
      const command = this.#commandAt(index);
      if (command === undefined) {
        frames.dropLast();
        break;
      }
      this.#found[index] = command;
      this.arrays[index] = command.array ? 1 : 0;
    }
    return frames.count > 0;
  }

  #count(answered: number): void {
    this.#parts.stats.commandsProcessed += answered;
    for (let i = 0; i < answered; i++) this.#found[i]!.stat.calls++;
  }

  /** Replies wait to be taken, and more than a few. */
  get isFilling(): boolean {
    return this.out.used > TAKE_BYTES;
  }

  /** Nothing is before it, and nothing is special about its client. */
  #mayAnswer(session: Session): boolean {
    const { host, settings } = this.#parts;
    return (
      session.pending === 0 &&
      session.replyMode === 'on' &&
      session.authenticated &&
      host.pendingRequests < settings.pendingRequestsMax
    );
  }

  #commandAt(index: number): DirectCommand | undefined {
    const { bytes, firsts, starts, ends } = this.frames;
    const first = firsts[index]!;
    const start = starts[first]!;
    const end = ends[first]!;
    if (end - start > NAME_MAX) return undefined;
    const name = packed(bytes, start, end);
    for (const command of this.#commands) {
      if (command.packedName !== name) continue;
      return arityFits(command.arity, firsts[index + 1]! - first) ? command : undefined;
    }
    return undefined;
  }
}

/** Up to NAME_MAX bytes as one number, letters as small ones. */
function packed(bytes: Uint8Array, start: number, end: number): number {
  let name = 0;
  for (let i = start; i < end; i++) name = (name << 8) | (bytes[i]! | LOWER);
  return name;
}
