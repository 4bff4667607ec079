/**
 * The kinds of value an option can have. Each knows how to read text, how CONFIG GET shows the value,
 * what to tell people who got it wrong, and its JSON schema. Texts of errors are Redis's own.
 */
import { parseBytes, parseDurationMs, showBytes } from './units.ts';

/** The text is not a value of this option; the message is the one CONFIG SET replies with. */
export class OptionValueError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'OptionValueError';
  }
}

export interface OptionType<T> {
  /** One word for the reference page. */
  readonly kind: string;
  /** Accepted values, for people: part of a sentence after "accepts". */
  readonly accepts: string;
  readonly schema: Readonly<Record<string, unknown>>;
  /** Throws an OptionValueError. `current` matters only to types that can be set in part. */
  parse(text: string, current: T): T;
  /** As CONFIG GET shows it. */
  show(value: T): string;
}

interface Range {
  readonly min: number;
  readonly max: number;
}

function checkRange(value: number, { min, max }: Range): number {
  if (value < min || value > max) {
    throw new OptionValueError(`argument must be between ${min} and ${max} inclusive`);
  }
  return value;
}

function parseInteger(text: string): number {
  if (!/^(0|-?[1-9][0-9]*)$/.test(text)) {
    throw new OptionValueError("argument couldn't be parsed into an integer");
  }
  return Number(text);
}

/** A whole number; `unit` (`seconds`, ...) only informs people. */
export function integer(range: Range, unit?: string): OptionType<number> {
  const what = unit === undefined ? 'a whole number' : `a whole number of ${unit}`;
  return {
    kind: unit ?? 'integer',
    accepts: `${what} from ${range.min} to ${range.max}`,
    schema: { type: 'integer', minimum: range.min, maximum: range.max },
    parse: (text) => checkRange(parseInteger(text), range),
    show: String,
  };
}

/** Milliseconds, given as a plain number of them or with a unit (`1.5s`). Shown as the number. */
export function milliseconds(range: Range): OptionType<number> {
  return {
    kind: 'milliseconds',
    accepts: `milliseconds from ${range.min} to ${range.max}, or a duration such as 1500ms or 1.5s`,
    schema: {
      anyOf: [
        { type: 'integer', minimum: range.min, maximum: range.max },
        { type: 'string', pattern: '^[0-9]+(\\.[0-9]+)?(ms|s|m|h|d)?$' },
      ],
    },
    parse: (text) => checkRange(parseDurationMs(text) ?? parseInteger(text), range),
    show: String,
  };
}

/** A size in bytes, with Redis's units. Shown in bytes. */
export function bytes(range: Range): OptionType<number> {
  const most = range.max === Number.MAX_SAFE_INTEGER ? 'or more' : `to ${showBytes(range.max)}`;
  return {
    kind: 'bytes',
    accepts: `bytes, ${showBytes(range.min)} ${most}, such as 1024, 64kb, 100mb or 1gb`,
    schema: {
      anyOf: [
        { type: 'integer', minimum: range.min, maximum: range.max },
        { type: 'string', pattern: '^[0-9]+([bB]|[kKmMgG][bB]?)?$' },
      ],
    },
    parse(text) {
      const value = parseBytes(text);
      if (value === null) throw new OptionValueError('argument must be a memory value');
      return checkRange(value, range);
    },
    show: String,
  };
}

export function boolean(): OptionType<boolean> {
  return {
    kind: 'boolean',
    accepts: 'yes or no',
    schema: { anyOf: [{ type: 'boolean' }, { enum: ['yes', 'no'] }] },
    parse(text) {
      const lower = text.toLowerCase();
      if (lower !== 'yes' && lower !== 'no') {
        throw new OptionValueError("argument must be 'yes' or 'no'");
      }
      return lower === 'yes';
    },
    show: (value) => (value ? 'yes' : 'no'),
  };
}

export function oneOf<const V extends string>(values: readonly V[]): OptionType<V> {
  return {
    kind: 'enum',
    accepts: `one of ${values.join(', ')}`,
    schema: { enum: [...values] },
    parse(text) {
      const found = values.find((value) => value === text.toLowerCase());
      if (found === undefined) {
        throw new OptionValueError(
          `argument(s) must be one of the following: ${values.join(', ')}`,
        );
      }
      return found;
    },
    show: (value) => value,
  };
}

/** Text; `pattern` must match all of it, and `accepts` says so in words. */
export function text(rule?: { pattern: RegExp; accepts: string }): OptionType<string> {
  return {
    kind: 'string',
    accepts: rule?.accepts ?? 'any text',
    schema:
      rule === undefined ? { type: 'string' } : { type: 'string', pattern: rule.pattern.source },
    parse(given) {
      if (rule !== undefined && !rule.pattern.test(given)) {
        throw new OptionValueError(`argument must be ${rule.accepts}`);
      }
      return given;
    },
    show: (value) => value,
  };
}

/** Bounds of one class of clients: over `hardBytes` at once, or over `softBytes` for `softSeconds`; 0: no bound. */
export interface OutputLimit {
  readonly hardBytes: number;
  readonly softBytes: number;
  readonly softSeconds: number;
}

export interface OutputLimits {
  readonly normal: OutputLimit;
  readonly replica: OutputLimit;
  readonly pubsub: OutputLimit;
}

// `slave` is the name Redis shows; both are accepted.
const CLIENT_CLASSES: Record<string, keyof OutputLimits> = {
  normal: 'normal',
  slave: 'replica',
  replica: 'replica',
  pubsub: 'pubsub',
};

/** `client-output-buffer-limit`: groups of class, hard bytes, soft bytes, soft seconds. Classes not named keep their bounds. */
export function outputLimits(): OptionType<OutputLimits> {
  return {
    kind: 'limits',
    accepts:
      'groups of "<normal|replica|pubsub> <hard bytes> <soft bytes> <soft seconds>", 0 for no bound',
    schema: { type: 'string' },
    parse: parseOutputLimits,
    show({ normal, replica, pubsub }) {
      const show = (name: string, limit: OutputLimit): string =>
        `${name} ${limit.hardBytes} ${limit.softBytes} ${limit.softSeconds}`;
      return [show('normal', normal), show('slave', replica), show('pubsub', pubsub)].join(' ');
    },
  };
}

function parseOutputLimits(given: string, current: OutputLimits): OutputLimits {
  const words = given.split(' ').filter((word) => word !== '');
  if (words.length === 0 || words.length % 4 !== 0) {
    throw new OptionValueError('Wrong number of arguments in buffer limit configuration.');
  }
  const limits = { ...current };
  for (let at = 0; at < words.length; at += 4) {
    const name = CLIENT_CLASSES[(words[at] ?? '').toLowerCase()];
    if (name === undefined) {
      throw new OptionValueError('Invalid client class specified in buffer limit configuration.');
    }
    limits[name] = parseOutputLimit(words.slice(at + 1, at + 4));
  }
  return Object.freeze(limits);
}

function parseOutputLimit([hard = '', soft = '', seconds = '']: string[]): OutputLimit {
  const hardBytes = parseBytes(hard);
  const softBytes = parseBytes(soft);
  if (hardBytes === null || softBytes === null || !/^[0-9]{1,9}$/.test(seconds)) {
    throw new OptionValueError(
      'Error in hard, soft or soft_seconds setting in buffer limit configuration.',
    );
  }
  return Object.freeze({ hardBytes, softBytes, softSeconds: Number(seconds) });
}
