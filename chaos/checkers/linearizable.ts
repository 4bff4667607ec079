/**
 * Every object is linearizable: each operation seems to happen at one moment between its beginning and its
 * end. An object is a key, or the keys that some command names together. What the nodes answered at the end
 * and what is in the table count as reads after everything else.
 */
import type { EndState, History, Operation, Values } from '../history.ts';
import { type Checker, verdict } from './checker.ts';
import { eventsOf } from './linearizability/events.ts';
import { judge } from './linearizability/judge.ts';
import { type Judged, objectsOf } from './linearizability/objects.ts';

/** Per object: some 200 MB, and seconds. */
const CONFIGURATIONS_MAX = 1_000_000;

export const linearizable: Checker = {
  name: 'linearizable',
  claim: 'Each operation took effect at one moment between its beginning and its end.',
  check: (history) => judgeObjects('linearizable', objectsOf(history.operations), history),
};

/** Judges each object together with what was found at the end. */
export function judgeObjects(
  checker: string,
  objects: readonly Judged[],
  history: History,
  configurationsMax = CONFIGURATIONS_MAX,
): ReturnType<Checker['check']> {
  const broken: string[] = [];
  const undecided: string[] = [];
  let count = 0;
  for (const { keys, operations } of objects) {
    const happened = eventsOf(keys, history.events);
    const all = [...operations, ...happened, ...finalReads(keys, history.ends)];
    const { status, finding } = judge({ keys, operations: all }, configurationsMax);
    count += all.length;
    if (status === 'broken') broken.push(finding!);
    if (status === 'undecided') undecided.push(finding!);
  }
  const judged = `${objects.length} objects, ${count} operations`;
  return verdict(checker, judged, broken, undecided);
}

/** Reads after the run: at each end all at once, by everyone who was asked. */
export function finalReads(keys: readonly string[], ends: readonly EndState[]): Operation[] {
  return ends.flatMap(({ when, answers, table, startedAtMs, endedAtMs }) => {
    const places: (readonly [string, Values])[] = [...answers, ['the table', table]];
    return places.flatMap(([node, values]) =>
      keys
        .filter((key) => values.has(key))
        .map((key) => ({
          workload: '',
          client: when,
          node,
          command: ['GET', key],
          startedAtMs,
          endedAtMs,
          outcome: 'ok' as const,
          reply: values.get(key)!,
        })),
    );
  });
}
