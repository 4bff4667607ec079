/** A target that notes what was asked of it and breaks nothing. */
import { FAULTS } from '../../../chaos/faults/index.ts';
import type { Disturbance } from '../../../chaos/live/network.ts';
import type { Target } from '../../../chaos/target.ts';

const ASKS_NODES = ['rolling-restart', 'join', 'leave'];

/** Faults that need nothing but the target itself; the others ask running nodes. */
export const SIMPLE_FAULTS = FAULTS.filter(({ name }) => !ASKS_NODES.includes(name));

export interface FakeTarget extends Target {
  /** Every request, in order: `kill node-1`, `start node-1`. */
  readonly asked: string[];
  /** Hosts that something was done to and not undone. */
  readonly broken: Set<string>;
}

export function fakeTarget(
  nodes = 3,
  cannot: Partial<Record<'network' | 'disk', string>> = {},
): FakeTarget {
  const asked: string[] = [];
  const broken = new Set<string>();
  const done = (what: string): Promise<void> => {
    asked.push(what);
    return Promise.resolve();
  };
  const breaking = (what: string, ...hosts: string[]): Promise<void> => {
    for (const host of hosts) broken.add(host);
    return done(`${what} ${hosts.join(' ')}`);
  };
  const mending = (what: string, ...hosts: string[]): Promise<void> => {
    for (const host of hosts) broken.delete(host);
    return done(`${what} ${hosts.join(' ')}`);
  };
  return {
    asked,
    broken,
    name: 'fakes',
    nodes: Array.from({ length: nodes }, (_, i) => ({
      name: `node-${i + 1}`,
      host: '127.0.0.1',
      port: 1,
      httpPort: 1,
    })),
    spare: undefined,
    network: {
      whyNot: () => cannot.network,
      async disturb(disturbance: Disturbance) {
        const name = `network ${disturbance.kind}`;
        await breaking('break', name);
        return () => mending('mend', name);
      },
    },
    disk: {
      whyNot: () => cannot.disk,
      fill: () => breaking('fill', 'disk'),
      free: () => mending('free', 'disk'),
    },
    clocks: {
      whyNot: () => undefined,
      set: (node, ms) =>
        ms === 0 ? mending('right', `clock of ${node}`) : breaking('wrong', `clock of ${node}`),
    },
    up: () => done('up'),
    down: () => done('down'),
    kill: (...hosts) => breaking('kill', ...hosts),
    stop: (host) => breaking('stop', host),
    start: (...hosts) => mending('start', ...hosts),
    pause: (host) => breaking('pause', host),
    resume: (host) => mending('resume', host),
    deaths: () => Promise.resolve([]),
    legacyFaults: (query) =>
      query === '' ? mending('mend', 'legacy') : breaking('break', 'legacy'),
    query: () => Promise.resolve([]),
    logs: () => Promise.resolve(''),
  };
}
