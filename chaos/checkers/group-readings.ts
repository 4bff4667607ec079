/** What was read of a group of keys at one moment: by MGET during the run, and at the ends. */
import type { History, Operation } from '../history.ts';
import { objectsOf } from './linearizability/objects.ts';

export interface GroupReading {
  readonly what: string;
  readonly keys: readonly string[];
  readonly values: readonly (string | null)[];
}

export interface Group {
  /** Every key that some command of the group named. */
  readonly keys: readonly string[];
  readonly operations: readonly Operation[];
  readonly readings: readonly GroupReading[];
}

/**
 * Keys that commands name together, with their readings. The ends are no snapshots, but nothing changes there
 * any more, so every place must show one that could have been.
 */
export function groupsOf({ operations, ends }: History): Group[] {
  return objectsOf(operations).map(({ keys, operations: own }) => {
    const during = own
      .filter(({ command, outcome }) => command[0] === 'MGET' && outcome === 'ok')
      .map(({ command, reply, client, node, startedAtMs, endedAtMs }) => ({
        what: `MGET by ${client} on ${node} at ${startedAtMs.toFixed(3)}-${endedAtMs.toFixed(3)} ms`,
        keys: command.slice(1),
        values: reply as readonly (string | null)[],
      }));
    const after = ends.flatMap(({ when, answers, table }) =>
      [...answers, ['the table', table] as const]
        .filter(([, values]) => keys.every((key) => values.has(key)))
        .map(([place, values]) => ({
          what: `${place} ${when}`,
          keys,
          values: keys.map((key) => values.get(key)!),
        })),
    );
    return { keys, operations: own, readings: [...during, ...after] };
  });
}

export function describeReading({ what, keys, values }: GroupReading): string {
  const pairs = keys.map((key, i) => `${key}=${values[i] ?? '(absent)'}`);
  return `${what}: ${pairs.join(' ')}`;
}
