// docs/commands.md, from the command table.
import type { Command, CommandGroup } from '../../src/commands/command.ts';
import { commandTable } from '../../src/commands/table.ts';

const GROUPS: readonly { readonly group: CommandGroup; readonly title: string }[] = [
  { group: 'string', title: 'Strings' },
  { group: 'generic', title: 'Keys of any type' },
  { group: 'connection', title: 'Connection' },
  { group: 'server', title: 'Server' },
  { group: 'cluster', title: 'Cluster' },
];

const PREFACE = `# Commands

Every command this server knows, as COMMAND DOCS tells it. A command that is not here gets Redis's
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
  const words = [`\`${name.replace('|', ' ')}\``, since, summary, complexity];
  return `| ${words.map((word) => word.replaceAll('|', '\\|')).join(' | ')} |`;
}
