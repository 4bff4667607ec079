/**
 * At the end, when nothing is under way any more, every place tells the same: what a live owner holds clean
 * equals the key's row, and every node answers what is in the table.
 */
import type { EndState, Values } from '../history.ts';
import { type Checker, verdict } from './checker.ts';
import { shown } from './linearizability/keyspace-model.ts';

const NAME = 'memory-equals-table';
const NO_END = 'nobody looked at what was there at the end';

export const memoryEqualsTable: Checker = {
  name: NAME,
  claim: 'At the end each clean key of a live owner equals its row, and all nodes answer the same.',
  check({ ends }) {
    if (ends.length === 0) return verdict(NAME, 'no end', [], [NO_END]);
    const findings = ends.flatMap((end) => [
      ...[...end.memory].flatMap(([node, values]) => differences(end, `memory of ${node}`, values)),
      ...[...end.answers].flatMap(([node, values]) =>
        differences(end, `answer of ${node}`, values),
      ),
    ]);
    const count = (pick: (end: EndState) => Iterable<Values>): number =>
      ends.flatMap((end) => [...pick(end)]).reduce((sum, { size }) => sum + size, 0);
    const rows = count(({ table }) => [table]);
    const inMemory = count(({ memory }) => memory.values());
    const answered = count(({ answers }) => answers.values());
    const judged = `${rows} rows, ${inMemory} entries in memory, ${answered} answers`;
    return verdict(NAME, judged, findings);
  },
};

/** A key whose row nobody looked for lives in memory only: `same-everywhere` judges it. */
function differences({ when, table }: EndState, place: string, values: Values): string[] {
  const found: string[] = [];
  for (const [key, value] of values) {
    const row = table.get(key);
    if (row !== undefined && value !== row)
      found.push(`${key} ${when}: ${place} is ${shown(value)}, its row ${shown(row)}`);
  }
  return found;
}
