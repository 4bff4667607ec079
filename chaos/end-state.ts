/**
 * Looks at what a run has left behind. Real processes and the simulator give access in their own ways; what is
 * asked for is the same.
 */
import { keysOf } from './checkers/linearizability/keyspace-model.ts';
import type { EndState, Operation, Values } from './history.ts';

export interface ClusterAccess {
  /** The nodes that live. */
  readonly nodes: readonly string[];
  /** What a node answers to GET of each key when it is asked alone. Rejects when it does not answer one. */
  answers(node: string, keys: readonly string[]): Promise<Values>;
  /** Which of these keys the node owns and holds clean, straight from its memory; empty where nobody can look. */
  cleanMemory(node: string, keys: readonly string[]): Promise<Values>;
  /** The row of each key, null where there is none. */
  table(keys: readonly string[]): Promise<Values>;
}

/** Every key that some operation named, once. */
export function keysNamedBy(operations: Iterable<Pick<Operation, 'command'>>): Set<string> {
  const keys = new Set<string>();
  for (const { command } of operations) for (const key of keysOf(command)) keys.add(key);
  return keys;
}

/**
 * Everything about these keys: all that some operation named. `when` tells the ends of one run apart. To be called
 * when the clients have stopped and nothing is under way.
 */
export async function readEnd(
  access: ClusterAccess,
  when: string,
  named: Iterable<string>,
): Promise<EndState> {
  const keys = [...named];
  const startedAtMs = performance.now();
  // Memory first: a read may fill it.
  const memory = new Map<string, Values>();
  for (const node of access.nodes) memory.set(node, await access.cleanMemory(node, keys));
  const answers = new Map<string, Values>();
  for (const node of access.nodes) answers.set(node, await access.answers(node, keys));
  const table = await access.table(keys);
  return { when, startedAtMs, endedAtMs: performance.now(), answers, memory, table };
}
