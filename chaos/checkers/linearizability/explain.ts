/**
 * The smallest story of a violation: what the value could have been, and the few operations after that of
 * which no order explains the last one.
 *
 * Leaving out a read, or taking a write for one that may or may not have happened, only makes a history easier
 * to explain. So what is still impossible after that is a proof of its own, with fewer operations.
 */
import type { Operation } from '../../history.ts';
import type { ObjectProblem, OptionalOperation, RequiredOperation } from './judge.ts';
import { shown, shownKeys } from './keyspace-model.ts';
import type { Model } from './model.ts';
import { type Result, search, type Start } from './search.ts';

type Impossible<State> = Extract<Result<State>, { kind: 'impossible' }>;

/** Operations before the impossible one that a story reaches back, when there is a quiescent moment. */
const WINDOW_MIN = 10;
const WINDOW_MAX = 60;
/** Of one of the searches that make the story smaller; one that needs more is no gain. */
const CONFIGURATIONS_MAX = 1000;
const STATES_SHOWN = 4;
const UNKNOWN_SHOWN = 6;
const ORIGINS_SHOWN = 4;

interface Story<State> {
  /** None: the operations overlap without a pause, so there is no moment at which to begin. */
  readonly starts: readonly Start<State>[];
  readonly operations: readonly RequiredOperation[];
  readonly optional: readonly OptionalOperation[];
}

/** Several lines, without a newline at the end. */
export function explain<State>(
  model: Model<State>,
  keys: readonly string[],
  problem: ObjectProblem,
  impossible: Impossible<State>,
): string {
  const culprit = problem.required[impossible.at]!.operation;
  const story = smaller(model, firstStory(problem, impossible));
  const told = story.operations.map(({ operation }) => operation);
  const unknown = unknownNearby(problem, told);
  const lines = [
    `${shownKeys(keys)}: no order of the operations explains the one marked with >`,
    possibleStates(model, story.starts),
    ...[...told, ...unknown]
      .sort((a, b) => a.startedAtMs - b.startedAtMs)
      .map((operation) => `${operation === culprit ? '>' : ' '} ${describe(operation)}`),
    ...origins(problem, told),
  ];
  return lines.join('\n  ');
}

function firstStory<State>(
  problem: ObjectProblem,
  { at, possibleBefore }: Impossible<State>,
): Story<State> {
  const from = quiescentBefore(problem, at);
  if (from === undefined) {
    const operations = problem.required.slice(Math.max(0, at + 1 - WINDOW_MIN), at + 1);
    return { starts: [], operations, optional: [] };
  }
  const end = problem.required[at]!.endedAtMs;
  // What had begun by then but ended later may have happened, or not yet.
  const later = problem.required.slice(at + 1).filter(({ startedAtMs }) => startedAtMs <= end);
  const begun = problem.optional.filter(({ startedAtMs }) => startedAtMs <= end);
  const story = {
    starts: possibleBefore(from),
    operations: problem.required.slice(from, at + 1),
    optional: begun,
  };
  return withOptional(story, later);
}

/** The last ending, WINDOW_MIN or more before `at` if there is one, before which nothing was under way. */
function quiescentBefore({ required }: ObjectProblem, at: number): number | undefined {
  let best: number | undefined;
  let earliestBegin = Infinity;
  for (let from = at; from >= 0 && at - from <= WINDOW_MAX; from--) {
    earliestBegin = Math.min(earliestBegin, required[from]!.startedAtMs);
    const previousEnd = from === 0 ? -Infinity : required[from - 1]!.endedAtMs;
    // Operations that end later may begin earlier; those after `at` only count as possible, so they do no harm.
    if (earliestBegin <= previousEnd) continue;
    best = from;
    if (at - from >= WINDOW_MIN) break;
  }
  return best;
}

/** Takes operations into the optional ones, and renumbers what the starts have used. */
function withOptional<State>(
  { starts, operations, optional }: Story<State>,
  more: readonly RequiredOperation[],
): Story<State> {
  if (more.length === 0) return { starts, operations, optional };
  const all: OptionalOperation[] = [...optional, ...more].sort(
    (a, b) => a.startedAtMs - b.startedAtMs,
  );
  const positions = optional.map((operation) => BigInt(all.indexOf(operation)));
  const renumbered = (used: bigint): bigint =>
    positions.reduce(
      (bits, position, i) => ((used >> BigInt(i)) & 1n ? bits | (1n << position) : bits),
      0n,
    );
  return {
    starts: starts.map(({ state, used }) => ({ state, used: renumbered(used) })),
    operations,
    optional: all,
  };
}

/** Leaves out one operation after the other, as long as the rest stays impossible. */
function smaller<State>(model: Model<State>, story: Story<State>): Story<State> {
  if (story.starts.length === 0) return story;
  let best = story;
  for (const operation of story.operations.slice(0, -1)) {
    const operations = best.operations.filter((other) => other !== operation);
    const isRead = model.changesNothing(operation.command, operation.reply);
    const without = withOptional({ ...best, operations }, isRead ? [] : [operation]);
    if (isImpossible(model, without)) best = without;
  }
  return best;
}

function isImpossible<State>(model: Model<State>, story: Story<State>): boolean {
  const problem = { required: story.operations, optional: story.optional };
  return search(model, problem, CONFIGURATIONS_MAX, story.starts).kind === 'impossible';
}

function possibleStates<State>(model: Model<State>, starts: readonly Start<State>[]): string {
  if (starts.length === 0) return 'the last operations before it, which overlap without a pause:';
  const states = [...new Set(starts.map(({ state }) => model.describe(state)))];
  const some = states.slice(0, STATES_SHOWN).join(' or ');
  const more = states.length - STATES_SHOWN;
  return `at first the value can only be ${some}${more > 0 ? ` or one of ${more} more` : ''}; then:`;
}

/** Unknown outcomes that began in the time of the story: who reads it will ask about them. */
function unknownNearby(problem: ObjectProblem, told: readonly Operation[]): Operation[] {
  const from = Math.min(...told.map(({ startedAtMs }) => startedAtMs));
  const to = Math.max(...told.map(({ endedAtMs }) => endedAtMs));
  return problem.optional
    .map(({ operation }) => operation)
    .filter(({ startedAtMs }) => startedAtMs >= from && startedAtMs <= to)
    .slice(-UNKNOWN_SHOWN);
}

/** Where the values come from that the story's operations were answered with. */
function origins(problem: ObjectProblem, told: readonly Operation[]): string[] {
  const values = new Set(
    told.flatMap(({ reply }) => reply).filter((item) => typeof item === 'string'),
  );
  return [...problem.required, ...problem.optional]
    .map(({ operation }) => operation)
    .filter((operation) => !told.includes(operation))
    .filter(({ command }) => command.slice(2).some((argument) => values.has(argument)))
    .slice(0, ORIGINS_SHOWN)
    .map((operation) => `written by ${describe(operation)}`);
}

/** `12.000-13.500 ms c1 on node-2: SET k v -> OK` */
export function describe(operation: Operation): string {
  const { startedAtMs, endedAtMs, client, node, command, outcome, reply } = operation;
  const until = outcome === 'ok' ? endedAtMs.toFixed(3) : '?';
  const words = command.map((word) => (/^[\w:{}.+-]{1,40}$/.test(word) ? word : shown(word)));
  const answer = outcome === 'ok' ? shownReply(reply) : `${outcome} (${String(reply)})`;
  return `${startedAtMs.toFixed(3)}-${until} ms ${client} on ${node}: ${words.join(' ')} -> ${answer}`;
}

function shownReply(reply: Operation['reply']): string {
  if (typeof reply === 'number') return String(reply);
  if (typeof reply === 'object' && reply !== null) return `[${reply.map(shownReply).join(', ')}]`;
  return shown(reply);
}
