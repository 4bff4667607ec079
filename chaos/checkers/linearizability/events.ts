/** What changed keys without being a client's command, as operations that the search for an order places too. */
import type { KeyEvent, Operation } from '../../history.ts';
import type { CommandSpec } from './string-commands.ts';

/** No command of Redis: `(happens) key =value key -`. */
export const HAPPENS = '(happens)';
export const GONE = '-';

export const EVENT_COMMANDS: Readonly<Record<string, CommandSpec>> = {
  [HAPPENS]: {
    run(keys, args) {
      for (let i = 0; i + 1 < args.length; i += 2) {
        const word = args[i + 1]!;
        keys.set(args[i]!, word === GONE ? null : word.slice(1));
      }
      return 'OK';
    },
    keysOf: (args) => args.filter((_, i) => i % 2 === 0),
  },
};

/** The events that concern some of these keys, as far as they do. */
export function eventsOf(keys: readonly string[], events: readonly KeyEvent[]): Operation[] {
  return events.flatMap(({ why, values, startedAtMs, endedAtMs }) => {
    const concerned = keys.filter((key) => values.has(key));
    if (concerned.length === 0) return [];
    const pairs = concerned.flatMap((key) => [key, wordOf(values.get(key)!)]);
    const happens = endedAtMs < Infinity;
    return {
      workload: '',
      client: why,
      node: 'the cluster',
      command: [HAPPENS, ...pairs],
      startedAtMs,
      endedAtMs,
      outcome: happens ? ('ok' as const) : ('unknown' as const),
      reply: happens ? 'OK' : 'from then on, or never',
    };
  });
}

function wordOf(value: string | null): string {
  return value === null ? GONE : `=${value}`;
}
