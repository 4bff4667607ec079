/**
 * The registry of all commands: what the dispatcher, COMMAND, the ACL categories and
 * docs/commands.md read.
 */
import { unknownCommand } from './check.ts';
import { CLUSTER_COMMANDS } from './cluster.ts';
import type { Args, Command } from './command.ts';
import { commandCommand } from './command-info.ts';
import { CONNECTION_COMMANDS } from './connection.ts';
import { COUNTER_COMMANDS } from './counter.ts';
import { EXPIRE_COMMANDS } from './expire.ts';
import { GENERIC_COMMANDS } from './generic.ts';
import { ITERATION_COMMANDS } from './iteration.ts';
import { LCS_COMMANDS } from './lcs.ts';
import { OBJECT_COMMANDS } from './object.ts';
import { SERVER_COMMANDS } from './server.ts';
import { STRING_COMMANDS } from './string.ts';
import { STRING_RANGE_COMMANDS } from './string-range.ts';

/** All commands by name in capitals, in alphabetical order. */
export const commandTable: ReadonlyMap<string, Command> = buildTable([
  ...STRING_COMMANDS,
  ...STRING_RANGE_COMMANDS,
  ...COUNTER_COMMANDS,
  ...LCS_COMMANDS,
  ...GENERIC_COMMANDS,
  ...EXPIRE_COMMANDS,
  ...ITERATION_COMMANDS,
  ...OBJECT_COMMANDS,
  ...CONNECTION_COMMANDS,
  ...SERVER_COMMANDS,
  ...CLUSTER_COMMANDS,
  commandCommand(() => commandTable),
]);

function buildTable(commands: readonly Command[]): Map<string, Command> {
  const sorted = commands.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const table = new Map(sorted.map((command) => [command.name, command]));
  if (table.size !== sorted.length) throw new Error('two commands have the same name');
  return table;
}

/** Odd spellings (`Get`) that are remembered; clients choose them, so their number is bounded. */
const SPELLINGS_MAX = 1024;

/** Commands by exact spelling, so that the usual ones cost one look-up and no new string. */
const bySpelling = new Map<string, Command>();
for (const [name, command] of commandTable) {
  bySpelling.set(name, command);
  bySpelling.set(name.toLowerCase(), command);
}

/** No command's name is longer, and longer words need not be turned into capitals. */
const NAME_BYTES_MAX = Math.max(...[...commandTable.keys()].map((name) => name.length));

/** The command of this name in any letter case. */
export function findCommand(name: string): Command | undefined {
  return bySpelling.get(name) ?? findOddSpelling(name);
}

function findOddSpelling(name: string): Command | undefined {
  if (name.length > NAME_BYTES_MAX) return undefined;
  const command = commandTable.get(name.toUpperCase());
  if (command !== undefined && bySpelling.size < SPELLINGS_MAX) bySpelling.set(name, command);
  return command;
}

/** The command that `args` name; throws Redis's `unknown command` error when there is none. */
export function commandOf(args: Args): Command {
  const command = findCommand(args[0] ?? '');
  if (command === undefined) throw unknownCommand(args);
  return command;
}
