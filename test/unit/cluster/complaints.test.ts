import { describe, expect, test } from 'vitest';
import { QuietLog } from '../../../chaos/sim/log.ts';
import { VirtualTime } from '../../../chaos/sim/time.ts';
import { type Complaint, Complaints, loserOf } from '../../../src/cluster/complaints.ts';
import type { Peers } from '../../../src/cluster/peers.ts';
import type { LeaseInfo, Renewal, Settlement } from '../../../src/storage/postgres/store.ts';
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

const LEASE_MS = 1500;

/** Node b, which hears nothing of a. What its renewals are answered is the test's. */
function silent() {
  const time = new VirtualTime();
  const settled: Settlement[] = [];
  const complaints = new Complaints({
    clock: time,
    log: new QuietLog(),
    self: ref('b'),
    peers: {
      heardAtMs: () => null,
      missingLink: () => null,
      get: () => undefined,
    } as Partial<Peers> as Peers,
    leaseMs: LEASE_MS,
    members: () => [members[0]!, members[1]!],
    isLearner: () => false,
    stream: () => undefined,
    renew: () => undefined,
    settle: (settlement) => {
      settled.push(settlement);
      return Promise.resolve(true);
    },
  });
  /** Lets time pass, and a renewal of b be answered that says how often a has renewed. */
  const answered = (counter: number, afterMs = LEASE_MS / 12): void => {
    for (let ms = 0; ms < afterMs; ms += LEASE_MS / 12) {
      time.advance(LEASE_MS / 12);
      complaints.tick();
    }
    const info = { ...ref('a'), counter, expelled: false, givenUp: false, complaints: [] };
    const leases = [info as Partial<LeaseInfo> as LeaseInfo];
    complaints.onRenewal({ leases } as Partial<Renewal> as Renewal, complaints.said());
  };
  return { settled, answered };
}

describe('a complaint is settled', () => {
  test('when the other one has renewed three times while it stood: two may be renewals from before its death', () => {
    const { settled, answered } = silent();
    answered(1, LEASE_MS / 3);
    answered(1, LEASE_MS / 3);
    for (const counter of [1, 2, 3]) for (let i = 0; i < 4; i++) answered(counter);
    expect(settled).toEqual([]);
    for (let i = 0; i < 4; i++) answered(4);
    expect(settled.map(({ loser }) => loser.node)).toEqual(['b']);
  });

  test('after an outage only when it has renewed three times since', () => {
    const { settled, answered } = silent();
    answered(1, LEASE_MS / 3);
    answered(1, LEASE_MS / 3);
    answered(9, LEASE_MS);
    for (const counter of [9, 10, 11]) for (let i = 0; i < 4; i++) answered(counter);
    expect(settled).toEqual([]);
    for (let i = 0; i < 4; i++) answered(12);
    expect(settled.map(({ loser }) => loser.node)).toEqual(['b']);
  });
});
