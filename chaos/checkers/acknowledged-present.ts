/**
 * What was acknowledged is there at the end, in the table and in what every node answers. It needs no reads
 * during the run: of the operations only those count that may have changed something, so that a loss is
 * told as one also where a stale read hides it.
 */
import type { History } from '../history.ts';
import { type Checker, verdict } from './checker.ts';
import { changesNothing } from './linearizability/keyspace-model.ts';
import { objectsOf } from './linearizability/objects.ts';
import { judgeObjects } from './linearizable.ts';

const NAME = 'acknowledged-present';
const NO_END = 'nobody looked at what was there at the end';

export const acknowledgedPresent: Checker = {
  name: NAME,
  claim: 'What was acknowledged is in the table and in every answer after the end.',
  check(history) {
    if (history.ends.length === 0) return verdict(NAME, 'no end', [], [NO_END]);
    const objects = objectsOf(writes(history));
    const keys = objects.flatMap((object) => object.keys);
    const unread = history.ends.flatMap(({ when, table }) =>
      keys.filter((key) => !table.has(key)).map((key) => `${key}: its row was not read ${when}`),
    );
    const { status, judged, findings } = judgeObjects(NAME, objects, history);
    if (status === 'broken') return { checker: NAME, status, judged, findings };
    return verdict(NAME, judged, [], [...findings, ...unread]);
  },
};

function writes(history: History): History['operations'] {
  return history.operations.filter(
    ({ command, outcome, reply }) => !changesNothing(command, outcome === 'ok' ? reply : undefined),
  );
}
