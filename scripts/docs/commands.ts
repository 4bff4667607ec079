// docs/commands.md, from the command table.
import type { Command, CommandGroup } from '../../src/commands/command.ts';
import { documentationOf } from '../../src/commands/documentation.ts';
import type { Argument } from '../../src/commands/syntax.ts';
import { commandTable } from '../../src/commands/table.ts';

const GROUPS: readonly { readonly group: CommandGroup; readonly title: string }[] = [
  { group: 'string', title: 'Strings' },
  { group: 'generic', title: 'Keys of any type' },
  { group: 'connection', title: 'Connection' },
  { group: 'server', title: 'Server' },
  { group: 'cluster', title: 'Cluster' },
];

const PREFACE = `# Commands

Every command this server knows, as COMMAND DOCS tells it: what stands in \`[]\` may be left out, of what stands in \`<>\` one has to be
chosen, and \`...\` means once or more. A command that is not here gets Redis's
own \`ERR unknown command\`. *Since* is the version of Redis that brought the command. Arguments,
replies and error texts are those of Redis 7.0; what differs is in
[differences-from-redis.md](differences-from-redis.md).

<!-- Generated from src/commands by scripts/generate-docs.ts; changes by hand are lost. -->
`;

/** The page as it should be on disk. */
export function commandsPage(): string {
  return [PREFACE, ...GROUPS.map(groupSection)].join('\n');
}

function groupSection({ group, title }: (typeof GROUPS)[number]): string {
  const commands = [...commandTable.values()].filter((command) => command.group === group);
  const rows = commands.flatMap(commandRows);
  const head = ['| command | since | what it does | complexity |', '|---|---|---|---|'];
  return [`## ${title}`, '', ...head, ...rows, ''].join('\n');
}

function commandRows(command: Command): string[] {
  const subcommands = (command.subcommands ?? []).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return [
    row(command),
    ...subcommands.map((sub) => row({ complexity: command.complexity, ...sub })),
  ];
}

type Described = Pick<Command, 'name' | 'since' | 'summary' | 'complexity'>;

function row({ name, since, summary, complexity }: Described): string {
  const syntax = [name.replace('|', ' '), ...documentationOf(name).arguments.map(syntaxOf)];
  const words = [`\`${syntax.join(' ')}\``, since, summary, complexity];
  return `| ${words.map((word) => word.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** An argument as manuals write it. */
function syntaxOf(argument: Argument): string {
  const { optional, multiple, type, token } = argument;
  const inner = innerSyntax(argument);
  const isChoice = type === 'oneof' && !(optional && token === undefined && !multiple);
  const group = isChoice ? `<${inner}>` : type === 'block' && multiple ? `<${inner}>` : inner;
  const words = [token, type === 'pure-token' ? '' : group].filter(Boolean).join(' ');
  const repeated = multiple ? `${words} ...` : words;
  return optional ? `[${repeated}]` : repeated;
}

function innerSyntax({ name, type, arguments: inner = [] }: Argument): string {
  if (type === 'oneof') return inner.map(syntaxOf).join(' | ');
  return type === 'block' ? inner.map(syntaxOf).join(' ') : name;
}
