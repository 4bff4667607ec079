/**
 * One command: name, arity, authentication, limits, then to its handler or to the router.
 *
 * Order within one connection. Commands are looked at in the order in which they come, and prepared with
 * the session's state (database, protocol) at that point, so a pipelined `SELECT 1; SET k v` is right.
 * - Commands on keys go to the router at once; the router keeps those of one slot in order.
 * - Commands of the group `connection` (PING, SELECT, HELLO, CLIENT, ...) touch no data: they run at once,
 *   and only their replies wait for their turn.
 * - All other server commands (DBSIZE, FLUSHALL, SCAN, INFO, WAIT, ...) may see or change any key. Each is
 *   a barrier: it runs when all commands before it have been answered, and what comes after it waits.
 * A handler that returns a promise holds up its connection until then, whatever its group.
 */
import { AssertionError } from 'node:assert';
import { checkArguments, unknownCommand } from '../commands/check.ts';
import type { Command, DataCommand, ServerCommand, ServerContext } from '../commands/command.ts';
import type { ServerPort } from '../commands/ports.ts';
import type { Prepare } from '../cluster/execute.ts';
import { ReplyError } from '../errors.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/logger.ts';
import { encodeError, encodeReply, type Reply } from '../resp/reply.ts';
import type { Session, SessionHost } from './session.ts';
import type { ServerSettings } from './settings.ts';
import { type CommandStat, SAMPLE_EVERY, type ServerStats } from './stats.ts';

export interface DispatcherParts {
  readonly commands: Iterable<Command>;
  readonly prepare: Prepare;
  readonly server: ServerPort;
  readonly settings: ServerSettings;
  readonly stats: ServerStats;
  /** Where the number of commands under way is kept. */
  readonly host: Pick<SessionHost, 'pendingRequests'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A command with what dispatch needs to know about it. */
interface Entry {
  readonly command: Command;
  readonly lowerName: string;
  readonly stat: CommandStat;
  readonly barrier: boolean;
  readonly withoutAuth: boolean;
}

const NOT_AUTHENTICATED = new ReplyError('NOAUTH', 'Authentication required.');
const TOO_MANY_PENDING = new ReplyError(
  'BUSY',
  'too many commands are under way on this node; nothing was changed',
);
const INTERNAL = new ReplyError(
  'UNKNOWN',
  'internal error, see the log; the command may or may not have been applied',
);

/** First words of lines that every HTTP request with a body has. */
const HTTP_WORDS: ReadonlySet<string> = new Set(['post', 'host:']);

export class Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #entries = new Map<string, Entry>();
  #sampleTurn = 0;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    for (const command of parts.commands) this.#add(command);
  }

  #add(command: Command): void {
    const lowerName = command.name.toLowerCase();
    const entry: Entry = {
      command,
      lowerName,
      stat: this.#parts.stats.command(lowerName),
      barrier: command.kind === 'server' && command.group !== 'connection',
      withoutAuth: command.flags.includes('no_auth'),
    };
    // Both spellings that clients use are found without making a new string.
    this.#entries.set(command.name, entry);
    this.#entries.set(lowerName, entry);
  }

  /** Runs or submits `args` (never empty) for `session`; the reply goes to the session. */
  dispatch(session: Session, args: string[]): void {
    const name = args[0] ?? '';
    const entry = this.#entries.get(name) ?? this.#entries.get(name.toUpperCase());
    if (entry?.barrier === true && session.pending > 0) {
      session.hold(args);
      return;
    }
    if (session.replyMode === 'skip-next') session.replyMode = 'skip-this';
    this.#parts.stats.commandsProcessed++;
    if (entry === undefined) {
      this.#refuseUnknown(session, args);
    } else if ((++this.#sampleTurn & (SAMPLE_EVERY - 1)) === 0) {
      const beganMs = this.#parts.clock.monotonicMs();
      this.#execute(session, entry, args);
      entry.stat.usec += (this.#parts.clock.monotonicMs() - beganMs) * 1000 * SAMPLE_EVERY;
    } else {
      this.#execute(session, entry, args);
    }
    if (session.replyMode === 'skip-this') session.replyMode = 'on';
  }

  /** A web page that makes a browser talk to this port is cut off before its body is taken for commands. */
  #refuseUnknown(session: Session, args: string[]): void {
    if (!HTTP_WORDS.has((args[0] ?? '').toLowerCase())) {
      session.reply(encodeError(unknownCommand(args)));
      return;
    }
    const { address } = session;
    this.#parts.log.warn({ address }, 'possible cross-protocol attack: connection closed');
    session.kill();
  }

  #execute(session: Session, entry: Entry, args: string[]): void {
    const { command, stat } = entry;
    try {
      if (!session.authenticated && !entry.withoutAuth) {
        checkArguments(command, args);
        throw NOT_AUTHENTICATED;
      }
      if (command.kind === 'data') this.#submit(session, entry, command, args);
      else this.#runServer(session, entry, command, args);
    } catch (error) {
      stat.rejectedCalls++;
      session.reply(this.#errorReply(error, entry.lowerName));
    }
  }

  #submit(session: Session, entry: Entry, command: DataCommand, args: string[]): void {
    const { host, settings, prepare, stats } = this.#parts;
    let { lowerName: name, stat } = entry;
    const subcommand = checkArguments(command, args);
    if (subcommand !== undefined) {
      name = subcommand.name.toLowerCase();
      stat = stats.command(name);
    }
    if (host.pendingRequests >= settings.pendingRequestsMax) throw TOO_MANY_PENDING;
    const prepared = prepare(args, session.db, session.protocol, session.noTouch);
    session.lastCommand = name;
    stat.calls++;
    const reply = session.submit(prepared, stat);
    if (reply === undefined) return;
    if (reply.charCodeAt(0) === 45 /* - */) stat.failedCalls++;
    session.reply(reply);
  }

  #runServer(session: Session, entry: Entry, command: ServerCommand, args: string[]): void {
    const { server, settings, stats } = this.#parts;
    const subcommand = checkArguments(command, args);
    const options = command.parse(args, settings);
    const name = subcommand?.name.toLowerCase() ?? entry.lowerName;
    const stat = subcommand === undefined ? entry.stat : stats.command(name);
    session.lastCommand = name;
    stat.calls++;
    const context: ServerContext = { session, server };
    let result: Reply | Promise<Reply>;
    try {
      result = command.run(context, options);
    } catch (error) {
      stat.failedCalls++;
      session.reply(this.#errorReply(error, name));
      return;
    }
    if (result instanceof Promise) this.#await(session, stat, name, result);
    else session.reply(encodeReply(result, session.protocol));
  }

  #await(session: Session, stat: CommandStat, name: string, result: Promise<Reply>): void {
    const { muted } = session;
    session.suspend();
    const finish = (text: string): void => {
      if (!muted) session.reply(text);
      session.finish();
    };
    result
      .then((reply) => encodeReply(reply, session.protocol))
      .then(finish, (error: unknown) => {
        stat.failedCalls++;
        finish(this.#errorReply(error, name));
      });
  }

  /** The reply for what was thrown. A broken invariant ends the process: its peers take over. */
  #errorReply(error: unknown, name: string): string {
    if (error instanceof ReplyError) return encodeError(error);
    if (error instanceof AssertionError) throw error;
    this.#parts.log.error({ command: name, err: error }, 'command failed unexpectedly');
    return encodeError(INTERNAL);
  }
}
