/**
 * Puts the configuration together: defaults, then the profile, the file, the environment, the flags;
 * the later one wins. Everything that is wrong is reported at once.
 */
import { brokenRules, deriveDefaults, type Draft } from './checks.ts';
import {
  findOption,
  OPTION_ROWS,
  OPTIONS,
  type LiveSettings,
  type OptionKey,
  type OptionRow,
  type Profile,
  type Settings,
  type StartupSettings,
} from './options.ts';
import { parsePolicies } from './parse-policies.ts';
import { createPolicies, type Policies } from './policies.ts';
import { OptionValueError } from './types.ts';

export const ENV_PREFIX = 'RINGFENCE_';
/** Environment names that belong to the program, not to the option table. */
const OTHER_ENV = new Set([
  'RINGFENCE_CONFIG',
  'RINGFENCE_DIR',
  'RINGFENCE_LEGACY',
  'RINGFENCE_NODES',
  'RINGFENCE_CLI_PASSWORD',
]);

export interface ConfigSources {
  /** Without the leading dashes; `true` for a flag that came without a value. */
  readonly flags?: Readonly<Record<string, string | true>>;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** `ringfence.config.json`, read by the caller. */
  readonly file?: { readonly path: string; readonly text: string } | undefined;
}

/** Deeply frozen. Options that CONFIG SET may change are not here but in `initial`: read them from LiveConfig. */
export type Config = StartupSettings & {
  /** What LiveConfig starts with. */
  readonly initial: LiveSettings;
  readonly policies: Policies;
  /** The file that was read, and that CONFIG REWRITE writes; null: none. */
  readonly filePath: string | null;
  /** Suspicious but not wrong: for the log. */
  readonly warnings: readonly string[];
};

/** `message` lists all problems, one a line. */
export class ConfigError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`The configuration is wrong:\n${problems.map((line) => `  ${line}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** One option as some source gave it. */
interface Given {
  readonly key: OptionKey;
  readonly row: OptionRow<unknown>;
  readonly value: unknown;
  /** For people: `--port`, `RINGFENCE_PORT in the environment`, `port in /etc/ringfence.json`. */
  readonly from: string;
}

interface Findings {
  readonly problems: string[];
  readonly warnings: string[];
}

/** Throws a ConfigError that names every problem: option, value, where it came from, what is accepted. */
export function loadConfig(sources: ConfigSources): Config {
  const findings: Findings = { problems: [], warnings: [] };
  const file = readFile(sources.file, findings);
  const given = [
    ...file.options,
    ...readEnv(sources.env ?? {}, findings),
    ...readFlags(sources.flags ?? {}, findings),
  ];
  const { policies, problems } = parsePolicies(file.policies);
  const settings = settle(given, findings);
  for (const { path, message } of problems) findings.problems.push(`${path} ${message}`);
  if (findings.problems.length > 0) throw new ConfigError(findings.problems);
  return freeze(settings, {
    policies: createPolicies(policies),
    filePath: sources.file?.path ?? null,
    warnings: Object.freeze(findings.warnings),
  });
}

function readFile(
  file: ConfigSources['file'],
  findings: Findings,
): { options: Given[]; policies: unknown } {
  if (file === undefined) return { options: [], policies: undefined };
  let content: unknown;
  try {
    content = JSON.parse(file.text);
  } catch (error) {
    findings.problems.push(`${file.path} is not valid JSON: ${(error as Error).message}`);
    return { options: [], policies: undefined };
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    findings.problems.push(`${file.path} must hold one JSON object with options by name`);
    return { options: [], policies: undefined };
  }
  const { policies, $schema: _, ...rest } = content as Record<string, unknown>;
  const options: Given[] = [];
  const seen = new Map<OptionKey, string>();
  for (const [name, value] of Object.entries(rest)) {
    const found = findOption(name);
    if (found === undefined) {
      findings.problems.push(`${name} in ${file.path} is not an option`);
      continue;
    }
    const earlier = seen.get(found[0]);
    if (earlier !== undefined) {
      findings.problems.push(`${name} in ${file.path} is the same option as ${earlier}`);
    }
    seen.set(found[0], name);
    options.push({ key: found[0], row: found[1], value, from: `${name} in ${file.path}` });
  }
  return { options, policies };
}

function readEnv(env: Readonly<Record<string, string | undefined>>, findings: Findings): Given[] {
  const options: Given[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(ENV_PREFIX) || value === undefined || OTHER_ENV.has(name)) continue;
    const found = findOption(name.slice(ENV_PREFIX.length));
    // Other tools may have variables with this prefix, so a strange one is no reason not to start.
    if (found === undefined) findings.warnings.push(`${name} in the environment is not an option`);
    else options.push({ key: found[0], row: found[1], value, from: `${name} in the environment` });
  }
  return options;
}

function readFlags(flags: Readonly<Record<string, string | true>>, findings: Findings): Given[] {
  const options: Given[] = [];
  for (const [name, value] of Object.entries(flags)) {
    const found = findOption(name);
    if (found === undefined) findings.problems.push(`--${name} is not an option`);
    else options.push({ key: found[0], row: found[1], value, from: `--${name}` });
  }
  return options;
}

function settle(given: readonly Given[], findings: Findings): Settings {
  const values = new Map<OptionKey, unknown>();
  for (const one of given) {
    const value = readValue(one, findings);
    if (value !== undefined) values.set(one.key, value);
  }
  const profile = (values.get('profile') ?? OPTIONS.profile.default) as Profile;
  const draft = defaultsOf(profile) as Draft;
  Object.assign(draft, Object.fromEntries(values));
  deriveDefaults(draft, new Set(values.keys()));
  // Rules over several options only make sense once each of them is right.
  if (findings.problems.length === 0) {
    for (const { option, rule } of brokenRules(draft)) {
      const shown = showFor(OPTIONS[option], draft[option]);
      findings.problems.push(`${OPTIONS[option].name} is ${shown}; it ${rule}`);
    }
  }
  return draft;
}

/** Every option's default under a profile, before those that follow from others are filled in. */
export function defaultsOf(profile: Profile): Settings {
  // Spreading the table's own object, then overwriting every field, keeps V8's fast layout: an
  // object grown by computed names would become a hash table, and hot paths read these fields.
  const values = { ...OPTIONS } as unknown as Record<OptionKey, unknown>;
  for (const [key, row] of OPTION_ROWS) values[key] = row.byProfile?.[profile] ?? row.default;
  return values as Settings;
}

function readValue({ row, value, from }: Given, findings: Findings): unknown {
  const text = textOf(value, row.type.kind);
  try {
    if (text !== null) return row.type.parse(text, row.default);
  } catch (error) {
    if (!(error instanceof OptionValueError)) throw error;
  }
  findings.problems.push(`${from} is ${showGiven(row, value)}; it accepts ${row.type.accepts}`);
  return undefined;
}

/** JSON values and bare flags as the text that CONFIG SET would take; null when there is none. */
function textOf(value: unknown, kind: string): string | null {
  if (kind === 'boolean') {
    if (value === true || value === 'true' || value === '1') return 'yes';
    if (value === false || value === 'false' || value === '0') return 'no';
  }
  if (typeof value === 'string') return value;
  return typeof value === 'number' ? String(value) : null;
}

function showGiven(row: OptionRow<unknown>, value: unknown): string {
  if (row.secret === true) return 'wrong (its value is not shown)';
  if (value === true) return 'without a value';
  return JSON.stringify(value);
}

function showFor(row: OptionRow<unknown>, value: unknown): string {
  const shown = row.type.show(value);
  return shown === '' ? 'empty' : shown;
}

function freeze(
  settings: Settings,
  rest: Pick<Config, 'policies' | 'filePath' | 'warnings'>,
): Config {
  const startup: Record<string, unknown> = {};
  const initial: Record<string, unknown> = {};
  for (const [key, row] of OPTION_ROWS) (row.mutable ? initial : startup)[key] = settings[key];
  return Object.freeze({
    ...(startup as unknown as StartupSettings),
    initial: Object.freeze(initial) as unknown as LiveSettings,
    ...rest,
  });
}
