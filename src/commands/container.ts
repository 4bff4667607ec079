/**
 * Commands made of subcommands (CLIENT, CONFIG, COMMAND, CLUSTER): each subcommand is declared like a
 * command of its own, and the container finds it, checks the number of arguments and hands over.
 */
import { checkArguments } from './check.ts';
import type {
  Args,
  ParseContext,
  ServerCommand,
  ServerContext,
  SubcommandInfo,
} from './command.ts';
import type { Reply } from '../resp/reply.ts';
import { Status } from '../resp/reply.ts';

/** A subcommand with its handler. */
export interface Subcommand<O = unknown> extends SubcommandInfo {
  /** Arguments (name and subcommand included, their number checked) to options, or throws a ReplyError. */
  parse(args: Args, context: ParseContext): O;
  run(ctx: ServerContext, options: O): Reply | Promise<Reply>;
}

// Option types differ per subcommand and are hidden behind parse/run.
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- heterogeneous list, see above
export type AnySubcommand = Subcommand<any>;

/** What a call of a container turns into. */
export interface Call {
  readonly subcommand: AnySubcommand | undefined;
  readonly options: unknown;
}

type Definition = Pick<ServerCommand, 'name' | 'group' | 'since' | 'summary'> &
  Partial<Pick<ServerCommand, 'arity' | 'flags' | 'complexity' | 'categories'>> & {
    readonly subcommands: readonly AnySubcommand[];
    /** The command without a subcommand, where that means something (COMMAND). */
    alone?(this: void, ctx: ServerContext): Reply;
  };

/** Declares a subcommand; only fixes the types. */
export function subcommand<O>(definition: Subcommand<O>): Subcommand<O> {
  return definition;
}

/** Declares a container of subcommands as one server command. */
export function container(definition: Definition): ServerCommand<Call> {
  const { subcommands, alone, ...rest } = definition;
  const command: ServerCommand<Call> = {
    arity: -2,
    flags: [],
    complexity: 'Depends on subcommand.',
    ...rest,
    kind: 'server',
    keys: null,
    subcommands,
    parse(args, context) {
      const info = checkArguments(command, args);
      const found = subcommands.find((candidate) => candidate === info);
      return { subcommand: found, options: found?.parse(args, context) };
    },
    run(ctx, { subcommand: found, options }) {
      if (found !== undefined) return found.run(ctx, options);
      if (alone === undefined) throw new Error(`${command.name} ran without a subcommand`);
      return alone(ctx);
    },
  };
  return command;
}

/** A parse function for subcommands without options. */
export function noOptions(): undefined {
  return undefined;
}

/** `X HELP`: the lines given, framed as Redis frames them. */
export function help(options: {
  container: string;
  since: string;
  lines: readonly string[];
  flags?: SubcommandInfo['flags'];
  categories?: readonly string[];
}): Subcommand<undefined> {
  const reply = [
    `${options.container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`,
    ...options.lines,
    'HELP',
    '    Prints this help.',
  ].map((line) => new Status(line));
  return {
    name: `${options.container}|HELP`,
    arity: 2,
    flags: options.flags ?? ['loading', 'stale'],
    since: options.since,
    summary: 'List the subcommands with a few words each',
    complexity: 'O(1)',
    ...(options.categories === undefined ? {} : { categories: options.categories }),
    parse: noOptions,
    run: () => reply,
  };
}
