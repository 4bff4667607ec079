/**
 * One key whose time runs out. When that is depends on the clocks of the nodes, so a time to live becomes a
 * *limit*: a span in which the key's time is over. Before it nobody may find the key gone, after it nobody may
 * find it there, and within it the end comes at one moment, `(expires)`, for everybody: who reads the value
 * after somebody else was told that it is gone contradicts every order.
 *
 * All moments here are of the cluster's clock, milliseconds.
 */
import type { ReplyValue } from '../../history.ts';
import { GONE, HAPPENS } from './events.ts';
import type { Model, Step } from './model.ts';

/** No command of Redis: the time that this command gave its key is over: `(expires) key number-of-command`. */
export const EXPIRES = '(expires)';

/** Commands that the model knows besides those that every string has; each has one key. */
export const EXPIRY_COMMANDS: ReadonlySet<string> = new Set(['PEXPIRE', 'PERSIST', 'PTTL']);

/** When a command ran, and what it was answered. */
export interface Timing {
  /** Tells the command from the others; names the limit that it sets. */
  readonly id: string;
  /** The lowest clock of all nodes when it was sent, and the highest when it was answered. */
  readonly earliestMs: number;
  readonly latestMs: number;
  /** Undefined: it was not answered. */
  readonly reply: ReplyValue | undefined;
  /** Of an event that gives the key a value with a limit: when its time is over. */
  readonly expiresAtMs?: number | undefined;
}

interface Limit {
  readonly id: string;
  readonly fromMs: number;
  readonly toMs: number;
}

interface ExpiringState {
  readonly value: string | null;
  /** Null: the key stays. */
  readonly limit: Limit | null;
}

const ABSENT: ExpiringState = { value: null, limit: null };
/** Clocks are read in whole milliseconds, by the nodes and by whoever watches them. */
export const ROUNDING_MS = 2;
const READS: ReadonlySet<string> = new Set(['GET', 'PTTL']);
const ZERO_IS_NOTHING: ReadonlySet<string> = new Set(['DEL', 'PEXPIRE', 'PERSIST']);

/** The time that a command gives its key, milliseconds; undefined: it gives none. */
export function ttlOf([name, , value, option, amount]: readonly string[]): number | undefined {
  if (name === 'PEXPIRE') return Number(value);
  if (name !== 'SET' || option === undefined || amount === undefined) return undefined;
  return option === 'PX' ? Number(amount) : option === 'EX' ? 1000 * Number(amount) : undefined;
}

/** `timingOf` gets the very command that is placed. */
export function expiryModel(
  timingOf: (command: readonly string[]) => Timing,
): Model<ExpiringState> {
  return {
    initial: ABSENT,
    id: ({ value, limit }) => (value === null ? '-' : `${limit?.id ?? ''}=${value}`),
    step(state, command) {
      if (command[0] === EXPIRES)
        return state.limit?.id === command[2] ? { state: ABSENT, reply: 'OK' } : undefined;
      const timing = timingOf(command);
      if (command[0] === HAPPENS) return { state: happened(command[2]!, timing), reply: 'OK' };
      // It ran when the key's time was over: the end must have come before it.
      if (state.limit !== null && timing.earliestMs > state.limit.toMs) return undefined;
      return run(state, command, timing);
    },
    changesNothing: ([name], reply) =>
      READS.has(name!) || (ZERO_IS_NOTHING.has(name!) && reply === 0),
    describe: ({ value, limit }) =>
      value === null
        ? '(absent)'
        : `${JSON.stringify(value)}${limit === null ? '' : ` until ${shown(limit)}`}`,
  };
}

function happened(word: string, { id, expiresAtMs: atMs }: Timing): ExpiringState {
  if (word === GONE) return ABSENT;
  const limit =
    atMs === undefined ? null : { id, fromMs: atMs - ROUNDING_MS, toMs: atMs + ROUNDING_MS };
  return { value: word.slice(1), limit };
}

function run(
  state: ExpiringState,
  command: readonly string[],
  timing: Timing,
): Step<ExpiringState> {
  const [name, , value = '', option] = command;
  const { value: old } = state;
  switch (name) {
    case 'GET':
      return { state, reply: old };
    case 'SET': {
      const limit = option === 'KEEPTTL' && old !== null ? state.limit : limitOf(command, timing);
      return { state: { value, limit }, reply: 'OK' };
    }
    case 'APPEND': {
      const longer = (old ?? '') + value;
      return { state: { ...state, value: longer }, reply: longer.length };
    }
    case 'DEL':
      return { state: ABSENT, reply: old === null ? 0 : 1 };
    case 'PEXPIRE':
      if (old === null) return { state, reply: 0 };
      return { state: { value: old, limit: limitOf(command, timing) }, reply: 1 };
    case 'PERSIST':
      if (state.limit === null) return { state, reply: 0 };
      return { state: { value: old, limit: null }, reply: 1 };
    case 'PTTL':
      return { state, reply: timeLeft(state, timing) };
    default:
      throw new Error(`the checkers have no reference for ${String(name)} with expiry`);
  }
}

function limitOf(command: readonly string[], timing: Timing): Limit | null {
  const ttlMs = ttlOf(command);
  if (ttlMs === undefined) return null;
  const fromMs = timing.earliestMs + ttlMs - ROUNDING_MS;
  return { id: timing.id, fromMs, toMs: timing.latestMs + ttlMs + ROUNDING_MS };
}

/** The reply that was given, if it is a possible one; else one that is. */
function timeLeft(
  { value, limit }: ExpiringState,
  { reply, earliestMs, latestMs }: Timing,
): number {
  if (value === null) return -2;
  if (limit === null) return -1;
  const least = Math.max(0, limit.fromMs - latestMs);
  const most = limit.toMs - earliestMs;
  return typeof reply === 'number' && reply >= least && reply <= most ? reply : Math.round(most);
}

function shown({ fromMs, toMs }: Limit): string {
  const until = toMs === Infinity ? '?' : toMs.toFixed(0);
  return `${fromMs.toFixed(0)}-${until} on the cluster's clock`;
}
