/**
 * Keys that are only ever written together, and with one value, always have one value: nobody sees half an
 * MSET, whichever nodes the keys live on and whatever happens to them meanwhile.
 */
import { type Checker, verdict } from './checker.ts';
import { describeReading, groupsOf } from './group-readings.ts';

const NAME = 'all-or-nothing';

export const allOrNothing: Checker = {
  name: NAME,
  claim: 'Nobody sees half of an MSET over several owners.',
  check(history) {
    const groups = groupsOf(history);
    const readings = groups.flatMap((group) => group.readings);
    const findings = readings
      .filter(({ values }) => new Set(values).size > 1)
      .map((reading) => `half an MSET: ${describeReading(reading)}`);
    return verdict(NAME, `${readings.length} readings of ${groups.length} groups`, findings);
  },
};
