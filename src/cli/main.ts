#!/usr/bin/env node
/** The `ringfence` program: picks a command, runs it, and turns failures into exit codes 1 and 2. */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { clientCommand } from './client/client-command.ts';
import { clusterCommand } from './admin/cluster-command.ts';
import { doctorCommand } from './doctor/doctor-command.ts';
import { UsageError } from './flags.ts';
import { legacyCommand } from './legacy-command.ts';
import { upCommand } from './local/up-command.ts';
import { nodeCommand } from './node-command.ts';
import { type CliCommand, EXIT, PlainError, version } from './program.ts';
import { toolCommands } from './tool-commands.ts';

const END_WITHIN_MS = 2000;

const COMMANDS: readonly CliCommand[] = [
  upCommand,
  nodeCommand,
  clientCommand,
  clusterCommand,
  doctorCommand,
  legacyCommand,
  ...toolCommands(),
];

/** Runs the program with `argv` (without node and script) and sets the exit code. */
export async function runProgram(argv: readonly string[]): Promise<void> {
  process.exitCode = await run(argv);
}

async function run(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined) {
    process.stderr.write(help());
    return EXIT.usage;
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(help());
    return EXIT.ok;
  }
  if (name === '--version' || name === '-v') {
    process.stdout.write(`ringfence ${version()}\n`);
    return EXIT.ok;
  }
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) {
    process.stderr.write(`ringfence: there is no command '${name}'; see ringfence --help\n`);
    return EXIT.usage;
  }
  return runCommand(command, rest);
}

async function runCommand(command: CliCommand, argv: readonly string[]): Promise<number> {
  // The client sends its words to a server, so only a leading flag is for the program there.
  const flags = command === clientCommand ? argv.slice(0, 1) : argv;
  if (flags.includes('--help')) {
    process.stdout.write(`${command.help()}\n`);
    return EXIT.ok;
  }
  if (flags.includes('--version')) {
    process.stdout.write(`ringfence ${version()}\n`);
    return EXIT.ok;
  }
  try {
    return await command.run(argv);
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(
        `ringfence ${command.name}: ${error.message}\nSee ringfence ${command.name} --help\n`,
      );
      return EXIT.usage;
    }
    const text = error instanceof PlainError ? error.message : errorWithStack(error);
    process.stderr.write(`ringfence ${command.name}: ${text}\n`);
    return EXIT.failed;
  }
}

function errorWithStack(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function help(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  return [
    'Ringfence: a distributed cache that speaks the Redis protocol, with PostgreSQL as the truth.',
    '',
    'Usage: ringfence <command> [flags]',
    '',
    ...COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'ringfence <command> --help tells more; --version prints the version.',
    'Exit codes: 0 fine, 1 failed, 2 wrong usage.',
    '',
  ].join('\n');
}

/** True when this file is the program, and not imported (by `npm start`, by a test). */
function isProgram(): boolean {
  const script = process.argv[1];
  if (script === undefined) return false;
  // npm links the program into node_modules/.bin, so the name it was called by may be a link.
  return realpathSync(script) === fileURLToPath(import.meta.url);
}

if (isProgram()) {
  await runProgram(process.argv.slice(2));
  endSoon();
}

/**
 * A command that is over must not be kept alive by what it left open: the channel to the parent, or
 * a connection of a node whose start failed. Output that is still on its way gets its time.
 */
function endSoon(): void {
  if (process.connected) process.disconnect();
  setTimeout(() => process.exit(), END_WITHIN_MS).unref();
}
