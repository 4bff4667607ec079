/**
 * The checks Redis makes before a command runs, and their texts: is it known, does its subcommand
 * exist, does the number of arguments fit. Clients match on these texts, so they are spelled and
 * cut off exactly as Redis 7.0 does.
 */
import { ReplyError } from '../errors.ts';
import { wrongArity } from './arguments.ts';
import type { Args, Command, SubcommandInfo } from './command.ts';

/** How much of a client's own words an error text repeats, bytes. */
const ECHO_BYTES = 128;

/** True when a command of this arity takes `count` arguments, the name included. */
export function arityFits(arity: number, count: number): boolean {
  return arity >= 0 ? count === arity : count >= -arity;
}

export function unknownCommand(args: Args): ReplyError {
  let shown = '';
  for (let i = 1; i < args.length && shown.length < ECHO_BYTES; i++) {
    shown += `'${asText(args[i] ?? '', ECHO_BYTES - shown.length)}' `;
  }
  const name = asText(args[0] ?? '', ECHO_BYTES);
  return new ReplyError('ERR', `unknown command '${name}', with args beginning with: ${shown}`);
}

export function unknownSubcommand(container: string, given: string): ReplyError {
  const shown = asText(given, ECHO_BYTES);
  return new ReplyError('ERR', `unknown subcommand '${shown}'. Try ${container} HELP.`);
}

/** Redis prints client words as C strings: they end at a NUL byte. */
function asText(bytes: string, limit: number): string {
  const end = bytes.indexOf('\0');
  return bytes.slice(0, end < 0 ? limit : Math.min(end, limit));
}

/** The subcommand `given` (any letter case) of a command, if it has it. */
export function findSubcommand(command: Command, given: string): SubcommandInfo | undefined {
  const name = `${command.name}|${given.toUpperCase()}`;
  return command.subcommands?.find((subcommand) => subcommand.name === name);
}

/**
 * Checks subcommand and number of arguments. Returns the subcommand where there is one; throws a
 * ReplyError with Redis's text when something does not fit.
 */
export function checkArguments(command: Command, args: Args): SubcommandInfo | undefined {
  const given = args[1];
  if (command.subcommands !== undefined && given !== undefined) {
    const subcommand = findSubcommand(command, given);
    if (subcommand === undefined) throw unknownSubcommand(command.name, given);
    if (!arityFits(subcommand.arity, args.length)) throw wrongArity(subcommand.name.toLowerCase());
    return subcommand;
  }
  if (!arityFits(command.arity, args.length)) throw wrongArity(command.name.toLowerCase());
  return undefined;
}
