/** What a packet filter is told for each disturbance, and on which host. */
import { describe, expect, test } from 'vitest';
import type { Disturbance } from '../../../../chaos/live/network.ts';
import {
  iptablesRules,
  nftRules,
  type Rule,
  rulesOf,
} from '../../../../chaos/live/packet-filter.ts';

const address = (host: string): string => `10.0.0.${host.charCodeAt(0) - 96}`;

function allRules(...active: readonly Disturbance[]): string[] {
  return [...rulesOf(active, address)].flatMap(([host, rules]) =>
    rules.map(({ chain, peer, action }) => `${host} ${chain} ${peer} ${action}`),
  );
}

describe('the rules of each host', () => {
  test('nothing is filtered while nothing is disturbed', () => {
    expect(allRules()).toEqual([]);
  });

  test('a split is silence at both ends, one way at the one that is not to hear', () => {
    expect(allRules({ kind: 'split', hosts: ['a'], others: ['b'] }).sort()).toEqual([
      'a in 10.0.0.2 drop',
      'b in 10.0.0.1 drop',
    ]);
    expect(allRules({ kind: 'one-way', from: 'a', to: 'b' })).toEqual(['b in 10.0.0.1 drop']);
  });

  test('a reset is both ways on the one host, loss in one', () => {
    expect(allRules({ kind: 'reset', host: 'a', others: ['b'] })).toEqual([
      'a in 10.0.0.2 reset',
      'a out 10.0.0.2 reset',
    ]);
    expect(allRules({ kind: 'loss', host: 'a', others: ['b'], percent: 30 })).toEqual([
      'a in 10.0.0.2 30',
    ]);
  });

  test('what is disturbed at the same time adds up', () => {
    const rules = allRules(
      { kind: 'one-way', from: 'a', to: 'c' },
      { kind: 'one-way', from: 'b', to: 'c' },
    );
    expect(rules).toEqual(['c in 10.0.0.1 drop', 'c in 10.0.0.2 drop']);
  });
});

const RULES: readonly Rule[] = [
  { chain: 'in', peer: '10.0.0.1', action: 'drop' },
  { chain: 'out', peer: '10.0.0.2', action: 'reset' },
  { chain: 'in', peer: '10.0.0.3', action: 30 },
];

test('both tools are told the same', () => {
  const nft = nftRules(RULES);
  expect(nft).toContain('ip saddr 10.0.0.1 drop\n');
  expect(nft).toContain('ip daddr 10.0.0.2 tcp flags & rst == 0 reject with tcp reset\n');
  expect(nft).toContain('ip saddr 10.0.0.3 numgen random mod 100 < 30 drop\n');
  const iptables = iptablesRules(RULES);
  expect(iptables).toContain('-A INPUT -s 10.0.0.1 -j DROP\n');
  expect(iptables).toMatch(/-A OUTPUT -d 10\.0\.0\.2 .*--reject-with tcp-reset\n/);
  expect(iptables).toMatch(/-A INPUT -s 10\.0\.0\.3 .*--probability 0\.3 -j DROP\n/);
});

test('no table of somebody else is touched', () => {
  expect(nftRules([])).not.toContain('flush ruleset');
  expect(iptablesRules([]).match(/^\*\w+$/gm)).toEqual(['*filter']);
});
