/** COMMAND and its subcommands: the command table, described to clients and tools. */
import { ReplyError, syntaxError } from '../errors.ts';
import type { Reply } from '../resp/reply.ts';
import { MapReply, SetReply, Status } from '../resp/reply.ts';
import { argument } from './arguments.ts';
import { arityFits, findSubcommand } from './check.ts';
import type {
  Args,
  Command,
  CommandFlag,
  CommandGroup,
  KeyPositions,
  ServerCommand,
  SubcommandInfo,
} from './command.ts';
import type { Call } from './container.ts';
import { container, help, noOptions, subcommand } from './container.ts';
import type { KeySpec } from './details.ts';
import { categoriesOf, keySpecsOf, tipsOf } from './details.ts';
import { documentationOf } from './documentation.ts';
import type { Argument } from './syntax.ts';
import { matchesGlob } from '../config/glob.ts';

type Table = ReadonlyMap<string, Command>;

const FLAGS: readonly CommandFlag[] = ['loading', 'stale'];
const CATEGORY = ['connection'];
const PER_LOOKUP = 'O(N) where N is the number of commands to look up';
const PER_COMMAND = 'O(N) where N is the total number of Redis commands';
const PER_ARGUMENT = 'O(N) where N is the number of arguments to the command';

/**
 * COMMAND, on the table that `table` returns. A function, because the table contains this command.
 */
export function commandCommand(table: () => Table): ServerCommand<Call> {
  return container({
    name: 'COMMAND',
    group: 'server',
    arity: -1,
    flags: FLAGS,
    since: '2.8.13',
    summary: 'Describe every command',
    complexity: PER_COMMAND,
    categories: CATEGORY,
    alone: () => [...table().values()].map(describe),
    subcommands: [
      countSubcommand(table),
      listSubcommand(table),
      infoSubcommand(table),
      docsSubcommand(table),
      getKeysSubcommand(table),
      getKeysAndFlagsSubcommand(table),
      help({ container: 'COMMAND', since: '5.0.0', lines: HELP_LINES, categories: CATEGORY }),
    ],
  });
}

const countSubcommand = (table: () => Table) =>
  subcommand({
    name: 'COMMAND|COUNT',
    arity: 2,
    flags: FLAGS,
    since: '2.8.13',
    summary: 'Count the commands',
    complexity: 'O(1)',
    categories: CATEGORY,
    parse: noOptions,
    run: () => table().size,
  });

const listSubcommand = (table: () => Table) =>
  subcommand({
    name: 'COMMAND|LIST',
    arity: -2,
    flags: FLAGS,
    since: '7.0.0',
    summary: 'List names of commands, all or those that a filter takes',
    complexity: PER_COMMAND,
    categories: CATEGORY,
    parse: parseListFilter,
    run(_ctx, filter) {
      const names: string[] = [];
      for (const command of table().values()) {
        for (const one of [command, ...(command.subcommands ?? [])]) {
          if (filter(one, command.group)) names.push(one.name.toLowerCase());
        }
      }
      return names;
    },
  });

type Named = Command | SubcommandInfo;
type ListFilter = (command: Named, group: CommandGroup) => boolean;

function parseListFilter(args: Args): ListFilter {
  if (args.length === 2) return () => true;
  if (args.length !== 5 || argument(args, 2).toUpperCase() !== 'FILTERBY') throw syntaxError();
  const value = argument(args, 4).toLowerCase();
  switch (argument(args, 3).toUpperCase()) {
    case 'MODULE':
      return () => false;
    case 'ACLCAT':
      return (command, group) => categoriesOf(command, group).includes(value);
    case 'PATTERN':
      return (command) => matchesGlob(value, command.name.toLowerCase());
    default:
      throw syntaxError();
  }
}

const infoSubcommand = (table: () => Table) =>
  subcommand({
    name: 'COMMAND|INFO',
    arity: -2,
    flags: FLAGS,
    since: '2.8.13',
    summary: 'Describe these commands, or every one',
    complexity: PER_LOOKUP,
    categories: CATEGORY,
    parse: (args) => args.slice(2),
    run(_ctx, names) {
      if (names.length === 0) return [...table().values()].map(describe);
      return names.map((name) => {
        const found = lookUp(table(), name);
        if (found === undefined) return null;
        return describeOne(found.command, found.group, found.subcommands);
      });
    },
  });

const docsSubcommand = (table: () => Table) =>
  subcommand({
    name: 'COMMAND|DOCS',
    arity: -2,
    flags: FLAGS,
    since: '7.0.0',
    summary: 'Document these commands for people, or every one',
    complexity: PER_LOOKUP,
    categories: CATEGORY,
    parse: (args) => args.slice(2),
    run(_ctx, names) {
      const wanted = names.length === 0 ? [...table().keys()] : names;
      const entries: Reply[] = [];
      for (const name of wanted) {
        const found = lookUp(table(), name);
        if (found === undefined) continue;
        entries.push(found.command.name.toLowerCase(), documentOne(found));
      }
      return new MapReply(entries);
    },
  });

const getKeysSubcommand = (table: () => Table) =>
  subcommand({
    name: 'COMMAND|GETKEYS',
    arity: -4,
    flags: FLAGS,
    since: '2.8.13',
    summary: 'Tell which arguments of a command are keys',
    complexity: PER_ARGUMENT,
    categories: CATEGORY,
    parse: (args) => args.slice(2),
    run: (_ctx, inner) => usedKeys(table(), inner).map(({ key }) => key),
  });

const getKeysAndFlagsSubcommand = (table: () => Table) =>
  subcommand({
    name: 'COMMAND|GETKEYSANDFLAGS',
    arity: -4,
    flags: FLAGS,
    since: '7.0.0',
    summary: 'Tell which arguments of a command are keys, and what happens to them',
    complexity: PER_ARGUMENT,
    categories: CATEGORY,
    parse: (args) => args.slice(2),
    run: (_ctx, inner) => usedKeys(table(), inner).map(({ key, flags }) => [key, statuses(flags)]),
  });

/** A command, or a subcommand with what it has from its container. */
interface Found {
  readonly command: Named;
  readonly group: CommandGroup;
  readonly complexity: string;
  readonly subcommands: readonly SubcommandInfo[];
}

/** `get`, or `config|get`, in any letter case. */
function lookUp(table: Table, name: string): Found | undefined {
  const [first, second] = name.toUpperCase().split('|', 2);
  const command = table.get(first ?? '');
  if (command === undefined) return undefined;
  const { group, complexity } = command;
  if (second === undefined) {
    return { command, group, complexity, subcommands: command.subcommands ?? [] };
  }
  const sub = findSubcommand(command, second);
  if (sub === undefined) return undefined;
  return { command: sub, group, complexity: sub.complexity ?? complexity, subcommands: [] };
}

function describe(command: Command): Reply {
  return describeOne(command, command.group, command.subcommands ?? []);
}

/** The ten elements of COMMAND INFO. A container's keys are those of its subcommands. */
function describeOne(
  command: Named,
  group: CommandGroup,
  subcommands: readonly SubcommandInfo[],
): Reply {
  const keys = subcommands.length === 0 ? command.keys : null;
  return [
    command.name.toLowerCase(),
    command.arity,
    statuses(command.flags),
    ...positionsOf(keys),
    statuses(categoriesOf(command, group).map((category) => `@${category}`)),
    new SetReply(tipsOf(command.name)),
    new SetReply(keySpecsOf({ name: command.name, keys: keys ?? null }).map(describeKeySpec)),
    new SetReply(subcommands.map((sub) => describeOne(sub, group, []))),
  ];
}

function positionsOf(keys: KeyPositions | null | undefined): number[] {
  return keys === null || keys === undefined ? [0, 0, 0] : [keys.first, keys.last, keys.step];
}

function statuses(words: readonly string[]): Reply {
  return new SetReply(words.map((word) => new Status(word)));
}

function describeKeySpec({ flags, index, lastKey, step }: KeySpec): Reply {
  const range = new MapReply(['lastkey', lastKey, 'keystep', step, 'limit', 0]);
  const search = new MapReply(['type', 'index', 'spec', new MapReply(['index', index])]);
  const find = new MapReply(['type', 'range', 'spec', range]);
  return new MapReply(['flags', statuses(flags), 'begin_search', search, 'find_keys', find]);
}

/** Fields in Redis's order; those with nothing to say are left out. */
function documentOne({ command, group, complexity, subcommands }: Found): Reply {
  const { arguments: args, history, deprecated } = documentationOf(command.name);
  const entries: Reply[] = ['summary', command.summary, 'since', command.since];
  entries.push('group', group, 'complexity', complexity);
  if (deprecated !== null) {
    entries.push('doc_flags', statuses(['deprecated']), 'deprecated_since', deprecated.since);
    entries.push('replaced_by', deprecated.replacedBy);
  }
  if (history.length > 0) entries.push('history', new SetReply(history.map((step) => [...step])));
  if (args.length > 0) entries.push('arguments', describeArguments(command, args));
  if (subcommands.length > 0) {
    const documented = subcommands.flatMap((sub): Reply[] => [
      sub.name.toLowerCase(),
      documentOne({
        command: sub,
        group,
        complexity: sub.complexity ?? complexity,
        subcommands: [],
      }),
    ]);
    entries.push('subcommands', new MapReply(documented));
  }
  return new MapReply(entries);
}

/** Keys are numbered by their specification, several keys of one specification alike. */
function describeArguments(command: Named, args: readonly Argument[]): Reply {
  const specs = keySpecsOf({ name: command.name, keys: command.keys ?? null });
  let keys = 0;
  const describeArgument = (arg: Argument): Reply => {
    const { name, type, token, since, deprecatedSince, optional, multiple } = arg;
    const entries: Reply[] = ['name', name, 'type', type];
    if (type === 'key') entries.push('key_spec_index', Math.min(keys++, specs.length - 1));
    if (token !== undefined) entries.push('token', token);
    if (since !== undefined) entries.push('since', since);
    if (deprecatedSince !== undefined) entries.push('deprecated_since', deprecatedSince);
    const flags = [...(optional ? ['optional'] : []), ...(multiple ? ['multiple'] : [])];
    if (flags.length > 0) entries.push('flags', statuses(flags));
    if (arg.arguments !== undefined) entries.push('arguments', arg.arguments.map(describeArgument));
    return new MapReply(entries);
  };
  return args.map(describeArgument);
}

interface UsedKey {
  readonly key: string;
  readonly flags: readonly string[];
}

/** The keys that the command `inner` (name and arguments) would use, or throws a ReplyError as Redis does. */
function usedKeys(table: Table, inner: Args): UsedKey[] {
  const container = table.get(argument(inner, 0).toUpperCase());
  const second = inner[1];
  const command =
    container?.subcommands !== undefined && second !== undefined
      ? findSubcommand(container, second)
      : container;
  if (command === undefined) throw new ReplyError('ERR', 'Invalid command specified');
  const specs = keySpecsOf(command);
  if (specs.length === 0) throw new ReplyError('ERR', 'The command has no key arguments');
  if (!arityFits(command.arity, inner.length)) {
    throw new ReplyError('ERR', 'Invalid number of arguments specified for command');
  }
  return specs.flatMap((spec) => keysOfSpec(command.name, spec, inner));
}

function keysOfSpec(name: string, spec: KeySpec, inner: Args): UsedKey[] {
  const last = spec.lastKey < 0 ? inner.length + spec.lastKey : spec.index + spec.lastKey;
  const flags = spec.flags.includes('variable_flags') ? setFlags(name, inner) : spec.flags;
  const used: UsedKey[] = [];
  for (let i = spec.index; i <= last; i += spec.step) used.push({ key: argument(inner, i), flags });
  return used;
}

/** SET overwrites blindly, unless GET asks for the old value. */
function setFlags(name: string, inner: Args): readonly string[] {
  const reads = inner.slice(3).some((word) => word.toUpperCase() === 'GET');
  if (name !== 'SET' || reads) return ['RW', 'access', 'update'];
  return ['OW', 'update'];
}

const HELP_LINES = [
  '(no subcommand)',
  '    Return details about all Redis commands.',
  'COUNT',
  '    Return the total number of commands in this Redis server.',
  'LIST',
  '    Return a list of all commands in this Redis server.',
  'INFO [<command-name> ...]',
  '    Return details about multiple Redis commands.',
  '    If no command names are given, documentation details for all',
  '    commands are returned.',
  'DOCS [<command-name> ...]',
  '    Return documentation details about multiple Redis commands.',
  '    If no command names are given, documentation details for all',
  '    commands are returned.',
  'GETKEYS <full-command>',
  '    Return the keys from a full Redis command.',
  'GETKEYSANDFLAGS <full-command>',
  '    Return the keys and the access flags from a full Redis command.',
];
