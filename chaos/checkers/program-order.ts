/**
 * Commands that one client sent on one connection, for a key that it has for itself, against the order in which
 * they were sent. A search for an order would not see it: commands that were under way together may take
 * effect in any order, for all that it knows.
 *
 * Answers on a connection come in the order of its commands, so the history has them in that order.
 */
import type { History, Operation } from '../history.ts';
import { type Checker, verdict } from './checker.ts';
import { STRING_COMMANDS } from './linearizability/string-commands.ts';

const NAME = 'program-order';

export const programOrder: Checker = {
  name: NAME,
  claim: 'Commands that a client sent one behind the other took effect in that order.',
  check(history) {
    const byKey = operationsByKey(history);
    const findings = [...byKey].flatMap(([key, operations]) => judgeKey(key, operations));
    return verdict(NAME, `${history.operations.length} commands on ${byKey.size} keys`, findings);
  },
};

function operationsByKey({ operations }: History): Map<string, Operation[]> {
  const byKey = new Map<string, Operation[]>();
  for (const operation of operations) {
    const key = operation.command[1]!;
    const own = byKey.get(key);
    if (own === undefined) byKey.set(key, [operation]);
    else own.push(operation);
  }
  return byKey;
}

/** Runs the commands one after the other. What was sent with or after an unknown outcome is not judged. */
function judgeKey(key: string, operations: readonly Operation[]): string[] {
  const open = operations.filter(({ outcome }) => outcome === 'unknown');
  const untilMs = Math.min(...open.map(({ startedAtMs }) => startedAtMs));
  let value: string | null = null;
  const keyspace = {
    get: () => value,
    set: (_: string, next: string | null) => {
      value = next;
    },
  };
  for (const { command, outcome, reply, client, startedAtMs } of operations) {
    if (outcome !== 'ok' || startedAtMs >= untilMs) continue;
    const [name, ...args] = command;
    const expected = STRING_COMMANDS[name!]!.run(keyspace, args);
    if (expected === reply) continue;
    return [
      `${key}: ${command.join(' ')} of ${client}, sent at ${startedAtMs.toFixed(3)} ms, ` +
        `was answered with ${String(reply)} and not with ${String(expected)}`,
    ];
  }
  return [];
}
