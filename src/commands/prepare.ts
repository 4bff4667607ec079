/**
 * Turns the arguments a client sent into something that can be placed and run. This is on the way of
 * every command, so: one object per command, the slot computed once, no closures.
 *
 * `PreparedCommand` has the shape that `cluster/` declares as its `Prepared`. Neither folder imports
 * the other: `main.ts` plugs them together, and the compiler compares the shapes.
 */
import { ReplyError } from '../errors.ts';
import type { Protocol } from '../resp/reply.ts';
import { encodeError, encodeReply } from '../resp/reply.ts';
import { splitArray } from '../resp/split.ts';
import type { WorkingSet } from '../storage/memory/working-set.ts';
import { argument } from './arguments.ts';
import { checkArguments, unknownCommand } from './check.ts';
import type { Args, DataCommand, DataContext, KeyRef, ParseContext, Spread } from './command.ts';
import { commandOf } from './table.ts';

/** Keys of more than one slot: `slot` of a command that spans several. */
const MANY_SLOTS = -1;
/** Where a command without a single key (OBJECT HELP) runs; any slot would do. */
const SLOT_WITHOUT_KEYS = 0;

/** What preparing and running needs from outside. */
export interface PrepareEnv {
  slotOf(key: string): number;
  /** Limits as they are now: CONFIG SET changes them. */
  readonly limits: ParseContext;
  /** Uniform in [0, 1). */
  random(): number;
}

/** An encoded reply. `failed`: an error reply, no effect of the command may be kept. */
export interface Outcome {
  readonly reply: string;
  readonly failed: boolean;
}

/** The encoded reply of a part of a command, and which keys it had: positions into the whole's `keys`. */
export interface PartReply {
  readonly positions: readonly number[];
  readonly reply: string;
}

/**
 * Returns the function that prepares commands on keys. It throws a ReplyError with Redis's text for
 * an unknown command, a wrong number of arguments and whatever the command's own parser refuses.
 */
export function createPrepare(
  env: PrepareEnv,
): (args: Args, db: number, protocol: Protocol, noTouch?: boolean) => PreparedCommand {
  return (args, db, protocol, noTouch = false) => {
    const command = commandOf(args);
    // The dispatcher runs server commands itself; one that comes here is from a peer of another version.
    if (command.kind !== 'data') throw unknownCommand(args);
    checkArguments(command, args);
    return new PreparedCommand(env, command, args, db, protocol, noTouch);
  };
}

const REPLY_TOO_LONG = new ReplyError(
  'ERR',
  'the reply or a value would be longer than 512 MB; nothing was changed',
);

/** V8 builds no string of more than 2^29 characters: many large values in one reply can ask for that. */
function isTooLong(error: unknown): boolean {
  return error instanceof RangeError && error.message === 'Invalid string length';
}

/** A command on keys, parsed and checked. */
export class PreparedCommand {
  readonly #env: PrepareEnv;
  readonly #command: DataCommand;
  readonly #options: unknown;
  /** As the client sent it. */
  readonly args: Args;
  readonly db: number;
  readonly protocol: Protocol;
  /** What it looks at is not used by that. TOUCH does nothing else, so it does it all the same. */
  readonly noTouch: boolean;
  /** Every key it names, in order, as given; may repeat. */
  readonly keys: readonly string[];
  /** The slot of all keys, or -1 for several. */
  readonly slot: number;
  readonly blind: boolean;
  /** Every (database, key) pair, only when one is in another database than `db`. */
  readonly refs: readonly KeyRef[] | undefined;

  constructor(
    env: PrepareEnv,
    command: DataCommand,
    args: Args,
    db: number,
    protocol: Protocol,
    noTouch: boolean,
  ) {
    this.#env = env;
    this.#command = command;
    this.#options = command.parse(args, env.limits);
    this.args = args;
    this.db = db;
    this.protocol = protocol;
    this.noTouch = noTouch && command.name !== 'TOUCH';
    this.keys = keysOf(command, args);
    this.slot = slotOfAll(env, this.keys);
    this.blind = command.blind?.(this.#options) ?? false;
    this.refs = command.refs?.(this.#options, db);
  }

  /** In capitals. */
  get name(): string {
    return this.#command.name;
  }

  get writes(): boolean {
    return this.#command.flags.includes('write');
  }

  /** Needs memory: refused when the limit is reached and nothing may be evicted. */
  get needsMemory(): boolean {
    return this.#command.flags.includes('denyoom');
  }

  get spread(): Spread {
    return this.#command.spread ?? 'transaction';
  }

  /** Runs on the working set. Error replies are outcomes; any other exception is a bug and goes on. */
  run(set: WorkingSet): Outcome {
    if (this.noTouch) set.touches = false;
    try {
      const reply = this.#command.run(new RunContext(this, this.#env, set), this.#options);
      return { reply: encodeReply(reply, this.protocol), failed: reply instanceof ReplyError };
    } catch (error) {
      if (error instanceof ReplyError) return { reply: encodeError(error), failed: true };
      if (isTooLong(error)) return { reply: encodeError(REPLY_TOO_LONG), failed: true };
      throw error;
    }
  }

  /** The same command on some of its keys. Only for the spreads `each` and `collect`. */
  part(positions: readonly number[]): PreparedCommand {
    const { first, step } = this.#command.keys;
    const args = this.args.slice(0, first);
    for (const position of positions) {
      const start = first + position * step;
      args.push(...this.args.slice(start, start + step));
    }
    const { db, protocol, noTouch } = this;
    return new PreparedCommand(this.#env, this.#command, args, db, protocol, noTouch);
  }

  /** One reply from those of the parts; the first error among them is the reply. */
  merge(parts: readonly PartReply[]): string {
    const error = parts.find(({ reply }) => reply[0] === '-');
    if (error !== undefined) return error.reply;
    try {
      return this.spread === 'collect' ? this.#collect(parts) : addUp(parts);
    } catch (failure) {
      if (isTooLong(failure)) return encodeError(REPLY_TOO_LONG);
      throw failure;
    }
  }

  #collect(parts: readonly PartReply[]): string {
    const elements = new Array<string>(this.keys.length).fill('');
    for (const { positions, reply } of parts) {
      const own = splitArray(reply);
      if (own.length !== positions.length) throw new Error(`${this.name}: a part is incomplete`);
      own.forEach((element, i) => (elements[positions[i] ?? -1] = element));
    }
    if (elements.includes('')) throw new Error(`${this.name}: a part is missing`);
    return `*${elements.length}\r\n${elements.join('')}`;
  }
}

function addUp(parts: readonly PartReply[]): string {
  let sum = 0;
  for (const { reply } of parts) sum += Number(reply.slice(1, -2));
  if (!Number.isSafeInteger(sum)) throw new Error('a part did not answer with an integer');
  return `:${sum}\r\n`;
}

/** What a handler sees while it runs. */
class RunContext implements DataContext {
  readonly #env: PrepareEnv;
  readonly db: number;
  readonly protocol: Protocol;
  readonly keys: WorkingSet;

  constructor(prepared: PreparedCommand, env: PrepareEnv, keys: WorkingSet) {
    this.#env = env;
    this.db = prepared.db;
    this.protocol = prepared.protocol;
    this.keys = keys;
  }

  get nowMs(): number {
    return this.keys.nowMs;
  }

  get protoMaxBulkLen(): number {
    return this.#env.limits.protoMaxBulkLen;
  }

  random(): number {
    return this.#env.random();
  }
}

function keysOf(command: DataCommand, args: Args): readonly string[] {
  const { first, last, step } = command.keys;
  if (first === last) return args.length > first ? [argument(args, first)] : [];
  const end = last < 0 ? args.length + last : last;
  const keys: string[] = [];
  for (let i = first; i <= end; i += step) keys.push(argument(args, i));
  return keys;
}

function slotOfAll(env: PrepareEnv, keys: readonly string[]): number {
  const [first] = keys;
  if (first === undefined) return SLOT_WITHOUT_KEYS;
  const slot = env.slotOf(first);
  for (let i = 1; i < keys.length; i++) {
    if (env.slotOf(argument(keys, i)) !== slot) return MANY_SLOTS;
  }
  return slot;
}
