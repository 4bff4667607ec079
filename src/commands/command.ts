/**
 * What a command is: one plain object with everything there is to know about it. The dispatcher,
 * COMMAND, the ACL categories and docs/commands.md all read the same objects, collected in `table.ts`.
 */
import type { Reply } from '../resp/reply.ts';
import type { WorkingSet } from '../storage/memory/working-set.ts';
import type { ServerPort, SessionPort } from './ports.ts';

/** Redis's own flag names, as COMMAND INFO lists them. */
export type CommandFlag =
  | 'write'
  | 'readonly'
  | 'denyoom'
  | 'admin'
  | 'pubsub'
  | 'noscript'
  | 'blocking'
  | 'loading'
  | 'stale'
  | 'skip_monitor'
  | 'skip_slowlog'
  | 'asking'
  | 'fast'
  | 'no_auth'
  | 'may_replicate'
  | 'no_mandatory_keys'
  | 'protected'
  | 'no_async_loading'
  | 'no_multi'
  | 'allow_busy'
  | 'random'
  | 'movablekeys'
  | 'sentinel'
  | 'only_sentinel';

/** Redis's group names; each is one file here. */
export type CommandGroup = 'string' | 'generic' | 'connection' | 'server' | 'cluster';

/** Positions of keys among the arguments, argument 0 being the name. `last` may count from the end (-1). */
export interface KeyPositions {
  readonly first: number;
  readonly last: number;
  readonly step: number;
}

/** The command's arguments as binary strings; `args[0]` is the name as the client spelled it. */
export type Args = readonly string[];

interface CommandBase {
  readonly name: string;
  readonly group: CommandGroup;
  /** Number of arguments including the name; negative: at least that many. */
  readonly arity: number;
  readonly flags: readonly CommandFlag[];
  readonly keys: KeyPositions | null;
  readonly since: string;
  readonly summary: string;
  readonly complexity: string;
  /** Categories beyond those that follow from flags and group, without the `@`. */
  readonly categories?: readonly string[];
  /** Names, arity and flags of subcommands (CONFIG GET, CLIENT LIST, ...); parse and run choose by themselves. */
  readonly subcommands?: readonly SubcommandInfo[];
}

/** A key in a numbered database. */
export interface KeyRef {
  readonly db: number;
  readonly key: string;
}

/**
 * How a command with keys of several primaries runs (docs/ARCHITECTURE.md, "Keys on several owners"):
 * - `transaction`: holds on all keys, one database transaction. The default.
 * - `each`: a read in parts, repeated until two rounds agree; integer replies, added up (EXISTS, TOUCH).
 * - `collect`: the same with one reply an argument, put together in the order asked for (MGET).
 */
export type Spread = 'transaction' | 'each' | 'collect';

/** A command on keys. It runs at the primary (or, when it only reads, on any owner), never sees a socket. */
export interface DataCommand<O = unknown> extends CommandBase {
  readonly kind: 'data';
  readonly keys: KeyPositions;
  readonly spread?: Spread;
  /**
   * All arguments are keys, and the reply is the value of the only one, or an array of the values of all: when they are
   * at hand, the reply can be put together without running the command.
   */
  readonly direct?: 'value' | 'array';
  /**
   * True when the command, with these options, neither reads the keys' old values nor depends on their
   * existence: it can then run on a key that is not in memory, without asking the database first.
   */
  blind?(options: O): boolean;
  /**
   * Every (database, key) pair the command reads or changes, when one of them is in another database
   * than the session's (COPY ... DB, MOVE); else undefined, and all its keys are in database `db`.
   */
  refs?(options: O, db: number): readonly KeyRef[] | undefined;
  /** Arguments to typed options, or throws a ReplyError. Runs on the coordinator and on the primary. */
  parse(args: Args, context: ParseContext): O;
  /** Reads and changes keys of `ctx.db` through `ctx.keys`, returns one reply, or throws a ReplyError. */
  run(ctx: DataContext, options: O): Reply;
}

/** What parsing may depend on besides the arguments. */
export interface ParseContext {
  /** Cluster time, milliseconds since 1970: relative expiries become moments when the command runs, not here. */
  readonly protoMaxBulkLen: number;
}

export interface DataContext {
  readonly db: number;
  /** Cluster time, milliseconds since 1970; the same during the whole command. */
  readonly nowMs: number;
  readonly protocol: 2 | 3;
  readonly keys: WorkingSet;
  /** Longest string a command may build, bytes. */
  readonly protoMaxBulkLen: number;
  /** Uniform in [0, 1). */
  random(): number;
}

/** A command about the connection, the server or the cluster. It runs on the node the client talks to. */
export interface ServerCommand<O = unknown> extends CommandBase {
  readonly kind: 'server';
  readonly keys: null;
  parse(args: Args, context: ParseContext): O;
  run(ctx: ServerContext, options: O): Reply | Promise<Reply>;
}

/** What COMMAND tells about a subcommand. */
export interface SubcommandInfo {
  /** `CONFIG|GET`, in capitals. */
  readonly name: string;
  readonly arity: number;
  readonly flags: readonly CommandFlag[];
  readonly since: string;
  readonly summary: string;
  /** Where it differs from the container's: `O(N)`, keys, categories beyond the derived ones. */
  readonly complexity?: string;
  readonly keys?: KeyPositions;
  readonly categories?: readonly string[];
}

export interface ServerContext {
  readonly session: SessionPort;
  readonly server: ServerPort;
}

// Option types differ per command and are hidden behind parse/run; the table holds them all.
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- heterogeneous table, see above
export type Command = DataCommand<any> | ServerCommand<any>;

/** Declares a command on keys; only fixes the types. */
export function dataCommand<O>(definition: Omit<DataCommand<O>, 'kind'>): DataCommand<O> {
  return { kind: 'data', ...definition };
}

/** Declares a command about connection, server or cluster; only fixes the types. */
export function serverCommand<O>(
  definition: Omit<ServerCommand<O>, 'kind' | 'keys'>,
): ServerCommand<O> {
  return { kind: 'server', keys: null, ...definition };
}
