/** Disturbances as rules of a packet filter, one filter per host, in that host's own network namespace. */
import { spawnSync } from 'node:child_process';
import type { Host } from '../target.ts';
import { type Disturbance, silentPairs } from './network.ts';
import { runCommand } from './run-command.ts';

export type FilterTool = 'nft' | 'iptables';

/** One line of a host's filter. */
export interface Rule {
  readonly chain: 'in' | 'out';
  /** An IPv4 address. */
  readonly peer: string;
  /**
   * `reset` answers TCP with RST, and lets every RST pass: the one that it makes for an end on its own host
   * comes in by the same filter. A number is the percentage that is lost.
   */
  readonly action: 'drop' | 'reset' | number;
}

const COMMAND_TIMEOUT_MS = 10_000;

/** Undefined when this machine has neither. */
export function findFilterTool(): FilterTool | undefined {
  return (['nft', 'iptables'] as const).find(
    (tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0,
  );
}

/** What each host must not let through. Delays are no business of a filter, and are left out. */
export function rulesOf(
  active: readonly Disturbance[],
  address: (host: Host) => string,
): ReadonlyMap<Host, readonly Rule[]> {
  const rules = new Map<Host, Rule[]>();
  const add = (host: Host, rule: Rule): void => {
    rules.set(host, [...(rules.get(host) ?? []), rule]);
  };
  for (const [from, to] of silentPairs(active)) {
    add(to, { chain: 'in', peer: address(from), action: 'drop' });
  }
  for (const disturbance of active) {
    if (disturbance.kind === 'reset') {
      for (const other of disturbance.others) {
        // On both chains, so that both ends of every connection hear of it.
        const rule = { peer: address(other), action: 'reset' } as const;
        add(disturbance.host, { ...rule, chain: 'in' });
        add(disturbance.host, { ...rule, chain: 'out' });
      }
    } else if (disturbance.kind === 'loss') {
      const { host, others, percent } = disturbance;
      for (const other of others) add(host, { chain: 'in', peer: address(other), action: percent });
    }
  }
  return rules;
}

/**
 * Replaces the filter of one host at once. `enter` makes a command run on that host. Rejects with what the tool said.
 */
export async function setRules(
  tool: FilterTool,
  rules: readonly Rule[],
  enter: (command: readonly string[]) => readonly string[],
): Promise<void> {
  const [command = '', ...args] = enter(tool === 'nft' ? ['nft', '-f', '-'] : ['iptables-restore']);
  const input = tool === 'nft' ? nftRules(rules) : iptablesRules(rules);
  await runCommand(command, args, { timeoutMs: COMMAND_TIMEOUT_MS, input });
}

/** Touches no other table: a container's name service is rules of its own. */
export function nftRules(rules: readonly Rule[]): string {
  const lines = (chain: Rule['chain']): string =>
    rules
      .filter((rule) => rule.chain === chain)
      .map(({ peer, action }) => {
        const match = chain === 'in' ? `ip saddr ${peer}` : `ip daddr ${peer}`;
        if (action === 'drop') return `${match} drop`;
        if (action === 'reset') return `${match} tcp flags & rst == 0 reject with tcp reset`;
        return `${match} numgen random mod 100 < ${action} drop`;
      })
      .join('\n');
  // Named first, so that it is there to be deleted.
  return `table ip chaos
delete table ip chaos
table ip chaos {
chain in { type filter hook input priority 0;
${lines('in')}
}
chain out { type filter hook output priority 0;
${lines('out')}
}
}
`;
}

/** The whole table `filter`, which belongs to nobody else on such a host, and no other. */
export function iptablesRules(rules: readonly Rule[]): string {
  const lines = rules.map(({ chain, peer, action }) => {
    const match = chain === 'in' ? `-A INPUT -s ${peer}` : `-A OUTPUT -d ${peer}`;
    if (action === 'drop') return `${match} -j DROP`;
    if (action === 'reset') {
      return `${match} -p tcp ! --tcp-flags RST RST -j REJECT --reject-with tcp-reset`;
    }
    return `${match} -m statistic --mode random --probability ${action / 100} -j DROP`;
  });
  return ['*filter', ':INPUT ACCEPT', ':OUTPUT ACCEPT', ...lines, 'COMMIT', ''].join('\n');
}
