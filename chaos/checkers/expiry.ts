/**
 * Keys with a time to live: every operation seems to happen at one moment, and so does the end of a key's
 * time, which comes when the nodes' clocks allow it and for all of them at once. Like `linearizable`, with the
 * time to live as a part of a key's state.
 */
import type { History, Operation } from '../history.ts';
import { type Checker, verdict } from './checker.ts';
import { Clocks } from './clocks.ts';
import {
  EXPIRES,
  expiryModel,
  ROUNDING_MS,
  type Timing,
  ttlOf,
} from './linearizability/expiry-model.ts';
import { eventsOf } from './linearizability/events.ts';
import { judgeBy, problemOf } from './linearizability/judge.ts';
import { type Judged, objectsOf } from './linearizability/objects.ts';
import { finalReads } from './linearizable.ts';

const NAME = 'expiry';
const CONFIGURATIONS_MAX = 1_000_000;

export const expiry: Checker = {
  name: NAME,
  claim:
    'A key with a time to live goes when its time is over, not before, and for everybody at once.',
  check(history) {
    if (history.clocks.length === 0) {
      const judged = "this run did not record the nodes' clocks";
      return { checker: NAME, status: 'not-judged', judged, findings: [] };
    }
    const clocks = new Clocks(history.clocks);
    const broken: string[] = [];
    const undecided: string[] = [];
    let ends = 0;
    const objects = objectsOf(history.operations);
    for (const object of objects) {
      const { status, finding, limits } = judgeKey(object, history, clocks);
      ends += limits;
      if (status === 'broken') broken.push(finding!);
      if (status === 'undecided') undecided.push(finding!);
    }
    return verdict(NAME, `${objects.length} keys, ${ends} times to live`, broken, undecided);
  },
};

function judgeKey(
  { keys, operations }: Judged,
  history: History,
  clocks: Clocks,
): ReturnType<typeof judgeBy> & { limits: number } {
  const timings = new Map<readonly string[], Timing>();
  const ends: Operation[] = [];
  const all: Operation[] = [];
  const add = (operation: Operation, expiresAtMs?: number): void => {
    const timing = { ...timingOf(operation, String(all.length), clocks), expiresAtMs };
    all.push(operation);
    timings.set(operation.command, timing);
    ends.push(...endOf(operation, timing, clocks));
  };
  for (const operation of [...operations, ...finalReads(keys, history.ends)]) add(operation);
  for (const event of history.events) {
    for (const operation of eventsOf(keys, [event]))
      add(operation, event.expiresAtMs?.get(keys[0]!));
  }
  const model = expiryModel((command) => timings.get(command)!);
  const problem = problemOf(model, [...all, ...ends]);
  const judgement = judgeBy({ model, keys, problem }, CONFIGURATIONS_MAX);
  return { ...judgement, limits: ends.length };
}

function timingOf(operation: Operation, id: string, clocks: Clocks): Timing {
  const { startedAtMs, endedAtMs, outcome, reply } = operation;
  const answered = outcome === 'ok';
  return {
    id,
    earliestMs: clocks.lowest(startedAtMs),
    latestMs: answered ? clocks.highest(endedAtMs) : Infinity,
    reply: answered ? reply : undefined,
  };
}

/** The end of the time that an operation may have given its key: from some moment on, or never. */
function endOf(
  { command, startedAtMs, outcome }: Operation,
  { id, earliestMs, expiresAtMs }: Timing,
  clocks: Clocks,
): Operation[] {
  const ttlMs = ttlOf(command);
  const endMs = expiresAtMs ?? (ttlMs === undefined ? undefined : earliestMs + ttlMs);
  if (endMs === undefined || outcome === 'refused') return [];
  return [
    {
      workload: '',
      client: 'time',
      node: 'the cluster',
      command: [EXPIRES, command[1]!, id],
      startedAtMs: clocks.firstAt(endMs - ROUNDING_MS, startedAtMs),
      endedAtMs: Infinity,
      outcome: 'unknown',
      reply: `the time of ${command.join(' ')} is over from then on`,
    },
  ];
}
