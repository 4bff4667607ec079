/** The configuration of one node from its flags, the environment and the file. */
import { readFileSync } from 'node:fs';
import { type Config, ConfigError, loadConfig } from '../config/load.ts';
import { OPTION_ROWS } from '../config/options.ts';
import { type FlagSpec, flagHelp, parseFlags, UsageError } from './flags.ts';
import { messageOf, PlainError } from './program.ts';

const FILE_DEFAULT = 'ringfence.config.json';

export const CONFIG_FLAG: FlagSpec = {
  name: 'config',
  value: 'FILE',
  help: `options and policies (RINGFENCE_CONFIG; ${FILE_DEFAULT} if it is there)`,
};

/** Throws a UsageError that lists everything wrong, or a PlainError for a file that cannot be read. */
export function loadNodeConfig(argv: readonly string[]): Config {
  const flags = parseFlags(argv, [CONFIG_FLAG]);
  const word = flags.words[0];
  if (word !== undefined) throw new UsageError(`not understood: '${word}'`);
  try {
    return loadConfig({
      flags: flagRecord(flags.unknown),
      env: process.env,
      file: readConfigFile(flags.values.get('config') ?? process.env.RINGFENCE_CONFIG),
    });
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(error.message);
    throw error;
  }
}

/** `--a 1 --b` as `{ a: '1', b: true }`; the last one of a name wins. */
export function flagRecord(words: readonly string[]): Record<string, string | true> {
  const record: Record<string, string | true> = {};
  let name: string | undefined;
  for (const word of words) {
    if (!word.startsWith('--')) {
      if (name !== undefined) record[name] = word;
      continue;
    }
    const equals = word.indexOf('=');
    name = equals < 0 ? word.slice(2) : word.slice(2, equals);
    record[name] = equals < 0 ? true : word.slice(equals + 1);
  }
  return record;
}

function readConfigFile(asked: string | undefined): { path: string; text: string } | undefined {
  const path = asked ?? FILE_DEFAULT;
  try {
    return { path, text: readFileSync(path, 'utf8') };
  } catch (error) {
    // Only the file that nobody asked for may be missing.
    if (asked === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new PlainError(`the configuration file cannot be read: ${messageOf(error)}`);
  }
}

/** The lines of a help text for every option of a node. */
export function optionHelp(): string {
  const rows = OPTION_ROWS.map(([, row]) => ({
    name: row.name,
    value: row.type.kind.toUpperCase(),
    help: `${row.help} (${row.defaultText ?? row.type.show(row.default)})`,
  }));
  return flagHelp([CONFIG_FLAG, ...rows]);
}
