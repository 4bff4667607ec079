/**
 * The options that CONFIG SET may change. Their values are plain fields of one object, which hot paths
 * read directly; changes go through `set`, all or none, with Redis's error texts.
 */
import { ReplyError } from '../errors.ts';
import type { Disk } from '../platform/disk.ts';
import { matchesGlob } from './glob.ts';
import type { Config } from './load.ts';
import {
  FIXED_REDIS_NAMES,
  OPTION_ROWS,
  normalName,
  OPTIONS,
  type LiveKey,
  type LiveSettings,
  type OptionKey,
  type OptionRow,
} from './options.ts';
import { OptionValueError } from './types.ts';

export type ConfigPair = [name: string, value: string];

export interface LiveMethods {
  /** Names and values, as text, of the options whose name matches the glob pattern (without case). */
  get(pattern: string): ConfigPair[];
  /** Sets all or none; throws a ReplyError that names the first bad one. */
  set(pairs: readonly (readonly [name: string, value: string])[]): void;
  /** Calls back after each change of the option, until the function it returns is called. `callback` must not throw. */
  onChange<K extends LiveKey>(
    key: K,
    callback: (value: LiveSettings[K], previous: LiveSettings[K]) => void,
  ): () => void;
  /** What `set` has changed since the start, as CONFIG GET shows it. */
  changed(): ConfigPair[];
  /**
   * CONFIG REWRITE: puts what was changed into the configuration file and keeps the rest of it. Flags
   * and environment still win over the file at the next start. Throws a ReplyError.
   */
  rewrite(): Promise<void>;
}

export type LiveConfig = LiveSettings & LiveMethods;

type Callback = (value: unknown, previous: unknown) => void;
type Row = OptionRow<unknown> & { readonly mutable: boolean };

const ROW_BY_NAME: ReadonlyMap<string, { key: OptionKey; row: Row }> = new Map(
  OPTION_ROWS.map(([key, row]) => [row.name, { key, row }]),
);
const FIXED_BY_NAME: ReadonlyMap<string, string> = new Map(FIXED_REDIS_NAMES);

/** `config` gives the first values and what CONFIG GET shows of the rest; `disk` is for `rewrite`. */
export function createLiveConfig(config: Config, disk: Disk): LiveConfig {
  const callbacks = new Map<OptionKey, Set<Callback>>();
  const touched = new Set<OptionKey>();

  const methods: LiveMethods = {
    get(pattern) {
      const lower = pattern.toLowerCase();
      const matching: ConfigPair[] = [];
      for (const [key, row] of OPTION_ROWS) {
        if (matchesGlob(lower, row.name)) matching.push([row.name, row.type.show(valueOf(key))]);
      }
      for (const [name, value] of FIXED_REDIS_NAMES) {
        if (matchesGlob(lower, name)) matching.push([name, value]);
      }
      return matching;
    },

    set(pairs) {
      const changes = parseChanges(pairs, valueOf);
      for (const [key, value] of changes) {
        const previous = fields[key];
        fields[key] = value;
        touched.add(key);
        for (const callback of callbacks.get(key) ?? []) callback(value, previous);
      }
    },

    onChange(key, callback) {
      const set = callbacks.get(key) ?? new Set();
      callbacks.set(key, set);
      set.add(callback as Callback);
      return () => set.delete(callback as Callback);
    },

    changed: () =>
      [...touched].map((key) => [OPTIONS[key].name, rowOf(key).type.show(fields[key])]),

    async rewrite() {
      if (config.filePath === null) {
        throw new ReplyError('ERR', 'The server is running without a config file');
      }
      await rewriteFile(disk, config.filePath, methods.changed());
    },
  };

  // One literal with everything: the spread keeps the fields in V8's fast layout.
  const liveConfig = { ...config.initial, ...methods };
  const fields = liveConfig as unknown as Record<OptionKey, unknown>;
  const valueOf = (key: OptionKey): unknown =>
    rowOf(key).mutable ? fields[key] : config[key as keyof Config];
  return liveConfig;
}

function rowOf(key: OptionKey): Row {
  return OPTIONS[key];
}

/** Looks at the names first and the values then, as Redis does: an unknown name wins over a bad value. */
function parseChanges(
  pairs: readonly (readonly [name: string, value: string])[],
  valueOf: (key: OptionKey) => unknown,
): Map<OptionKey, unknown> {
  const named: { key: OptionKey; row: Row; name: string; text: string }[] = [];
  const seen = new Set<string>();
  for (const [name, text] of pairs) {
    const lower = name.toLowerCase();
    const found = ROW_BY_NAME.get(lower);
    const fixed = FIXED_BY_NAME.get(lower);
    if (found === undefined && fixed === undefined) {
      throw new ReplyError(
        'ERR',
        `Unknown option or number of arguments for CONFIG SET - '${name}'`,
      );
    }
    // Tools set names like `save ""` as a matter of course; where that is how it is, it is fine.
    if (found?.row.mutable === false || (fixed !== undefined && fixed !== text)) {
      throw setFailed(name, "can't set immutable config");
    }
    if (seen.has(lower)) throw setFailed(name, 'duplicate parameter');
    seen.add(lower);
    if (found !== undefined) named.push({ ...found, name, text });
  }
  return new Map(
    named.map(({ key, row, name, text }) => [key, parseOne(row, name, text, valueOf(key))]),
  );
}

function parseOne(row: Row, name: string, text: string, current: unknown): unknown {
  try {
    return row.type.parse(text, current);
  } catch (error) {
    if (error instanceof OptionValueError) throw setFailed(name, error.message);
    throw error;
  }
}

function setFailed(name: string, reason: string): ReplyError {
  return new ReplyError(
    'ERR',
    `CONFIG SET failed (possibly related to argument '${name}') - ${reason}`,
  );
}

async function rewriteFile(
  disk: Disk,
  path: string,
  changed: readonly ConfigPair[],
): Promise<void> {
  try {
    const content = JSON.parse((await disk.readText(path)) ?? '{}') as Record<string, unknown>;
    for (const [name, value] of changed) putOption(content, name, value);
    await disk.replaceText(path, `${JSON.stringify(content, null, 2)}\n`);
  } catch (error) {
    throw new ReplyError('ERR', `Rewriting config file: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Under the spelling the file already has, else under the option's own name. */
function putOption(content: Record<string, unknown>, name: string, value: string): void {
  const existing = Object.keys(content).find((key) => normalName(key) === normalName(name));
  content[existing ?? name] = value;
}
