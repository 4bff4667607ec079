/**
 * Accounts that money is moved between: they are opened all at once by MSETNX, and from then on whoever reads
 * all of them sees the same sum. An account that is not there counts as empty.
 */
import type { Operation } from '../history.ts';
import { type Checker, verdict } from './checker.ts';
import { describeReading, type Group, type GroupReading, groupsOf } from './group-readings.ts';

const NAME = 'sums';

export const sums: Checker = {
  name: NAME,
  claim: 'The sum over accounts on several owners never changes.',
  check(history) {
    const groups = groupsOf(history);
    const findings = groups.flatMap(judgeGroup);
    const readings = groups.reduce((count, group) => count + group.readings.length, 0);
    return verdict(NAME, `${readings} readings of ${groups.length} groups`, findings);
  },
};

function judgeGroup({ keys, operations, readings }: Group): string[] {
  const opening = operations.find(({ command }) => command[0] === 'MSETNX');
  if (opening === undefined) return [];
  const total = opened(opening);
  return readings
    .filter((reading) => reading.keys.length === keys.length && !isRight(reading, total))
    .map((reading) => `the sum is ${sumOf(reading)}, not ${total}: ${describeReading(reading)}`);
}

/** The values of `MSETNX key value key value ...`, added up. */
function opened({ command }: Operation): number {
  return command.slice(1).reduce((sum, word, i) => (i % 2 === 1 ? sum + Number(word) : sum), 0);
}

/** Before the accounts are opened there is none of them. */
function isRight(reading: GroupReading, total: number): boolean {
  return reading.values.every((value) => value === null) || sumOf(reading) === total;
}

function sumOf({ values }: GroupReading): number {
  return values.reduce((sum, value) => sum + Number(value ?? 0), 0);
}
