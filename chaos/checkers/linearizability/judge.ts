/** Judges the operations on one object, and explains what no order explains. */
import type { Operation } from '../../history.ts';
import { explain } from './explain.ts';
import { keyspaceModel, shownKeys } from './keyspace-model.ts';
import type { Model } from './model.ts';
import type { Judged } from './objects.ts';
import { type Optional, type Problem, type Required, search } from './search.ts';

export interface Judgement {
  readonly status: 'holds' | 'broken' | 'undecided';
  /** Why, when it does not hold. */
  readonly finding?: string;
}

/** An operation as the search sees it, with what it was. */
export type RequiredOperation = Required & { readonly operation: Operation };
export type OptionalOperation = Optional & { readonly operation: Operation };

export interface ObjectProblem extends Problem {
  readonly required: readonly RequiredOperation[];
  readonly optional: readonly OptionalOperation[];
}

export function judge({ keys, operations }: Judged, configurationsMax: number): Judgement {
  const model = keyspaceModel(keys);
  const problem = problemOf(model, operations);
  const seen = { ...problem, optional: likely(problem) };
  // An order that does without some of the optional operations is an order.
  if (seen.optional.length < problem.optional.length) {
    const { kind } = search(model, seen, configurationsMax);
    if (kind === 'linearizable') return { status: 'holds' };
  }
  const result = search(model, problem, configurationsMax);
  switch (result.kind) {
    case 'linearizable':
      return { status: 'holds' };
    case 'undecided': {
      const finding = `${shownKeys(keys)}: ${operations.length} operations, undecided after ${result.configurations} configurations`;
      return { status: 'undecided', finding };
    }
    case 'impossible':
      return { status: 'broken', finding: explain(model, keys, problem, result) };
  }
}

/**
 * Refused operations never took effect; a read with unknown outcome says nothing. What is left is required when
 * it was answered, and optional when not.
 */
export function problemOf<State>(
  model: Model<State>,
  operations: readonly Operation[],
): ObjectProblem {
  const required: RequiredOperation[] = [];
  const optional: OptionalOperation[] = [];
  for (const operation of operations) {
    const { command, reply, startedAtMs, endedAtMs, outcome } = operation;
    if (outcome === 'ok') required.push({ command, reply, startedAtMs, endedAtMs, operation });
    else if (outcome === 'unknown' && !model.changesNothing(command, undefined)) {
      optional.push({ command, startedAtMs, operation });
    }
  }
  required.sort((a, b) => a.endedAtMs - b.endedAtMs);
  optional.sort((a, b) => a.startedAtMs - b.startedAtMs);
  return { required, optional };
}

/** Commands that write whole values, and so leave no trace but their values. */
const WRITES_VALUES: ReadonlySet<string> = new Set(['SET', 'SETNX', 'GETSET', 'MSET', 'MSETNX']);

/** The optional operations but those whose values nobody ever saw: most often they did not happen. */
function likely({ required, optional }: ObjectProblem): readonly OptionalOperation[] {
  const seen = new Set(required.flatMap(({ reply }) => reply));
  return optional.filter(
    ({ command: [name, ...args] }) =>
      !WRITES_VALUES.has(name!) || args.some((argument) => seen.has(argument)),
  );
}
