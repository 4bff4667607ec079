/**
 * A few keys as one object. Commands on one key make histories of one key, which are judged alone; a command
 * on several keys joins them into one object, because it must be atomic on all of them.
 */
import type { Operation, ReplyValue } from '../../history.ts';
import { EVENT_COMMANDS } from './events.ts';
import { EXPIRY_COMMANDS } from './expiry-model.ts';
import type { Model, Step } from './model.ts';
import { type CommandSpec, type Keyspace, STRING_COMMANDS } from './string-commands.ts';

/** Every command whose effect and reply the checkers know. */
const COMMANDS: ReadonlyMap<string, CommandSpec> = new Map(
  Object.entries({ ...STRING_COMMANDS, ...EVENT_COMMANDS }),
);

/** Values in the order of the model's keys. */
type State = readonly (string | null)[];

const SHOWN_CHARACTERS = 60;

/** The keys of a command; throws when the checkers do not know it. */
export function keysOf(command: readonly string[]): readonly string[] {
  const args = command.slice(1);
  if (EXPIRY_COMMANDS.has(command[0]!)) return args.slice(0, 1);
  return specOf(command).keysOf?.(args) ?? args.slice(0, 1);
}

function specOf([name]: readonly string[]): CommandSpec {
  const spec = COMMANDS.get(name ?? '');
  if (spec === undefined) throw new Error(`the checkers have no reference for ${String(name)}`);
  return spec;
}

/** As `Model.changesNothing`, of any keys. */
export function changesNothing(command: readonly string[], reply: ReplyValue | undefined): boolean {
  return specOf(command).changesNothing?.(reply, command.slice(1)) ?? false;
}

/** A model of exactly these keys, all of them absent at first. */
export function keyspaceModel(keys: readonly string[]): Model<State> {
  const positions = new Map(keys.map((key, i) => [key, i]));
  const prefix = commonPrefix(keys);
  return {
    initial: keys.map(() => null),
    id: (state) => (state.length === 1 ? idOf(state[0]!) : JSON.stringify(state)),
    step: (state, command) => step(positions, state, command),
    changesNothing,
    describe: (state) =>
      state.length === 1
        ? shown(state[0]!)
        : keys.map((key, i) => `${key.slice(prefix.length)}=${shown(state[i]!)}`).join(' '),
  };
}

const APPEND_ONLY: ReadonlySet<string> = new Set(['APPEND', 'GET', 'STRLEN']);

/**
 * For a key that only grows: the model without the states that lead nowhere, because somebody read a value
 * that is not a continuation of them. Without it a search tries all orders of elements that overlap, and
 * learns from the next reading only that it was the wrong one. Undefined when the key does more than grow, or was
 * never read.
 */
export function growingModel(
  keys: readonly string[],
  operations: readonly Operation[],
): Model<State> | undefined {
  let longest = '';
  for (const { command, outcome, reply } of operations) {
    if (!APPEND_ONLY.has(command[0]!)) return undefined;
    const read = command[0] === 'GET' && outcome === 'ok' && typeof reply === 'string' ? reply : '';
    if (read.length > longest.length) longest = read;
  }
  if (longest === '') return undefined;
  const model = keyspaceModel(keys);
  return {
    ...model,
    step(state, command) {
      const next = model.step(state, command);
      const value = next?.state[0] ?? '';
      return longest.startsWith(value) || value.startsWith(longest) ? next : undefined;
    },
  };
}

/** One key is by far the commonest case. */
function idOf(value: string | null): string {
  return value === null ? '-' : `=${value}`;
}

function step(
  positions: ReadonlyMap<string, number>,
  state: State,
  command: readonly string[],
): Step<State> | undefined {
  const scratch = new Scratch(positions, state);
  const reply = specOf(command).run(scratch, command.slice(1));
  return reply === undefined ? undefined : { state: scratch.state, reply };
}

/** A state that is copied at the first write. */
class Scratch implements Keyspace {
  state: State;
  readonly #positions: ReadonlyMap<string, number>;
  #own: (string | null)[] | undefined;

  constructor(positions: ReadonlyMap<string, number>, state: State) {
    this.#positions = positions;
    this.state = state;
  }

  get(key: string): string | null {
    return this.state[this.#positions.get(key)!]!;
  }

  set(key: string, value: string | null): void {
    this.#own ??= [...this.state];
    this.#own[this.#positions.get(key)!] = value;
    this.state = this.#own;
  }
}

/** A value short enough to read: its end, where what was written last is. */
export function shown(value: string | null): string {
  if (value === null) return '(absent)';
  if (value.length <= SHOWN_CHARACTERS) return JSON.stringify(value);
  return `"...${value.slice(-SHOWN_CHARACTERS)}" (${value.length} bytes)`;
}

/** `a:[1,2]` for `a:1` and `a:2`; a single key as it is. */
export function shownKeys(keys: readonly string[]): string {
  if (keys.length === 1) return keys[0]!;
  const prefix = commonPrefix(keys);
  return `${prefix}[${keys.map((key) => key.slice(prefix.length)).join(',')}]`;
}

/** Leaves at least one character of every key. */
function commonPrefix(keys: readonly string[]): string {
  const first = keys[0] ?? '';
  let length = Math.max(0, Math.min(...keys.map((key) => key.length)) - 1);
  while (!keys.every((key) => key.startsWith(first.slice(0, length)))) length--;
  return first.slice(0, length);
}
