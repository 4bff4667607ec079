import { describe, expect, test } from 'vitest';
import { type Complaint, loserOf } from '../../../src/cluster/complaints.ts';
import { member } from './members.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e'];
const members = NAMES.map((name) => member(name));
const ref = (name: string) => members[NAMES.indexOf(name)]!;

/** `ab` in the list: a complains of b. */
function standing(...pairs: string[]): Complaint[] {
  return pairs.map(([by, about]) => ({ by: ref(by!), about: ref(about!) }));
}

describe('of two nodes without a working link', () => {
  test.each<[string, string, string[], string, string]>([
    ['ab', 'a learner', ['ab', 'ba', 'ca', 'da'], 'b', 'b'],
    ['ab', 'the one that several complain of', ['ab', 'ba', 'ca'], '', 'a'],
    ['ab', 'the one that several complain of, if it is mute', ['ba', 'ca', 'da'], '', 'a'],
    ['ab', 'the one with fewer working links', ['ab', 'ba', 'ac'], '', 'a'],
    [
      'ab',
      'the one with fewer working links, of two',
      ['ab', 'ca', 'da', 'cb', 'db', 'eb'],
      '',
      'b',
    ],
    ['ab', 'the one with the higher id', ['ab', 'ba'], '', 'b'],
    ['ab', 'the one with the higher id, of one complaint', ['ba'], '', 'b'],
    ['ab', 'the one with the higher id, of two learners', ['ab', 'ba'], 'ab', 'b'],
  ])('%s: %s goes', (pair, _what, complaints, learners, loser) => {
    const cluster = { members, isLearner: ({ node }: { node: string }) => learners.includes(node) };
    const [first, second] = [ref(pair[0]!), ref(pair[1]!)];
    expect(loserOf([first, second], standing(...complaints), cluster).node).toBe(loser);
    // Whoever of the two asks.
    expect(loserOf([second, first], standing(...complaints), cluster).node).toBe(loser);
  });
});
